"""The publisher's side of shared memory: slots that are written once and read in place.

A message is placed in a slot that the publisher can lock for writing: nobody reads it then. Its new
sequence goes into the table before the lock is given back, so from there on only who was told of
this message finds what it looks for; the bytes are copied after that. Preferred is the slot that
was written last among those with which all readers are done (its bytes are still in the cache),
then one never used, then the one written longest ago: whoever has not taken its lease by then is
overtaken. Slots get their memory when they are first used, and give it back when they were not for
long. `Pools` keeps one pool per topic and replaces it by a larger one when a message does not fit.
"""

from __future__ import annotations

import fcntl
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import cast

import numpy as np

from tectum.message import AnyArray, BufferSpec
from tectum.transport.outbox import NoSlotError
from tectum.transport.pool_file import (
    SHARED_MEMORY,
    PoolFile,
    holders,
    lock,
    pool_name,
    pools_are_possible,
    remove_pools,
)
from tectum.transport.reference import Reference, offsets
from tectum.transport.region import Region

__all__ = ["PAGE", "Pools", "slots_needed"]

SPARE_SLOTS = 2
"""Beside the slots that readers may hold: one that is written and one that is on its way."""
PAGE = 4096
KEPT_FOR = 512
"""Messages: a slot that took none of so many was needed in a stall that is over."""
Announce = Callable[[Reference], Callable[[], None]]
_NBYTES = attrgetter("nbytes")
_log = logging.getLogger(__name__)


def slots_needed(holds: int) -> int:
    """Return how many slots of a topic may be in use where its readers hold `holds` in all.

    Pure; `tectum check` reckons with it (`tectum_launch.checks.memory`) as the publisher does.
    """
    return SPARE_SLOTS + holds


class _NoMemoryError(Exception):
    """Shared memory is full: payloads go inline."""


