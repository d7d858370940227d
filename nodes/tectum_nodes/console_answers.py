"""What an output of a result says to a person: in a few words, and as a picture of characters.

By the output's role: a grid is a map seen from above, a probability and scores are bars, boxes and
objects a table, anything else its numbers. No model is known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tectum.message import AnyArray

__all__ = ["answer_picture", "answer_words", "bar"]

_LIKELY = 0.5
_WIDEST = 32
"""Cells of a map per line of the terminal; larger maps are joined, the likeliest cell shows."""
_ROWS = 8
_DARK, _BRIGHT = np.array((28, 30, 40)), np.array((255, 150, 40))

Output = Mapping[str, Any]


def answer_words(name: str, output: Output, array: AnyArray) -> str:
    """Return the output in a few words: `siren 97 %`, `occupancy: 5 cells, nearest 8 m ahead`."""
    role = output.get("role")
    values = np.asarray(array, dtype=np.float64)
    if role == "grid":
        return f"{name}: {_grid_words(values, output)}"
    if role == "probability" and values.size == 1:
        return f"{name} {values.item():.0%}".replace("%", " %")
    if role == "scores" and values.size:
        best = int(values.argmax())
        return f"{name}: {_label(output, best)} {values.flat[best]:.2f}"
    if role == "label" and values.size == 1:
        return f"{name}: {_label(output, int(values.item()))}"
    if role in ("boxes", "objects"):
        return f"{name}: {_found_words(values, output)}"
    if values.size == 1:
        return f"{name} {_number(values.item(), output)}"
    return f"{name}: {' x '.join(map(str, values.shape))} numbers"


def answer_picture(name: str, output: Output, array: AnyArray) -> RenderableType:
    """Return the output as rich shows it."""
    role = output.get("role")
    values = np.asarray(array, dtype=np.float64)
    if role == "grid" and values.ndim >= 2:
        return Group(Text(answer_words(name, output, array)), _map(_flat(values), output))
    if role == "probability" and values.size == 1:
        return _scores([name], values.reshape(1))
    if role == "scores":
        names = [_label(output, index) for index in range(values.size)]
        return Group(Text(name), _scores(names, values.ravel()))
    if role == "objects" and values.ndim == 2:
        return Group(Text(f"{name}: {len(values)}"), _table(values, output))
    return Text(answer_words(name, output, array))


def bar(share: float, width: int, style: str) -> Text:
    """Return a bar of `width` characters that is filled by `share`, to an eighth of one."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    filled, rest = divmod(eighths, 8)
    text = Text("█" * filled, style)
    if rest:
        text.append(" ▏▎▍▌▋▊▉"[rest], style)
    return text.append("·" * (width - len(text)), "grey30")


# -- words


def _grid_words(values: NDArray[np.float64], output: Output) -> str:
    likely = _flat(values) >= float(output.get("threshold", _LIKELY))
    count = int(likely.sum())
    words = "nothing" if not count else f"{count} cell{'s' * (count != 1)}"
    place = output.get("grid")
    if not count or not isinstance(place, Mapping):
        return words
    nearest = int(np.nonzero(likely.any(axis=1))[0][0])
    return f"{words}, nearest {place['x_min_m'] + nearest * place['cell_m']:g} m ahead"


def _found_words(values: NDArray[np.float64], output: Output) -> str:
    if not len(values):
        return "none"
    columns = list(output.get("columns", ()))
    parts = []
    for row in values[:_ROWS]:
        label = _label(output, int(row[5]))
        if "distance_m" in columns and np.isfinite(row[columns.index("distance_m")]):
            label += f" {row[columns.index('distance_m')]:.1f} m"
        parts.append(label)
    more = f" and {len(values) - _ROWS} more" if len(values) > _ROWS else ""
    return ", ".join(parts) + more


def _label(output: Output, index: int) -> str:
    labels: Sequence[str] = output.get("labels", ())
    return str(labels[index]) if 0 <= index < len(labels) else str(index)


def _number(value: float, output: Output) -> str:
    unit = output.get("unit", "")
    return f"{value:.2f} {unit}".rstrip() if np.isfinite(value) else "unknown"


# -- pictures


def _scores(names: Sequence[str], values: NDArray[np.float64]) -> Table:
    table = Table.grid(padding=(0, 1))
    for name, value in zip(names, values, strict=True):
        style = "red" if value >= _LIKELY else "cyan"
        table.add_row(name, bar(value, 20, style), f"{value:.2f}")
    return table


def _table(values: NDArray[np.float64], output: Output) -> Table:
    columns = list(output.get("columns", ()))
    shown = [name for name in ("score", "distance_m", "x_m", "y_m") if name in columns]
    table = Table("", *shown, box=None, padding=(0, 1))
    for row in values[:_ROWS]:
        table.add_row(_label(output, int(row[5])), *(f"{row[columns.index(n)]:.1f}" for n in shown))
    return table


def _map(cells: NDArray[np.float64], output: Output) -> Text:
    """Draw a map seen from above: forward is up, left is left; two rows per line of characters."""
    place = output.get("grid")
    cells = _joined(cells)[::-1, ::-1]
    if len(cells) % 2:
        cells = np.vstack([np.zeros_like(cells[:1]), cells])
    text = Text()
    for line in range(0, len(cells), 2):
        for upper, lower in zip(cells[line], cells[line + 1], strict=True):
            text.append("▀▀", f"{_colour(upper)} on {_colour(lower)}")
        if isinstance(place, Mapping):
            metres = place["x_min_m"] + (len(cells) - line) * place["cell_m"]
            text.append(f" {metres:3.0f} m" if line % 4 == 0 else "", "grey50")
        text.append("\n")
    return text.append(" " * (cells.shape[1] - 1) + "▲▲", "bold white")


def _joined(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Join cells of a large map so that it fits, keeping the likeliest."""
    step = -(-max(cells.shape) // _WIDEST)
    rows, columns = (-(-extent // step) for extent in cells.shape)
    padded = np.zeros((rows * step, columns * step))
    padded[: cells.shape[0], : cells.shape[1]] = cells
    blocks: NDArray[np.float64] = padded.reshape(rows, step, columns, step).max(axis=(1, 3))
    return blocks


def _colour(share: float) -> str:
    red, green, blue = (_DARK + (_BRIGHT - _DARK) * np.clip(share, 0.0, 1.0)).astype(int)
    return f"rgb({red},{green},{blue})"


def _flat(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the last two axes of a grid."""
    return values.reshape(-1, *values.shape[-2:])[0] if values.ndim > 2 else values
