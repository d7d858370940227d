"""What is remembered of headers changes nothing of what the next one says, or why it is refused."""

import random
import struct

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tectum.errors import ContractError, WireError
from tectum.message import BufferSpec, Header, Kind
from tectum.transport import header_template
from tectum.transport.header_layout import NUMBERS, NUMBERS_THERE, standing
from tectum.transport.header_template import recall
from tectum.transport.reference import Reference
from tectum.transport.wire import decode_reference, decode_unknown, encode

NUMBER = st.integers(0, 2**63 - 1)
STAMP = st.integers(-(2**63), 2**63 - 1)
TEXT = st.sampled_from(["", "camera", "é", "\xa1q\xcf", "x" * 40])
VALUE = st.sampled_from(
    [None, True, False, 0, 1, 1.0, -1, 2**40, "rgb8", b"q", [1, [True]], {"q": 1}]
)
LOOSE = (Kind.TEXT, Kind.RESULT, Kind.PROMISE, Kind.END, Kind.TENSOR)
SPEC = st.builds(
    BufferSpec,
    st.sampled_from(["uint8", "float32"]),
    st.lists(st.integers(0, 3), max_size=3).map(tuple),
)
HEADER = st.builds(
    Header,
    topic=st.sampled_from(["a/b", "a/c", "eye/@health"]),
    kind=st.sampled_from(LOOSE),
    seq=NUMBER,
    stamp_ns=STAMP,
    span_ns=NUMBER,
    error_ns=NUMBER,
    sent_ns=STAMP,
    incarnation=st.sampled_from([0, 1, 2**63 - 1]),
    frame_id=TEXT,
    fields=st.dictionaries(st.sampled_from(["a", "q", "first"]), VALUE, max_size=2),
    buffers=st.lists(SPEC, max_size=3).map(tuple),
)
REFERENCE = st.builds(Reference, TEXT, NUMBER, NUMBER, NUMBER, st.just(0))
PICTURE = Header(
    "eye/image",
    Kind.IMAGE,
    3,
    17,
    sent_ns=18,
    incarnation=9,
    frame_id="eye",
    fields={"encoding": "mono8"},
    buffers=(BufferSpec("uint8", (4, 5)),),
)
SOUND = Header(
    "mic/audio",
    Kind.AUDIO,
    3,
    17,
    incarnation=9,
    frame_id="eye",
    fields={"rate_hz": 16_000, "first": 48},
    buffers=(BufferSpec("int16", (10, 1)),),
)
PLACE = Reference("tectum-x-eye-0.0", 5, 1, 2, 20)


@pytest.fixture(autouse=True)
def nothing_remembered():
    header_template._templates.clear()


def framed(header, reference=None):
    """Return the frames of a message, with buffers of zeros."""
    buffers = () if reference else (bytes(spec.nbytes) for spec in header.buffers)
    return [*encode(header, reference), *buffers]


