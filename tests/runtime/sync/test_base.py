"""An alignment asked about an interval of trigger times. One column is 1 ms."""

from hypothesis import given
from hypothesis import strategies as st

from tectum.clock import NS_PER_MS
from tectum.sync.base import Pick, final_over
from tectum.sync.nearest import Nearest
from tectum.sync.window import Window
from tectum.testing.arrivals import START_NS, drawn, stream_of

WIDE = Nearest(20 * NS_PER_MS, 20 * NS_PER_MS)


def test_one_sample_may_be_best_and_final_for_a_whole_interval() -> None:
    #                  x.........x.........x
    #                                [  ]       nearest to the last for all of it
    stream = stream_of("x.........x.........x")
    lo_ns, hi_ns = drawn("................[...]", "[") + drawn("................[...]", "]")
    assert final_over(WIDE, stream, lo_ns, hi_ns)


def test_an_interval_whose_ends_have_different_picks_is_not_final() -> None:
    stream = stream_of("x.........x.........x")
    lo_ns, hi_ns = drawn(".............[.....]", "[") + drawn(".............[.....]", "]")
    assert not final_over(WIDE, stream, lo_ns, hi_ns)


def test_an_interval_that_reaches_beyond_the_bound_is_not_final() -> None:
    stream = stream_of("x.........x.........x")
    lo_ns, hi_ns = START_NS + 21 * NS_PER_MS, START_NS + 26 * NS_PER_MS
    assert not final_over(WIDE, stream, lo_ns, hi_ns)


@given(
    st.lists(st.integers(1, 40), min_size=4, max_size=12), st.integers(0, 200), st.integers(0, 60)
)
def test_what_is_final_over_an_interval_is_best_at_every_instant_of_it(
    gaps: list[int], lo_ms: int, length_ms: int
) -> None:
    stream = stream_of("".join("x" + "." * (gap - 1) for gap in gaps) + "x")
    lo_ns, hi_ns = START_NS + lo_ms * NS_PER_MS, START_NS + (lo_ms + length_ms) * NS_PER_MS
    for alignment in (WIDE, Nearest(5 * NS_PER_MS, 0), Window(7 * NS_PER_MS, 0, 1)):
        if not final_over(alignment, stream, lo_ns, hi_ns):
            continue
        at_lo = alignment.best(stream, lo_ns)
        assert isinstance(at_lo, Pick)
        for t_ns in range(lo_ns, hi_ns + 1, NS_PER_MS):
            best = alignment.best(stream, t_ns)
            assert isinstance(best, Pick)
            assert best.refs == at_lo.refs
