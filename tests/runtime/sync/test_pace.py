"""The pace that a source kept, and the instants that follow from it."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tectum.clock import NS_PER_MS as MS
from tectum.sync.pace import pace_of
from tectum.testing.arrivals import START_NS

PERIOD_NS = 100 * MS


def stamps(
    count: int, jitter_ms: float = 5, period_ns: int = PERIOD_NS, seed: int = 1
) -> list[int]:
    rng = random.Random(seed)
    jitter_ns = int(jitter_ms * MS)
    return [START_NS + n * period_ns + rng.randint(-jitter_ns, jitter_ns) for n in range(count)]


@pytest.mark.parametrize("seed", range(8))
def test_instants_keep_the_phase_of_a_jittery_source_for_minutes(seed: int) -> None:
    pace = pace_of(stamps(512, seed=seed))
    assert pace is not None
    in_two_minutes_ns = pace.after_ns(START_NS + 1710 * PERIOD_NS)
    assert abs(in_two_minutes_ns - (START_NS + 1711 * PERIOD_NS)) < 5 * MS


def test_lost_messages_are_counted_in() -> None:
    heard = [stamp for n, stamp in enumerate(stamps(300)) if n % 7 and not 100 <= n < 104]
    pace = pace_of(heard)
    assert pace is not None
    assert abs(pace.period_ns - PERIOD_NS) < MS // 20


def test_without_jitter_it_is_exact() -> None:
    pace = pace_of(stamps(100, jitter_ms=0, period_ns=33_333_333))
    assert pace is not None
    assert pace.period_ns == 33_333_333
    assert pace.after_ns(START_NS + 99 * 33_333_333) == START_NS + 100 * 33_333_333


def test_what_was_another_pace_before_does_not_count() -> None:
    slow = stamps(300)
    fast = [slow[-1] + (n + 1) * 60 * MS for n in range(80)]
    pace = pace_of([*slow, *fast])
    assert pace is not None
    assert pace.period_ns == 60 * MS


def test_too_few_stamps_or_stamps_without_a_pace_keep_none() -> None:
    assert pace_of([]) is None
    assert pace_of(stamps(7)) is None
    rng = random.Random(4)
    assert pace_of(sorted(START_NS + rng.randrange(10_000 * MS) for _ in range(64))) is None


@given(
    st.integers(8, 400),
    st.integers(MS, 5_000 * MS),
    st.floats(0, 0.04),
    st.integers(0, 1 << 16),
    st.integers(-1000, 1000),
)
def test_the_next_instant_is_half_a_period_to_one_and_a_half_away(
    count: int, period_ns: int, jitter: float, seed: int, since_permille: int
) -> None:
    heard = stamps(count, jitter * period_ns / MS, period_ns, seed)
    pace = pace_of(heard)
    assert pace is not None
    since_ns = heard[-1] + period_ns * since_permille // 1000
    step_ns = pace.after_ns(since_ns) - since_ns
    assert pace.period_ns // 2 - 1 <= step_ns <= 3 * pace.period_ns // 2 + 1