def place_of(header, reference):
    """Return a reference that fits the header's buffers, None if it has none."""
    end = 0
    for spec in header.buffers:
        end = -(-end // 64) * 64 + spec.nbytes
    return reference._replace(nbytes=end) if reference and header.buffers else None


def said(decode, frames):
    """Return what a decoder says, types and all: `1`, `1.0` and `True` differ."""
    try:
        header, reference = decode(frames)
    except WireError as error:
        return f"refused: {error}"
    return repr((header._replace(fields=dict(header.fields)), reference))


def agreed(frames):
    """Return what both ways say of frames, having seen that it is the same."""
    expected = said(decode_unknown, frames)
    assert said(decode_reference, frames) == expected
    return expected


MESSAGE = st.tuples(HEADER, st.none() | REFERENCE).map(
    lambda pair: framed(pair[0], place_of(*pair))
)


@settings(max_examples=100)
@given(st.lists(MESSAGE, min_size=1, max_size=8))
def test_headers_come_out_as_if_each_was_the_first(messages):
    for frames in [*messages, *messages]:
        assert not agreed(frames).startswith("refused")


def test_the_second_of_its_sort_is_recalled():
    for changes in ({}, {"seq": 4, "stamp_ns": -1, "span_ns": 7, "error_ns": 1, "sent_ns": 2**62}):
        for reference in (None, PLACE, PLACE._replace(slot=3, sequence=2**62)):
            frames = framed(PICTURE._replace(**changes), reference)
            decode_reference(frames)
            assert recall(frames) == (PICTURE._replace(**changes), reference)


def test_buffers_and_fields_may_change_behind_a_template():
    chunk = Header(
        "mic/audio",
        Kind.AUDIO,
        0,
        5,
        fields={"rate_hz": 16_000, "first": 0},
        buffers=(BufferSpec("int16", (4, 1)),),
    )
    decode_reference(framed(chunk))
    for first, count in ((4, 4), (300, 5), (70_000, 5)):
        fields, buffers = {**chunk.fields, "first": first}, (BufferSpec("int16", (count, 1)),)
        later = chunk._replace(seq=first, fields=fields, buffers=buffers)
        for _ in range(3):
            assert recall(framed(later)) == (later, None)


@pytest.mark.parametrize("reference", [None, PLACE])
def test_a_last_field_that_counts_is_recalled_whatever_its_number(reference):
    decode_reference(framed(SOUND, reference))
    for first in (0, 49, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 48):
        later = SOUND._replace(seq=first % 7, fields={"rate_hz": 16_000, "first": first})
        assert recall(framed(later, reference)) == (later, reference)
        assert list(recall(framed(later, reference))[0].fields) == ["rate_hz", "first"]


def test_a_last_field_that_counts_is_held_to_the_rule_of_its_kind():
    turned = SOUND._replace(fields={"first": 0, "rate_hz": 16_000})
    frames = framed(turned)
    decode_reference(frames)
    with pytest.raises(ContractError, match="rate_hz is 0"):
        encode(turned._replace(fields={"first": 0, "rate_hz": 0}))
    broken = [frames[0], frames[1][:-8] + bytes(8), frames[2]]
    assert recall(broken) is None
    assert agreed(broken) == "refused: audio rate_hz is 0; allowed: an integer from 1 on"


@pytest.mark.parametrize(
    "fields",
    [
        b"\x81\xa1a\xc4\x09\xcf" + bytes(8),  # bytes that look like a number
        b"\x82\xa1a\x05\xa1b\xa9\xcf\xb1" + b"x" * 7,  # text
        b"\x83\xa1a\x01\xa1b\x02\xa1a\xcf" + bytes(8),  # a key that comes again
        b"\x82\xa1a\x01\xa1a\xcf" + bytes(8),
        b"\x81\xa1a\x92\x05\xcf" + bytes(8),  # in a list
        b"\x82\xa1b\x05\xa1a\xcb" + bytes(8),  # a float
        b"\x82\xa1b\x05\xa1a\xd3" + bytes(8),  # with a sign
        b"\x81\xaa\xa1a\xcf" + bytes(7) + b"\x05",  # a key
    ],
)
def test_what_only_looks_like_a_field_that_counts_is_looked_at(fields):
    topic, empty = encode(Header("a/b", Kind.TEXT, 0, 0))
    packed = empty[:-1] + fields
    for _ in range(3):
        agreed([topic, packed])
        for last in (b"\0\0\0\0\0\0\0\5", b"\xff" * 8, b"\xc3" * 8, b"\xa1" * 8):
            agreed([topic, packed[:-8] + last])


def test_what_one_reader_does_to_fields_no_other_sees():
    flat, listed, deep = {"text": "a"}, {"text": ["a"]}, {"text": [["a"]]}
    for fields in (flat, listed, deep):
        frames = framed(Header("a/b", Kind.TEXT, 0, 0, fields=fields))
        decode_reference(frames)
        for _ in range(2):
            header, _ = recall(frames)
            assert header.fields == fields
            header.fields["text"] = "changed"
        header, _ = recall(frames)
        if fields is listed:
            header.fields["text"].append("b")
        (header, _), (again, _) = recall(frames), recall(frames)
        assert header.fields == again.fields == fields
        if fields is deep:
            header.fields["text"][0][0] = "changed"
            assert recall(frames)[0].fields == again.fields == deep


def test_equal_values_of_other_types_are_not_taken_for_each_other():
    for value in (1, True, 1.0, 1, [1], [True], [1.0], [1]):
        header = Header("a/b", Kind.TEXT, 0, 0, fields={"text": value})
        assert agreed(framed(header)) == repr((header, None))


def wrong(frames, chance, numbers_at, numbers):
    """Return frames whose header has a fault of the sorts that a template could overlook."""
    header = bytearray(frames[1])
    fault = chance.randrange(8)
    if fault < 3:
        at = numbers_at + chance.randrange(numbers.size) if fault else chance.randrange(len(header))
        header[at] = chance.choice([header[at] ^ 1 << chance.randrange(8), 0xFF, 0xCF, 0xD3])
    elif fault == 3:  # a key that comes twice, in place of another or behind all
        key, value = chance.choice("vkifpqtsdebx"), chance.choice([1, True, 2**63, "x", [], {}])
        header += msgpack.packb(key) + msgpack.packb(value)
        header[0] += chance.randrange(2)
    elif fault == 4:
        end = numbers_at + numbers.size
        rest = msgpack.unpackb(b"\x82" + header[end:])
        rest[chance.choice(["b", "x", "q", "y"])] = chance.choice([0, [], {}, {"a": [1]}, True])
        while len(rest) > 2:
            rest.pop(chance.choice(list(rest)))
        header[end:] = msgpack.packb(rest)[1:]
    elif fault == 5:
        del header[chance.randrange(len(header)) :]
    elif fault == 6:
        header += chance.randbytes(chance.randrange(1, 2000))
    else:
        at = numbers_at + numbers.size - 8
        header[at : at + 8] = struct.pack(">Q", chance.choice([0, 2**63 - 1, 2**63, 2**64 - 1]))
    found = [frames[0], bytes(header), *frames[2:]]
    if chance.randrange(5) == 0:
        found = chance.choice([[*found, b""], found[:-1], [*found, bytes(20)], [found[0]]])
    return found if chance.randrange(9) else [frames[0], memoryview(found[-1]), *found[2:]]


@settings(max_examples=400)
@given(st.integers(0, 2**32), st.booleans(), st.sampled_from([PICTURE, SOUND]))
def test_mutated_headers_are_read_or_refused_as_if_each_was_the_first(seed, there, header):
    chance, reference = random.Random(seed), PLACE if there else None
    good = framed(header, reference)
    begins = standing(header.kind, 9, "eye", *(reference[:2] if there else ()))
    numbers = NUMBERS_THERE if there else NUMBERS
    for _ in range(6):
        agreed(good)
        assert recall(good) is not None
        frames = wrong(good, chance, len(begins), numbers)
        if len(frames) > 1:
            agreed(frames)
            agreed(frames)
            agreed([b"eye/image", *frames[1:]])
        if header is SOUND:
            agreed([good[0], good[1][:-8] + chance.randbytes(8), *good[2:]])


@settings(max_examples=200)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from("ab"),
            st.sampled_from([0, 0.0, -0.0, False, 1, True, 1.0, "1", b"1", None, [1], [True]]),
        ),
        min_size=2,
        max_size=30,
    )
)
def test_fields_go_out_as_they_are_whatever_went_before(several):
    sent = Header("a/b", Kind.TEXT, 0, 0, buffers=(BufferSpec("bool", (1,)),))
    for fields in several:
        _, packed = encode(sent._replace(fields=fields))
        assert packed.endswith(b"\xa1x" + laid_out(fields))


