"""What the benchmarks share: options, a table, bars, and an exit code that means something.

A benchmark prints its table, writes `--json FILE`, and exits with 1 when a bar is not met. Bars are
about ratios and counts measured side by side in one run; absolute times are shown, never judged.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

__all__ = ["Bar", "Bench", "options"]


def options(
    description: str, more: Callable[[argparse.ArgumentParser], None] | None = None
) -> argparse.Namespace:
    """Return the command line's options: `quick`, `json`, and what `more` adds."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="under a minute; installed peers only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures and bars here")
    if more is not None:
        more(parser)
    return parser.parse_args()


@dataclass(frozen=True, slots=True)
class Bar:
    """A promise with its figure."""

    name: str
    value: float
    limit: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Return whether the figure keeps the promise."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass
class Bench:
    """The figures and bars of one benchmark."""

    name: str
    bars: list[Bar] = field(default_factory=list)
    figures: dict[str, object] = field(default_factory=dict)
    console: Console = field(default_factory=Console, repr=False)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print rows and keep them as figures."""
        table = Table(title=title, title_justify="left")
        for index, column in enumerate(columns):
            table.add_column(column, justify="left" if index == 0 else "right")
        for row in rows:
            table.add_row(*[_text(cell) for cell in row])
        self.console.print(table)
        self.figures[title] = [dict(zip(columns, row, strict=True)) for row in rows]

    def at_least(self, name: str, value: float, limit: float) -> None:
        """Set a bar that `value` must reach."""
        self.bars.append(Bar(name, value, limit, at_least=True))

    def at_most(self, name: str, value: float, limit: float) -> None:
        """Set a bar that `value` must not pass."""
        self.bars.append(Bar(name, value, limit, at_least=False))

    def finish(self, file: Path | None) -> int:
        """Print the bars, write the figures, return the exit code."""
        rows = [
            (bar.name, bar.value, f"{'>=' if bar.at_least else '<='} {bar.limit:g}", _met(bar))
            for bar in self.bars
        ]
        self.table(f"{self.name}: bars", ("bar", "figure", "limit", ""), rows)
        if file is not None:
            bars = [{**asdict(bar), "met": bar.met} for bar in self.bars]
            machine = {"python": platform.python_version(), "machine": platform.machine()}
            document = {"benchmark": self.name, **machine, "bars": bars, "figures": self.figures}
            file.write_text(json.dumps(document, indent=1, default=str))
        return 0 if all(bar.met for bar in self.bars) else 1


def _met(bar: Bar) -> str:
    return "met" if bar.met else "NOT MET"


def _text(cell: object) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
