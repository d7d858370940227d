"""The audio timeline: blocks are placed by their samples, not by when they happened to arrive."""

import random

import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.clock import NS_PER_S
from tectum.message import Sample, SampleRef
from tectum.pipeline.plan import AlignPlan, InputPlan
from tectum.sync.base import Pick
from tectum.sync.stream import Stream
from tectum.sync.timeline import ArrivalTimeline, DeviceTimeline
from tectum.sync.window import Window
from tectum.testing.arrivals import START_NS

RATE_HZ, BLOCK = 16_000, 320
DRIFT_PPM = 100
BLOCK_NS = 20 * MS * (1_000_000 + DRIFT_PPM) // 1_000_000
"""How long a block really lasts: the source's clock is slow."""


def _truth_ns(sample: float) -> float:
    """Return when a sample of the source was really captured."""
    return START_NS + sample * BLOCK_NS / BLOCK


def _hour(blocks: int, lost: set[int], transit_ns: int = 0):
    """Yield index and arrival of every block that arrives: exponential jitter, mean 15 ms."""
    rng, latest_ns = random.Random(5), 0
    for block in range(blocks):
        if block in lost:
            continue
        arrival_ns = int(_truth_ns((block + 1) * BLOCK) + rng.expovariate(1 / (15 * MS)))
        latest_ns = max(latest_ns, arrival_ns + transit_ns)
        yield block, latest_ns


def test_an_hour_of_drift_and_one_sided_jitter_leaves_windows_within_two_milliseconds() -> None:
    lost = set(random.Random(1).sample(range(3_000, 180_000), 20))
    timeline, stream = (
        ArrivalTimeline(RATE_HZ),
        Stream(InputPlan("audio", "m/audio", AlignPlan("window"))),
    )
    window, gaps, worst_ns, windows = Window(NS_PER_S, 0, 900), {}, 0.0, 0
    for block, arrival_ns in _hour(180_000, lost):
        placed = timeline.block(block * BLOCK, BLOCK, arrival_ns)
        if placed.gap:
            gaps[block] = placed.gap
        ref = SampleRef("audio", 1, block)
        sample = Sample(ref, placed.stamp_ns, placed.span_ns, 0, 640, block * BLOCK, BLOCK, RATE_HZ)
        stream.add(arrival_ns, sample)
        stream.release_before(placed.stamp_ns - 2 * NS_PER_S)
        if block % 50 == 0 and block > 500:
            t_ns = int(_truth_ns(block * BLOCK))
            best = window.best(stream, t_ns)
            assert isinstance(best, Pick)
            worst_ns = max(worst_ns, abs(_truth_ns(best.begin) - (t_ns - NS_PER_S)))
            missing = {b for b in lost if block - 50 < b < block}
            assert best.distance_ns == -20 * MS * len(missing)
            windows += 1
    assert windows > 3_500
    assert worst_ns < 2 * MS
    assert gaps == {b + 1: BLOCK for b in lost if b + 1 not in lost}


def test_the_source_is_found_to_be_slow_by_its_drift() -> None:
    timeline = ArrivalTimeline(RATE_HZ)
    for block, arrival_ns in _hour(6_000, set()):
        timeline.block(block * BLOCK, BLOCK, arrival_ns)
    assert timeline.rate_ppb == pytest.approx(DRIFT_PPM * 1000, abs=5_000)


def test_the_stated_delay_is_taken_off() -> None:
    plain, stated = ArrivalTimeline(RATE_HZ), ArrivalTimeline(RATE_HZ, delay_ns=30 * MS)
    for block, arrival_ns in _hour(1_000, set(), transit_ns=30 * MS):
        late = plain.block(block * BLOCK, BLOCK, arrival_ns)
        right = stated.block(block * BLOCK, BLOCK, arrival_ns)
    assert late.stamp_ns - right.stamp_ns == 30 * MS
    assert abs(right.stamp_ns - _truth_ns(999 * BLOCK)) < 2 * MS


def test_the_stated_error_covers_the_truth() -> None:
    timeline = ArrivalTimeline(RATE_HZ)
    for block, arrival_ns in _hour(9_000, set()):
        placed = timeline.block(block * BLOCK, BLOCK, arrival_ns)
        if block > 50:
            assert abs(placed.stamp_ns - _truth_ns(block * BLOCK)) <= placed.error_ns


def test_a_stall_leaves_no_trace() -> None:
    timeline = ArrivalTimeline(RATE_HZ)
    stall = (range(2_000, 2_100), int(_truth_ns(2_100 * BLOCK)))
    for block, arrival_ns in _hour(3_000, set()):
        held_ns = max(arrival_ns, stall[1]) if block in stall[0] else arrival_ns
        placed = timeline.block(block * BLOCK, BLOCK, held_ns)
        if block > 500:
            assert abs(placed.stamp_ns - _truth_ns(block * BLOCK)) < 2 * MS


def test_a_step_of_the_latency_is_not_taken_for_drift() -> None:
    timeline = ArrivalTimeline(RATE_HZ)
    for block, arrival_ns in _hour(800, set()):
        step_ns = 30 * MS if block > 300 else 0
        placed = timeline.block(block * BLOCK, BLOCK, arrival_ns + step_ns)
        if block > 50:
            assert abs(placed.stamp_ns - _truth_ns(block * BLOCK)) < 3 * MS


@pytest.mark.parametrize("kind", [ArrivalTimeline, DeviceTimeline])
def test_an_index_that_goes_back_starts_the_timeline_anew(kind) -> None:
    timeline = kind(RATE_HZ)
    for block in range(100):
        timeline.block(block * BLOCK, BLOCK, START_NS + block * 20 * MS)
    later_ns = START_NS + 3600 * NS_PER_S
    placed = timeline.block(0, BLOCK, later_ns)
    assert placed.gap == 0
    assert abs(placed.stamp_ns - later_ns) <= 20 * MS


@pytest.mark.parametrize("kind", [ArrivalTimeline, DeviceTimeline])
def test_missing_samples_are_marked_before_the_block_that_follows(kind) -> None:
    timeline = kind(RATE_HZ)
    gaps = [
        timeline.block(first, BLOCK, START_NS + first * 62_500).gap for first in (0, 320, 960, 1400)
    ]
    assert gaps == [0, 0, 320, 120]


def test_the_loop_follows_the_devices_clock_and_smooths_its_stamps() -> None:
    timeline, rng, worst_ns = DeviceTimeline(RATE_HZ), random.Random(2), 0.0
    for block in range(20_000):
        at_ns = int(_truth_ns(block * BLOCK) + rng.gauss(0, MS))
        placed = timeline.block(block * BLOCK, BLOCK, at_ns)
        if block > 3_000:
            worst_ns = max(worst_ns, abs(placed.stamp_ns - _truth_ns(block * BLOCK)))
    assert worst_ns < MS // 2
    assert timeline.rate_ppb == pytest.approx(DRIFT_PPM * 1000, abs=60_000)


def test_a_device_clock_that_steps_is_followed_at_once() -> None:
    timeline = DeviceTimeline(RATE_HZ)
    for block in range(100):
        timeline.block(block * BLOCK, BLOCK, START_NS + block * 20 * MS)
    stepped_ns = START_NS + 100 * 20 * MS + 5 * NS_PER_S
    assert timeline.block(100 * BLOCK, BLOCK, stepped_ns).stamp_ns == stepped_ns
