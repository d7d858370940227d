"""The demo's picture: latency against the budget, what each sensor gave, and the last view.

Time runs to the right. One column is one trigger, in every part: its latency, whether each input
was fresh, how probable a siren is. Below, one answer beside the truth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.ledger.row import Outcome, Row, Status
from tectum_launch.canvas import Canvas, Colour
from tectum_launch.demo_scenes import Drive, View

__all__ = ["draw_demo"]

_WIDTH, _HEIGHT = 1280, 890
_LEFT, _RIGHT = 100, 1240
_LATENCY = (122, 296)
"""Top and bottom of the latency bars."""
_INPUTS_TOP = 312
_ROW = 20
_SIREN = (428, 478)
_VIEW_TOP = 560

_BACKGROUND: Colour = (30, 26, 24)
_PANEL: Colour = (42, 37, 34)
_FAINT: Colour = (74, 66, 62)
_GREY: Colour = (150, 142, 138)
_WHITE: Colour = (238, 236, 234)
_AMBER: Colour = (60, 168, 250)
_TEAL: Colour = (170, 160, 62)
_RED: Colour = (92, 88, 232)
_COLOURS: dict[str, Colour] = {
    Outcome.COMPLETE: (118, 186, 92),
    Outcome.PARTIAL: (72, 190, 244),
    Outcome.SHED: _RED,
}
_STATUS: dict[str, Colour] = {
    Status.FRESH: _TEAL,
    Status.CACHED: (120, 116, 60),
    Status.MISSING: _PANEL,
}

_At = Callable[[int], float]
"""Where an instant lies, in pixels from the left."""


def draw_demo(drive: Drive) -> NDArray[np.uint8]:
    """Return the picture of a demo, bgr8."""
    canvas = Canvas(_WIDTH, _HEIGHT, _BACKGROUND)
    rows = drive.ledger.rows
    _title(canvas, drive)
    if rows:
        column, at = _columns(rows)
        _latency(canvas, drive, column, at)
        _inputs(canvas, drive, column, at)
        _siren(canvas, drive, at)
        _seconds(canvas, rows, at)
    if drive.view is not None:
        began_ns = rows[0].stamp_ns if rows else drive.view.stamp_ns
        _view(canvas, drive.view, (drive.view.stamp_ns - began_ns) / NS_PER_S)
        if rows:
            x = at(drive.view.stamp_ns) + column / 2
            canvas.line((x, _LATENCY[0]), (x, _SIREN[1] + 5), _WHITE)
    return canvas.finished()


def _columns(rows: list[Row]) -> tuple[float, _At]:
    """Return the width of a trigger's column, and where instants lie."""
    first_ns, last_ns = rows[0].stamp_ns, rows[-1].stamp_ns
    column = (_RIGHT - _LEFT) / max(len(rows), 2)
    per_ns = (_RIGHT - _LEFT - column) / max(last_ns - first_ns, 1)
    return column, lambda instant_ns: _LEFT + (instant_ns - first_ns) * per_ns


def _title(canvas: Canvas, drive: Drive) -> None:
    counts = Counter(row.outcome for row in drive.ledger.rows)
    names = ", ".join(item.name for item in drive.ledger.plan.inputs)
    canvas.text(40, 48, f"A simulated drive: {names} fused", _WHITE, size=22)
    x = canvas.text(40, 78, f"{len(drive.ledger.rows)} lidar sweeps:", _GREY, size=15) + 14
    for outcome in Outcome:
        canvas.box(x, 67, x + 11, 78, _COLOURS[outcome])
        x = canvas.text(x + 18, 78, f"{counts[outcome]} {outcome.value}", _WHITE, size=15) + 18


def _latency(canvas: Canvas, drive: Drive, column: float, at: _At) -> None:
    top, bottom = _LATENCY
    budget_ms = drive.ledger.plan.budget_ns / NS_PER_MS
    latencies = [_latency_ms(row) for row in drive.ledger.rows]
    most_ms = 1.15 * max(budget_ms, *latencies, 1.0)

    def height(ms: float) -> float:
        return bottom - (bottom - top) * ms / most_ms

    canvas.box(_LEFT, top, _RIGHT, bottom, _PANEL)
    for row, ms in zip(drive.ledger.rows, latencies, strict=True):
        x = at(row.stamp_ns)
        canvas.box(x + 1, height(ms), x + column - 1, bottom, _COLOURS[row.outcome])
    if budget_ms:
        canvas.dashes(_LEFT, _RIGHT, height(budget_ms), _WHITE)
        canvas.text(_LEFT - 10, height(budget_ms) + 4, f"{budget_ms:g} ms", _WHITE, align="right")
        canvas.text(_RIGHT - 8, height(budget_ms) - 6, "budget", _WHITE, size=12, align="right")
        canvas.text(
            _LEFT - 10, height(budget_ms / 2) + 4, f"{budget_ms / 2:g}", _GREY, align="right"
        )
    canvas.text(_LEFT - 10, bottom + 1, "0", _GREY, align="right")
    canvas.text(_LEFT, top - 8, "latency, from the end of a sweep to its answer", _GREY, size=12)


