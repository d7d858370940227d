"""The way between the two halves of the bridge: packets on a socket, bytes in shared memory.

For each message a packet `HEAD`: the place of its topic, how many have come from it, how many of it
never came, where its bytes begin in the memory, how many they are, and where they end. Python 3.8
and up, and nothing but its standard library: both halves use it.
"""

from __future__ import annotations

import mmap
import os
import select
import socket
import struct
from typing import Any

HEAD = struct.Struct("<HQQQQQ")
ROOM = 64 * 1024 * 1024
"""Bytes of messages that wait on each side."""
_FRONT = 64


class Ring:
    """Bytes of messages on their way from one process to another, in memory that both have.

    One process puts, the other takes, in the same order. Where nothing waits it begins anew at the
    front, whose bytes are still in the cache. Positions only rise; the first eight bytes say how
    far the taker is.
    """

    def __init__(self, descriptor: int) -> None:
        """Map the file behind a descriptor."""
        self._room = os.fstat(descriptor).st_size - _FRONT
        self._memory = mmap.mmap(descriptor, self._room + _FRONT)
        self._bytes = memoryview(self._memory)
        self._taken = self._bytes[:8].cast("Q")
        self._head = self._front = 0
        """Where the next begins, and from where on nothing was taken when it last began anew."""

    def put(self, data: Any) -> Any:
        """Return where `data` now lies, (begin, size, end), or None where there is no room."""
        size, begin = len(data), self._head
        taken = max(self._taken[0], self._front)
        at, empty = begin % self._room, taken == begin
        if at and (empty or at + size > self._room):
            begin, at = begin + self._room - at, 0
        if empty:
            taken = self._front = begin
        end = begin + size
        if end - taken > self._room:
            return None
        self._bytes[_FRONT + at : _FRONT + at + size] = data
        self._head = end
        return begin, size, end

    def take_back(self, begin: int) -> None:
        """Forget what was put last, as nobody was told of it."""
        self._head = begin

    def look(self, begin: int, size: int) -> memoryview:
        """Return the bytes that begin there; they stay until `done`."""
        at = _FRONT + begin % self._room
        return self._bytes[at : at + size]

    def done(self, end: int) -> None:
        """Say that everything up to there was taken."""
        self._taken[0] = end


class Way:
    """One end of the way between the two halves: packets on a socket, bytes in two rings."""

    def __init__(self, packets: socket.socket, out: Ring, into: Ring) -> None:
        """Hand over through `out`, take from `into`."""
        self._packets, self._out, self._in = packets, out, into

    def send(self, place: int, heard: int, lost: int, data: Any = b"") -> bool:
        """Hand over a message, or counts alone; False: there is no room now."""
        where = self._out.put(data)
        if where is None:
            return False
        try:
            self._packets.send(HEAD.pack(place, heard, lost, *where), socket.MSG_DONTWAIT)
        except OSError:  # full, or its end
            self._out.take_back(where[0])
            return False
        return True

    def receive(self, timeout_s: float) -> Any:
        """Return (place, heard, lost, begin, size, end), None: nothing came in time.

        Raises:
            EOFError: the other half has ended.
        """
        if not select.select([self._packets], [], [], timeout_s)[0]:
            return None
        try:
            packet = self._packets.recv(HEAD.size)
        except OSError as error:
            raise EOFError from error
        if not packet:
            raise EOFError
        return HEAD.unpack(packet)

    def look(self, begin: int, size: int) -> memoryview:
        """Return the bytes of a message that came."""
        return self._in.look(begin, size)

    def done(self, end: int) -> None:
        """Say that they were taken."""
        self._in.done(end)
