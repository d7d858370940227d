"""Records that are spliced by hand parse with generated classes, and come apart again."""

import pytest
from foxglove_schemas_protobuf.PointCloud_pb2 import PointCloud
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from hypothesis import given, settings
from hypothesis import strategies as st

from tectum.errors import DataError
from tectum.recording.splice import divided, parts, spliced, varint


@settings(deadline=None)
@given(small=st.text(), payload=st.binary(max_size=2000))
def test_a_spliced_record_parses_with_the_generated_class(small: str, payload: bytes) -> None:
    cloud = PointCloud(frame_id=small, point_stride=16).SerializeToString()
    record = b"".join(spliced(cloud, 6, payload))

    parsed = PointCloud.FromString(record)

    assert (parsed.frame_id, parsed.point_stride, parsed.data) == (small, 16, payload)


@settings(deadline=None)
@given(before=st.text(), payload=st.binary(max_size=500), after=st.integers(0, 2**32 - 1))
def test_a_record_of_generated_code_comes_apart(before: str, payload: bytes, after: int) -> None:
    whole = PointCloud(frame_id=before, data=payload, point_stride=after).SerializeToString()

    small, taken = divided(memoryview(whole), 6)

    assert PointCloud.FromString(small) == PointCloud(frame_id=before, point_stride=after)
    assert b"".join(bytes(view) for view in taken) == payload


def test_several_buffers_stay_apart_and_in_order() -> None:
    small, taken = divided(memoryview(b"".join(spliced(b"", 2, b"one", b"", b"three"))), 2)

    assert small == b""
    assert [bytes(view) for view in taken] == [b"one", b"", b"three"]


def test_taking_a_buffer_out_copies_nothing() -> None:
    record = bytearray(b"".join(spliced(b"", 6, b"aaaa")))
    _, [view] = divided(memoryview(record), 6)

    record[-1:] = b"z"

    assert bytes(view) == b"aaaz"


@settings(deadline=None)
@given(st.integers(0, 2**64 - 1))
def test_numbers_are_encoded_as_protobuf_does(value: int) -> None:
    record = b"\x08" + varint(value)

    [part] = parts(memoryview(record))

    assert (part.number, part.wire, part.end) == (1, 0, len(record))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_a_reason(noise: bytes) -> None:
    try:
        found = list(parts(memoryview(noise)))
    except DataError:
        return
    assert not found or found[-1].end == len(noise)


def test_a_field_that_reaches_beyond_its_record_is_refused() -> None:
    record = FileDescriptorProto(name="a" * 10, package="b" * 20).SerializeToString()

    with pytest.raises(DataError, match="reaches to byte 34 of a record of 33 bytes"):
        list(parts(memoryview(record)[:-1]))
    with pytest.raises(DataError, match="the number at byte 13 of a record of 13 bytes has no end"):
        list(parts(memoryview(record)[:13]))
    assert len(list(parts(memoryview(record)[:12]))) == 1
