"""How instants, durations, counts and lists are said: the same everywhere, the same in each run.

Instants are said as the time of day in UTC, to the millisecond. Durations that can be pasted into
a graph file (`setting`) are rounded up to what a person would write.
"""

from __future__ import annotations

from collections.abc import Sequence

from tectum.units import duration_text

__all__ = [
    "clock_words",
    "counted",
    "duration_words",
    "listed",
    "percent",
    "setting",
    "setting_ns",
    "span_words",
]

_NS_PER_MS = 1_000_000
_MS_PER_DAY = 86_400_000


def clock_words(instant_ns: int) -> str:
    """Return the time of day in UTC: `12:03:10.200`."""
    of_day = instant_ns // _NS_PER_MS % _MS_PER_DAY
    seconds, ms = divmod(of_day, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}"


def span_words(begin_ns: int, end_ns: int) -> str:
    """Return `from 12:03:10.200 to 12:03:14.100`, or `at 12:03:10.200` for one instant."""
    if begin_ns == end_ns:
        return f"at {clock_words(begin_ns)}"
    return f"from {clock_words(begin_ns)} to {clock_words(end_ns)}"


def duration_words(duration_ns: int) -> str:
    """Return `47.3 ms`, `40 ms`, `1.5 s`, `350 us`; the sign is kept."""
    number, unit = duration_text(duration_ns).split(" ")
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    return f"{number} {unit}"


def setting(duration_ns: int) -> str:
    """Return a duration rounded up to a whole millisecond, as graph files have it: `48ms`."""
    return f"{-(-duration_ns // _NS_PER_MS)}ms"


def setting_ns(duration_ns: int) -> int:
    """Return what `setting` writes, in ns."""
    return -(-duration_ns // _NS_PER_MS) * _NS_PER_MS


def counted(count: int, noun: str) -> str:
    """Return `1 trigger`, `39 triggers`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def percent(share: float) -> str:
    """Return `98 %`; never rounded to all or nothing where it is neither."""
    whole = round(share * 100)
    if share < 1 and whole == 100:
        return "over 99 %"
    if share > 0 and whole == 0:
        return "under 1 %"
    return f"{whole} %"


def listed(names: Sequence[str], last: str = "and") -> str:
    """Return `a`, `a and b`, `a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {last} {names[-1]}"
