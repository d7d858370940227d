"""Payloads of received messages: what they hold, until everybody has given it back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import numpy as np

from tectum.errors import ContractError
from tectum.message import DTYPES, AnyArray, BufferSpec

__all__ = ["WIRE_DTYPES", "FramePayload", "HeldPayload"]

WIRE_DTYPES = {name: np.dtype(name).newbyteorder("<") for name in DTYPES}
"""What a buffer's items are: little-endian on every machine."""

Held = TypeVar("Held")


class HeldPayload(ABC, Generic[Held]):
    """One buffer that is held until it was released as often as it was retained, and once more."""

    __slots__ = ("_claims", "_held", "_nbytes", "_spec")

    def __init__(self, held: Held, nbytes: int, spec: BufferSpec) -> None:
        """Hold `held`, which has the `nbytes` bytes of `spec`."""
        self._held: Held | None = held
        self._nbytes = nbytes
        self._spec = spec
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
        if self._held is None:
            msg = "this payload was released; take what you need before Message.release()"
            raise ContractError(msg)
        return self._array(self._held)

    def retain(self) -> None:
        """Ask for one more `release`."""
        self._claims += 1

    def release(self) -> None:
        """Let go of the bytes once all have; arrays that were handed out keep them alive."""
        self._claims -= 1
        if self._claims <= 0:
            self._held = None

    @abstractmethod
    def _array(self, held: Held) -> AnyArray:
        """Return what is held as a read-only array."""


class FramePayload(HeldPayload[bytes | memoryview]):
    """One buffer in the memory of the frame that brought it; nothing is copied.

    Small frames may lie at any address in the receive buffer: those are copied once, because
    inference engines refuse arrays that are not aligned.
    """

    __slots__ = ()

    def _array(self, held: bytes | memoryview) -> AnyArray:
        spec = self._spec
        array: AnyArray = np.frombuffer(held, WIRE_DTYPES[spec.dtype]).reshape(spec.shape)
        flags = array.flags
        if not flags.aligned:
            array = array.copy()
            flags = array.flags
        if flags.writeable:
            flags.writeable = False
        return array