def laid_out(fields):
    """Return fields as they go out: the last one in nine bytes if it may count."""
    *_, (key, last) = [(None, None), *fields.items()]
    if type(last) is not int or last < 0:
        return msgpack.packb(fields)
    return msgpack.packb({**fields, key: 2**64 - 1})[:-8] + struct.pack(">Q", last)


def test_buffers_go_out_as_they_are_whatever_went_before():
    for shape in ((1,), (True,), (2,), (1.0,), (1,), (1, 1), ()):
        _, packed = encode(Header("a/b", Kind.TEXT, 0, 0, buffers=(BufferSpec("bool", shape),)))
        assert msgpack.packb([("bool", shape)]) + b"\xa1x\x80" in packed


def test_what_was_sound_once_is_looked_at_again_when_it_has_changed():
    good, bad = {"encoding": "mono8"}, {"encoding": "rgb8"}
    numpy = {"rate_hz": np.int64(16_000), "first": 0}
    sound = PICTURE._replace(
        kind=Kind.AUDIO,
        fields={"rate_hz": 16_000, "first": 0},
        buffers=(BufferSpec("int16", (4, 1)),),
    )
    for _ in range(2):
        assert encode(PICTURE._replace(fields=good)) == encode(PICTURE)
        with pytest.raises(ContractError, match="eye/image: image rgb8 has buffers"):
            encode(PICTURE._replace(fields=bad))
        encode(sound)
        with pytest.raises(ContractError, match="audio rate_hz is"):
            encode(sound._replace(fields=numpy))


def test_a_key_that_comes_again_behind_the_numbers_is_read_as_the_last_one():
    topic, packed = encode(Header("a/b", Kind.TEXT, 3, 0))
    assert packed.endswith(b"\xa1b\x90\xa1x\x80")
    frames = [topic, packed[:-3] + b"\xa1q\x05"]  # in the place of the fields
    for _ in range(2):
        assert decode_reference(frames)[0].seq == 5
        assert decode_reference([topic, packed])[0].seq == 3


def test_long_headers_and_old_templates_are_not_kept():
    long = framed(Header("a/b", Kind.TEXT, 0, 0, fields={"text": "x" * 2000}))
    decode_reference(long)
    assert recall(long) is None
    for number in range(3000):
        decode_reference(framed(Header(f"a/b{number}", Kind.TEXT, 0, 0)))
        assert len(header_template._templates) <= header_template.TEMPLATES
