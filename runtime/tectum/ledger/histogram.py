"""Durations counted in buckets that are 1 % wide: quantiles of a run of weeks in constant memory.

Quantiles are within half a per cent of the exact ones, count and extremes are exact. Negative
durations (a sensor's clock that is ahead) are counted as what they are. Below a microsecond all
durations are one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tectum.errors import ContractError

__all__ = ["Histogram"]

_WIDTH = math.log(1.01)
_LEAST_NS = 1_000


class Histogram:
    """Counts of durations in ns. About 900 buckets per four decades, made as they are needed."""

    __slots__ = ("_counts", "count", "largest_ns", "smallest_ns")

    def __init__(self) -> None:
        """Begin empty."""
        self.count = 0
        self.smallest_ns = self.largest_ns = 0
        self._counts: dict[int, int] = {}

    def add(self, duration_ns: int) -> None:
        """Count one duration."""
        if self.count == 0:
            self.smallest_ns = self.largest_ns = duration_ns
        self.count += 1
        self.smallest_ns = min(self.smallest_ns, duration_ns)
        self.largest_ns = max(self.largest_ns, duration_ns)
        bucket = _bucket(duration_ns)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1

    def document(self) -> dict[str, Any]:
        """Return it as plain data, for `take`."""
        counts = {str(bucket): count for bucket, count in self._counts.items()}
        return {"smallest_ns": self.smallest_ns, "largest_ns": self.largest_ns, "counts": counts}

    def take(self, document: Mapping[str, Any]) -> None:
        """Count also what another histogram counted, given as its `document`."""
        counts = {int(bucket): count for bucket, count in document["counts"].items()}
        added = sum(counts.values())
        if not added:
            return
        smallest_ns, largest_ns = document["smallest_ns"], document["largest_ns"]
        self.smallest_ns = min(self.smallest_ns, smallest_ns) if self.count else smallest_ns
        self.largest_ns = max(self.largest_ns, largest_ns) if self.count else largest_ns
        self.count += added
        for bucket, count in counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count

    def quantile_ns(self, share: float) -> int:
        """Return the duration that `share` of all do not exceed (nearest rank); 0 when empty.

        Raises:
            ContractError: `share` is not within 0 and 1.
        """
        if not 0.0 <= share <= 1.0:
            msg = f"a quantile is asked for by a share from 0 to 1, not {share}"
            raise ContractError(msg)
        rank = max(1, math.ceil(share * self.count))
        if rank == self.count:
            return self.largest_ns
        for bucket in sorted(self._counts):
            rank -= self._counts[bucket]
            if rank <= 0:
                return min(max(_middle_ns(bucket), self.smallest_ns), self.largest_ns)
        return 0


def _bucket(duration_ns: int) -> int:
    size = abs(duration_ns)
    if size < _LEAST_NS:
        return 0
    bucket = 1 + int(math.log(size / _LEAST_NS) / _WIDTH)
    return bucket if duration_ns > 0 else -bucket


def _middle_ns(bucket: int) -> int:
    if bucket == 0:
        return 0
    size = round(_LEAST_NS * math.exp((abs(bucket) - 0.5) * _WIDTH))
    return size if bucket > 0 else -size
