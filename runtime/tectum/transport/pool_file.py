"""The two files of a pool in shared memory, and the locks that say who uses which slot.

`<name>` holds the bytes, readable by subscribers; `<name>.lock` a small table (epoch, and for each
slot the sequence that it holds and the marks of readers) and the locks. A lock is a Linux
open-file-description lock on byte *slot* (fcntl(2), F_OFD_SETLK): the kernel frees it when its
owner dies, whatever it was doing. A read lock is a lease; only who has the write lock writes.
A mark is the sequence that one reader was done with last, in a place that is its alone: a count in
common would lose what two add at once. It is a hint on which slot to use next, never a reason to.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import re
import struct
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tectum.errors import WireError
from tectum.message import AnyArray, BufferSpec
from tectum.transport.payload import WIRE_DTYPES
from tectum.transport.region import Region, lent

__all__ = [
    "PoolFile",
    "holders",
    "leftover_pools",
    "lock",
    "pool_name",
    "pools_are_possible",
    "remove_pools",
    "run_of",
]

SHARED_MEMORY = Path("/dev/shm")
LOCK_SUFFIX = ".lock"
MAGIC = b"tectum\0\2"
TABLE_BYTES = 64
"""Before the table: magic, epoch, slots, bytes of a slot; little-endian, the rest is zero."""
_HEAD = struct.Struct("<8sQQQ")
_FLOCK = struct.Struct("hhqqi4x")
_ALIVE_BYTE = 1 << 40
"""Locked for writing by the publisher as long as it lives."""
_NAME = re.compile(r"tectum-([A-Za-z0-9_.]+)-([A-Za-z0-9_.-]+)-([0-9a-f]{16})\.(\d+)")
MAX_SLOTS = 1024
MARKS = 16
"""Readers with marks; where there are more, slots are used again by age."""
_MARK_BYTE = 1 << 41
"""And those behind it: locked for writing by the reader whose mark it is, as long as it lives."""
MAX_POOL_BYTES = 1 << 40


def pools_are_possible() -> bool:
    """Return whether this system has shared memory with open-file-description locks (Linux)."""
    return hasattr(fcntl, "F_OFD_SETLK") and SHARED_MEMORY.is_dir()


def pool_name(run: str, node: str, epoch: int, number: int) -> str:
    """Return the name of a pool: `tectum-<run>-<node>-<epoch>.<number>`."""
    return f"tectum-{_word(run)}-{node}-{epoch:016x}.{number}"


def run_of(name: str) -> str:
    """Return which run a pool of this name belongs to."""
    parts = _NAME.fullmatch(name)
    return parts[1] if parts else ""


class PoolFile:
    """A mapped pool. `bytes` and `sequences` may be written by its owner only."""

    def __init__(self, name: str, data: int, locks: int, *, owner: bool) -> None:
        """Map the open files `data` and `locks`, which are closed with this object.

        Raises:
            WireError: they are no pool.
        """
        self.name = name
        head = os.pread(locks, _HEAD.size, 0).ljust(_HEAD.size, b"\0")
        numbers: tuple[bytes, int, int, int] = _HEAD.unpack(head)
        magic, self.epoch, self.slots, self.slot_bytes = numbers
        size = self.slots * self.slot_bytes
        table_size = _table_bytes(self.slots)
        whole = os.fstat(data).st_size >= size and os.fstat(locks).st_size >= table_size
        if magic != MAGIC or not 0 < self.slots <= MAX_SLOTS or not 0 < size <= MAX_POOL_BYTES:
            msg = f"{name} is not a pool of this version"
            raise WireError(msg)
        if not whole:
            msg = f"{name} is cut short"
            raise WireError(msg)
        access = mmap.PROT_READ | (mmap.PROT_WRITE if owner else 0)
        mapped = mmap.mmap(data, size, mmap.MAP_SHARED, access)
        table = mmap.mmap(locks, table_size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self._mapped = mapped
        self.bytes: NDArray[np.uint8] = np.frombuffer(mapped, np.uint8)
        self._lent: dict[int, tuple[BufferSpec, Region]] = {}
        """Slot -> what was lent of it last."""
        numbers_of = memoryview(table)[TABLE_BYTES:table_size].cast("Q")
        self.sequences, self._marks = numbers_of[: self.slots], numbers_of[self.slots :]
        self._mark = -1 if owner else _free_mark(locks)
        self.locks, self._data = locks, data  # only now: what fails here is closed by the caller

    @classmethod
    def create(cls, name: str, epoch: int, slots: int, slot_bytes: int) -> PoolFile:
        """Make the files of a new pool; nothing is allocated yet (see `allocate`).

        Raises:
            OSError: they cannot be made.
        """
        data, locks = -1, -1
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            locks = os.open(SHARED_MEMORY / (name + LOCK_SUFFIX), flags, 0o600)
            lock(locks, fcntl.F_WRLCK, _ALIVE_BYTE)
            os.posix_fallocate(locks, 0, _table_bytes(slots))
            os.pwrite(locks, _HEAD.pack(MAGIC, epoch, slots, slot_bytes), 0)
            data = os.open(SHARED_MEMORY / name, flags, 0o600)
            os.ftruncate(data, slots * slot_bytes)
            return cls(name, data, locks, owner=True)
        except BaseException:
            for fd in (data, locks):
                if fd >= 0:
                    os.close(fd)
            _unlink(name)
            raise

    @classmethod
    def open(cls, name: str) -> PoolFile:
        """Open a pool for reading.

        Raises:
            WireError: no such pool, it belongs to somebody else, or it is none.
        """
        if not _NAME.fullmatch(name):
            msg = f"{name[:80]!r} is not the name of a pool"
            raise WireError(msg)
        data, locks = -1, -1
        try:
            data = os.open(SHARED_MEMORY / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            path = SHARED_MEMORY / (name + LOCK_SUFFIX)
            locks = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            if os.fstat(data).st_uid != os.getuid() or os.fstat(locks).st_uid != os.getuid():
                msg = f"{name} belongs to somebody else"
                raise WireError(msg)
            return cls(name, data, locks, owner=False)
        except BaseException as error:
            for fd in (data, locks):
                if fd >= 0:
                    os.close(fd)
            if isinstance(error, OSError):
                msg = f"{name} cannot be opened: {error.strerror}"
                raise WireError(msg) from error
            raise

    def allocate(self, slot: int) -> bool:
        """Give `slot` its memory now, so that writing to it cannot fail later; False: none left."""
        try:
            os.posix_fallocate(self._data, slot * self.slot_bytes, self.slot_bytes)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.ENOMEM, errno.EINTR):
                return False
            raise
        return True

    def give_back(self, slot: int) -> bool:
        """Take the memory of `slot` away, as if it was never allocated; False: it is kept."""
        try:
            self._mapped.madvise(mmap.MADV_REMOVE, slot * self.slot_bytes, self.slot_bytes)
        except (OSError, ValueError):  # pages are larger than the slots' alignment
            return False
        return True

    def lent(self, slot: int, spec: BufferSpec, freed: Callable[[], None]) -> AnyArray:
        """Return an array on the first bytes of `slot`; `freed` is called when it is gone."""
        known = self._lent.get(slot)
        if known is None or known[0] != spec:
            begin = slot * self.slot_bytes
            array = self.bytes[begin : begin + spec.nbytes].view(WIRE_DTYPES[spec.dtype])
            known = self._lent[slot] = spec, array.reshape(spec.shape).view(Region)
        return lent(known[1], freed)

    def mark(self, slot: int, sequence: int) -> None:
        """Say that this reader is done with `sequence`, which lies or lay in `slot`."""
        if self._mark >= 0:
            self._marks[slot * MARKS + self._mark] = sequence

    def marked(self, slot: int) -> int:
        """Return how many readers say that they are done with what lies in `slot`."""
        begin = slot * MARKS
        return self._marks[begin : begin + MARKS].tolist().count(self.sequences[slot])

    def unlink(self) -> None:
        """Remove the names; who has the pool mapped keeps it."""
        _unlink(self.name)

    def __del__(self) -> None:
        """Close the files, and with them every lock; the mapping lives as long as its views."""
        for fd in (getattr(self, "_data", -1), getattr(self, "locks", -1)):
            if fd >= 0:
                os.close(fd)


def lock(fd: int, kind: int, byte: int) -> bool:
    """Set a lock (F_RDLCK, F_WRLCK, F_UNLCK) without waiting; False: somebody is in the way."""
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _flock(kind, byte))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _table_bytes(slots: int) -> int:
    return TABLE_BYTES + 8 * slots * (1 + MARKS)


def _free_mark(locks: int) -> int:
    """Return a mark that is nobody else's while `locks` is open, -1: there is none."""
    for mark in range(MARKS):
        if lock(locks, fcntl.F_WRLCK, _MARK_BYTE + mark):
            return mark
    return -1


