"""Results as flat rows for a table, and as lines of JSON. Pure.

Outputs of a few numbers are written out, by label where they have labels; larger ones (grids,
embeddings) are left to recordings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tectum.message import Message

__all__ = ["json_row", "table_row"]

_FACTS = ("node", "trigger", "stamp_ns", "outcome", "reason", "latency_ms", "age_ms", "blame")


def table_row(result: Message, most: int) -> dict[str, Any]:
    """Return a result as column -> value.

    Args:
        result: a message of kind `result`.
        most: outputs of more numbers than this are left out.
    """
    document = _document(result)
    row = {name: document.get(name, "") for name in _FACTS}
    if "head" in document:  # of a fusion node with several
        row["head"] = document["head"]
    row["flags"] = " ".join(document.get("flags", ()))
    for name, entry in document.get("inputs", {}).items():
        row[f"{name}.status"] = entry.get("status", "")
        row[f"{name}.reason"] = entry.get("reason", "")
        row[f"{name}.skew_ms"] = entry.get("skew_ms", "")
    for name, labels, values in _outputs(result, document, most):
        for index, value in enumerate(values):
            row[_column(name, labels, index, len(values))] = value
    return row


def json_row(result: Message, most: int) -> dict[str, Any]:
    """Return a result's document with `values`: output -> its numbers, NaN as None."""
    document = _document(result)
    values = {
        name: [None if isinstance(value, float) and np.isnan(value) else value for value in found]
        for name, _, found in _outputs(result, document, most)
    }
    return {**document, "values": values}


def _document(result: Message) -> dict[str, Any]:
    found = result.header.fields.get("result")
    return dict(found) if isinstance(found, Mapping) else {}


def _outputs(
    result: Message, document: Mapping[str, Any], most: int
) -> Iterator[tuple[str, list[str], list[Any]]]:
    """Yield name, labels and numbers of each output that is small enough."""
    for name, output in document.get("outputs", {}).items():
        index = output.get("buffer")
        if not isinstance(index, int) or not 0 <= index < len(result.payloads):
            continue
        array = result.array(index)
        if array.size <= most:
            yield name, list(output.get("labels", ())), array.ravel().tolist()


def _column(name: str, labels: list[str], index: int, count: int) -> str:
    if count == len(labels):
        return f"{name}.{labels[index]}"
    return name if count == 1 else f"{name}.{index}"
