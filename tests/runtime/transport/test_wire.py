"""The wire format: what goes in comes out, and nothing malformed gets through or harms."""

import random

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tectum.errors import ContractError, WireError
from tectum.message import DTYPES, BufferSpec, Header, Kind
from tectum.transport.topic_frames import topic_frame
from tectum.transport.wire import decode, encode

NAMES = st.from_regex(r"[A-Za-z0-9_.-]{1,20}", fullmatch=True)
INT63 = st.integers(0, 2**63 - 1)
STAMPS = st.integers(-(2**63), 2**63 - 1)
SCALARS = st.none() | st.booleans() | STAMPS | st.floats(allow_nan=False) | st.text() | st.binary()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner)
)
BUFFERS = st.lists(
    st.builds(
        BufferSpec, st.sampled_from(DTYPES), st.lists(st.integers(0, 5), max_size=8).map(tuple)
    ),
    max_size=4,
)
WITH_RULES = (Kind.IMAGE, Kind.AUDIO, Kind.POINTS, Kind.TENSOR, Kind.POSE, Kind.BOXES)
HEADERS = st.builds(
    Header,
    topic=st.builds("{}/{}{}".format, NAMES, st.sampled_from(["", "@"]), NAMES),
    kind=st.sampled_from([kind for kind in Kind if kind not in WITH_RULES]),
    seq=INT63,
    stamp_ns=STAMPS,
    span_ns=INT63,
    error_ns=INT63,
    sent_ns=STAMPS,
    incarnation=INT63,
    frame_id=st.text(),
    fields=st.dictionaries(st.text(), VALUES, max_size=4),
    buffers=BUFFERS.map(tuple),
)

GOOD = Header(
    "camera/image",
    Kind.IMAGE,
    3,
    1_700_000_000_000_000_000,
    span_ns=8_000_000,
    sent_ns=1_700_000_000_010_000_000,
    incarnation=2**62 + 1,
    frame_id="camera",
    fields={"encoding": "rgb8"},
    buffers=(BufferSpec("uint8", (2, 3, 3)),),
)
GOOD_FRAMES = [*encode(GOOD), bytes(18)]


def document(**changes):
    """Return frames whose header differs from a good one by `changes`; None takes a key out."""
    content = msgpack.unpackb(GOOD_FRAMES[1]) | changes
    content = {key: value for key, value in content.items() if value is not None}
    return [GOOD_FRAMES[0], msgpack.packb(content), GOOD_FRAMES[2]]


@settings(max_examples=60)
@given(HEADERS)
def test_every_header_comes_out_as_it_went_in(header):
    frames = [*encode(header), *(bytes(spec.nbytes) for spec in header.buffers)]
    assert decode(frames) == header


def test_bytes_on_the_wire_stay_as_documented():
    # The test vector of docs/wire.md: a reader of version 1 takes any other order of the keys.
    assert GOOD_FRAMES[0] == b"camera/image\0"
    assert GOOD_FRAMES[1].hex() == (
        "8ba17601a16ba5696d616765a169cf4000000000000001a166a663616d657261"
        "a171cf0000000000000003a174d317979cfe362a0000a173d317979cfe36c29680"
        "a164cf00000000007a1200a165cf0000000000000000"
        "a1629192a575696e743893020303a17881a8656e636f64696e67a472676238"
    )
    assert decode(GOOD_FRAMES) == GOOD


def test_a_header_may_leave_out_what_has_its_default_and_come_in_any_order():
    content = {key: msgpack.unpackb(GOOD_FRAMES[1])[key] for key in "xbfdqtsikv"}  # no error (e)
    assert decode([GOOD_FRAMES[0], msgpack.packb(content), GOOD_FRAMES[2]]) == GOOD


