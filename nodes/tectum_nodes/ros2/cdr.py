"""CDR, the bytes of a ROS 2 message: read field by field, in the order of the message's definition.

Plain CDR of either byte order (encapsulations 0 and 1 of the RTPS specification, 10.2): numbers are
aligned to their own size, counted from behind the four bytes of encapsulation; a string has its
length with the closing NUL before it, a sequence its count.
"""

from __future__ import annotations

import numpy as np

from tectum.errors import DataError
from tectum.message import AnyArray

__all__ = ["Cdr"]

_ORDERS = {b"\x00\x00": ">", b"\x00\x01": "<"}
_HEAD = 4


class Cdr:
    """The bytes of one message and how far they have been read."""

    def __init__(self, data: bytes | memoryview) -> None:
        """Begin behind the encapsulation.

        Raises:
            DataError: it is not plain CDR.
        """
        self._data = memoryview(data)
        kind = bytes(self._data[:2])
        if len(self._data) < _HEAD or kind not in _ORDERS:
            msg = f"a message of {len(self._data)} bytes that begin with {kind.hex()} is not CDR"
            raise DataError(msg)
        self._order = _ORDERS[kind]
        self._at = _HEAD

    def array(self, dtype: str, count: int) -> AnyArray:
        """Return the next `count` numbers of NumPy's `dtype` without its byte order, as a view.

        Raises:
            DataError: the message ends before.
        """
        wanted = np.dtype(self._order + dtype)
        self._at += -(self._at - _HEAD) % wanted.itemsize
        end = self._at + count * wanted.itemsize
        if end > len(self._data):
            msg = f"a message of {len(self._data)} bytes ends within a field of {count} {dtype}"
            raise DataError(msg)
        found: AnyArray = np.frombuffer(self._data, wanted, count, self._at)
        self._at = end
        return found

    def integer(self, dtype: str = "u4") -> int:
        """Return the next integer."""
        return int(self.array(dtype, 1)[0])

    def floats(self, count: int) -> list[float]:
        """Return the next `count` float64."""
        return [float(number) for number in self.array("f8", count)]

    def text(self) -> str:
        """Return the next string."""
        data = bytes(self.array("u1", self.integer()))
        return data.removesuffix(b"\x00").decode("utf-8", errors="replace")

    def sequence(self, dtype: str) -> AnyArray:
        """Return the next sequence of numbers."""
        return self.array(dtype, self.integer())

    def stamp_ns(self) -> int:
        """Return the next `builtin_interfaces/Time` in ns."""
        return self.integer("i4") * 1_000_000_000 + self.integer("u4")

    def header(self) -> tuple[int, str]:
        """Return the stamp in ns and the frame of the next `std_msgs/Header`."""
        return self.stamp_ns(), self.text()
