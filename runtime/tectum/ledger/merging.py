"""Several lives of one fusion node as one report: counts add up, quantiles are of all together.

A part is what a life wrote down: `Tally.document`, with the histograms behind its quantiles under
`histograms` (path of the key -> `Histogram.document`). What the lives counted adds up; gaps are the
longest of any life, for between them there was none. A digest of decisions belongs to one life, so
that of several parts is empty.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from tectum.ledger.histogram import Histogram
from tectum.ledger.tally import quantiles

__all__ = ["HISTOGRAMS", "merged_lives"]

HISTOGRAMS = "histograms"
_LONGEST = ("longest_gap_ms", "recovery")
"""Of what stands under these keys the largest counts, but for what was counted there."""
_COUNTED = ("ended",)


def merged_lives(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one document for the `parts` of one node, in the order of its lives.

    The last part may be a tail: rows that a life closed after it wrote for the last time.
    """
    whole: dict[str, Any] = copy.deepcopy(dict(parts[0]))
    for part in parts[1:]:
        whole = _added(whole, part, ())
    whole["on_time"] = _on_time(parts, whole["triggers"])
    for name, head in whole.get("heads", {}).items():
        heads = [part["heads"][name] for part in parts if name in part.get("heads", {})]
        head["on_time"] = _on_time(heads, head["triggers"])
    for path, histogram in _histograms(parts).items():
        *parents, key = path.split("/")
        place = whole
        for parent in parents:
            place = place[parent]
        names = [name for name in place[key] if name != "max"]
        place[key] = quantiles(histogram, tuple(int(name[1:]) / 100 for name in names))
    whole.pop(HISTOGRAMS, None)
    if len(parts) > 1:
        whole["decisions_sha256"] = ""
    return whole


def _added(first: Any, second: Any, path: tuple[str, ...]) -> Any:
    """Return the sum of two values at `path` of a document."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        keys = dict.fromkeys((*first, *second))
        return {key: _added_at(first, second, key, (*path, key)) for key in keys}
    numbers = all(isinstance(item, int | float) for item in (first, second))
    if not numbers or any(isinstance(item, bool) for item in (first, second)):
        return first if second is None else second
    path = path[2:] if path[0] == "heads" else path
    if path[0] == "budget_ms" or "waiting_ms" in path:
        return second
    if path[0] in _LONGEST and path[-1] not in _COUNTED:
        return max(first, second)
    return first + second


def _added_at(
    first: Mapping[str, Any], second: Mapping[str, Any], key: str, path: tuple[str, ...]
) -> Any:
    if key not in second:
        return first[key]
    return second[key] if key not in first else _added(first[key], second[key], path)


def _on_time(parts: Sequence[Mapping[str, Any]], triggers: int) -> float:
    answered = sum(round(part["on_time"] * part["triggers"]) for part in parts if part["triggers"])
    return round(answered / triggers, 6) if triggers else 1.0


def _histograms(parts: Sequence[Mapping[str, Any]]) -> dict[str, Histogram]:
    merged: dict[str, Histogram] = {}
    for part in parts:
        for path, document in part.get(HISTOGRAMS, {}).items():
            merged.setdefault(path, Histogram()).take(document)
    return merged
