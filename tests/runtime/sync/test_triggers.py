"""Triggers that time makes: rates, and stand-ins for a silent trigger input. One column is 1 ms."""

import pytest

from tectum.clock import NS_PER_MS
from tectum.sync.stream import Stream
from tectum.sync.triggers import NO_TRIGGER, Due, next_overdue, next_rate, next_substitute
from tectum.testing.arrivals import START_NS, drawn, stream_of

PERIOD_NS = 10 * NS_PER_MS


def _silent() -> Stream:
    """Return a 10 ms input, 4 ms of capture and 0 of transit, that fell silent at 30."""
    stream = stream_of("x.........x.........x", span_ns=4 * NS_PER_MS)
    stream.hear("hush")
    return stream


def test_the_first_tick_of_a_rate_is_one_period_after_its_anchor() -> None:
    due = next_rate(START_NS, -1, PERIOD_NS)
    assert (due.at_ns, due.t_ns, due.end_ns) == (START_NS + PERIOD_NS,) * 3


def test_ticks_of_a_rate_are_one_period_apart() -> None:
    assert next_rate(START_NS, START_NS + PERIOD_NS, PERIOD_NS).t_ns == START_NS + 2 * PERIOD_NS


def test_a_speaking_trigger_has_no_stand_in() -> None:
    stream = stream_of("x.........x.........x")
    assert next_substitute(stream, START_NS, START_NS) is NO_TRIGGER


def test_a_stand_in_is_due_when_the_real_one_would_have_arrived() -> None:
    # stamps    0         10        20        [30]
    # arrivals      4         14        24        [34]
    (last_ns,) = drawn("....................x")
    due = next_substitute(_silent(), last_ns, last_ns + 5 * NS_PER_MS)
    assert due.t_ns == last_ns + PERIOD_NS
    assert due.end_ns == due.at_ns == due.t_ns + 4 * NS_PER_MS


def test_of_several_instants_already_due_only_the_latest_counts() -> None:
    (last_ns,) = drawn("....................x")
    due = next_substitute(_silent(), last_ns, last_ns + 57 * NS_PER_MS)
    assert due.t_ns == last_ns + 50 * NS_PER_MS
    assert due.at_ns <= last_ns + 57 * NS_PER_MS < due.at_ns + PERIOD_NS


def test_instants_that_can_still_be_answered_in_time_are_made_up() -> None:
    # Silence is noticed at 57; an answer is of use until 35 ms after the end of its capture:
    # 20 + 4 + 35 is past, the one at 30 is not.
    (last_ns,) = drawn("....................x")
    last_ns -= 10 * NS_PER_MS
    due = next_substitute(_silent(), last_ns, START_NS + 60 * NS_PER_MS, 35 * NS_PER_MS)
    assert due.t_ns == START_NS + 30 * NS_PER_MS
    due = next_substitute(_silent(), due.t_ns, START_NS + 60 * NS_PER_MS, 35 * NS_PER_MS)
    assert due.t_ns == START_NS + 40 * NS_PER_MS


# A speaking 10 ms input with 4 ms of capture: stamps 0, 10, 20, then the one at 30 does not come.


def _owed(drawing: str, usable_ms: int = 5, latest_ms: int = 7, step_ns: int = NS_PER_MS) -> Due:
    stream = stream_of(drawing, span_ns=4 * NS_PER_MS, step_ns=step_ns)
    stream.hear("heard")
    return next_overdue(stream, stream.ats[-1], usable_ms * NS_PER_MS, latest_ms * NS_PER_MS)


def test_a_message_that_is_overdue_is_stood_in_for_once_it_could_not_be_used_in_time() -> None:
    due = _owed("x.........x.........x")
    assert due.t_ns == START_NS + 30 * NS_PER_MS
    assert due.end_ns == due.t_ns + 4 * NS_PER_MS
    assert due.at_ns == due.end_ns + 5 * NS_PER_MS


def test_one_that_may_only_be_late_is_waited_for_as_long_as_a_stand_in_has_time() -> None:
    # Intervals of 10 ms, one of 10.5: 11.5 are hardly ever exceeded.
    times = [0, 20, 40, 61, 81, 101, 121]
    drawing = "".join("x" if column in times else "." for column in range(122))
    due = _owed(drawing, usable_ms=1, latest_ms=7, step_ns=NS_PER_MS // 2)
    assert NS_PER_MS < due.at_ns - due.end_ns < 2 * NS_PER_MS
    due = _owed(drawing, usable_ms=0, latest_ms=1, step_ns=NS_PER_MS // 2)
    assert due.at_ns == due.end_ns + NS_PER_MS


@pytest.mark.parametrize(
    "drawing",
    [
        "x.........x",  # too few
        "x......x..............x.........x",  # no steady pace
    ],
)
def test_what_keeps_no_pace_is_never_overdue(drawing: str) -> None:
    assert _owed(drawing) is NO_TRIGGER


def test_nothing_is_overdue_that_usually_comes_later_than_a_stand_in_could_be_answered() -> None:
    assert _owed("x.........x.........x", usable_ms=-5, latest_ms=-1) is NO_TRIGGER


def test_a_silent_input_owes_nothing_it_is_substituted() -> None:
    stream = _silent()
    assert next_overdue(stream, stream.ats[-1], NS_PER_MS, NS_PER_MS) is NO_TRIGGER


def test_a_trigger_input_never_heard_is_stood_in_for_at_its_stated_period() -> None:
    stream = stream_of("", period_ns=PERIOD_NS)
    stream.hear("hush")
    assert next_substitute(stream, -1, START_NS).t_ns == START_NS
    assert next_substitute(stream, START_NS, START_NS).t_ns == START_NS + PERIOD_NS


def test_without_any_known_period_there_is_no_stand_in() -> None:
    stream = stream_of("")
    stream.hear("hush")
    assert next_substitute(stream, -1, START_NS) is NO_TRIGGER
