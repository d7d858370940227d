"""`interpolate`: which two samples, how far between them, when it is final. One column is 1 ms."""

from hypothesis import given
from hypothesis import strategies as st

from tectum.clock import NS_PER_MS
from tectum.sync.base import Pick, Refusal, final_over
from tectum.sync.interpolate import Interpolate
from tectum.testing.arrivals import START_NS, drawn, stream_of

RULE = Interpolate(15 * NS_PER_MS, 15 * NS_PER_MS)


def _at(line: str) -> int:
    return drawn(line, "t")[0]


def test_the_samples_on_either_side_are_picked_with_the_way_between_them() -> None:
    stream = stream_of("x.........x.........x")
    best = RULE.best(stream, _at("............t"))
    assert isinstance(best, Pick)
    assert [ref.seq for ref in best.refs] == [1, 2]
    assert (best.weight_ppm, best.distance_ns) == (200_000, 0)


def test_a_sample_at_the_very_instant_is_taken_alone() -> None:
    best = RULE.best(stream_of("x.........x.........x"), _at("..........t"))
    assert isinstance(best, Pick)
    assert ([ref.seq for ref in best.refs], best.weight_ppm) == ([1], -1)


def test_a_side_that_is_too_far_away_is_named() -> None:
    stream = stream_of("x..............................x")
    assert RULE.best(stream, _at("....................t")) == Refusal(
        "out_of_tolerance", 0, -20 * NS_PER_MS, 15 * NS_PER_MS
    )
    assert RULE.best(stream, _at("...........t")) == Refusal(
        "out_of_tolerance", 1, 20 * NS_PER_MS, 15 * NS_PER_MS
    )


def test_nothing_is_extrapolated() -> None:
    stream = stream_of("..x.........x..")
    assert RULE.best(stream, _at(".............t")) == Refusal("absent")
    assert RULE.best(stream, _at(".t")) == Refusal("absent")


def test_it_is_final_once_the_side_after_has_come() -> None:
    stream = stream_of("x.........x.........x")
    assert RULE.final(stream, _at(".............t"))
    assert not RULE.final(stream, _at("......................t"))


def test_it_is_final_when_the_side_after_cannot_come_in_reach() -> None:
    # The next is expected at 30: the trigger at 21 reaches 5 ms.
    stream = stream_of("x.........x.........x")
    assert Interpolate(15 * NS_PER_MS, 5 * NS_PER_MS).final(
        stream, _at("....................." + "t")
    )


def test_it_is_final_when_the_side_before_is_missing_for_good() -> None:
    stream = stream_of("x.........x.........x")
    assert Interpolate(2 * NS_PER_MS, 50 * NS_PER_MS).final(stream, _at("." * 25 + "t"))


def test_a_silent_input_is_not_waited_for() -> None:
    stream = stream_of("x.........x.........x")
    stream.hear("hush")
    assert RULE.final(stream, _at("." * 25 + "t"))


def test_an_interval_of_triggers_has_no_one_answer() -> None:
    stream = stream_of("x.........x.........x")
    assert not final_over(RULE, stream, START_NS + 12 * NS_PER_MS, START_NS + 14 * NS_PER_MS)
    assert final_over(RULE, stream, START_NS + 12 * NS_PER_MS, START_NS + 12 * NS_PER_MS)


@given(st.lists(st.integers(1, 30), min_size=2, max_size=20), st.integers(0, 400))
def test_the_pick_is_the_narrowest_bracket_within_reach(gaps: list[int], at_ms: int) -> None:
    stream = stream_of("".join("x" + "." * (gap - 1) for gap in gaps) + "x")
    t_ns = START_NS + at_ms * NS_PER_MS
    best = RULE.best(stream, t_ns)
    before = [at for at in stream.ats if t_ns - RULE.before_ns <= at <= t_ns]
    after = [at for at in stream.ats if t_ns <= at <= t_ns + RULE.after_ns]
    if isinstance(best, Refusal):
        assert not before or not after
        return
    lo, hi = max(before), min(after)
    assert best.refs[0] == stream.samples[stream.ats.index(lo)].ref
    assert best.refs[-1] == stream.samples[stream.ats.index(hi)].ref
    if lo != hi:
        assert 0 < best.weight_ppm < 1_000_000
        assert abs(lo + (hi - lo) * best.weight_ppm / 1e6 - t_ns) <= (hi - lo) / 1e6 + 1
