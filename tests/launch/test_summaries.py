"""A message in a line: what a person wants to know of it."""

import json

import numpy as np
import pytest

from tectum.message import Kind
from tectum.testing.messages import make_message
from tectum_launch.summaries import message_document, message_text

STAMP_NS = 1_795_527_886_154_321_000


@pytest.mark.parametrize(
    ("kind", "arrays", "fields", "words"),
    [
        (
            Kind.IMAGE,
            [np.full((4, 6, 3), 100, np.uint8)],
            {"encoding": "bgr8"},
            "6 x 4 bgr8, mean 100",
        ),
        (Kind.IMAGE, [np.zeros(2048, np.uint8)], {"encoding": "jpeg"}, "jpeg, 2 KiB"),
        (
            Kind.AUDIO,
            [np.array([[0], [-16384]], np.int16)],
            {"rate_hz": 16_000, "first": 0},
            "2 samples x 1 at 16000 Hz, peak -6 dBFS",
        ),
        (
            Kind.AUDIO,
            [np.zeros((2, 1), np.int16)],
            {"rate_hz": 8_000, "first": 0},
            "2 samples x 1 at 8000 Hz, silence",
        ),
        (
            Kind.POINTS,
            [np.array([[1, -2, 0.5], [3, 4, 1]], np.float32)],
            {"names": ["x", "y", "z"]},
            "2 points, x 1.0 to 3.0, y -2.0 to 4.0, z 0.5 to 1.0",
        ),
        (Kind.POINTS, [np.zeros((0, 3), np.float32)], {"names": ["x", "y", "z"]}, "no points"),
        (
            Kind.TENSOR,
            [np.array([1.5, 2], np.float32), np.arange(12, dtype=np.int64).reshape(3, 4)],
            {"names": ["gyro", "grid"]},
            "gyro [1.5, 2], grid int64 3 x 4 from 0 to 11",
        ),
        (Kind.TEXT, [], {"text": "all well"}, "'all well'"),
        (
            Kind.BOXES,
            [np.zeros((3, 4), np.float32), np.ones(3, np.float32), np.array([1, 0, 1], np.int32)],
            {"labels": ["car", "person"]},
            "2 person, 1 car",
        ),
        (
            Kind.RESULT,
            [np.zeros(2, np.float32)],
            {
                "result": {
                    "outcome": "partial",
                    "reason": "input_silent",
                    "latency_ms": 41.31,
                    "outputs": {"occupancy": {"buffer": 0}},
                }
            },
            "partial (input_silent), 41.3 ms: occupancy",
        ),
        (Kind.LEDGER, [], {"rows": [{}, {}]}, "2 rows"),
        (Kind.LATCHED, [], {"fact": "plan"}, "constant fact: plan"),
    ],
)
def test_each_kind_says_what_matters(kind, arrays, fields, words):
    message = make_message("node/topic", kind, *arrays, seq=7, stamp_ns=STAMP_NS, **fields)
    assert message_text(message) == f"13:44:46.154  node/topic #7  {words}"


@pytest.mark.parametrize(
    ("kind", "words"),
    [(Kind.PROMISE, "nothing older follows"), (Kind.END, "the source has ended")],
)
def test_a_promise_and_an_end_take_no_number(kind, words):
    message = make_message("camera/image", kind, stamp_ns=STAMP_NS)
    assert message_text(message) == f"13:44:46.154  camera/image  {kind}: {words}"


def test_a_message_is_plain_data_for_json():
    message = make_message(
        "imu/tensor",
        Kind.TENSOR,
        np.array([1.0, np.nan], np.float32),
        stamp_ns=5,
        names=["gyro"],
        raw=b"abc",
        bias=float("inf"),
    )
    document = json.loads(json.dumps(message_document(message, values=True), allow_nan=False))
    assert document["buffers"] == ["float32 2"]
    assert document["values"] == [[1.0, None]]
    assert document["fields"] == {"names": ["gyro"], "raw": "3 bytes", "bias": None}
    assert "values" not in message_document(message)
