"""Plots of an evaluation: score against budget and offset, and per missing modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2

from tectum_launch.canvas import Canvas, Colour

__all__ = ["write_plots"]

_PAPER, _INK, _GREY, _GRID = (255, 255, 255), (47, 41, 36), (130, 120, 110), (235, 230, 226)
_COLOURS: tuple[Colour, ...] = ((200, 110, 40), (60, 140, 230), (90, 160, 60), (170, 80, 160))
_WIDTH, _HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 180, 50, 60
_AXES = {"budgets": "budget, ms", "offsets": "offset of the stamps, ms"}

Series = Mapping[str, Sequence[tuple[float, float]]]


def write_plots(document: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the plots of an evaluation's `document` into `folder`; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for output in _outputs(document):
        for group, axis in _AXES.items():
            lines = _lines(document, group, output)
            if lines:
                path = folder / f"{output}-{group}.png"
                title = f"{output}: streaming score (%) against {axis}"
                cv2.imwrite(str(path), _line_plot(title, axis, lines))
                written.append(path)
        bars = _bars(document, output)
        if bars:
            path = folder / f"{output}-modalities.png"
            title = f"{output}: streaming score (%) with the sensors that are there"
            cv2.imwrite(str(path), _bar_plot(title, bars))
            written.append(path)
    return written


def _outputs(document: Mapping[str, Any]) -> list[str]:
    names: dict[str, None] = {}
    for graph in document["graphs"].values():
        names.update(dict.fromkeys(graph["conditions"][0]["streaming"]))
    return list(names)


def _score(condition: Mapping[str, Any], output: str) -> float | None:
    score = condition["streaming"].get(output, {}).get("score")
    return None if score is None else 100 * float(score)


def _lines(document: Mapping[str, Any], group: str, output: str) -> dict[str, list[Any]]:
    """Return, per graph (and input), the points of a line; at offset 0 is the graph as it is."""
    lines: dict[str, list[Any]] = {}
    for graph, found in document["graphs"].items():
        as_it_is, *others = found["conditions"]
        of_group = [item for item in others if item["group"] == group]
        for item in of_group:
            name = f"{graph} {item['input']}".strip()
            score = _score(item, output)
            if score is not None:
                lines.setdefault(name, []).append((item["amount"], score))
        middle = _score(as_it_is, output)
        if group == "offsets" and middle is not None:
            for item in {f"{graph} {item['input']}" for item in of_group} & set(lines):
                lines[item].append((0.0, middle))
    return {name: sorted(points) for name, points in lines.items()}


def _bars(document: Mapping[str, Any], output: str) -> list[tuple[str, float, int]]:
    """Return name, score, and number of the graph, of each subset of sensors."""
    bars = []
    for number, (graph, found) in enumerate(document["graphs"].items()):
        for item in found["conditions"]:
            score = _score(item, output)
            if item["group"] in ("", "modalities") and score is not None:
                bars.append((f"{graph}: {item['name']}", score, number))
    return bars if len(bars) > len(document["graphs"]) else []


def _line_plot(title: str, axis: str, lines: Series) -> Any:
    canvas = Canvas(_WIDTH, _HEIGHT, _PAPER)
    canvas.text(_LEFT, 28, title, _INK, size=15)
    xs = [x for points in lines.values() for x, _ in points]
    low, high = min(xs), max(xs)
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        along = (x - low) / (high - low or 1)
        return _LEFT + along * width, _TOP + (1 - y / 100) * height

    for percent in range(0, 101, 20):
        _, y = at(low, percent)
        canvas.line((_LEFT, y), (_LEFT + width, y), _GRID)
        canvas.text(_LEFT - 8, y + 4, str(percent), _GREY, size=11, align="right")
    for x in sorted(set(xs)):
        canvas.text(at(x, 0)[0], _HEIGHT - _BOTTOM + 20, f"{x:g}", _GREY, size=11, align="middle")
    canvas.text(_LEFT + width / 2, _HEIGHT - 16, axis, _INK, size=12, align="middle")
    for number, (name, points) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        canvas.curve([at(x, y) for x, y in points], colour, 2)
        for x, y in points:
            px, py = at(x, y)
            canvas.box(px - 2.5, py - 2.5, px + 2.5, py + 2.5, colour)
        y = _TOP + 14 + 20 * number
        canvas.box(_WIDTH - _RIGHT + 14, y - 9, _WIDTH - _RIGHT + 26, y + 3, colour)
        canvas.text(_WIDTH - _RIGHT + 32, y + 2, name, _INK, size=11)
    return canvas.finished()


def _bar_plot(title: str, bars: Sequence[tuple[str, float, int]]) -> Any:
    height = 60 + 26 * len(bars) + 20
    canvas = Canvas(_WIDTH, height, _PAPER)
    canvas.text(24, 28, title, _INK, size=15)
    begin, width = 330, _WIDTH - 330 - 70
    for number, (name, score, graph) in enumerate(bars):
        y = 56 + 26 * number
        canvas.text(begin - 10, y + 12, name, _INK, size=11, align="right")
        canvas.box(begin, y, begin + width * score / 100, y + 16, _COLOURS[graph % len(_COLOURS)])
        canvas.text(begin + width * score / 100 + 6, y + 12, f"{score:.1f}", _GREY, size=11)
    return canvas.finished()
