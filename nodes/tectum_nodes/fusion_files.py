"""What a fusion node leaves in the run's directory: the latest rows, and the report's core.

The ledger file is a sequence of MessagePack maps: first `plan`, with how many `rows` of this life
were written before, then maps of `row`, `note` and `came` (arrivals, see `tectum.ledger.came`). It
is bounded: at 8 MB, and when the node begins another life, it is moved to `<name>.old` and begun
anew. Both files can be read at any moment, also after the node was killed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import msgpack

from tectum.message import Value
from tectum.pipeline.plan import Plan, plan_document

__all__ = ["LedgerFile", "ReportFile"]

_LARGEST = 8 * 1024 * 1024


class LedgerFile:
    """Appends rows and notes."""

    def __init__(self, path: Path, plan: Plan) -> None:
        """Begin an empty file with the plan; what a former life left is moved aside."""
        self._path, self._plan, self._rows = path, plan, 0
        self._begin()

    def add(self, entry: Mapping[str, Value]) -> None:
        """Append one entry; it can be read at once."""
        data = msgpack.packb(entry)
        if self._size + len(data) > _LARGEST:
            self._file.close()
            self._begin()
        self._size += self._file.write(data)
        self._rows += "row" in entry

    def close(self) -> None:
        """Close the file; it stays where it is."""
        self._file.close()

    def _begin(self) -> None:
        if self._path.exists():
            self._path.replace(self._path.with_suffix(".ledger.old"))
        self._file = self._path.open("wb", buffering=0)
        first = {"plan": plan_document(self._plan), "rows": self._rows}
        self._size = self._file.write(msgpack.packb(first))


class ReportFile:
    """Replaces a JSON document at once, so that a reader never sees half of one."""

    def __init__(self, path: Path) -> None:
        """Write nothing yet."""
        self._path = path

    def write(self, document: Mapping[str, Value]) -> None:
        """Replace the document."""
        fresh = self._path.with_suffix(".json.new")
        fresh.write_text(json.dumps(document))
        os.replace(fresh, self._path)
