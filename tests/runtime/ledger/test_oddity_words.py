"""Every oddity of a stamp, brought about by a simulated run and told word for word.

    lidar (10 Hz, trigger, exact)  |---------|---------|--    arrives 10 ms after its stamp
    camera (10 Hz, nearest 40 ms)  -|---------|---------|-    8 ms after the lidar

Instants are in the third minute after noon of a day in 2026.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.ledger.why import explain_span
from tectum.message import Sample, SampleRef
from tectum.pipeline.events import Arrived, Event
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan
from tectum.pipeline.simulate import Simulation, fixed_durations, simulate
from tectum.sync.oddities import ODDITIES

NOON_NS = 1_782_216_190_000 * MS
"""12:03:10."""
PLAN = Plan(
    "perception",
    (
        InputPlan("camera", "camera/image", AlignPlan("nearest", 40 * MS, 40 * MS), required=False),
        InputPlan("lidar", "lidar/points", AlignPlan("exact")),
    ),
    (StagePlan("head"),),
    "head",
    trigger="lidar",
    budget_ns=100 * MS,
)


def camera(seqs: Iterable[int] = range(20), off_ms: int = 0, late_ms: int = 10, life: int = 1):
    """Return frames that are stamped `off_ms` off and come `late_ms` after they were taken."""
    frames: list[Event] = []
    for seq in seqs:
        taken_ns = NOON_NS + (seq * 100 + 8) * MS
        sample = Sample(SampleRef("camera", life, seq), taken_ns + off_ms * MS)
        frames.append(Arrived(taken_ns + late_ms * MS, sample))
    return frames


def stamped(seq: int, stamp_ns: int) -> list[Event]:
    taken_ns = NOON_NS + (seq * 100 + 8) * MS
    return [Arrived(taken_ns + 10 * MS, Sample(SampleRef("camera", 1, seq), stamp_ns))]


def run(frames: list[Event]) -> Simulation:
    sweeps: list[Event] = []
    for seq in range(20):
        stamp_ns = NOON_NS + seq * 100 * MS
        sweeps.append(Arrived(stamp_ns + 10 * MS, Sample(SampleRef("lidar", 1, seq), stamp_ns)))
    events = sorted([*frames, *sweeps], key=lambda event: event.now_ns)
    return simulate(PLAN, events, fixed_durations({}))


WITHOUT_7 = [seq for seq in range(20) if seq != 7]
SCENARIOS: dict[str, tuple[list[Event], str]] = {
    "stamp_zero": (
        camera(WITHOUT_7) + stamped(7, 0),
        "1 stamp of camera was zero and refused",
    ),
    "stamp_future": (
        camera(WITHOUT_7) + stamped(7, NOON_NS + 3_708 * MS),
        "1 stamp of camera lay in the future and was refused",
    ),
    "duplicate": (
        camera() + camera([7, 8], late_ms=30),
        "2 stamps of camera came twice and were refused",
    ),
    "stamp_disorder": (
        camera(WITHOUT_7) + camera([7], late_ms=115),
        "1 stamp of camera came out of order",
    ),
    "clock_step": (
        camera(range(10)) + camera(range(10, 20), off_ms=-3000),
        "the clock of camera was set back at 12:03:11.018: what it sent before is not used any "
        "more, and its stamps lie 3.01 s before their arrival since",
    ),
    "restarted": (
        camera(range(10)) + camera(range(10, 20), life=2),
        "the publisher of camera/image began anew at 12:03:11.018",
    ),
    "clock_ahead": (
        camera(range(10)) + camera(range(10, 20), off_ms=37_000),
        "camera's stamps are 37 s ahead of the graph clock (they are refused): TAI instead of "
        "UTC; set `clock: tai` for this input",
    ),
    "clock_behind": (
        camera(off_ms=-3_600_000),
        "camera's stamps are 1 h behind the graph clock: local time (-1 h) instead of UTC; stamp "
        "in UTC, or set `offset: -3600s` for this input",
    ),
    "clock_agrees": (
        camera(range(10), off_ms=37_000) + camera(range(10, 20)),
        "camera's stamps are 37 s ahead of the graph clock (they are refused): TAI instead of "
        "UTC; set `clock: tai` for this input; right again since 12:03:11.218",
    ),
}


@pytest.mark.parametrize("oddity", ODDITIES)
def test_every_oddity_of_a_stamp_is_told_word_for_word(oddity: str) -> None:
    frames, sentence = SCENARIOS[oddity]
    result = run(frames)
    assert oddity in {note.change for note in result.notes if note.input == "camera"}
    assert sentence in explain_span(result.rows, PLAN, result.notes)


def test_a_clock_that_was_set_back_twice_is_told_once() -> None:
    frames = camera(range(7)) + camera(range(7, 14), -1000) + camera(range(14, 20), -2000)
    result = run(frames)
    (told,) = [s for s in explain_span(result.rows, PLAN, result.notes) if "set back" in s]
    assert told.startswith("the clock of camera was set back 2 times, last at 12:03:11.418: ")


def test_what_is_odd_outside_of_the_stretch_is_not_told() -> None:
    result = run(SCENARIOS["clock_step"][0])
    later = [row for row in result.rows if row.stamp_ns > NOON_NS + 1_200 * MS]
    assert not [s for s in explain_span(later, PLAN, result.notes) if "set back" in s]
