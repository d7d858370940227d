"""The subscriber's side of shared memory: leases on slots, and payloads that are read in place.

A lease is a read lock on the slot's byte, held by an open file of its own: the kernel frees it when
this process dies. After locking, epoch and sequence are checked: a slot that has been written again
since is refused as overtaken. A lease ends when its message was released (or dropped) and no array
on its bytes is left. At most `hold` leases are kept at a time; what comes beyond is copied out, so
that a slow reader costs others nothing.
"""

from __future__ import annotations

import fcntl
import os
from collections import deque

from tectum.errors import WireError
from tectum.message import AnyArray, BufferSpec
from tectum.transport.header_parts import buffer_spec
from tectum.transport.payload import WIRE_DTYPES, HeldPayload
from tectum.transport.pool_file import PoolFile, lock
from tectum.transport.reference import Reference, offsets

__all__ = ["OvertakenError", "PoolPayload", "PoolReader"]

POOLS_KEPT = 16
"""Mapped at a time and topic prefix; a reader of more maps the oldest anew."""


class OvertakenError(Exception):
    """The slot holds another message by now."""


class PoolReader:
    """Takes leases for one subscriber. For its thread; leases may end in any."""

    def __init__(self, hold: int) -> None:
        """Keep at most `hold` leases at a time."""
        self._hold = hold
        self._pools: dict[str, _Leases] = {}
        self._live = 0
        self._ended: deque[None] = deque()

    def payloads(
        self, reference: Reference, specs: tuple[BufferSpec, ...]
    ) -> tuple[PoolPayload, ...]:
        """Return the buffers that `reference` means.

        Raises:
            OvertakenError: the slot has been written again, or its publisher was reaped.
            WireError: the reference fits no pool.
        """
        leases = self._pools.get(reference.pool) or self._opened(reference.pool)
        whole = specs[0] if len(specs) == 1 else buffer_spec("uint8", reference.nbytes)
        nbytes = whole.nbytes
        content = leases.take(reference, whole, nbytes, self._ended)
        self._live += 1
        if self._ended:
            self._count_ended()
        if self._live > self._hold:
            content = content.copy()  # the lease ends with the region, right here
            content.flags.writeable = False
        if len(specs) == 1:
            return (PoolPayload(content, nbytes, whole),)
        begins, _ = offsets([spec.nbytes for spec in specs])
        parts = [
            content[begin : begin + spec.nbytes].view(WIRE_DTYPES[spec.dtype]).reshape(spec.shape)
            for begin, spec in zip(begins, specs, strict=True)
        ]
        return tuple(
            PoolPayload(part, part.nbytes, spec) for part, spec in zip(parts, specs, strict=True)
        )

    def early(
        self, reference: Reference, specs: tuple[BufferSpec, ...]
    ) -> tuple[PoolPayload, ...] | None:
        """Return the buffers that `reference` will mean when they are written; None: ask then.

        Nothing may be looked at before, so nothing is copied out.
        """
        self._count_ended()
        if self._live >= self._hold:
            return None
        try:
            return self.payloads(reference, specs)
        except (OvertakenError, WireError):
            return None  # said when its turn comes

    def pass_over(self, reference: Reference) -> None:
        """Say that this reader is done with a message that it never looks at."""
        leases = self._pools.get(reference.pool)
        if leases is not None:
            leases.pass_over(reference)

    def _count_ended(self) -> None:
        """Take note of leases that have ended, in whatever thread."""
        while self._ended:
            self._ended.popleft()
            self._live -= 1

    def _opened(self, name: str) -> _Leases:
        try:
            file = PoolFile.open(name)
        except WireError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise OvertakenError from error
            raise
        self._forget_former(name)
        self._pools[name] = _Leases(file)
        return self._pools[name]

    def _forget_former(self, name: str) -> None:
        """Unmap, once their leases have ended, the pools of earlier lives and the oldest."""
        life = name.rpartition(".")[0]
        node = life.rpartition("-")[0]
        former = [
            other
            for other in self._pools
            if other.rpartition("-")[0] == node and other.rpartition(".")[0] != life
        ]
        for other in (*former, *list(self._pools)[:-POOLS_KEPT]):
            self._pools.pop(other, None)


class _Leases:
    """One pool and the open files on which its leases are locked."""

    def __init__(self, file: PoolFile) -> None:
        self._file = file
        self._idle: deque[int] = deque()

    def take(
        self, reference: Reference, spec: BufferSpec, nbytes: int, ended: deque[None]
    ) -> AnyArray:
        """Return the content of a slot, leased until no array on it is left; add to `ended` then.

        `spec` has `nbytes` bytes, no more than the reference.
        """
        file, slot = self._file, reference.slot
        if not (reference.epoch == file.epoch and 0 <= slot < file.slots):
            msg = f"{file.name} has no slot {slot} in epoch {reference.epoch}"
            raise WireError(msg)
        if not nbytes <= reference.nbytes <= file.slot_bytes:
            msg = f"{file.name}: {reference.nbytes} bytes in a slot of {file.slot_bytes}"
            raise WireError(msg)
        fd = self._idle.pop() if self._idle else self._description()
        if not lock(fd, fcntl.F_RDLCK, slot):
            self._idle.append(fd)
            raise OvertakenError
        if file.sequences[slot] != reference.sequence:
            self._unlock(fd, slot)
            raise OvertakenError

        def freed() -> None:
            file.mark(slot, reference.sequence)
            self._unlock(fd, slot)
            ended.append(None)

        return file.lent(slot, spec, freed)

    def pass_over(self, reference: Reference) -> None:
        """Mark a slot as one that this reader is done with."""
        if 0 <= reference.slot < self._file.slots:
            self._file.mark(reference.slot, reference.sequence)

    def _description(self) -> int:
        """Return an open file of its own, so that its lock is nobody else's."""
        return os.open(f"/proc/self/fd/{self._file.locks}", os.O_RDONLY | os.O_CLOEXEC)

    def _unlock(self, fd: int, slot: int) -> None:
        lock(fd, fcntl.F_UNLCK, slot)
        self._idle.append(fd)

    def __del__(self) -> None:
        """Close the files; leases that are left keep this object alive."""
        while self._idle:
            os.close(self._idle.pop())


class PoolPayload(HeldPayload[AnyArray]):
    """One buffer in a slot. The lease ends with the last payload and the last array."""

    __slots__ = ()

    def _array(self, held: AnyArray) -> AnyArray:
        return held
