"""Instants of the graph clock for a person."""

from __future__ import annotations

from datetime import UTC, datetime

from tectum.clock import NS_PER_S

__all__ = ["moment_text"]


def moment_text(time_ns: int) -> str:
    """Return an instant: `2026-03-01 12:00:01.250000 UTC`."""
    try:
        return f"{datetime.fromtimestamp(time_ns / NS_PER_S, tz=UTC):%Y-%m-%d %H:%M:%S.%f} UTC"
    except (OverflowError, ValueError):
        return f"{time_ns} ns"
