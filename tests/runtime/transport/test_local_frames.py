"""Messages on a stream: found again however it is cut, and what breaks its rules is named."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tectum.transport.local_frames import BEGUN, DONE, SOON, Unpacker, packed

FRAMES = st.lists(st.binary(max_size=40), min_size=1, max_size=5)


@given(st.lists(FRAMES, max_size=8), st.lists(st.integers(1, 60), min_size=1))
def test_messages_are_found_again_however_the_stream_is_cut(messages, cuts):
    stream, unpacker, found, turn = b"".join(map(packed, messages)), Unpacker(), [], 0
    while stream:
        size = cuts[turn % len(cuts)]
        found += unpacker.feed(stream[:size])
        stream, turn = stream[size:], turn + 1
    assert found == messages
    assert unpacker.broken is None


@given(
    st.lists(st.tuples(FRAMES, st.sampled_from(["whole", "done", "given up"])), max_size=8),
    st.lists(st.integers(1, 60), min_size=1),
)
def test_what_has_begun_is_found_when_it_is_done_and_forgotten_when_another_comes(messages, cuts):
    stream, expected, unpacker, found, turn = b"", [], Unpacker(), [], 0
    for index, (frames, how) in enumerate(messages):
        stream += SOON * (index % 3)
        stream += packed(frames, 0 if how == "whole" else BEGUN)
        stream += DONE if how == "done" else b""
        expected += [] if how == "given up" else [frames]
    while stream:
        size = cuts[turn % len(cuts)]
        found += unpacker.feed(stream[:size])
        stream, turn = stream[size:], turn + 1
    assert found == expected
    assert unpacker.broken is None
    *_, (last, how) = [(None, ""), *messages]
    assert unpacker.begun == (last if how == "given up" else None)


def test_what_has_begun_is_the_same_object_when_it_is_done():
    unpacker = Unpacker()
    assert unpacker.feed(packed([b"topic", b"header"], BEGUN)) == []
    begun = unpacker.begun
    assert begun == [b"topic", b"header"]
    (frames,) = unpacker.feed(DONE)
    assert frames is begun
    assert unpacker.begun is None


def test_arrays_are_packed_as_the_bytes_that_they_hold():
    arrays = [np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros((0, 4)), np.array(True)]
    (frames,) = Unpacker().feed(packed([b"topic", *(array.data for array in arrays)]))
    assert frames == [b"topic", *(array.tobytes() for array in arrays)]


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        (struct.pack("<I", 0), "number of frames is 0; allowed: 1 to 66"),
        (packed([b"begun"], BEGUN) + DONE + DONE, "number of frames is 0; allowed: 1 to 66"),
        (packed([b"begun"], BEGUN) + struct.pack("<I", 67 + BEGUN), "number of frames is 67; all"),
        (struct.pack("<I", 67), "number of frames is 67; allowed: 1 to 66"),
        (b"GET / HTTP/1.1\r\n", "number of frames is 542393671; allowed: 1 to 66"),
        (struct.pack("<3I", 2, 90, 3), "size of a message is 105; allowed: at most 100 bytes"),
        (struct.pack("<2I", 1, 2**32 - 1), "size of a message is 4294967303; allowed"),
    ],
)
def test_what_breaks_the_rules_is_named_and_nothing_is_found_behind_it(stream, words):
    unpacker = Unpacker(100)
    assert unpacker.feed(packed([b"good"]) + stream)[:1] == [[b"good"]]
    assert str(unpacker.broken).startswith(words)
    assert unpacker.feed(packed([b"good"])) == []
