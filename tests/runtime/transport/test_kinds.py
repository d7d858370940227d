"""Fields and buffers of a kind fit each other, or the message goes neither out nor in."""

import pytest

from tectum.errors import ContractError
from tectum.message import BufferSpec, Header, Kind
from tectum.transport.kinds import kind_trouble
from tectum.transport.wire import encode


def header(kind, fields, *buffers):
    return Header("a/b", kind, 0, 0, fields=fields, buffers=tuple(BufferSpec(*b) for b in buffers))


XYZ = {"names": ["x", "y", "z"]}
SOUND = {"rate_hz": 16000, "first": 0}
BOXES = (("float32", (5, 4)), ("float32", (5,)), ("int32", (5,)))


@pytest.mark.parametrize(
    "good",
    [
        header(Kind.IMAGE, {"encoding": "mono8"}, ("uint8", (4, 5))),
        header(Kind.IMAGE, {"encoding": "mono16"}, ("uint16", (4, 5))),
        header(Kind.IMAGE, {"encoding": "rgb8"}, ("uint8", (4, 5, 3))),
        header(Kind.IMAGE, {"encoding": "bgr8"}, ("uint8", (4, 5, 3))),
        header(Kind.IMAGE, {"encoding": "32FC1"}, ("float32", (4, 5))),
        header(Kind.IMAGE, {"encoding": "jpeg"}, ("uint8", (999,))),
        header(Kind.AUDIO, SOUND, ("int16", (160, 2))),
        header(Kind.AUDIO, SOUND, ("int16", (0, 1))),
        header(Kind.POINTS, XYZ, ("float32", (0, 3))),
        header(Kind.POINTS, {"names": ("x", "y")}, ("float32", (9, 2))),
        header(Kind.TENSOR, {}, ("bool", ()), ("int64", (1, 2, 3))),
        header(Kind.TENSOR, {"names": ["a"]}, ("bool", ())),
        header(Kind.POSE, {"child_frame_id": "ego"}, ("float64", (7,))),
        header(Kind.BOXES, {"labels": ["car"]}, *BOXES),
        header(Kind.RESULT, {}),
        header(Kind.END, {}),
    ],
)
def test_what_the_kinds_describe_is_right(good):
    assert kind_trouble(good) is None


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (header(Kind.IMAGE, {}, ("uint8", (4, 5))), "image encoding is None; allowed: mono8, "),
        (header(Kind.IMAGE, {"encoding": []}), "image encoding is []; allowed: "),
        (
            header(Kind.IMAGE, {"encoding": "rgb8"}, ("uint8", (4, 5, 4))),
            "image rgb8 has buffers [uint8 (4, 5, 4)]; allowed: one uint8 (height, width, 3)",
        ),
        (header(Kind.IMAGE, {"encoding": "jpeg"}), "image jpeg has buffers []; allowed: one uint8"),
        (
            header(Kind.IMAGE, {"encoding": "mono8"}, ("uint8", (4, 5)), ("uint8", (4, 5))),
            "image mono8 has buffers [uint8 (4, 5), uint8 (4, 5)]",
        ),
        (header(Kind.AUDIO, {"first": 0}), "audio rate_hz is None; allowed: an integer from 1 on"),
        (header(Kind.AUDIO, {"rate_hz": 8000, "first": -1}), "audio first is -1; allowed: an int"),
        (header(Kind.AUDIO, SOUND | {"first": True}), "audio first is True"),
        (header(Kind.AUDIO, SOUND, ("int16", ())), "audio has buffers [int16 ()]; allowed: one"),
        (header(Kind.AUDIO, SOUND, ("int16", (5, 0))), "audio has buffers [int16 (5, 0)]"),
        (header(Kind.POINTS, XYZ, ("float64", (1, 3))), "points has buffers [float64 (1, 3)]"),
        (
            header(Kind.POINTS, XYZ, ("float32", (1, 4))),
            "points names are ['x', 'y', 'z']; allowed",
        ),
        (header(Kind.POINTS, {"names": "xyz"}, ("float32", (1, 3))), "points names are 'xyz'"),
        (header(Kind.TENSOR, {"names": ["a"]}), "tensor names are ['a']; allowed: one name per"),
        (header(Kind.POSE, {}, ("float64", (4, 4))), "pose has buffers [float64 (4, 4)]; allowed"),
        (header(Kind.BOXES, {}, *BOXES[:2], ("int32", (6,))), "boxes has buffers [float32 (5, 4),"),
        (header(Kind.BOXES, {}), "boxes has buffers []; allowed: float32 (n, 4), float32 (n,), "),
    ],
)
def test_what_does_not_fit_is_named(bad, message):
    assert kind_trouble(bad).startswith(message)
    with pytest.raises(ContractError, match=r"^a/b: "):
        encode(bad)
