"""The buffer of one input: order, oddities of stamps, bounds, what can still follow.

Timelines: one column is 1 ms; a sample is heard when its capture is over.
"""

import pytest

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.message import Sample, SampleRef
from tectum.pipeline.plan import AlignPlan, InputPlan
from tectum.sync.listening import Listening
from tectum.sync.stream import NEVER_NS, TRIGGER_SILENCE_NS, Stream
from tectum.testing.arrivals import START_NS, drawn, stream_of

PERIOD_NS = 10 * NS_PER_MS


def _stream(**plan: int) -> Stream:
    return Stream(InputPlan("camera", "camera/image", AlignPlan("nearest"), **plan))


def _hear(stream: Stream, seq: int, stamp_ns: int, now_ns: int = 0, life: int = 1) -> str:
    sample = Sample(SampleRef("camera", life, seq), stamp_ns, nbytes=1000)
    return stream.add(now_ns or stamp_ns, sample)


def _hear_row(stream: Stream, count: int, period_ns: int = PERIOD_NS) -> int:
    """Hear samples one period apart; return the stamp of the one that would come next."""
    for seq in range(count):
        assert _hear(stream, seq, START_NS + seq * period_ns) == ""
    return START_NS + count * period_ns


def _held(stream: Stream) -> list[int]:
    return [sample.ref.seq for sample in stream.samples[stream.first_held :]]


# -- stamps as they are


def test_an_overtaken_message_is_sorted_in_and_counted() -> None:
    # sent     0         1         2
    # heard    0                   2  1
    stream = _stream()
    _hear(stream, 0, START_NS)
    _hear(stream, 2, START_NS + 2 * PERIOD_NS)
    assert _hear(stream, 1, START_NS + PERIOD_NS) == "stamp_disorder"
    assert _held(stream) == [0, 1, 2]
    assert stream.ats == sorted(stream.ats)
    assert stream.counts["stamp_disorder"] == 1


def test_an_overtaken_message_older_than_what_was_freed_is_let_go_at_once() -> None:
    stream = _stream()
    following_ns = _hear_row(stream, 5)
    stream.release_before(following_ns - PERIOD_NS)
    assert _hear(stream, 0, START_NS + 1) == "stamp_disorder"
    assert stream.dropped == [SampleRef("camera", 1, 0)]
    assert _held(stream) == [4]


def test_an_equal_stamp_is_a_duplicate_and_refused() -> None:
    stream = _stream()
    _hear(stream, 0, START_NS)
    stream.heard_ns = 0
    assert _hear(stream, 1, START_NS) == "duplicate"
    assert _held(stream) == [0]
    assert stream.heard_ns == 0, "a frozen sensor is not heard"


def test_a_stamp_of_zero_is_refused() -> None:
    stream = _stream()
    assert _hear(stream, 0, 0, START_NS) == "stamp_zero"
    assert _hear(stream, 1, -5, START_NS) == "stamp_zero"
    assert stream.counts == {"received": 2, "used": 0, "stamp_zero": 2}


def test_a_stamp_more_than_a_second_ahead_is_refused() -> None:
    stream = _stream()
    assert _hear(stream, 0, START_NS + NS_PER_S + 1, START_NS) == "stamp_future"
    assert _hear(stream, 1, START_NS + NS_PER_S, START_NS) == ""


def test_a_clock_set_back_starts_the_buffer_anew() -> None:
    # seq      0         1         2         3     4
    # stamp    0        10        20        30     then -170
    stream = _stream()
    following_ns = _hear_row(stream, 4)
    assert _hear(stream, 4, following_ns - 200 * NS_PER_MS, following_ns) == "clock_step"
    assert _held(stream) == [4]
    assert [what.seq for what in stream.dropped if isinstance(what, SampleRef)] == [0, 1, 2, 3]
    assert stream.promised_ns == -NEVER_NS
    assert _hear(stream, 5, following_ns - 190 * NS_PER_MS, following_ns + PERIOD_NS) == ""


def test_a_small_step_back_heals_by_itself_as_disorder() -> None:
    stream = _stream()
    following_ns = _hear_row(stream, 4)
    assert _hear(stream, 4, following_ns - 25 * NS_PER_MS, following_ns) == "stamp_disorder"
    assert _hear(stream, 5, following_ns - 15 * NS_PER_MS, following_ns) == "stamp_disorder"
    assert _hear(stream, 6, following_ns - 5 * NS_PER_MS, following_ns) == ""


