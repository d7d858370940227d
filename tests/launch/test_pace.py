"""Rate, jitter, age and losses of a topic, from stamps alone."""

import numpy as np

from tectum.message import Kind
from tectum.testing.messages import make_message
from tectum.transport.base import Gap
from tectum_launch.pace import Pace

MS = 1_000_000


def header(stamp_ms, kind=Kind.TENSOR):
    array = np.zeros(250, np.float32)
    return make_message("imu/tensor", kind, array, stamp_ns=stamp_ms * MS).header


def test_a_pace_is_that_of_the_stamps_and_not_of_the_arrivals():
    pace = Pace()
    for stamp, arrival in ((0, 5), (10, 40), (20, 41), (30, 42)):
        pace.take(header(stamp), arrival * MS)
    assert pace.document() == {
        "messages": 4,
        "missed": 0,
        "rate_hz": 100.0,
        "period_ms": 10.0,
        "shortest_ms": 10.0,
        "longest_ms": 10.0,
        "jitter_ms": 0.0,
        "age_p50_ms": 21.0,
        "age_max_ms": 30.0,
        "bytes": 1000,
        "bytes_per_s": 100_000,
    }


def test_messages_that_never_came_are_counted_and_said():
    pace = Pace()
    pace.take(header(0), 0)
    pace.miss(Gap("imu/tensor", 1, 1, 3))
    pace.take(header(40), 40 * MS)
    assert pace.missed == 3
    assert pace.text() == (
        "25.00 Hz, period 40.0 to 40.0 ms (deviation 0.00), age 0.0 ms, at most 0.0, 25 kB/s, "
        "3 missed"
    )


def test_one_message_has_no_rate_yet():
    pace = Pace()
    pace.take(header(0), 0)
    assert pace.text() == "1 message so far"


def test_only_the_latest_messages_count():
    pace = Pace(window=3)
    for stamp in (0, 100, 110, 120):
        pace.take(header(stamp), stamp * MS)
    assert pace.document()["longest_ms"] == 10.0
    assert pace.count == 4


def test_what_is_said_about_the_future_has_no_pace():
    pace = Pace()
    pace.take(header(0, Kind.PROMISE), 0)
    assert pace.count == 0