def _latency_ms(row: Row) -> float:
    return (row.delivered_ns - row.stamp_ns - row.span_ns) / NS_PER_MS


def _inputs(canvas: Canvas, drive: Drive, column: float, at: _At) -> None:
    for index, item in enumerate(drive.ledger.plan.inputs):
        top = _INPUTS_TOP + index * (_ROW + 6)
        canvas.text(_LEFT - 10, top + 15, item.name, _GREY, align="right")
        for row in drive.ledger.rows:
            x = at(row.stamp_ns)
            status = row.inputs[index].status
            canvas.box(x + 0.5, top, x + column - 0.5, top + _ROW, _STATUS[status])
            if status is Status.MISSING:
                middle = top + _ROW / 2
                canvas.box(x + 0.5, middle - 1, x + column - 0.5, middle + 1, _RED)


def _siren(canvas: Canvas, drive: Drive, at: _At) -> None:
    top, bottom = _SIREN
    canvas.box(_LEFT, top, _RIGHT, bottom, _PANEL)
    for (begin_ns, true), (end_ns, _) in pairwise(drive.siren_true):
        if true:
            left, right = max(at(begin_ns), _LEFT), min(at(end_ns), _RIGHT)
            canvas.box(left, top, right, bottom, _FAINT)
    points = [(at(ns), bottom - (bottom - top) * share) for ns, share in drive.siren]
    canvas.curve(points, _AMBER, 2)
    canvas.text(_LEFT - 10, top + 22, "siren", _AMBER, align="right")
    canvas.text(_LEFT - 10, top + 40, "near", _AMBER, align="right")
    words = "probability that a siren approaches; shaded: one does"
    canvas.text(_LEFT, top - 8, words, _GREY, size=12)


def _seconds(canvas: Canvas, rows: list[Row], at: _At) -> None:
    first_ns = rows[0].stamp_ns
    seconds = (rows[-1].stamp_ns - first_ns) // NS_PER_S
    step = max(1, -(-seconds // 15))
    for second in range(0, seconds + 1, step):
        x = at(first_ns + second * NS_PER_S)
        canvas.line((x, _SIREN[1]), (x, _SIREN[1] + 5), _GREY)
        canvas.text(x, _SIREN[1] + 20, f"{second} s", _GREY, size=12, align="middle")


# -- the view


def _view(canvas: Canvas, view: View, at_s: float) -> None:
    head = _VIEW_TOP - 14
    bottom = _HEIGHT - 50
    canvas.text(_LEFT, head, f"camera at {at_s:.1f} s", _WHITE, size=14)
    if view.image is None:
        canvas.text(_LEFT, head + 40, "no image belongs to this answer", _GREY)
    else:
        canvas.picture(_LEFT, _VIEW_TOP, 470, view.image)
    cell = (bottom - _VIEW_TOP) / view.fused.shape[0]
    width = cell * view.fused.shape[1]
    for left, words, cells, colour in (
        (680.0, "fused: where road users are", view.fused, _AMBER),
        (1040.0, "truth", view.true, _WHITE),
    ):
        canvas.text(left, head, words, _WHITE, size=14)
        _cells(canvas, left, cell, cells, colour)
        canvas.triangle(left + width / 2, bottom + 6, 7, _GREY)
    for distance_m in (0, 16, 32, 48):
        y = bottom - distance_m / 2 * cell
        canvas.text(668, y + 4, f"{distance_m} m", _GREY, size=12, align="right")


def _cells(
    canvas: Canvas, left: float, cell: float, cells: NDArray[np.float64], colour: Colour
) -> None:
    """Draw a map seen from above: forward is up, left is left."""
    dark = np.array(_PANEL)
    for i, line in enumerate(cells[::-1]):
        for j, share in enumerate(line[::-1]):
            shade = dark + (np.array(colour) - dark) * float(np.clip(share, 0.0, 1.0))
            blue, green, red = (int(part) for part in shade)
            x, y = left + j * cell, _VIEW_TOP + i * cell
            canvas.box(x + 0.5, y + 0.5, x + cell - 0.5, y + cell - 0.5, (blue, green, red))
