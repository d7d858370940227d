"""Helpers for tests of Tectum and of code built on it.

`FakeClock` and `MemoryContext` for nodes and deciding code in memory; `tectum.testing.processes`
and `tectum.testing.nodes` for real processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tectum.testing.clock import FakeClock

if TYPE_CHECKING:
    from tectum.testing.context import MemoryContext

__all__ = ["FakeClock", "MemoryContext"]


def __getattr__(name: str) -> object:
    """Load what needs more than the clock only when it is asked for."""
    if name == "MemoryContext":
        from tectum.testing.context import MemoryContext  # noqa: PLC0415

        return MemoryContext
    msg = f"module 'tectum.testing' has no attribute {name!r}"
    raise AttributeError(msg)