def test_keys_of_later_versions_are_ignored():
    assert decode(document(zz=[1, 2], later="x")) == GOOD


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "number of frames is 0; allowed: 2 to 66"),
        (GOOD_FRAMES[:1], "number of frames is 1; allowed: 2 to 66"),
        ([*GOOD_FRAMES, b""], "buffers (b) is 1; allowed: a list of 2, one per frame"),
        ([*GOOD_FRAMES[:2], *[b""] * 65], "number of frames is 67; allowed: 2 to 66"),
        ([b"camera/image", *GOOD_FRAMES[1:]], "topic frame is b'camera/image'; allowed:"),
        ([b"a/b\0c\0", *GOOD_FRAMES[1:]], "topic frame is b'a/b"),
        ([b"a" * 300 + b"/b\0", *GOOD_FRAMES[1:]], "topic frame is b'aaaa"),
        ([b"\xff/b\0", *GOOD_FRAMES[1:]], "topic frame is b'\\xff/b"),
        (document(v=None), "version (v) is None; allowed: 1"),
        (document(v=2), "version (v) is 2; allowed: 1"),
        (document(k="hologram"), "kind (k) is 'hologram'; allowed: one of image,"),
        (document(k=["image"]), "kind (k) is ['image']; allowed:"),
        (document(q=None), "integer (q) is None; allowed: 0 to 2^63 - 1"),
        (document(q=-1), "integer (q) is -1"),
        (document(q=True), "integer (q) is True"),
        (document(q=2**63), "integer (q) is 9223372036854775808"),
        (document(t=1.5), "integer (t) is 1.5"),
        (document(d=-1), "integer (d) is -1"),
        (document(f=b"x"), "text (f) is b'x'; allowed: a string"),
        (document(x=[]), "fields (x) is 'list'; allowed: a map"),
        (document(x={"a": {b"b": 1}}), "key of a field is 'bytes'; allowed: a string"),
        (document(x={"a": msgpack.Timestamp(1)}), "value of a field is 'Timestamp'"),
        (document(x={"a": msgpack.ExtType(5, b"x")}), "extension type is 5; allowed: none"),
        (document(b=None), "buffers (b) is 'NoneType'; allowed: a list of 1"),
        (document(b=[["uint8"]]), "buffer is ['uint8']; allowed: [dtype, shape]"),
        (document(b=[["object", [18]]]), "dtype is 'object'; allowed: one of uint8"),
        (document(b=[["uint8", 18]]), "shape is 18; allowed: a list of at most 8 extents"),
        (document(b=[["uint8", [1] * 9]]), "shape is [1, 1, 1, 1, 1, 1, 1, 1, 1]"),
        (document(b=[["uint8", [-18]]]), "extent is -18; allowed: 0 to 2^63 - 1"),
        (document(b=[["uint8", [18.0]]]), "extent is 18.0"),
        (document(b=[["uint8", [2**62, 2**62, 2**62]]]), "buffer size is 18; allowed: 980797"),
        (document(b=[["float32", [18]]]), "buffer size is 18; allowed: 72 bytes, as float32 [18]"),
        ([GOOD_FRAMES[0], GOOD_FRAMES[1] + b"\0", GOOD_FRAMES[2]], "header is not MessagePack"),
        ([GOOD_FRAMES[0], b"\x90", GOOD_FRAMES[2]], "header is 'list'; allowed: a map"),
        ([GOOD_FRAMES[0], b"\xdf\xff\xff\xff\xff", b""], "header is not MessagePack"),
        ([GOOD_FRAMES[0], b"\x91" * 100_000 + b"\xc0", b""], "header is not MessagePack"),
        ([GOOD_FRAMES[0], bytes(5 * 1024 * 1024), b""], "header size is 5242880"),
    ],
)
def test_each_broken_rule_is_named(frames, message):
    with pytest.raises(WireError) as caught:
        decode(frames)
    assert str(caught.value).startswith(message)


@given(st.integers(33, 200))
def test_lists_in_lists_without_end_are_refused(depth):
    nested = 0
    for _ in range(depth):
        nested = [nested]
    with pytest.raises(WireError, match="depth of fields"):
        decode(document(x={"a": nested}))


def mutated(chance, frames):
    """Return `frames` with one or more random faults of the sorts that wires and fools produce."""
    frames = [bytearray(frame) for frame in frames]
    for _ in range(chance.randint(1, 4)):
        which = chance.randrange(len(frames)) if frames else 0
        fault = chance.randrange(6)
        if fault == 0 and frames and frames[which]:
            frames[which][chance.randrange(len(frames[which]))] ^= 1 << chance.randrange(8)
        elif fault == 1 and frames:
            del frames[which][chance.randrange(len(frames[which]) + 1) :]
        elif fault == 2 and frames:
            frames[which] += chance.randbytes(chance.randrange(1, 9))
        elif fault == 3 and frames:
            del frames[which]
        elif fault == 4:
            frames.insert(which, bytearray(chance.randbytes(chance.randrange(30))))
        elif frames:
            chance.shuffle(frames)
    return [bytes(frame) for frame in frames]


@settings(max_examples=300)
@given(st.integers(0, 2**32))
def test_a_mutated_message_is_decoded_or_refused_and_nothing_else(seed):
    frames = mutated(random.Random(seed), GOOD_FRAMES)
    try:
        header = decode(frames)
    except WireError:
        return
    assert [spec.nbytes for spec in header.buffers] == [len(frame) for frame in frames[2:]]


@given(st.binary(max_size=200))
def test_random_bytes_for_a_header_are_refused(data):
    with pytest.raises(WireError):
        decode([GOOD_FRAMES[0], data])


@pytest.mark.parametrize(
    "topic", ["camera", "a/b/c", "a b/c", "/x", "x/", "ä/b", "a/b\0", "a" * 250]
)
def test_a_topic_that_is_none_cannot_be_sent(topic):
    with pytest.raises(ContractError, match="write node/output"):
        topic_frame(topic)


def test_numpy_numbers_and_tuples_in_fields_become_plain():
    fields = {"a": np.int64(3), "b": (np.float32(0.5), True), "c": {"d": np.bool_(True)}}
    sent = Header("a/b", Kind.TEXT, 0, 0, fields=fields)
    assert decode(encode(sent)).fields == {"a": 3, "b": [0.5, True], "c": {"d": True}}


@pytest.mark.parametrize("changes", [{"seq": -1}, {"seq": 2**64}, {"stamp_ns": 1.0}])
def test_a_number_that_is_none_of_the_wire_is_the_callers_mistake(changes):
    with pytest.raises(ContractError, match="a/b: a number of the header is not one of 64 bits"):
        encode(Header("a/b", Kind.TEXT, 0, 0)._replace(**changes))


@pytest.mark.parametrize("value", [object(), {1, 2}, np.zeros(2), 2**70, "x" * 5_000_000])
def test_a_field_that_cannot_be_sent_is_the_callers_mistake(value):
    with pytest.raises(ContractError, match="a/b: "):
        encode(Header("a/b", Kind.TEXT, 0, 0, fields={"a": value}))
