"""`nearest`: which sample, when it is final, and what a refusal says. One column is 1 ms."""

from tectum.clock import NS_PER_MS
from tectum.message import Sample, SampleRef
from tectum.sync.base import Pick, Refusal
from tectum.sync.exact import Exact
from tectum.sync.nearest import Nearest
from tectum.sync.stream import Stream
from tectum.testing.arrivals import drawn, stream_of


def _pick(alignment: Nearest, stream: Stream, t_ns: int) -> Pick:
    best = alignment.best(stream, t_ns)
    assert isinstance(best, Pick), best
    return best


def _refusal(alignment: Nearest, stream: Stream, t_ns: int) -> Refusal:
    best = alignment.best(stream, t_ns)
    assert isinstance(best, Refusal), best
    return best


def test_the_nearest_sample_is_picked_on_either_side() -> None:
    stream = stream_of("..x.......x.......x")
    (early,) = drawn("....t..............", "t")
    (late,) = drawn("........t..........", "t")
    both_ways = Nearest(20 * NS_PER_MS, 20 * NS_PER_MS)
    assert _pick(both_ways, stream, early).distance_ns == -2 * NS_PER_MS
    assert _pick(both_ways, stream, late).distance_ns == 2 * NS_PER_MS


def test_of_two_equally_near_samples_the_earlier_is_picked() -> None:
    stream = stream_of("..x...x")
    (t_ns,) = drawn("....t..", "t")
    best = _pick(Nearest(9 * NS_PER_MS, 9 * NS_PER_MS), stream, t_ns)
    assert best.distance_ns == -2 * NS_PER_MS


def test_tolerances_before_and_after_are_kept_apart() -> None:
    stream = stream_of("x......x..")
    (t_ns,) = drawn(".....t....", "t")
    only_before = Nearest(before_ns=6 * NS_PER_MS, after_ns=0)
    assert _pick(only_before, stream, t_ns).distance_ns == -5 * NS_PER_MS
    assert _pick(Nearest(0, 3 * NS_PER_MS), stream, t_ns).distance_ns == 2 * NS_PER_MS


def test_a_refusal_names_the_best_candidate_and_the_tolerance_it_missed() -> None:
    stream = stream_of("x.........x")
    (t_ns,) = drawn("....t......", "t")
    refusal = _refusal(Nearest(3 * NS_PER_MS, 2 * NS_PER_MS), stream, t_ns)
    assert refusal == Refusal("out_of_tolerance", 0, -4 * NS_PER_MS, 3 * NS_PER_MS)


def test_a_refusal_without_any_candidate_is_absent() -> None:
    stream = stream_of("")
    assert _refusal(Nearest(3, 3), stream, 0) == Refusal("absent")


def test_a_freed_sample_is_no_pick_but_still_the_named_candidate() -> None:
    stream = stream_of("x.........x")
    (t_ns,) = drawn("..t........", "t")
    stream.release_before(drawn(".....h", "h")[0])
    refusal = _refusal(Nearest(5 * NS_PER_MS, 5 * NS_PER_MS), stream, t_ns)
    assert (refusal.seq, refusal.distance_ns) == (0, -2 * NS_PER_MS)


def test_a_match_is_final_once_no_later_sample_can_be_nearer() -> None:
    # Period 10 ms, so nothing follows before 40: the sample at 30 is final for all until 35.
    #          0         1         2         3
    stream = stream_of("x.........x.........x.........x")
    near, middle, far = (
        drawn("...............................n....m....f", mark)[0] for mark in "nmf"
    )
    alignment = Nearest(20 * NS_PER_MS, 20 * NS_PER_MS)
    assert alignment.final(stream, near - NS_PER_MS)
    assert alignment.final(stream, drawn("...................................t", "t")[0])
    assert not alignment.final(stream, middle)
    assert not alignment.final(stream, far)


def test_a_hand_set_rhythm_is_the_bound_instead_of_the_learned_one() -> None:
    period = {"period_ns": 10 * NS_PER_MS, "jitter_ns": 2 * NS_PER_MS}
    stream = stream_of("x.........x.........x.........x", **period)
    alignment = Nearest(20 * NS_PER_MS, 20 * NS_PER_MS)
    (t_ns,) = drawn("..................................t", "t")
    assert stream.next_at_ns() == drawn("......................................x")[0]
    assert alignment.final(stream, t_ns)
    assert not alignment.final(stream, t_ns + NS_PER_MS)