def test_a_long_overtaken_message_is_no_clock_step() -> None:
    stream = _stream()
    for seq in range(60):
        if seq != 10:
            _hear(stream, seq, START_NS + seq * PERIOD_NS)
    assert _hear(stream, 10, START_NS + 10 * PERIOD_NS) == "stamp_disorder"


def test_a_source_that_lives_anew_on_the_same_clock_is_noted_and_goes_on() -> None:
    stream = _stream()
    following_ns = _hear_row(stream, 4)
    assert _hear(stream, 0, following_ns, life=2) == "restarted"
    assert _hear(stream, 1, following_ns + PERIOD_NS, life=2) == ""
    assert len(_held(stream)) == 6


def test_a_source_that_lives_anew_on_an_earlier_clock_starts_the_buffer_anew() -> None:
    stream = _stream()
    following_ns = _hear_row(stream, 4)
    assert _hear(stream, 0, START_NS + PERIOD_NS, following_ns, life=2) == "clock_step"
    assert len(_held(stream)) == 1


def test_a_last_message_of_the_former_life_does_not_undo_the_new_one() -> None:
    stream = _stream()
    following_ns = _hear_row(stream, 4)
    _hear(stream, 0, following_ns + PERIOD_NS, life=2)
    assert _hear(stream, 4, following_ns, life=1) == "stamp_disorder"
    assert _hear(stream, 1, following_ns + 2 * PERIOD_NS, life=2) == ""
    assert len(_held(stream)) == 7


# -- bounds


def test_the_buffer_is_bounded_in_time() -> None:
    stream = _stream(history_ns=50 * NS_PER_MS)
    for seq in range(20):
        _hear(stream, seq, START_NS + seq * PERIOD_NS)
        while stream.overfull():
            stream.release_oldest()
    assert _held(stream) == [14, 15, 16, 17, 18, 19]
    assert stream.counts["evicted"] == 14


def test_the_buffer_is_bounded_in_bytes() -> None:
    stream = _stream(history_bytes=3000)
    for seq in range(20):
        _hear(stream, seq, START_NS + seq * PERIOD_NS)
        while stream.overfull():
            stream.release_oldest()
    assert _held(stream) == [17, 18, 19]


def test_an_alignment_that_looks_far_back_widens_the_bound_in_time() -> None:
    plan = InputPlan("audio", "m/audio", AlignPlan("window"), history_ns=50 * NS_PER_MS)
    stream = Stream(plan, reach_ns=NS_PER_S)
    _hear(stream, 0, START_NS)
    _hear(stream, 1, START_NS + NS_PER_S)
    assert not stream.overfull()
    _hear(stream, 2, START_NS + NS_PER_S + 51 * NS_PER_MS)
    assert stream.overfull()


def test_bare_stamps_are_remembered_for_a_while_and_bounded_too() -> None:
    stream = _stream()
    for seq in range(5000):
        _hear(stream, seq, START_NS + seq * PERIOD_NS)
        stream.release_before(START_NS + (seq - 1) * PERIOD_NS)
    assert len(_held(stream)) <= 3
    assert 100 < len(stream.ats) < 1000
    assert len(stream.ats) == len(stream.arrivals) == len(stream.samples) == len(stream.runs)


def test_release_keeps_what_ends_after_the_horizon() -> None:
    #                            h
    stream = stream_of("x....x....x....x", span_ns=5 * NS_PER_MS)
    (horizon_ns,) = drawn("..........h", "h")
    freed = stream.release_before(horizon_ns)
    assert [what.seq for what in freed if isinstance(what, SampleRef)] == [0, 1]
    assert _held(stream) == [2, 3]


# -- what can still follow


def test_nothing_is_known_of_what_follows_before_anything_was_heard() -> None:
    assert _stream().next_at_ns() == -NEVER_NS


def test_the_learned_bound_is_the_shortest_interval_less_some() -> None:
    # Intervals 10, 10, 8, 10: the shortest is 8, and 2 off the median; less a quarter of that.
    stream = stream_of("x.........x.........x.......x.........x")
    assert stream.next_at_ns() - stream.ats[-1] == 7_500_000


