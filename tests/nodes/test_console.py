"""The console: what it counts, what it says, and what it draws on a real pseudo-terminal."""

from __future__ import annotations

import fcntl
import io
import logging
import os
import struct
import termios
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tectum.message import ArrayPayload, Header, Kind, Message
from tectum.testing import FakeClock, MemoryContext
from tectum.transport.memory import MemoryBus
from tectum_nodes.console import TERMINAL, ConsoleNode
from tectum_nodes.console_answers import answer_picture, answer_words, bar
from tectum_nodes.console_board import Board, boards_of
from tectum_nodes.console_view import board_line, board_view

MS = 1_000_000
PLAN = {
    "budget_ns": 100 * MS,
    "trigger": "lidar",
    "inputs": [{"name": "camera"}, {"name": "lidar"}],
}
GRID = {"role": "grid", "grid": {"x_min_m": 0, "y_min_m": -16, "cell_m": 2}}
OUTPUTS = {"occupancy": {"buffer": 0, **GRID}, "siren": {"buffer": 1, "role": "probability"}}


def grid(*cells: tuple[int, int]) -> np.ndarray:
    occupancy = np.zeros((1, 24, 16), np.float32)
    for row, column in cells:
        occupancy[0, row, column] = 0.9
    return occupancy


def result_fields(outcome: str, latency_ms: float = 40.0) -> dict[str, Any]:
    fresh = {"status": "fresh", "reason": "", "age_ms": 52.0}
    silent = {"status": "missing", "reason": "silent"}
    return {
        "outcome": outcome,
        "reason": "complete" if outcome == "complete" else "input_silent",
        "latency_ms": latency_ms,
        "inputs": {"camera": fresh if outcome == "complete" else silent, "lidar": fresh},
        "outputs": {} if outcome == "shed" else OUTPUTS,
    }


def result(outcome: str, latency_ms: float = 40.0) -> Message:
    fields = {"result": result_fields(outcome, latency_ms)}
    arrays = () if outcome == "shed" else (grid((4, 7), (9, 3)), np.array([[0.97]], np.float32))
    header = Header("perception/result", Kind.RESULT, 0, 1, fields=fields)
    return Message(header, tuple(ArrayPayload(array) for array in arrays))