def test_a_promise_makes_a_match_final_without_a_rhythm() -> None:
    stream = stream_of("..x")
    (t_ns,) = drawn("......t", "t")
    alignment = Nearest(20 * NS_PER_MS, 20 * NS_PER_MS)
    assert not alignment.final(stream, t_ns)
    stream.promise(drawn("..........x")[0])
    assert alignment.final(stream, t_ns)


def test_what_is_out_of_reach_after_the_trigger_is_not_waited_for() -> None:
    # The next sample is expected at 20; the trigger at 5 accepts 5 ms after it at the most.
    stream = stream_of("x.........x", period_ns=10 * NS_PER_MS, jitter_ns=1)
    (t_ns,) = drawn(".....t", "t")
    assert Nearest(0, 5 * NS_PER_MS).final(stream, t_ns)
    stream = stream_of("x", period_ns=10 * NS_PER_MS, jitter_ns=1)
    assert Nearest(0, 4 * NS_PER_MS).final(stream, t_ns)
    assert not Nearest(0, 5 * NS_PER_MS).final(stream, t_ns)


def test_an_input_from_which_nothing_is_expected_is_final_at_once() -> None:
    stream = stream_of("x.........x")
    stream.hear("ended")
    assert Nearest(5 * NS_PER_MS, 500 * NS_PER_MS).final(stream, drawn("............t", "t")[0])


def test_candidates_within_their_errors_are_told_to_be_ambiguous() -> None:
    stream = stream_of("")
    (first, second) = drawn("..x....x")
    (t_ns,) = drawn("....t...", "t")
    stream.add(first, Sample(SampleRef("drawn", 1, 0), first, error_ns=NS_PER_MS))
    stream.add(second, Sample(SampleRef("drawn", 1, 1), second, error_ns=NS_PER_MS // 2))
    alignment = Nearest(9 * NS_PER_MS, 9 * NS_PER_MS)
    assert _pick(alignment, stream, t_ns).ambiguous
    assert not _pick(alignment, stream, t_ns - NS_PER_MS).ambiguous


def test_with_a_deadline_what_could_not_be_told_to_be_nearer_is_not_waited_for() -> None:
    #              x.........x......t..(x)   in hand 7 ms before, the next expected 3 ms after
    def stream_with(error_ns: int) -> Stream:
        stream = stream_of("", period_ns=10 * NS_PER_MS, jitter_ns=1)
        for seq, at_ns in enumerate(drawn("x.........x")):
            stream.hear("heard")
            stream.add(at_ns, Sample(SampleRef("drawn", 1, seq), at_ns, error_ns=error_ns))
        return stream

    wide = Nearest(50 * NS_PER_MS, 50 * NS_PER_MS)
    (t_ns,) = drawn(".................t", "t")
    now_ns = t_ns + NS_PER_MS
    sure, unsure = stream_with(0), stream_with(3 * NS_PER_MS)
    assert not wide.final(sure, t_ns, now_ns=now_ns)  # 3 ms off: nearer than 7 ms by 4 ms
    assert wide.final(unsure, t_ns, now_ns=now_ns)  # which two stamps off by 3 ms do not tell
    assert not wide.final(unsure, t_ns)  # without a deadline the best is worth the wait


def test_the_offset_of_a_sensor_is_taken_off_its_stamps() -> None:
    stream = stream_of("......x", offset_ns=2 * NS_PER_MS)
    assert stream.ats == drawn("....x")


def test_exact_accepts_the_equal_stamp_only_and_is_final_once_it_is_passed() -> None:
    stream = stream_of("..x......x")
    exact = Exact()
    at_ns, later_ns = drawn("..x..x")
    assert _pick(exact, stream, at_ns).distance_ns == 0
    assert isinstance(exact.best(stream, later_ns), Refusal)
    assert exact.final(stream, at_ns)
    assert exact.final(stream, later_ns)
    assert not exact.final(stream, drawn("............t", "t")[0])
