"""Writes the results of fusion nodes to a CSV or JSON Lines file. A node without outputs.

The columns of a CSV file are those of the first result that has an answer; until one comes (at
most 200 results), rows are held back. A line is written whole and at once, so that the file can be
followed (`tail -f`) and loses nothing but its last line to a crash. It never holds anybody up.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from tectum.clock import NS_PER_MS
from tectum.errors import DataError
from tectum.message import Kind, Message
from tectum.node.base import Context, Node, NodeConfig
from tectum_nodes.result_table import json_row, table_row

__all__ = ["SinkConfig", "SinkNode"]

_WAIT_NS = 50 * NS_PER_MS
_HELD = 200
_FORMATS = (".csv", ".jsonl")


class SinkConfig(NodeConfig):
    """Which results are written, and where."""

    path: str
    """The file, `.csv` or `.jsonl`; what it holds is kept, what comes is added at its end."""
    topics: Annotated[tuple[str, ...], Field(min_length=1)] = ("*:result",)
    """The topics of the results; default: every head of every fusion node."""
    values: Annotated[int, Field(ge=0)] = 16
    """Outputs of more numbers than this are left out."""

    @field_validator("path")
    @classmethod
    def _known_format(cls, path: str) -> str:
        if Path(path).suffix not in _FORMATS:
            msg = f"{path!r} is neither a .csv nor a .jsonl file: the ending says which is written"
            raise ValueError(msg)
        return path


class SinkNode(Node):
    """Writes results to a file."""

    Config = SinkConfig
    config: SinkConfig

    @classmethod
    def topics_of(cls, config: SinkConfig) -> tuple[str, ...]:
        """Return the topics of the results."""
        return config.topics

    def __init__(self, config: Any) -> None:
        """Hold nothing yet."""
        super().__init__(config)
        self._held: list[dict[str, Any]] | None = []
        self._columns: list[str] = []
        self.written = 0
        self.missed = 0

    def open(self, context: Context) -> None:
        """Open the file and join the publishers.

        Raises:
            DataError: the file cannot be written.
        """
        path = Path(self.config.path).expanduser()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._columns = _columns_of(path)
            self._file = path.open("a", encoding="utf-8", newline="", buffering=1)
        except OSError as error:
            msg = f"results cannot be written to {path}: {error.strerror}"
            raise DataError(msg) from error
        self._held = None if self._columns else []
        self._subscriber = context.subscribe(self.config.topics)

    def run(self, context: Context) -> None:
        """Write until the graph stops."""
        while not context.stopping:
            self._subscriber.wait(_WAIT_NS)
            self._drain()
            context.serve(context.clock.now_ns())
        self._drain()
        self._let_go()
        missed = f", {self.missed} missed" if self.missed else ""
        context.log.info("%d results in %s%s", self.written, self.config.path, missed)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _drain(self) -> None:
        for received in self._subscriber.drain():
            if received.gap is not None:
                self.missed += received.gap.missing
            message = received.message
            if message is not None and message.header.kind is Kind.RESULT:
                self._take(message)
                message.release()

    def _take(self, result: Message) -> None:
        if self.config.path.endswith(".jsonl"):
            self._file.write(f"{json.dumps(json_row(result, self.config.values))}\n")
            self.written += 1
            return
        row = table_row(result, self.config.values)
        if self._held is None:
            self._write(row)
            return
        self._held.append(row)
        if row["outcome"] != "shed" or len(self._held) >= _HELD:
            self._let_go()

    def _let_go(self) -> None:
        """Write what was held back, below a line with the columns of the newest row."""
        held, self._held = self._held or [], None
        if held:
            self._columns = list(held[-1])
            csv.writer(self._file).writerow(self._columns)
        for row in held:
            self._write(row)

    def _write(self, row: dict[str, Any]) -> None:
        csv.writer(self._file).writerow([row.get(name, "") for name in self._columns])
        self.written += 1


def _columns_of(path: Path) -> list[str]:
    """Return the columns of a CSV file that exists already."""
    if path.suffix != ".csv" or not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])