@lru_cache(maxsize=4096)
def _flock(kind: int, byte: int) -> bytes:
    """Return what the kernel is asked: the same for each message in a slot."""
    return _FLOCK.pack(kind, os.SEEK_SET, byte, 1, 0)


def leftover_pools(run: str = "", node: str = "") -> list[str]:
    """Return the names of pools of this user whose publisher has ended; of a run, of a node."""
    return [name for name in _names(run, node) if not _is_alive(name)]


def remove_pools(run: str = "", node: str = "") -> list[str]:
    """Remove the pools of publishers that have ended; return their names."""
    names = leftover_pools(run, node)
    for name in names:
        _unlink(name)
    return names


def holders(name: str) -> dict[int, list[int]]:
    """Return which processes of this user hold leases on a pool: pid -> slots, from proc(5)."""
    found: dict[int, list[int]] = {}
    try:
        inode = (SHARED_MEMORY / (name + LOCK_SUFFIX)).stat().st_ino
    except OSError:
        return found
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            slots = sorted(_leased(process, inode))
            if slots:
                found[int(process.name)] = slots
    return found


def _leased(process: Path, inode: int) -> Iterator[int]:
    for entry in (process / "fdinfo").iterdir():
        with contextlib.suppress(OSError):
            for line in entry.read_text(encoding="ascii", errors="replace").splitlines():
                # lock: 1: OFDLCK  ADVISORY  READ -1 00:19:1234 5 5
                words = line.split()
                if words[:1] == ["lock:"] and "READ" in words and words[6].endswith(f":{inode}"):
                    yield int(words[7])


