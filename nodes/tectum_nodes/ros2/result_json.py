"""A result as JSON text: its document, and the numbers of its outputs where they are few."""

from __future__ import annotations

import json
import math
from typing import Any

from tectum.message import AnyArray, Message

__all__ = ["result_json"]

_MOST = 4096
"""Numbers of an output that are written out; larger ones have their shape alone."""


def result_json(message: Message) -> str:
    """Return the document of a result; each output has `shape`, and `values` up to 4096 numbers.

    Numbers that are none become null: JSON has no NaN.
    """
    document: dict[str, Any] = dict(message.header.fields["result"])  # type: ignore[arg-type]
    document["outputs"] = {
        name: _output(entry, message) for name, entry in document.get("outputs", {}).items()
    }
    return json.dumps(_plain(document), separators=(",", ":"), allow_nan=False)


def _output(entry: dict[str, Any], message: Message) -> dict[str, Any]:
    array = message.array(entry["buffer"])
    told = {key: value for key, value in entry.items() if key != "buffer"}
    return {**told, "shape": list(array.shape), **_values(array)}


def _values(array: AnyArray) -> dict[str, Any]:
    return {"values": array.tolist()} if array.size <= _MOST else {}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.hex() if isinstance(value, bytes) else value