class _Pool:
    """The slots of one topic."""

    def __init__(self, file: PoolFile) -> None:
        self.file = file
        self.slots, self.slot_bytes = file.slots, file.slot_bytes
        self._sequence = 0
        self._backed: set[int] = set()
        """Slots that have memory."""
        self._full = False
        self._loans: dict[int, _Loan] = {}
        """By slot, of arrays that were not published yet."""
        self._returned: deque[_Loan] = deque()
        """Of arrays that are gone, published or not."""
        self._last, self._readers = 0, 1
        """The slot that was published last, and how many read it."""

    def place(
        self,
        arrays: Sequence[AnyArray],
        begins: Sequence[int],
        end: int,
        limit: int,
        readers: int,
        announce: Announce | None,
    ) -> Reference:
        """Return a reference to `arrays`, copied into a slot unless they were lent from one."""
        file = self.file
        lent = self._lent(arrays) if self._loans else None
        slot = self._claim(limit, readers) if lent is None else lent
        self._sequence = sequence = self._sequence + 1
        self._last, self._readers = slot, readers
        file.sequences[slot] = sequence
        lock(file.locks, fcntl.F_UNLCK, slot)
        reference = Reference(file.name, file.epoch, slot, sequence, end)
        if lent is None:
            finish = announce(reference) if announce is not None else None
            for array, begin in zip(arrays, begins, strict=True):
                at = slot * self.slot_bytes + begin
                file.bytes[at : at + array.nbytes] = array.reshape(-1).view(np.uint8)
            if finish is not None:
                finish()
        return reference

    def loan(self, spec: BufferSpec, limit: int, readers: int) -> AnyArray:
        """Return the bytes of a slot that is locked until they are published or dropped."""
        slot = self._claim(limit, readers)
        self._loans[slot] = loan = _Loan(slot, self.file, self._returned)
        return self.file.lent(slot, spec, loan)

    def give_back(self) -> None:
        """Give back the memory of one slot that nobody has needed for long, if there is one."""
        if len(self._backed) == 1:
            return
        sequences, locks = self.file.sequences, self.file.locks
        for slot in sorted(self._backed, key=sequences.__getitem__):
            if self._sequence - sequences[slot] < KEPT_FOR:
                return
            if slot in self._loans or not lock(locks, fcntl.F_WRLCK, slot):
                continue
            sequences[slot] = 0  # who comes late finds no bytes
            if self.file.give_back(slot):
                self._backed.remove(slot)
                self._full = False
            lock(locks, fcntl.F_UNLCK, slot)
            return

    def is_done(self) -> bool:
        """Return whether readers are done with everything that was published."""
        file, readers = self.file, self._readers
        return all(
            file.marked(slot) >= readers for slot in range(self.slots) if file.sequences[slot]
        )

    def _lent(self, arrays: Sequence[AnyArray]) -> int | None:
        """Return the slot that the one array is the beginning of, if it was lent."""
        if len(arrays) != 1:
            return None
        array: AnyArray = arrays[0]
        base = array.base
        while isinstance(base, np.ndarray) and type(base) is not Region:
            base = base.base  # a view of what was lent
        loan = base.freed if type(base) is Region else None
        if type(loan) is not _Loan or self._loans.get(loan.slot) is not loan:
            return None
        if base is not array.base and _address(base) != _address(array):
            return None
        del self._loans[loan.slot]
        return loan.slot

    def _claim(self, limit: int, readers: int) -> int:
        """Return a slot that is locked for writing.

        Raises:
            NoSlotError: readers hold them all.
            _NoMemoryError: not one slot could be given memory.
        """
        if self._returned:
            self._take_returned()
        lent = self._loans
        last, file = self._last, self.file
        is_free = last in self._backed and file.marked(last) >= readers and last not in lent
        if is_free and lock(file.locks, fcntl.F_WRLCK, last):
            return last
        for slot in self._candidates(limit, readers):
            if slot in lent or not lock(self.file.locks, fcntl.F_WRLCK, slot):
                continue
            if slot in self._backed or self._allocate(slot):
                return slot
            lock(self.file.locks, fcntl.F_UNLCK, slot)
        if self._full and not self._backed:
            raise _NoMemoryError
        raise NoSlotError

    def _candidates(self, limit: int, readers: int) -> Iterator[int]:
        """Yield slots in the order in which they should be tried, if the last one is not free."""
        by_age = sorted(self._backed, key=self.file.sequences.__getitem__)
        done = {slot for slot in by_age if self.file.marked(slot) >= readers}
        yield from [slot for slot in reversed(by_age) if slot in done]
        if len(by_age) < limit and not self._full:
            yield next(slot for slot in range(self.slots) if slot not in self._backed)
        yield from [slot for slot in by_age if slot not in done]

    def _allocate(self, slot: int) -> bool:
        self._full = not self.file.allocate(slot)
        if not self._full:
            self._backed.add(slot)
        return not self._full

    def _take_returned(self) -> None:
        while self._returned:
            loan = self._returned.popleft()
            if self._loans.get(loan.slot) is loan:  # else it was published
                del self._loans[loan.slot]
                lock(self.file.locks, fcntl.F_UNLCK, loan.slot)


def _address(array: object) -> int:
    return int(cast("AnyArray", array).__array_interface__["data"][0])


class _Loan:
    """One slot that was lent; called when no array is left on it, in whatever thread."""

    __slots__ = ("_file", "_returned", "slot")

    def __init__(self, slot: int, file: PoolFile, returned: deque[_Loan]) -> None:
        self.slot, self._returned = slot, returned
        self._file = file
        """Keeps the lock."""

    def __call__(self) -> None:
        self._returned.append(self)
        del self._returned, self._file  # nothing is held by what is over


