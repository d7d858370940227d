"""Values between two messages: linear, and the short way round for rotations."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tectum.errors import DataError
from tectum.inference.blend import blended, slerp
from tectum.inference.stage import Cut
from tectum.message import ArrayPayload, BufferSpec, Header, Kind, Message


def _message(kind: Kind, stamp_ns: int, values, dtype: str = "float64") -> Message:
    array = np.asarray(values, dtype)
    spec = BufferSpec(dtype, array.shape)
    header = Header("imu/pose", kind, 0, stamp_ns, frame_id="base", buffers=(spec,))
    return Message(header, (ArrayPayload(array),))


def _turn(degrees: float) -> list[float]:
    """Return the quaternion of a turn about z."""
    half = math.radians(degrees) / 2
    return [0.0, 0.0, math.sin(half), math.cos(half)]


def _between(kind: Kind, one, other, ppm: int, dtype: str = "float64") -> Message:
    cut = Cut((_message(kind, 100, one, dtype), _message(kind, 200, other, dtype)), weight_ppm=ppm)
    return blended(cut).message


def test_a_vector_is_blended_linearly() -> None:
    message = _between(Kind.TENSOR, [0.0, 10.0], [1.0, 20.0], 250_000)
    assert message.array().tolist() == [0.25, 12.5]
    assert (message.header.stamp_ns, message.header.frame_id) == (125, "base")


def test_whole_numbers_are_rounded_and_keep_their_type() -> None:
    array = _between(Kind.TENSOR, [0, 10], [3, 11], 500_000, "int16").array()
    assert (array.dtype, array.tolist()) == (np.int16, [2, 10])


def test_a_pose_moves_straight_and_turns_evenly() -> None:
    one, other = [0, 0, 0, *_turn(10)], [4, 2, 0, *_turn(50)]
    pose = _between(Kind.POSE, one, other, 250_000).array()
    assert pose[:3] == pytest.approx([1, 0.5, 0])
    assert pose[3:] == pytest.approx(_turn(20))


def test_the_short_way_is_taken_whatever_the_sign() -> None:
    one, other = np.array(_turn(170)), -np.array(_turn(190))
    assert np.abs(slerp(one, other, 0.5)) == pytest.approx(np.abs(_turn(180)), abs=1e-12)


def test_equal_rotations_stay() -> None:
    assert slerp(np.array(_turn(30)), np.array(_turn(30)), 0.7) == pytest.approx(_turn(30))


@given(st.floats(-170, 170), st.floats(-170, 170), st.floats(0, 1))
def test_the_result_is_a_unit_quaternion_on_the_way(
    one: float, other: float, weight: float
) -> None:
    mixed = slerp(np.array(_turn(one)), np.array(_turn(other)), weight)
    assert np.linalg.norm(mixed) == pytest.approx(1)
    way = (other - one + 180) % 360 - 180
    if abs(abs(way) - 180) > 1:
        assert abs(np.dot(mixed, _turn(one + weight * way))) == pytest.approx(1, abs=1e-6)


def test_a_cut_that_asks_for_no_blend_is_left_alone() -> None:
    cut = Cut((_message(Kind.TENSOR, 0, [1.0]),))
    assert blended(cut) is cut


def test_images_are_refused_with_the_way_out() -> None:
    with pytest.raises(DataError, match="only poses and tensors can be interpolated; align"):
        _between(Kind.IMAGE, [1, 2], [3, 4], 1, "uint8")


def test_different_shapes_are_refused() -> None:
    with pytest.raises(DataError, match=r"shapes \(2,\) and \(3,\)"):
        _between(Kind.TENSOR, [1, 2], [3, 4, 5], 1)
