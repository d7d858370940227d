"""What happens again and again is said at first, and then each time that its count has doubled."""

from __future__ import annotations

__all__ = ["has_doubled"]


def has_doubled(count: int) -> bool:
    """Return whether what happened `count` times (1 or more) is to be said once more."""
    return count & (count - 1) == 0