class Pools:
    """The pools of one publisher's life. For its thread; `loan` may be called from any."""

    def __init__(self, run: str, node: str, epoch: int, say: Callable[[int], str] = str) -> None:
        """Remove what earlier lives of `node` left; nothing is allocated yet.

        `say` tells a person whose process a pid is.
        """
        self.holds = 0
        """How many leases all present readers may hold."""
        self._run, self._node = run, node
        self._epoch, self._say = epoch, say
        self._lock = threading.Lock()
        self._pools: dict[str, _Pool] = {}
        self._retired: list[_Pool] = []
        self._made = 0
        self._usable = pools_are_possible()
        self._warned: set[str] = set()
        remove_pools(run, node)

    def place(
        self,
        topic: str,
        arrays: Sequence[AnyArray],
        readers: int = 1,
        announce: Announce | None = None,
    ) -> Reference | None:
        """Return a reference to `arrays`, which `readers` read in place; None: send them inline.

        `announce` is called with it before the bytes are copied, if they are, and what that returns
        when they are there: who hears of it first may take a lease, and must not look before.

        Raises:
            NoSlotError: readers hold every slot.
        """
        if not self._usable:
            return None
        begins, size = offsets(list(map(_NBYTES, arrays)))
        needed = slots_needed(self.holds)
        with self._lock:
            try:
                pool = self._fitting(topic, size, needed)
                return pool.place(arrays, begins, size, needed, readers, announce)
            except _NoMemoryError:
                self._give_up(size)
                return None
            except NoSlotError:
                self._name_holders(topic)
                raise

    def loan(self, topic: str, spec: BufferSpec, nbytes: int, readers: int = 1) -> AnyArray | None:
        """Return a writable array of `spec`, which has `nbytes`, inside shared memory.

        None: use memory of your own.
        """
        if not self._usable or nbytes == 0:
            return None
        needed = slots_needed(self.holds)
        with self._lock:
            try:
                return self._fitting(topic, nbytes, needed).loan(spec, needed, readers)
            except _NoMemoryError:
                self._give_up(nbytes)
                return None
            except NoSlotError:
                return None

    def give_back(self) -> None:
        """Give back memory that a stall has needed and nobody has since, a slot of each topic."""
        with self._lock:
            for pool in self._pools.values():
                pool.give_back()

    def close(self) -> None:
        """Remove pools with which all readers are done; others stay until the run is reaped."""
        with self._lock:
            for pool in (*self._retired, *self._pools.values()):
                if pool.is_done():
                    pool.file.unlink()
            self._pools, self._retired = {}, []

    def _fitting(self, topic: str, size: int, needed: int) -> _Pool:
        """Return the pool of `topic`, a new one where the present one is too small."""
        pool = self._pools.get(topic)
        if pool and pool.slot_bytes >= size and pool.slots >= needed:
            return pool
        grown = size if pool is None or pool.slot_bytes >= size else size * 3 // 2
        least = pool.slot_bytes if pool else 0
        slot_bytes = max(-(-grown // PAGE) * PAGE, least)
        name = pool_name(self._run, self._node, self._epoch, self._made)
        try:
            file = PoolFile.create(name, self._epoch, max(16, 2 * needed), slot_bytes)
        except OSError as error:
            _log.debug("%s: %s", name, error)
            raise _NoMemoryError from error
        self._made += 1
        if pool is not None:
            self._retire(pool)
        self._pools[topic] = _Pool(file)
        return self._pools[topic]

    def _retire(self, pool: _Pool) -> None:
        """Forget a pool that was replaced; the one before it is surely read or lost by now."""
        for old in self._retired:
            old.file.unlink()
        self._retired = [pool]

    def _give_up(self, size: int) -> None:
        self._usable = False
        needed = slots_needed(self.holds) * size
        _log.warning(
            "%s is too small: payloads are sent through sockets, which is slower; this publisher "
            "needs %.0f MB there (in a container: --shm-size)", SHARED_MEMORY, needed / 1e6,
        )  # fmt: skip

    def _name_holders(self, topic: str) -> None:
        """Say once per topic who holds all slots."""
        if topic in self._warned:
            return
        self._warned.add(topic)
        found = holders(self._pools[topic].file.name)
        who = ", ".join(f"{self._say(pid)} holds {len(slots)}" for pid, slots in found.items())
        _log.warning(
            "%s: no slot is free, messages are dropped and counted as no_slot (%s)",
            topic, who or "nobody that can be seen",
        )  # fmt: skip
