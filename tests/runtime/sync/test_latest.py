"""`latest`: the newest sample not after the trigger, never waited for. One column is 1 ms."""

from tectum.clock import NS_PER_MS
from tectum.sync.base import Pick, Refusal
from tectum.sync.latest import Latest
from tectum.testing.arrivals import drawn, stream_of


def test_the_newest_sample_until_the_trigger_is_picked() -> None:
    stream = stream_of("x....x....x")
    (t_ns,) = drawn("........t", "t")
    best = Latest(10 * NS_PER_MS).best(stream, t_ns)
    assert isinstance(best, Pick)
    assert best.distance_ns == -3 * NS_PER_MS


def test_a_sample_at_the_very_instant_counts() -> None:
    stream = stream_of("x....x")
    best = Latest(0).best(stream, drawn(".....t", "t")[0])
    assert isinstance(best, Pick)
    assert best.distance_ns == 0


def test_too_old_says_how_old() -> None:
    stream = stream_of("x")
    best = Latest(3 * NS_PER_MS).best(stream, drawn(".....t", "t")[0])
    assert best == Refusal("too_old", 0, -5 * NS_PER_MS, 3 * NS_PER_MS)


def test_a_sample_after_the_trigger_is_no_candidate() -> None:
    stream = stream_of(".....x")
    assert Latest(3 * NS_PER_MS).best(stream, drawn("..t", "t")[0]) == Refusal("absent")


def test_it_is_always_final() -> None:
    assert Latest(1).final(stream_of(""), 0)
