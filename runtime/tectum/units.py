"""Durations, rates and sizes as people write them: `40ms`, `1.5s`, `30Hz`, `16kHz`, `256MB`.

Numbers without a unit are refused: a budget of `100` has cost people days. Results are integers
(nanoseconds, bytes) or, for rates, floats in hertz.
"""

from __future__ import annotations

import re

from tectum.errors import ConfigError

__all__ = ["duration_text", "parse_duration_ns", "parse_rate_hz", "parse_size", "size_text"]

_DURATION_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "min": 60_000_000_000}
_RATE_HZ = {"hz": 1.0, "khz": 1_000.0, "mhz": 1_000_000.0}
_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}
_NUMBER_WITH_UNIT = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*([A-Za-zµ]*)\s*")


def parse_duration_ns(text: object) -> int:
    """Return the nanoseconds of `40ms`, `1.5s`, `250us`, `2min`.

    Raises:
        ConfigError: not a number with one of the units ns, us, ms, s, min.
    """
    number, unit = _split(text, "a duration", "ns, us, ms, s, min", "100ms")
    factor = _DURATION_NS.get(unit.replace("µ", "u"))
    if factor is None:
        raise ConfigError(_wrong(text, "a duration", "ns, us, ms, s, min", "100ms"))
    return round(number * factor)


def parse_rate_hz(text: object) -> float:
    """Return the hertz of `30Hz`, `16kHz`.

    Raises:
        ConfigError: not a positive number with one of the units Hz, kHz, MHz.
    """
    number, unit = _split(text, "a rate", "Hz, kHz, MHz", "30Hz")
    factor = _RATE_HZ.get(unit.lower())
    if factor is None or number <= 0:
        raise ConfigError(_wrong(text, "a rate", "Hz, kHz, MHz", "30Hz"))
    return number * factor


def parse_size(text: object) -> int:
    """Return the bytes of `256MB`, `1.5GB`, `64kB`.

    Raises:
        ConfigError: not a positive number with one of the units B, kB, MB, GB.
    """
    number, unit = _split(text, "a size", "B, kB, MB, GB", "256MB")
    factor = _BYTES.get(unit.lower())
    if factor is None or number <= 0:
        raise ConfigError(_wrong(text, "a size", "B, kB, MB, GB", "256MB"))
    return round(number * factor)


def size_text(size: int) -> str:
    """Return `size` bytes for a person: `1.50 GB`, `6.2 MB`, `64 kB`."""
    if size >= 10**9:
        return f"{size / 1e9:.2f} GB"
    if size >= 10**6:
        return f"{size / 1e6:.1f} MB"
    return f"{size / 1e3:.0f} kB" if size >= 10**3 else f"{size} B"


def duration_text(duration_ns: int) -> str:
    """Return `duration_ns` for a person: `1.50 s`, `47.0 ms`, `350 us`."""
    size = abs(duration_ns)
    if size >= 1_000_000_000:
        return f"{duration_ns / 1e9:.2f} s"
    if size >= 1_000_000:
        return f"{duration_ns / 1e6:.1f} ms"
    return f"{duration_ns / 1e3:.0f} us"


def _split(text: object, what: str, units: str, example: str) -> tuple[float, str]:
    match = _NUMBER_WITH_UNIT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ConfigError(_wrong(text, what, units, example))
    return float(match.group(1)), match.group(2)


def _wrong(text: object, what: str, units: str, example: str) -> str:
    return f"{text!r} is not {what}: write a number with a unit ({units}), such as {example}"