def _names(run: str, node: str) -> Iterator[str]:
    """Yield the names of pools; one that was cut short while it was made or removed included."""
    if not pools_are_possible():
        return
    found = {path.name.removesuffix(LOCK_SUFFIX) for path in SHARED_MEMORY.glob("tectum-*")}
    for name in sorted(found):
        parts = _NAME.fullmatch(name)
        if parts is None or parts[1] != (_word(run) or parts[1]) or parts[2] != (node or parts[2]):
            continue
        if os.getuid() in {_owner(name), _owner(name + LOCK_SUFFIX)}:
            yield name


def _owner(name: str) -> int:
    try:
        return (SHARED_MEMORY / name).lstat().st_uid
    except OSError:
        return -1


def _word(run: str) -> str:
    """Return the name of a run as it stands in the names of its pools."""
    return re.sub(r"[^A-Za-z0-9_.]", "_", run)


def _is_alive(name: str) -> bool:
    try:
        fd = os.open(SHARED_MEMORY / (name + LOCK_SUFFIX), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not lock(fd, fcntl.F_WRLCK, _ALIVE_BYTE)
    finally:
        os.close(fd)


def _unlink(name: str) -> None:
    for path in (SHARED_MEMORY / name, SHARED_MEMORY / (name + LOCK_SUFFIX)):
        with contextlib.suppress(OSError):
            path.unlink()
