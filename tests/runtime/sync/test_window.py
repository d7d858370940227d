"""`window`: what it covers, how audio is cut, when it is final. One column is 1 ms."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tectum.clock import NS_PER_MS
from tectum.message import Sample, SampleRef
from tectum.pipeline.plan import AlignPlan, InputPlan
from tectum.sync.base import Pick, Refusal
from tectum.sync.stream import Stream
from tectum.sync.window import Window
from tectum.testing.arrivals import START_NS, drawn, stream_of

RATE_HZ = 16_000
CHUNK = 320
CHUNK_NS = 20 * NS_PER_MS


def _audio(chunks: list[int], life: int = 1) -> Stream:
    """Return a stream that has heard these 20 ms chunks of a 16 kHz source."""
    stream = Stream(InputPlan("audio", "m/audio", AlignPlan("window")))
    stream.hear("heard")
    _hear(stream, chunks, life)
    return stream


def _hear(stream: Stream, chunks: list[int], life: int = 1, first_chunk: int = 0) -> None:
    for index in chunks:
        stamp_ns = START_NS + index * CHUNK_NS
        first = (index - first_chunk) * CHUNK
        sample = Sample(
            SampleRef("audio", life, index),
            stamp_ns,
            CHUNK_NS,
            first=first,
            count=CHUNK,
            rate_hz=RATE_HZ,
        )
        stream.add(stamp_ns + CHUNK_NS, sample)


def _pick(window: Window, stream: Stream, t_ns: int) -> Pick:
    best = window.best(stream, t_ns)
    assert isinstance(best, Pick), best
    return best


def test_a_window_takes_every_capture_that_overlaps_it() -> None:
    #                                  [         )   the window: 10 ms before the trigger
    stream = stream_of("x....x....x....x....x....", span_ns=5 * NS_PER_MS)
    (t_ns,) = drawn("..................t", "t")
    best = _pick(Window(10 * NS_PER_MS), stream, t_ns)
    assert [ref.seq for ref in best.refs] == [1, 2, 3]
    assert best.distance_ns == 0


def test_a_lead_moves_the_windows_end_after_the_trigger() -> None:
    stream = stream_of("x....x....x....x....x....", span_ns=5 * NS_PER_MS)
    (t_ns,) = drawn("..........t", "t")
    best = _pick(Window(10 * NS_PER_MS, lead_ns=5 * NS_PER_MS), stream, t_ns)
    assert [ref.seq for ref in best.refs] == [1, 2]


def test_audio_is_cut_to_the_sample_and_always_has_the_same_length() -> None:
    stream = _audio(list(range(10)))
    window = Window(60 * NS_PER_MS)
    for offset_us in (0, 1, 31, 62, 63, 9_999):
        best = _pick(window, stream, START_NS + 100 * NS_PER_MS + offset_us * 1_000)
        assert best.length == 960
        assert best.begin == round((40_000 + offset_us) * RATE_HZ / 1e6)


def test_missing_chunks_are_a_marked_gap_while_enough_is_covered() -> None:
    stream = _audio([0, 1, 2, 4, 5])
    t_ns = START_NS + 6 * CHUNK_NS
    best = _pick(Window(100 * NS_PER_MS, coverage_permille=800), stream, t_ns)
    assert [ref.seq for ref in best.refs] == [1, 2, 4, 5]
    assert (best.begin, best.length) == (CHUNK, 5 * CHUNK)
    assert best.distance_ns == -CHUNK_NS


def test_too_many_gaps_are_refused_with_what_is_lacking_and_allowed() -> None:
    stream = _audio([0, 1, 4, 5])
    t_ns = START_NS + 6 * CHUNK_NS
    refusal = Window(100 * NS_PER_MS, coverage_permille=800).best(stream, t_ns)
    assert refusal == Refusal("gaps", 5, -2 * CHUNK_NS, CHUNK_NS)


def test_an_empty_window_is_absent() -> None:
    assert Window(NS_PER_MS).best(stream_of(""), START_NS) == Refusal("absent")


def test_a_window_is_final_once_the_stream_was_heard_to_its_end() -> None:
    # Chunks 0 to 4 were heard: nothing earlier than chunk 5 can follow.
    stream = _audio([0, 1, 2, 3, 4])
    window = Window(40 * NS_PER_MS)
    assert window.final(stream, START_NS + 5 * CHUNK_NS)
    assert not window.final(stream, START_NS + 5 * CHUNK_NS + 1)


def test_a_restarted_source_is_not_mixed_with_its_earlier_life() -> None:
    stream = _audio([0, 1, 2, 3])
    _hear(stream, [4, 5], life=2, first_chunk=4)
    t_ns = START_NS + 6 * CHUNK_NS
    best = _pick(Window(80 * NS_PER_MS, coverage_permille=400), stream, t_ns)
    assert {ref.incarnation for ref in best.refs} == {2}
    assert (best.begin, best.length) == (-2 * CHUNK, 4 * CHUNK)


def test_the_earlier_life_of_a_restarted_source_does_not_count_as_covered() -> None:
    stream = _audio([0, 1, 2, 3])
    _hear(stream, [4, 5], life=2, first_chunk=4)
    t_ns = START_NS + 6 * CHUNK_NS
    refusal = Window(80 * NS_PER_MS, coverage_permille=900).best(stream, t_ns)
    assert refusal == Refusal("gaps", 5, -2 * CHUNK_NS, 8 * NS_PER_MS)


@given(
    st.integers(0, 40 * NS_PER_MS),
    st.sampled_from([8_000, 16_000, 44_100, 48_000]),
    st.integers(1, 200),
)
@example(late=0, rate_hz=44_100, ms=185)  # both the begin and the length end on half a sample
def test_a_cut_is_within_half_a_sample_of_its_window(late: int, rate_hz: int, ms: int) -> None:
    count = rate_hz // 50
    stream = Stream(InputPlan("audio", "m/audio", AlignPlan("window")))
    for index in range(20):
        stamp_ns = START_NS + index * count * 1_000_000_000 // rate_hz
        ref = SampleRef("audio", 1, index)
        span_ns = count * 1_000_000_000 // rate_hz
        sample = Sample(ref, stamp_ns, span_ns, 0, 0, index * count, count, rate_hz)
        stream.add(stamp_ns + span_ns, sample)
    t_ns = START_NS + 300 * NS_PER_MS + late
    best = _pick(Window(ms * NS_PER_MS), stream, t_ns)
    sought = (t_ns - ms * NS_PER_MS - START_NS) * rate_hz / 1e9
    assert abs(best.begin - sought) <= 0.51
    assert abs(best.length - ms * rate_hz / 1e3) <= 0.51


def test_consecutive_windows_of_one_rate_tile_the_timeline() -> None:
    stream = _audio(list(range(50)))
    window = Window(40 * NS_PER_MS)
    cuts = [_pick(window, stream, START_NS + (k + 1) * 40 * NS_PER_MS) for k in range(20)]
    assert all(a.begin + a.length == b.begin for a, b in pairwise(cuts))


@pytest.mark.parametrize("coverage", [1, 500, 1000])
def test_a_whole_window_is_accepted_at_any_coverage(coverage: int) -> None:
    stream = _audio(list(range(10)))
    best = _pick(Window(100 * NS_PER_MS, 0, coverage), stream, START_NS + 10 * CHUNK_NS)
    assert best.distance_ns == 0