def test_a_dropped_message_does_not_loosen_the_bound() -> None:
    stream = stream_of("x.........x.........x...................x.........x")
    assert stream.next_at_ns() - stream.ats[-1] == PERIOD_NS


def test_what_comes_in_time_lies_between_the_bounds() -> None:
    # Heard as soon as stamped: by 50 nothing can come that is stamped later than 50.
    stream = stream_of("x.........x.........x.........x")
    assert stream.coming(START_NS + 50 * NS_PER_MS) == (
        START_NS + 40 * NS_PER_MS,
        START_NS + 50 * NS_PER_MS,
    )
    assert stream.coming(NEVER_NS) == (START_NS + 40 * NS_PER_MS, NEVER_NS)


def test_nothing_comes_from_a_silent_input_at_any_time() -> None:
    stream = stream_of("x.........x.........x")
    stream.hear("hush")
    first_ns, last_ns = stream.coming(NEVER_NS)
    assert first_ns > last_ns


def test_a_rhythm_that_quickens_is_learned_at_once() -> None:
    stream = stream_of("x.........x.........x.........x...x")
    assert stream.next_at_ns() - stream.ats[-1] < 4 * NS_PER_MS


def test_a_way_that_shortens_is_learned_at_once() -> None:
    stream = _stream()
    for seq in range(5):
        stamp_ns = START_NS + seq * PERIOD_NS
        _hear(stream, seq, stamp_ns, stamp_ns + 200 * NS_PER_MS)
    assert stream.coming(START_NS + 250 * NS_PER_MS)[1] == START_NS + 50 * NS_PER_MS
    quick_ns = START_NS + 210 * NS_PER_MS
    _hear(stream, 21, quick_ns, quick_ns + 5 * NS_PER_MS)
    assert stream.coming(START_NS + 250 * NS_PER_MS)[1] > START_NS + 245 * NS_PER_MS


def test_a_promise_never_goes_back() -> None:
    stream = stream_of("x")
    stream.promise(START_NS + 50)
    stream.promise(START_NS + 20)
    assert stream.promised_ns == START_NS + 50


def test_nothing_follows_from_a_silent_input() -> None:
    stream = stream_of("x.........x")
    stream.hear("hush")
    assert stream.state is Listening.SILENT
    assert stream.next_at_ns() == NEVER_NS


# -- silence


def test_an_input_is_silent_after_three_periods_and_its_jitter() -> None:
    stream = _stream()
    stream.hear("heard")
    _hear_row(stream, 5, period_ns=100 * NS_PER_MS)
    assert stream.silent_at_ns(0) == START_NS + 400 * NS_PER_MS + 300 * NS_PER_MS


@pytest.mark.parametrize(
    ("usable_ms", "limit_ms"), [(500, 300), (96.25, 290), (26.25, 220), (-5, 200)]
)
def test_a_trigger_input_is_silent_while_its_second_missed_instant_can_be_answered(
    usable_ms: float, limit_ms: int
) -> None:
    # What came took no time to arrive; an instant that takes longer than usable_ms is lost.
    stream = _stream()
    stream.least_silence_ns = TRIGGER_SILENCE_NS
    stream.hear("heard")
    _hear_row(stream, 5, period_ns=100 * NS_PER_MS)
    stream.usable_ns = round(usable_ms * NS_PER_MS)
    assert stream.silent_at_ns(0) == stream.heard_ns + limit_ms * NS_PER_MS


def test_a_fast_input_is_given_a_quarter_of_a_second() -> None:
    stream = _stream()
    stream.hear("heard")
    following_ns = _hear_row(stream, 5)
    assert stream.silent_at_ns(0) == following_ns - PERIOD_NS + 250 * NS_PER_MS


def test_the_limit_of_silence_can_be_set_by_hand() -> None:
    stream = _stream(silent_after_ns=30 * NS_PER_MS)
    stream.hear("heard")
    following_ns = _hear_row(stream, 5)
    assert stream.silent_at_ns(0) == following_ns + 20 * NS_PER_MS


def test_an_input_never_heard_is_given_a_second_from_the_start() -> None:
    assert _stream().silent_at_ns(START_NS) == START_NS + NS_PER_S
