"""The dashboard node: what a graph sees, hears and answers, in a browser.

It only listens, lowers its own priority, and makes pictures only while a browser takes them: a slow
browser costs the graph nothing. It is served on this machine alone unless `host` says otherwise,
which needs a `token`. Needs the extra `ui` (aiohttp). Its address is logged, and stands in
`<name>.url` in the run's directory.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, model_validator

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import ConfigError, DataError
from tectum.node.base import Context, Node, NodeConfig
from tectum.node.fields import Rate
from tectum.pipeline.plan import plan_from
from tectum.rundir import read_run
from tectum_nodes.dashboard.board import Board
from tectum_nodes.dashboard.metrics import metrics_text
from tectum_nodes.dashboard.questions import Questions
from tectum_nodes.dashboard.vitals import Processes
from tectum_nodes.dashboard.why_question import why_answer

if TYPE_CHECKING:
    from tectum_nodes.dashboard.server import PageServer

__all__ = ["DashboardConfig", "DashboardNode"]

_STATE_EVERY_NS = 250 * NS_PER_MS
_HOLD = 24
_NICER = 15


class DashboardConfig(NodeConfig):
    """Where the page is served, and what it shows."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """TCP port; 0: any that is free."""
    host: str = "127.0.0.1"
    """Address to listen on. One that others reach needs a `token`, and is not encrypted."""
    token: str = ""
    """Whoever opens the page has to know it: `http://HOST:PORT/?token=...`."""
    topics: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)
    """What is shown."""
    refresh: Annotated[Rate, Field(ge=1, le=60)] = 15.0
    """Pictures of each topic per second, at most."""
    width: Annotated[int, Field(ge=64, le=4096)] = 720
    """Longer side of pictures, in pixels; larger ones are made smaller."""
    metrics: bool = False
    """Also give `/metrics` for Prometheus: outcomes, latency, rates, losses, CPU and memory."""

    @model_validator(mode="after")
    def _guarded(self) -> DashboardConfig:
        try:
            here = self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            msg = f"host: {self.host!r} is no address: write one of this machine's, as 127.0.0.1"
            raise ValueError(msg) from None
        if not here and len(self.token) < 8:
            msg = f"host: {self.host} can be reached from elsewhere: set a `token` of 8 letters"
            raise ValueError(msg)
        return self


class DashboardNode(Node):
    """Shows a graph in a browser."""

    Config: ClassVar[type[NodeConfig]] = DashboardConfig
    config: DashboardConfig

    @classmethod
    def topics_of(cls, config: DashboardConfig) -> tuple[str, ...]:
        """Return the topics to show."""
        return config.topics

    def __init__(self, config: Any) -> None:
        """Serve nothing yet."""
        super().__init__(config)
        self.questions = Questions()
        self.board: Board | None = None
        self._server: PageServer | None = None
        self._processes, self._measured = Processes(), Processes()
        self._state_due_ns = 0

    def open(self, context: Context) -> None:
        """Begin to serve, and join the publishers.

        Raises:
            ConfigError: aiohttp is not installed, or the port is taken.
        """
        try:
            from tectum_nodes.dashboard.server import PageServer  # noqa: PLC0415 - extra `ui`
        except ImportError as error:
            msg = f"the dashboard needs aiohttp ({error}): pip install 'tectum[ui]'"
            raise ConfigError(msg) from error
        with contextlib.suppress(OSError):
            os.nice(_NICER)
        config = self.config
        self.board = _board(context.run, config.width)
        self.board.complain = context.log.warning
        self._introduce(context, self.board)
        self._subscriber = context.subscribe(config.topics, queue=64, hold=_HOLD)
        self._server = PageServer(
            self.board.slots,
            self.questions.ask,
            host=config.host,
            port=config.port,
            token=config.token,
            metrics=config.metrics,
        )
        address = self._server.open()
        (context.folder / f"{context.name}.url").write_text(address + "\n", encoding="utf-8")
        context.log.info("dashboard at %s", address)

    def run(self, context: Context) -> None:
        """Listen and show until the graph stops."""
        period_ns = round(NS_PER_S / self.config.refresh)
        due_ns = context.clock.now_ns()
        while context.wait_until_ns(due_ns):
            self.turn(context)
            due_ns = max(due_ns + period_ns, context.clock.now_ns())

    def close(self) -> None:
        """End the server, and give messages back."""
        if self._server is not None:
            self._server.close()
        if self.board is not None:
            self.board.release()

    def turn(self, context: Context) -> None:
        """Take up what has come, answer, and show what browsers want to see."""
        board = self.board
        assert board is not None, "`open` makes it"
        now_ns = context.clock.now_ns()
        for received in self._subscriber.drain():
            if received.message is not None:
                board.take(received.message, now_ns)
        board.show()
        if now_ns >= self._state_due_ns:
            self._state_due_ns = now_ns + _STATE_EVERY_NS
            more = {}
            if board.slots.watched:
                more["nodes"] = self._processes.document(now_ns, _pids(context))
            board.show_state(now_ns, self._subscriber.counters(), **more)
        self.questions.answer_all(lambda question: self._answer(question, context, board))
        board.slots.wake()

    def _answer(
        self, question: Mapping[str, Any], context: Context, board: Board
    ) -> dict[str, Any] | None:
        """Return the answer to a question that a browser or a collector of metrics has."""
        if "metrics" in question:
            now_ns = context.clock.now_ns()
            usage = self._measured.document(now_ns, _pids(context))
            return {"text": metrics_text(board, now_ns, self._subscriber.counters(), usage)}
        return why_answer(question, board)

    def _introduce(self, context: Context, board: Board) -> None:
        description = context.run.get("description", {})
        graph = description.get("graph", "") if isinstance(description, dict) else ""
        run, now_ns = context.run.get("id", ""), context.clock.now_ns()
        board.introduce(graph, str(run), now_ns, context.epoch_ns)


def _board(run: Mapping[str, Any], width: int) -> Board:
    """Return a board for the topics and fusion nodes of a run."""
    topics = {
        topic: (str(record["kind"]), str(record["node"])) for topic, record in run["topics"].items()
    }
    documents = {name: item.get("config", {}).get("plan") for name, item in run["nodes"].items()}
    plans = {name: plan_from(document) for name, document in documents.items() if document}
    return Board(topics, plans, width=width)


def _pids(context: Context) -> dict[str, int]:
    """Return the process of each node; a restarted one has another."""
    try:
        nodes = read_run(context.folder)["nodes"]
    except DataError:
        return {}
    return {name: int(record["pid"]) for name, record in nodes.items() if record.get("pid")}
