"""A reference: where in a pool of shared memory the buffers of a message lie. Pure data.

The buffers of a message lie in one slot, one behind the other, each at a multiple of 64 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["ALIGNMENT", "Reference", "offsets"]

ALIGNMENT = 64
_AT_ONCE = (0,)


class Reference(NamedTuple):
    """What a header says instead of carrying its buffers."""

    pool: str
    """Name of the pool's file; it ends in the random epoch of the publisher's life."""
    epoch: int
    slot: int
    sequence: int
    """Of the slot's content: what the slot must still hold when a lease is taken."""
    nbytes: int
    """From the beginning of the first buffer to the end of the last."""


def offsets(sizes: Sequence[int]) -> tuple[Sequence[int], int]:
    """Return where in a slot buffers of these sizes begin, and where the last ends (bytes)."""
    if len(sizes) == 1:
        return _AT_ONCE, sizes[0]
    begins: list[int] = []
    end = 0
    for size in sizes:
        begin = -(-end // ALIGNMENT) * ALIGNMENT
        begins.append(begin)
        end = begin + size
    return begins, end
