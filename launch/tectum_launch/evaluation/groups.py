"""What can be tried beside a graph as it is; apart, since the command line names it at once."""

from __future__ import annotations

__all__ = ["GROUPS"]

GROUPS = ("modalities", "faults", "offsets", "budgets")
