"""How instants, durations, counts and lists are said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tectum.ledger.words import (
    clock_words,
    counted,
    duration_words,
    listed,
    percent,
    setting,
    setting_ns,
    span_words,
)
from tectum.units import parse_duration_ns


@pytest.mark.parametrize(
    ("duration_ns", "words"),
    [
        (47_300_000, "47.3 ms"),
        (40_000_000, "40 ms"),
        (1_500_000_000, "1.5 s"),
        (2_000_000_000, "2 s"),
        (350_000, "350 us"),
        (100_000_000, "100 ms"),
        (0, "0 us"),
        (-12_000_000, "-12 ms"),
    ],
)
def test_a_duration_is_said_without_needless_zeros(duration_ns: int, words: str) -> None:
    assert duration_words(duration_ns) == words


@given(st.integers(min_value=1, max_value=10**12))
def test_a_setting_can_be_read_back_and_is_at_least_what_was_asked(duration_ns: int) -> None:
    assert parse_duration_ns(setting(duration_ns)) == setting_ns(duration_ns)
    assert 0 <= setting_ns(duration_ns) - duration_ns < 1_000_000


def test_an_instant_is_the_time_of_day_in_utc() -> None:
    assert clock_words(1_782_216_190_200_999_999) == "12:03:10.200"


def test_a_stretch_of_one_instant_is_said_as_one() -> None:
    assert span_words(0, 0) == "at 00:00:00.000"
    assert span_words(0, 61_000_000_000) == "from 00:00:00.000 to 00:01:01.000"


def test_one_is_singular() -> None:
    assert counted(1, "trigger") == "1 trigger"
    assert counted(39, "trigger") == "39 triggers"


@pytest.mark.parametrize(
    ("share", "words"),
    [(1.0, "100 %"), (0.999, "over 99 %"), (0.98, "98 %"), (0.001, "under 1 %"), (0.0, "0 %")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, words: str) -> None:
    assert percent(share) == words


def test_a_list_is_said_as_a_person_would() -> None:
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(["a", "b", "c"], "or") == "a, b or c"
