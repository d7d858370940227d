"""Moments of a run as people name them: a time of day, or how long after its begin."""

from __future__ import annotations

import re

from tectum.clock import NS_PER_S
from tectum.errors import ConfigError
from tectum.units import parse_duration_ns

__all__ = ["parse_moment_ns"]

_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d{1,9})?))?")
_NS_PER_DAY = 86_400 * NS_PER_S


def parse_moment_ns(text: str, begin_ns: int) -> int:
    """Return the instant that `text` means in a run that began at `begin_ns`.

    `12:03:10.2` is a time of day in UTC, at or after the begin; `4.5s` is after the begin; a
    number of 16 digits or more is nanoseconds on the graph clock.

    Raises:
        ConfigError: it is none of these.
    """
    time = _TIME.fullmatch(text.strip())
    if time:
        hours, minutes, seconds = time.groups(default="0")
        of_day_ns = (int(hours) * 3600 + int(minutes) * 60) * NS_PER_S + _seconds_ns(seconds)
        instant_ns = begin_ns // _NS_PER_DAY * _NS_PER_DAY + of_day_ns
        # A run that went over midnight; a second before the begin is still the begin's day.
        return instant_ns + (_NS_PER_DAY if instant_ns < begin_ns - NS_PER_S * 3600 else 0)
    if text.strip().isdigit() and len(text.strip()) >= 16:
        return int(text)
    try:
        return begin_ns + parse_duration_ns(text)
    except ConfigError:
        msg = (
            f"{text!r} is not a moment: write a time of day in UTC (12:03:10.2), or how long "
            "after the begin (4.5s)"
        )
        raise ConfigError(msg) from None


def _seconds_ns(text: str) -> int:
    whole, _, fraction = text.partition(".")
    return int(whole) * NS_PER_S + int(fraction.ljust(9, "0"))
