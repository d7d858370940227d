"""The console: a graph at a glance, in the terminal where it was launched.

Shows, live, each input's state, rate and age, what was fused, the outcomes, and the latency against
the budget, for every fusion node of the graph; where one has several heads, for each of them. The
launcher lends it the terminal (`TERMINAL`); without one (a pipe, a CI job) it says a line every two
seconds instead. It only listens: a slow terminal costs the graph nothing.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Annotated, Any, ClassVar

from pydantic import Field

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.message import Kind, Message
from tectum.node.base import Context, Node, NodeConfig
from tectum.node.fields import Duration, Rate
from tectum_nodes.console_board import Board, boards_of
from tectum_nodes.console_screen import Screen

__all__ = ["TERMINAL", "ConsoleConfig", "ConsoleNode"]

TERMINAL = "TECTUM_TERMINAL"
"""Environment variable: the terminal that the launcher lends, such as /dev/pts/3."""
_WAIT_NS = 20 * NS_PER_MS


class ConsoleConfig(NodeConfig):
    """What is shown, and how often."""

    node: str = "*"
    """The fusion node; default: all of the graph."""
    refresh: Annotated[Rate, Field(ge=0.2, le=30)] = 8.0
    """Pictures per second in a terminal."""
    line_every: Annotated[Duration, Field(ge=100 * NS_PER_MS)] = 2 * NS_PER_S
    """Time between lines where there is no terminal."""


class ConsoleNode(Node):
    """Looks at fusion nodes."""

    Config: ClassVar[type[NodeConfig]] = ConsoleConfig
    config: ConsoleConfig

    @classmethod
    def topics_of(cls, config: ConsoleConfig) -> tuple[str, ...]:
        """Return the results and the health of the fusion nodes."""
        return (f"{config.node}/*:result", f"{config.node}/health")

    def __init__(self, config: Any) -> None:
        """Open nothing yet."""
        super().__init__(config)
        self._boards: dict[str, Board] = {}
        """Topic of results -> what is known of it."""
        self._exit = ExitStack()
        self._screen: Screen | None = None

    def open(self, context: Context) -> None:
        """Join the fusion nodes, and take the terminal where one is lent."""
        for name, record in context.run["nodes"].items():
            plan = record.get("config", {}).get("plan")
            if plan is not None and self.config.node in ("*", name):
                self._boards |= boards_of(name, plan)
        self._subscriber = context.subscribe(self.topics_of(self.config))
        path = os.environ.get(TERMINAL)
        if path:
            self._screen = self._exit.enter_context(Screen(path))

    def run(self, context: Context) -> None:
        """Listen and draw until the graph stops; then show what it came to."""
        began_ns = context.clock.now_ns()
        period_ns = round(NS_PER_S / self.config.refresh)
        due_ns = began_ns + (period_ns if self._screen else self.config.line_every)
        while not context.stopping:
            self._subscriber.wait(_WAIT_NS)
            self._drain(context)
            now_ns = context.clock.now_ns()
            context.serve(now_ns)
            if now_ns >= due_ns:
                due_ns = now_ns + (period_ns if self._screen else self.config.line_every)
                self._show(context, now_ns, now_ns - began_ns)
        self._drain(context)
        now_ns = context.clock.now_ns()
        self._show(context, now_ns, now_ns - began_ns)

    def close(self) -> None:
        """Give the terminal back."""
        self._exit.close()

    def _drain(self, context: Context) -> None:
        for received in self._subscriber.drain():
            if received.message is None or received.message.header.kind is Kind.LATCHED:
                continue
            self._take(received.message, context.clock.now_ns())
            received.message.release()

    def _take(self, message: Message, now_ns: int) -> None:
        """Give a result to the board of its topic, health to every board of its node."""
        node, _, _ = message.header.topic.partition("/")
        for topic, board in self._boards.items():
            if message.header.topic == topic or (
                message.header.kind is Kind.HEALTH and topic.startswith(f"{node}/")
            ):
                board.take(message, now_ns)

    def _show(self, context: Context, now_ns: int, elapsed_ns: int) -> None:
        from rich.console import Group  # noqa: PLC0415 - where it is used

        from tectum_nodes.console_view import board_line, board_view  # noqa: PLC0415

        if self._screen is None:
            for board in self._boards.values():
                context.log.info("%s", board_line(board, now_ns))
            return
        views = [board_view(board, now_ns, elapsed_ns) for board in self._boards.values()]
        self._screen.show(Group(*views))
