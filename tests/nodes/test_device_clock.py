"""A device's clock is found below its arrivals; sources that fail are opened again."""

import random
import threading
from collections.abc import Generator, Iterator
from itertools import pairwise

import pytest

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import DataError, DeviceError
from tectum.testing import FakeClock, MemoryContext
from tectum_nodes.device_clock import DeviceClock, offset_name
from tectum_nodes.newest import Newest
from tectum_nodes.reconnecting import reconnected

START_NS = 1_700_000_000 * NS_PER_S


def test_jitter_and_drift_of_a_device_are_taken_out() -> None:
    clock, rng = DeviceClock(delay_ns=3 * NS_PER_MS), random.Random(1)
    for step in range(3000):
        device_ns = step * 10 * NS_PER_MS
        true_ns = START_NS + device_ns * 1_000_050 // 1_000_000
        late_ns = 3 * NS_PER_MS + int(rng.expovariate(1 / (4 * NS_PER_MS)))
        stamp_ns, error_ns = clock.stamp(device_ns, true_ns + late_ns)
        if step > 200:
            assert abs(stamp_ns - true_ns) <= max(error_ns, NS_PER_MS)
    assert abs(stamp_ns - true_ns) < NS_PER_MS
    assert error_ns < 5 * NS_PER_MS


def test_a_stamp_that_comes_late_is_placed_where_it_belongs() -> None:
    clock = DeviceClock()
    first, _ = clock.stamp(1000 * NS_PER_MS, START_NS)
    second, _ = clock.stamp(1020 * NS_PER_MS, START_NS + 20 * NS_PER_MS)
    between, _ = clock.stamp(1010 * NS_PER_MS, START_NS + 21 * NS_PER_MS)
    assert between - first == 10 * NS_PER_MS
    assert second - between == 10 * NS_PER_MS


def test_a_device_that_starts_anew_is_followed() -> None:
    clock = DeviceClock()
    clock.stamp(5000 * NS_PER_S, START_NS)
    stamp_ns, _ = clock.stamp(0, START_NS + NS_PER_S)
    assert stamp_ns == START_NS + NS_PER_S


@pytest.mark.parametrize(
    ("offset_s", "words"),
    [
        (37, "TAI"),
        (18, "GPS"),
        (3600, "local time (+1 h)"),
        (-1_700_000_000, "its own start"),
        (5, "+5.0 s"),
    ],
)
def test_known_offsets_are_called_by_their_name(offset_s: int, words: str) -> None:
    assert words in offset_name(offset_s * NS_PER_S, START_NS)


def test_a_source_that_fails_is_opened_again_with_growing_pauses_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    clock = FakeClock(START_NS)
    context = MemoryContext("camera", clock=clock)
    opened_ns: list[int] = []

    def source() -> Iterator[int]:
        opened_ns.append(clock.now_ns())
        if len(opened_ns) == 1 or len(opened_ns) > 7:
            yield from (1, 2)
        if len(opened_ns) <= 7:
            msg = "nobody there"
            raise DeviceError(msg)

    assert list(reconnected(context, source)) == [1, 2, 1, 2]
    pauses = [b - a for a, b in pairwise(opened_ns)]
    assert [pause / NS_PER_S for pause in pauses] == [0.25, 0.5, 1, 2, 4, 5, 5]
    said = [record.getMessage() for record in caplog.records]
    assert said == ["nobody there; it is tried again", "camera is back after 17.8 s"]


def test_errors_that_waiting_does_not_help_pass() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise DataError

    with pytest.raises(DataError):
        list(reconnected(MemoryContext("camera", clock=FakeClock(START_NS)), source))


def test_only_the_newest_is_kept_and_what_was_overtaken_counted() -> None:
    go = threading.Event()

    def source() -> Generator[int, None, None]:
        yield from range(10)
        go.set()

    with Newest(source(), "source") as newest:
        assert go.wait(5)
        assert newest.take(5.0) == 9
        assert newest.skipped == 9
        assert newest.take(5.0) is None
        assert newest.ended


def test_what_the_source_raised_comes_after_its_last_item() -> None:
    def source() -> Generator[int, None, None]:
        yield 1
        raise DeviceError

    with Newest(source(), "source") as newest:
        assert newest.take(5.0) == 1
        with pytest.raises(DeviceError):
            newest.take(5.0)


def test_a_source_that_is_left_ends_at_its_next_item() -> None:
    closed, hold = threading.Event(), threading.Event()

    def source() -> Generator[int, None, None]:
        try:
            while True:
                yield 1
                hold.wait(0.001)
        finally:
            closed.set()

    with Newest(source(), "source") as newest:
        assert newest.take(5.0) == 1
    assert closed.wait(5)