def health(now_ms: int, received: int, camera: str = "speaking", heard_ms: int = 0) -> Message:
    fields = {
        "inputs": {"camera": {"received": received}, "lidar": {"received": received // 3}},
        "listening": {"camera": [camera, heard_ms * MS], "lidar": ["speaking", now_ms * MS]},
    }
    return Message(Header("perception/health", Kind.HEALTH, 0, now_ms * MS, fields=fields))


def drawn(board: Board, now_ms: int = 0) -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    console.print(board_view(board, now_ms * MS, now_ms * MS))
    return console.file.getvalue()  # type: ignore[attr-defined]


# -- what it knows


def test_outcomes_are_counted_and_the_latest_answer_is_kept() -> None:
    board = Board("perception", PLAN)
    for outcome, latency_ms in (("complete", 40), ("partial", 120), ("shed", 130)):
        board.take(result(outcome, latency_ms), 5 * MS)
    assert dict(board.outcomes) == {"complete": 1, "partial": 1, "shed": 1}
    assert list(board.recent) == ["complete", "partial", "shed"]
    assert board.on_time == 1
    assert list(board.latencies_ms) == [40, 120]
    assert board.answer["outcome"] == "partial"
    assert board.arrays["siren"].item() == np.float32(0.97)


def test_rates_come_from_health_over_the_latest_seconds() -> None:
    board = Board("perception", PLAN)
    for second in range(10):
        board.take(health(second * 1000, second * (30 if second < 5 else 15)), 0)
    assert board.inputs["camera"].rate_hz == pytest.approx(15)


def test_an_answer_stays_after_its_message_is_gone() -> None:
    board = Board("perception", PLAN)
    message = result("complete")
    board.take(message, 0)
    assert not np.shares_memory(board.arrays["occupancy"], message.array(0))


def test_each_of_several_heads_has_a_board_with_its_own_inputs_and_budget() -> None:
    heads = [
        {"name": "map", "budget_ns": 100 * MS, "inputs": ["camera", "lidar"]},
        {"name": "warning", "budget_ns": 30 * MS, "inputs": ["lidar"]},
    ]
    boards = boards_of("perception", {**PLAN, "heads": heads})
    assert {
        topic: (board.node, board.budget_ms, list(board.inputs)) for topic, board in boards.items()
    } == {
        "perception/map": ("perception/map", 100, ["camera", "lidar"]),
        "perception/warning": ("perception/warning", 30, ["lidar"]),
    }
    assert list(boards_of("perception", PLAN)) == ["perception/result"]


# -- what it says


def test_the_line_names_counts_latency_silence_and_the_answer() -> None:
    board = Board("perception", PLAN)
    board.take(result("complete"), 0)
    board.take(result("partial"), 0)
    board.take(health(4000, 10, "silent", 2500), 0)
    assert board_line(board, 4000 * MS) == (
        "perception: 2 triggers (1 complete, 1 partial, 0 shed); latency 40 of 100 ms; "
        "camera silent for 1.5 s; occupancy: 2 cells, nearest 8 m ahead; siren 97 %"
    )


def test_before_the_first_result_the_line_says_so() -> None:
    assert board_line(Board("perception", PLAN), 0) == "perception: no result yet"


@pytest.mark.parametrize(
    ("output", "array", "words"),
    [
        (GRID, grid(), "x: nothing"),
        ({"role": "grid"}, grid((0, 0)), "x: 1 cell"),
        ({"role": "probability"}, np.array([0.031]), "x 3 %"),
        ({"role": "scores", "labels": ["calm", "happy"]}, np.array([0.2, 0.8]), "x: happy 0.80"),
        ({"role": "scores"}, np.array([0.2, 0.8]), "x: 1 0.80"),
        ({"role": "label", "labels": ["in view", "nobody"]}, np.array([1.0]), "x: nobody"),
        ({"role": "boxes", "labels": ["face"]}, np.zeros((2, 6)), "x: face, face"),
        ({"role": "boxes"}, np.zeros((0, 6)), "x: none"),
        ({"role": "tensor", "unit": "m"}, np.array([12.345]), "x 12.35 m"),
        ({"role": "tensor", "unit": "m"}, np.array([np.nan]), "x unknown"),
        ({"role": "tensor"}, np.zeros((3, 4)), "x: 3 x 4 numbers"),
    ],
)
def test_every_role_is_said_in_words(output: dict[str, Any], array: np.ndarray, words: str) -> None:
    assert answer_words("x", output, array) == words


def test_objects_are_said_with_their_distance() -> None:
    columns = ["x1_px", "y1_px", "x2_px", "y2_px", "score", "label", "distance_m"]
    output = {"role": "objects", "labels": ["person", "car"], "columns": columns}
    objects = np.array([[0, 0, 9, 9, 0.9, 1, 12.34], [0, 0, 9, 9, 0.8, 0, np.nan]])
    assert answer_words("objects", output, objects) == "objects: car 12.3 m, person"
    many = np.repeat(objects[:1], 11, axis=0)
    assert answer_words("objects", output, many).endswith(" and 3 more")


def test_objects_are_drawn_as_a_table_of_the_surest() -> None:
    columns = ["x1_px", "y1_px", "x2_px", "y2_px", "score", "label", "distance_m"]
    output = {"role": "objects", "labels": ["person", "car"], "columns": columns}
    console = Console(file=io.StringIO(), width=80)
    objects = np.array([[0, 0, 9, 9, 0.9, 1, 12.34]] * 12)
    console.print(answer_picture("objects", output, objects))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0].strip() == "objects: 12"
    assert lines[1].split() == ["score", "distance_m"]
    assert [line.split() for line in lines[2:]] == [["car", "0.9", "12.3"]] * 8


# -- what it draws


def test_the_picture_has_inputs_outcomes_latency_and_the_map() -> None:
    board = Board("perception", PLAN)
    board.take(result("complete"), 0)
    board.take(result("partial"), 0)
    board.take(health(4000, 10, "silent", 2500), 4000 * MS)
    text = drawn(board, 4000)
    assert "silent for 1.5 s" in text
    assert "1 complete  1 partial  0 shed" in text
    assert "40 of 100 ms" in text
    assert "48 m" in text
    assert "▲▲" in text


def test_a_node_that_is_not_heard_any_more_is_named() -> None:
    board = Board("perception", PLAN)
    board.take(result("complete"), 1000 * MS)
    text = drawn(board, 6000)
    assert "not heard for 5 s" in text
    assert "the latest answer, 5 s ago" in text


def cells_drawn(array: np.ndarray) -> list[str]:
    console = Console(file=io.StringIO(), width=80, color_system="truecolor", force_terminal=True)
    console.print(answer_picture("x", GRID, array))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return [line for line in lines if "▀" in line]


def test_forward_is_up_and_left_is_left() -> None:
    bright = "232;137;40"
    far_left, near_right = cells_drawn(grid((23, 15))), cells_drawn(grid((0, 0)))
    assert f"38;2;{bright}" in far_left[0].split("▀")[0]
    assert f"48;2;{bright}" in near_right[-1].split("▀")[-3]


def test_a_large_map_is_joined_and_loses_nothing_likely() -> None:
    large = np.zeros((200, 160), np.float32)
    large[199, 0] = 0.9
    lines = cells_drawn(large)
    assert len(lines) <= 16
    assert any("232;137;40" in line for line in lines)


@pytest.mark.parametrize("share", [-1.0, 0.0, 0.13, 0.5, 0.999, 1.0, 7.0])
def test_a_bar_always_has_its_width(share: float) -> None:
    assert len(bar(share, 20, "green")) == 20


# -- the node


class Drive(MemoryContext):
    """A graph in memory whose fusion node answers ten times a second of the fake clock."""

    def __init__(self, seconds: float) -> None:
        bus = MemoryBus(FakeClock())
        topics = {
            "perception/result": {"node": "perception", "kind": "result"},
            "perception/health": {"node": "perception", "kind": "health"},
        }
        nodes = {"perception": {"config": {"plan": PLAN}}, "console": {"config": {}}}
        self.clock: FakeClock
        super().__init__("console", bus=bus, run={"nodes": nodes, "topics": topics})
        self.perception = bus.publisher("perception")
        self.end_ns = bus.clock.now_ns() + round(seconds * 1e9)

    def serve(self, until_ns: int) -> None:
        """Let a tenth of a second pass with each turn of the node's loop."""
        del until_ns
        now_ns = self.clock.advance(100 * MS)
        self.perception.serve()
        message = result("complete")
        arrays = tuple(payload.array() for payload in message.payloads)
        self.perception.publish(
            "result", Kind.RESULT, arrays, stamp_ns=now_ns, fields=message.header.fields
        )
        if now_ns >= self.end_ns:
            self.stop()
        super().serve(now_ns)


def look(context: Drive) -> None:
    node = ConsoleNode(ConsoleNode.Config())
    node.open(context)
    try:
        node.run(context)
    finally:
        node.close()


def test_without_a_terminal_a_line_is_said_every_two_seconds(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TERMINAL, raising=False)
    with caplog.at_level(logging.INFO):
        look(Drive(7.0))
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 4  # after two, four and six seconds, and at the end
    assert all(line.startswith("perception: ") for line in lines)
    counts = [int(line.split()[1]) for line in lines]
    assert counts == sorted(counts)
    assert counts[-1] >= 60


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    """A pseudo-terminal of 100 x 40: its reading end and its path."""
    reader, writer = os.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    yield reader, os.ttyname(writer)
    os.close(reader)
    os.close(writer)


def test_a_terminal_that_is_lent_is_drawn_on_and_given_back(
    terminal: tuple[int, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reader, path = terminal
    monkeypatch.setenv(TERMINAL, path)
    with caplog.at_level(logging.INFO), ThreadPoolExecutor(1) as eyes:
        text = eyes.submit(read_until_cursor, reader)
        look(Drive(2.0))
    assert text.result().count("48 m") > 3  # drawn again and again
    assert "40 of 100 ms" in text.result()
    assert not caplog.records


def read_until_cursor(reader: int) -> str:
    """Everything that is drawn, until the cursor is shown again."""
    seen = b""
    os.set_blocking(reader, True)
    while not seen.rstrip().endswith(b"\x1b[?25h"):
        seen += os.read(reader, 1 << 16)
    return seen.decode()


def test_a_terminal_that_takes_nothing_holds_nobody_up(
    terminal: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, path = terminal
    monkeypatch.setenv(TERMINAL, path)
    context = Drive(20.0)
    look(context)
    assert context.clock.now_ns() >= context.end_ns


def test_only_the_fusion_node_that_is_asked_for_is_shown(tmp_path: Path) -> None:
    config = ConsoleNode.Config(node="perception")
    assert ConsoleNode.topics_of(config) == ("perception/*:result", "perception/health")
