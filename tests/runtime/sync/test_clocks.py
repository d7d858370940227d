"""Offsets of stamps are called by the name of the clock that they come from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tectum.clock import NS_PER_MS as MS
from tectum.clock import NS_PER_S
from tectum.sync.clocks import CLOCKS, named_offset

NOW_NS = 1_795_498_137 * NS_PER_S + 123_456_789
"""In November 2026."""
WAY_NS = 20 * MS


def _name(stamp_ns: int) -> str:
    found = named_offset(stamp_ns - NOW_NS - WAY_NS, NOW_NS + WAY_NS)
    return found.name if found else ""


@pytest.mark.parametrize(
    ("ahead_s", "name"),
    [
        (37, "TAI instead of UTC"),
        (18, "GPS time instead of UTC"),
        (19, "TAI where GPS time is declared"),
        (-19, "GPS time where TAI is declared"),
        (-37, "UTC where TAI is declared"),
        (-18, "UTC where GPS time is declared"),
        (3600, "local time (+1 h) instead of UTC"),
        (-8 * 3600, "local time (-8 h) instead of UTC"),
        (19_800, "local time (+5.5 h) instead of UTC"),
        (20_700, "local time (+5.75 h) instead of UTC"),
        (18 - 315_964_800, "GPS time counted from its own epoch, 6 January 1980"),
        (2_208_988_800, "NTP time, counted from 1900"),
    ],
)
def test_offsets_of_whole_clocks(ahead_s: int, name: str) -> None:
    assert _name(NOW_NS + ahead_s * NS_PER_S) == name


@pytest.mark.parametrize(
    ("stamp_ns", "name"),
    [
        (NOW_NS // NS_PER_S, "seconds instead of nanoseconds"),
        (NOW_NS // MS, "milliseconds instead of nanoseconds"),
        (NOW_NS // 1000, "microseconds instead of nanoseconds"),
        (5 * 3600 * NS_PER_S, "a clock that counts from its own start"),
        (
            (315_532_800 + 7_200) * NS_PER_S,
            "a clock that counts from its own start, which it takes for 1980",
        ),
        (
            (946_684_800 + 60) * NS_PER_S,
            "a clock that counts from its own start, which it takes for 2000",
        ),
    ],
)
def test_units_and_clocks_that_nobody_has_set(stamp_ns: int, name: str) -> None:
    assert _name(stamp_ns) == name


@pytest.mark.parametrize("ahead_s", [5, -25, 100, -1700, 15 * 3600, -86_400, -400 * 86_400])
def test_an_offset_that_is_of_no_clock_has_no_name(ahead_s: int) -> None:
    assert _name(NOW_NS + ahead_s * NS_PER_S) == ""


@given(st.integers(-10 * NS_PER_S, NS_PER_S))
def test_whatever_a_sensor_and_its_way_may_take_is_no_other_clock(ahead_ns: int) -> None:
    assert named_offset(ahead_ns, NOW_NS) is None


@pytest.mark.parametrize("clock", ["tai", "gps"])
def test_the_fix_names_the_declared_clock_that_takes_the_offset_off(clock: str) -> None:
    found = named_offset(CLOCKS[clock] - WAY_NS, NOW_NS)
    assert found is not None
    assert f"`clock: {clock}`" in found.fix
    assert found.ahead_ns == CLOCKS[clock]
