from __future__ import annotations

from tectum.inference.measure import THROWN_AWAY, Latency, measure, no_faster
from tectum.testing import FakeClock


class _Slowing:
    """A stage whose runs take 1, 2, 3 ... ms on the fake clock."""

    name = "encoder"

    def __init__(self, clock: FakeClock) -> None:
        self.clock, self.runs = clock, 0

    def warm_up(self, variant: str) -> None:
        assert variant == "fp32"
        self.runs += 1
        self.clock.advance(self.runs * 1_000_000)


def test_runs_are_timed_after_the_first_ones_are_thrown_away() -> None:
    clock = FakeClock()
    latency = measure(_Slowing(clock), "fp32", clock, repeats=5)
    first = THROWN_AWAY + 1
    assert latency.runs_ns == tuple(n * 1_000_000 for n in range(first, first + 5))
    assert latency.median_ms == first + 2


def test_quantiles_are_of_the_sorted_runs() -> None:
    latency = Latency("x", "fp32", (1, 2, 3, 4))
    assert [latency.quantile_ns(share) for share in (0.0, 0.5, 0.99, 1.0)] == [1, 3, 4, 4]


def test_variants_that_save_no_time_are_named_with_the_one_before() -> None:
    latencies = [Latency("x", name, (cost,)) for name, cost in (("a", 5), ("b", 5), ("c", 2))]
    assert no_faster(latencies) == [("b", "a")]
    assert no_faster(latencies[:1]) == []
