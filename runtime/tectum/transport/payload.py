"""Payloads whose bytes came in a frame of a message."""

from __future__ import annotations

import sys

import numpy as np

from tectum.errors import ContractError
from tectum.message import AnyArray, BufferSpec

__all__ = ["FramePayload"]


class FramePayload:
    """One buffer in the memory of the frame that brought it; nothing is copied.

    Small frames may lie at any address in the receive buffer: those are copied once, because
    inference engines refuse arrays that are not aligned.
    """

    __slots__ = ("_buffer", "_claims", "_nbytes", "_spec")

    def __init__(self, buffer: bytes | memoryview, spec: BufferSpec) -> None:
        """Keep `buffer`, whose size the wire decoder has checked against `spec`."""
        self._buffer: bytes | memoryview | None = buffer
        self._spec = spec
        self._nbytes = len(buffer)
        self._claims = 1

    @property
    def nbytes(self) -> int:
        """Return the size in bytes, also after `release`."""
        return self._nbytes

    def array(self) -> AnyArray:
        """Return a read-only array of the declared dtype and shape.

        Raises:
            ContractError: the payload was released.
        """
        if self._buffer is None:
            msg = "this payload was released; take what you need before Message.release()"
            raise ContractError(msg)
        dtype = np.dtype(self._spec.dtype)
        if sys.byteorder == "big":  # the wire is little-endian
            dtype = dtype.newbyteorder("<")
        array: AnyArray = np.frombuffer(self._buffer, dtype).reshape(self._spec.shape)
        if not array.flags.aligned:
            array = array.copy()
        array.flags.writeable = False
        return array

    def retain(self) -> None:
        """Ask for one more `release`."""
        self._claims += 1

    def release(self) -> None:
        """Let go of the frame once all have; arrays that were handed out keep it alive."""
        self._claims -= 1
        if self._claims <= 0:
            self._buffer = None
