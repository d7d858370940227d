"""Frames: what a browser gets of each kind of message."""

from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np
import pytest

from tectum.message import AnyArray, ArrayPayload, BufferSpec, Header, Kind, Message
from tectum_nodes.dashboard.frames import (
    MOST_POINTS,
    audio_frame,
    frame,
    image_frame,
    points_frame,
    result_frame,
)


def message(kind: Kind, *arrays: AnyArray, **fields: Any) -> Message:
    specs = tuple(BufferSpec(str(array.dtype), array.shape) for array in arrays)
    header = Header("node/output", kind, 7, 1000, fields=fields, buffers=specs)
    return Message(header, tuple(ArrayPayload(array) for array in arrays))


def parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(data[:4], "little")
    return json.loads(data[4 : 4 + length]), data[4 + length :]


def test_the_body_begins_at_a_multiple_of_four_bytes() -> None:
    for letters in range(9):
        data = frame({"t": "x" * letters}, b"body")
        head, body = parts(data)
        assert head == {"t": "x" * letters}
        assert body == b"body"
        assert (len(data) - len(body)) % 4 == 0


def test_a_large_picture_is_made_smaller_and_tells_its_size() -> None:
    red = np.zeros((480, 960, 3), np.uint8)
    red[..., 2] = 250
    head, body = parts(image_frame(message(Kind.IMAGE, red, encoding="bgr8"), 480))
    picture = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (240, 480, 3)
    assert (head["width"], head["height"]) == (960, 480)
    assert picture[..., 2].mean() == pytest.approx(250, abs=5)


def test_a_jpeg_is_passed_on_as_it_came() -> None:
    _, coded = cv2.imencode(".jpg", np.zeros((40, 60, 3), np.uint8))
    head, body = parts(image_frame(message(Kind.IMAGE, coded.ravel(), encoding="jpeg"), 30))
    assert body == coded.tobytes()
    assert "width" not in head


def test_depths_are_shown_from_near_to_far() -> None:
    depths = np.full((20, 20), 5.0, np.float32)
    depths[:, 10:] = 50.0
    depths[0, 0] = np.nan
    _, body = parts(image_frame(message(Kind.IMAGE, depths, encoding="32FC1"), 100))
    picture = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    assert picture[10, 2] < 60
    assert picture[10, 17] > 200


def test_sound_tells_where_it_begins_on_its_timeline() -> None:
    block = np.arange(320, dtype=np.int16)
    heard = np.arange(800, dtype=np.int16)
    head, body = parts(
        audio_frame(message(Kind.AUDIO, block, first=3200, rate_hz=16000).header, heard)
    )
    assert (head["first"], head["rate_hz"]) == (3200 + 320 - 800, 16000)
    np.testing.assert_array_equal(np.frombuffer(body, np.int16), heard)


def test_clouds_are_thinned_and_given_in_centimetres() -> None:
    cloud = np.tile(np.array([12.34, -5.6, 0.789, 0.5], np.float32), (MOST_POINTS * 3, 1))
    cloud[0] = np.nan
    head, body = parts(points_frame(message(Kind.POINTS, cloud)))
    points = np.frombuffer(body, np.int16).reshape(-1, 4)
    assert len(points) == head["count"] <= MOST_POINTS
    assert head["of"] == 3 * MOST_POINTS
    assert points[0].tolist() == [0, 0, 0, 0]
    assert points[1].tolist() == [1234, -560, 78, 127]


def test_an_empty_cloud_is_a_frame_like_any_other() -> None:
    head, body = parts(points_frame(message(Kind.POINTS, np.zeros((0, 3), np.float32))))
    assert (head["count"], body) == (0, b"")


def test_outputs_lie_end_to_end_and_what_is_no_number_is_null() -> None:
    document = {
        "node": "perception",
        "models": {"encode": "5d0c"},
        "latency_ms": float("nan"),
        "outputs": {
            "grid": {"buffer": 0, "role": "grid", "grid": {"cell_m": 2.0}},
            "siren": {"buffer": 1, "role": "probability"},
        },
    }
    grid, siren = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([0.25], np.float64)
    head, body = parts(result_frame(message(Kind.RESULT, grid, siren), document))
    assert head["latency_ms"] is None
    assert "models" not in head
    assert head["outputs"]["grid"] == {
        "role": "grid", "grid": {"cell_m": 2.0}, "shape": [2, 3], "at": 0,
    }  # fmt: skip
    assert head["outputs"]["siren"]["at"] == 6
    assert np.frombuffer(body, np.float32).tolist() == [0, 1, 2, 3, 4, 5, 0.25]


def test_an_output_too_large_for_a_page_is_only_described() -> None:
    document = {"outputs": {"map": {"buffer": 0, "role": "tensor"}}}
    large = np.zeros((300, 300), np.float32)
    head, body = parts(result_frame(message(Kind.RESULT, large), document))
    assert head["outputs"]["map"] == {"role": "tensor", "shape": [300, 300]}
    assert body == b""
