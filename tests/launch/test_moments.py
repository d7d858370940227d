"""Moments as people name them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tectum.errors import ConfigError
from tectum.ledger.words import clock_words
from tectum_launch.moments import parse_moment_ns

NOON_NS = 1_782_216_190_000_000_000
"""12:03:10 of a day in UTC."""
MS = 1_000_000


@pytest.mark.parametrize(
    ("text", "after_ms"),
    [
        ("12:03:10.2", 200),
        ("12:03:14", 4_000),
        ("12:04", 50_000),
        ("4.5s", 4_500),
        ("350ms", 350),
        (str(NOON_NS + 7 * MS), 7),
    ],
)
def test_a_moment_is_a_time_of_day_or_a_time_after_the_begin(text: str, after_ms: int) -> None:
    assert parse_moment_ns(text, NOON_NS) == NOON_NS + after_ms * MS


def test_a_time_shortly_before_the_begin_is_of_the_same_day() -> None:
    assert parse_moment_ns("12:03:09", NOON_NS) == NOON_NS - 1_000 * MS


def test_a_run_may_go_over_midnight() -> None:
    assert clock_words(parse_moment_ns("00:00:05", NOON_NS)) == "00:00:05.000"
    assert parse_moment_ns("00:00:05", NOON_NS) > NOON_NS


@given(st.integers(min_value=0, max_value=11 * 3_600_000))
def test_what_is_said_can_be_asked_again(later_ms: int) -> None:
    instant_ns = NOON_NS + later_ms * MS
    assert parse_moment_ns(clock_words(instant_ns), NOON_NS) == instant_ns


@pytest.mark.parametrize("text", ["", "noon", "3", "12:3", "12:03:10:4", "-"])
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is not a moment: write a time of day in UTC \(12:03"):
        parse_moment_ns(text, NOON_NS)
