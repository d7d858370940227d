"""A wrong clock is told once it is sure, once, and so is its end."""

from tectum.clock import NS_PER_MS as MS
from tectum.clock import NS_PER_S
from tectum.sync.clock_watch import ClockWatch

HOUR_NS = 3600 * NS_PER_S


def _told(*ahead_ns: int) -> list[str]:
    watch = ClockWatch()
    return [watch.see(one_ns) for one_ns in ahead_ns]


def test_three_stamps_in_a_row_that_are_off_alike_are_told_once() -> None:
    told = _told(*[37 * NS_PER_S - step * MS for step in range(6)])
    assert told == ["", "", "clock_ahead", "", "", ""]


def test_one_that_agrees_in_between_is_not_sure() -> None:
    assert _told(-HOUR_NS, -HOUR_NS, -20 * MS, -HOUR_NS, -HOUR_NS) == [""] * 5


def test_three_that_are_off_each_by_something_else_are_no_clock() -> None:
    assert _told(-20 * NS_PER_S, -40 * NS_PER_S, -60 * NS_PER_S) == ["", "", ""]


def test_a_clock_that_is_set_right_is_told_once() -> None:
    told = _told(*[-HOUR_NS] * 4, *[-20 * MS] * 5)
    assert told == ["", "", "clock_behind", "", "", "", "clock_agrees", "", ""]


def test_another_offset_is_told_anew() -> None:
    told = _told(*[-HOUR_NS] * 3, *[37 * NS_PER_S] * 3)
    assert told == ["", "", "clock_behind", "", "", "clock_ahead"]


def test_stamps_in_seconds_hardly_move_and_are_off_alike_for_ever() -> None:
    now_ns = 1_795_498_137 * NS_PER_S
    told = _told(*[1_795_498_137 + step - now_ns - step * NS_PER_S for step in range(100)])
    assert told == ["", "", "clock_behind"] + [""] * 97
