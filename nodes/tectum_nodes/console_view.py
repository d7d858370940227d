"""The console's picture of a board, and its line for logs where there is no terminal."""

from __future__ import annotations

from itertools import groupby

from rich import box
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tectum.clock import NS_PER_S
from tectum_nodes.console_answers import answer_picture, answer_words, bar
from tectum_nodes.console_board import Board, InputState

__all__ = ["board_line", "board_view"]

_COLOURS = {"complete": "green", "partial": "yellow", "shed": "red"}
_QUIET = ("silent", "mute")
_FROZEN_NS = 2 * NS_PER_S


def board_view(board: Board, now_ns: int, elapsed_ns: int) -> RenderableType:
    """Return the live picture of `board`."""
    body = Group(
        _inputs(board, now_ns),
        _outcomes(board),
        _latency(board),
        _answer(board, now_ns),
    )
    title = f"[bold]{board.node}[/] · {elapsed_ns / NS_PER_S:.0f} s"
    if board.heard_ns and now_ns - board.heard_ns > _FROZEN_NS:
        title += f" · [red]not heard for {(now_ns - board.heard_ns) / NS_PER_S:.0f} s[/]"
    return Panel(body, title=title, title_align="left", box=box.ROUNDED, width=78)


def board_line(board: Board, now_ns: int) -> str:
    """Return the state of `board` in one line."""
    if not board.triggers:
        return f"{board.node}: no result yet"
    counts = ", ".join(f"{board.outcomes[name]} {name}" for name in _COLOURS)
    parts = [f"{board.node}: {board.triggers} triggers ({counts})"]
    median = board.quantile_ms(0.5)
    if median is not None:
        of = f" of {board.budget_ms:g}" if board.budget_ms else ""
        parts.append(f"latency {median:.0f}{of} ms")
    for name, state in board.inputs.items():
        if state.state in _QUIET:
            parts.append(f"{name} {_state_words(state, now_ns)}")
    outputs = board.answer.get("outputs", {})
    parts += [answer_words(name, outputs[name], array) for name, array in board.arrays.items()]
    return "; ".join(parts)


def _inputs(board: Board, now_ns: int) -> Table:
    table = Table("input", "", "rate", "age", "used", box=None, padding=(0, 2), header_style="dim")
    for column in table.columns[2:]:
        column.justify = "right"
    for name, state in board.inputs.items():
        style = "green" if state.state == "speaking" else "red"
        mark = "●" if state.state == "speaking" else "○"
        age = f"{state.age_ms:.0f} ms" if state.age_ms is not None else ""
        table.add_row(
            f"{name} [dim](trigger)[/]" if name == board.trigger else name,
            Text(f"{mark} {_state_words(state, now_ns)}", style),
            f"{state.rate_hz:.1f} Hz",
            age if state.status != "missing" else Text(state.reason.replace("_", " "), "yellow"),
            f"{state.used / board.triggers:.0%}" if board.triggers else "",
        )
    return table


def _state_words(state: InputState, now_ns: int) -> str:
    if state.state == "silent":
        return f"silent for {(now_ns - state.heard_ns) / NS_PER_S:.1f} s"
    return {"mute": "never heard", "unheard": "not heard yet"}.get(state.state, state.state)


def _outcomes(board: Board) -> Table:
    table = Table.grid(padding=(0, 1))
    counts = Text()
    for name, colour in _COLOURS.items():
        counts.append(f"{board.outcomes[name]} {name}  ", colour)
    if board.triggers and board.budget_ms:
        counts.append(f"{board.on_time / board.triggers:.1%} on time", "bold")
    ticks = Text()
    for outcome, run in groupby(board.recent):
        ticks.append("▮" * len(list(run)), _COLOURS.get(outcome, "dim"))
    table.add_row(f"{board.triggers} triggers", counts)
    table.add_row("the latest", ticks)
    return table


def _latency(board: Board) -> Table:
    table = Table.grid(padding=(0, 1))
    median, high = board.quantile_ms(0.5), board.quantile_ms(0.95)
    if median is None or high is None:
        return table
    if not board.budget_ms:
        table.add_row("latency   ", f"{median:.0f} ms (95 %: {high:.0f} ms)")
        return table
    share = median / board.budget_ms
    colour = "green" if share < 0.7 else "yellow" if share < 1 else "red"
    words = f"{median:.0f} of {board.budget_ms:g} ms (95 %: {high:.0f} ms)"
    table.add_row("latency   ", bar(share, 30, colour), words)
    return table


def _answer(board: Board, now_ns: int) -> RenderableType:
    if not board.answer:
        return Text("no answer yet", "dim")
    outputs = board.answer.get("outputs", {})
    pictures = [answer_picture(name, outputs[name], array) for name, array in board.arrays.items()]
    if now_ns - board.answered_ns > _FROZEN_NS:
        stale = f"the latest answer, {(now_ns - board.answered_ns) / NS_PER_S:.0f} s ago:"
        return Group(Text(stale, "red"), Columns(pictures, padding=(0, 4)))
    return Columns(pictures, padding=(0, 4))
