"""CDR is read field by field, in either byte order, and never past its end."""

import struct

import numpy as np
import pytest

from tectum.errors import DataError
from tectum_nodes.ros2.cdr import Cdr


def test_numbers_are_aligned_to_their_size_from_behind_the_encapsulation() -> None:
    body = struct.pack("<B3xI", 7, 8) + struct.pack("<H6xd", 9, 1.5)
    cdr = Cdr(b"\x00\x01\x00\x00" + body)
    assert [cdr.integer("u1"), cdr.integer("u4"), cdr.integer("u2")] == [7, 8, 9]
    assert cdr.floats(1) == [1.5]


def test_a_big_endian_message_says_the_same() -> None:
    body = (
        struct.pack(">iI", 3, 4)
        + struct.pack(">I5s3x", 5, b"lens\0")
        + struct.pack(">I2H", 2, 1, 258)
    )
    cdr = Cdr(b"\x00\x00\x00\x00" + body)
    assert cdr.header() == (3_000_000_004, "lens")
    assert np.array_equal(cdr.sequence("u2"), [1, 258])


def test_a_message_that_ends_too_early_is_said() -> None:
    cdr = Cdr(b"\x00\x01\x00\x00" + struct.pack("<I", 1_000_000))
    with pytest.raises(DataError, match="8 bytes ends within a field of 1000000 u1"):
        cdr.text()


@pytest.mark.parametrize("data", [b"", b"\x00\x01", b"\x00\x03\x00\x00abcd"])
def test_what_is_not_plain_cdr_is_refused(data: bytes) -> None:
    with pytest.raises(DataError, match="is not CDR"):
        Cdr(data)
