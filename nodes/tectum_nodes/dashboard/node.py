"""The dashboard node: what a graph sees, hears and answers, in a browser.

It only listens, lowers its own priority, and makes pictures only while a browser takes them: a slow
browser costs the graph nothing. It is served on this machine alone unless `host` says otherwise,
which needs a `token`. Needs the extra `ui` (aiohttp). Its address is logged, and stands in
`<name>.url` in the run's directory.
"""

from __future__ import annotations

import contextlib
import os
import queue
from concurrent.futures import Future
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import ConfigError, DataError, TectumError
from tectum.message import Kind, Message
from tectum.node.base import Context, Node, NodeConfig
from tectum.node.fields import Rate
from tectum.pipeline.plan import plan_from
from tectum.rundir import read_run
from tectum_nodes.dashboard.frames import (
    audio_frame,
    frame,
    image_frame,
    points_frame,
    result_frame,
)
from tectum_nodes.dashboard.outcomes import Outcomes
from tectum_nodes.dashboard.slots import Slots
from tectum_nodes.dashboard.vitals import Processes, TopicVitals

if TYPE_CHECKING:
    from tectum_nodes.dashboard.server import PageServer

__all__ = ["DashboardConfig", "DashboardNode"]

_STATE_EVERY_NS = 250 * NS_PER_MS
_AUDIO_S = 0.5
"""How much sound a frame carries: a browser that is late for less misses none."""
_HOLD = 24
_NICER = 5
_SHOWN = (Kind.IMAGE, Kind.POINTS)


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
        self.slots = Slots()
        self._server: PageServer | None = None
        self._questions: queue.SimpleQueue[tuple[str, int, int, Future[str]]] = queue.SimpleQueue()
        self._vitals: dict[str, TopicVitals] = {}
        self._outcomes: dict[str, Outcomes] = {}
        self._health: dict[str, dict[str, Any]] = {}
        self._newest: dict[str, Message] = {}
        self._sound: dict[str, NDArray[np.int16]] = {}
        self._processes = Processes()
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
        self._know(context)
        config = self.config
        self._subscriber = context.subscribe(config.topics, queue=64, hold=_HOLD)
        self._server = PageServer(
            self.slots, self.ask, host=config.host, port=config.port, token=config.token
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
        for message in self._newest.values():
            message.release()

    def ask(self, node: str, life: int, trigger: int) -> Future[str]:
        """Return what will be the explanation of a trigger; for any thread."""
        answer: Future[str] = Future()
        self._questions.put((node, life, trigger, answer))
        return answer

    def turn(self, context: Context) -> None:
        """Take up what has come, answer, and show what browsers want to see."""
        now_ns = context.clock.now_ns()
        for received in self._subscriber.drain():
            if received.message is not None:
                self._take(context, received.message, now_ns)
        self._show(context)
        if now_ns >= self._state_due_ns:
            self._state_due_ns = now_ns + _STATE_EVERY_NS
            self._show_state(context, now_ns)
        while not self._questions.empty():
            node, life, trigger, answer = self._questions.get()
            known = self._outcomes.get(node)
            answer.set_result(known.why(life, trigger) if known else f"no node is called {node}")
        self.slots.wake()

    # -- what is known of the graph

    def _know(self, context: Context) -> None:
        """Tell the page what the graph consists of."""
        run = context.run
        fusion: dict[str, Any] = {}
        for topic, record in run["topics"].items():
            if record["kind"] not in (Kind.JOURNAL, Kind.LEDGER, Kind.RESULT, Kind.HEALTH):
                self._vitals[topic] = TopicVitals(str(record["kind"]), str(record["node"]))
        for name, record in run["nodes"].items():
            document = record.get("config", {}).get("plan")
            if document is None:
                continue
            plan = plan_from(document)
            self._outcomes[name] = Outcomes(name, plan)
            self.slots.add(f"{name}/outcomes", self._outcomes[name])
            fusion[name] = {
                "budget_ms": plan.budget_ns / NS_PER_MS,
                "trigger": plan.trigger,
                "inputs": {item.name: item.topic for item in plan.inputs},
            }
        description = run.get("description", {})
        head = {
            "t": "hello",
            "graph": description.get("graph", "") if isinstance(description, dict) else "",
            "run": run.get("id", ""),
            "now_ns": context.clock.now_ns(),
            "epoch_ns": context.epoch_ns,
            "topics": {name: item.kind for name, item in self._vitals.items()},
            "fusion": fusion,
        }
        self.slots.put("hello", frame(head))

    # -- what comes

    def _take(self, context: Context, message: Message, now_ns: int) -> None:
        header = message.header
        node = header.topic.partition("/")[0]
        vitals = self._vitals.get(header.topic)
        if header.kind in (Kind.LATCHED, Kind.PROMISE, Kind.END):
            if vitals and header.kind is Kind.END:
                vitals.ended = True
        elif vitals:
            vitals.hear(now_ns, header.stamp_ns)
            if header.kind in _SHOWN:
                self._keep(header.topic, message)
                return
            if header.kind is Kind.AUDIO:
                self._hear(message)
        elif node in self._outcomes:
            self._take_word(context, node, message)
            return
        message.release()

    def _take_word(self, context: Context, node: str, message: Message) -> None:
        """Take up what a fusion node says."""
        header = message.header
        document = header.fields.get("result")
        if header.kind is Kind.RESULT and isinstance(document, dict):
            self._outcomes[node].take_result(message, document)
            if document.get("outputs"):
                self._keep(header.topic, message)
                return
        elif header.kind is Kind.LEDGER:
            try:
                self._outcomes[node].take_ledger(message)
            except DataError as error:
                context.log.warning("%s", error)
        elif header.kind is Kind.HEALTH:
            self._health[node] = dict(header.fields)
        message.release()

    def _keep(self, topic: str, message: Message) -> None:
        """Keep a message as the newest of its topic until it is shown."""
        if topic in self._newest:
            self._newest.pop(topic).release()
        self._newest[topic] = message

    def _hear(self, message: Message) -> None:
        """Add sound to what was heard last, of all channels together."""
        topic, samples = message.header.topic, np.asarray(message.array(), np.int16)
        mono = samples if samples.ndim == 1 else samples.mean(axis=1).astype(np.int16)
        rate_hz = message.header.fields.get("rate_hz")
        most = round(_AUDIO_S * (rate_hz if isinstance(rate_hz, int) else 16_000))
        before = self._sound.get(topic, np.zeros(0, np.int16))
        self._sound[topic] = np.concatenate([before, mono])[-most:]
        self._keep_sound(topic, message)

    def _keep_sound(self, topic: str, message: Message) -> None:
        if self.slots.wanted(topic):
            self.slots.put(topic, audio_frame(message, self._sound[topic]))

    # -- what is shown

    def _show(self, context: Context) -> None:
        """Make frames of what is new and wanted; the rest waits, or is forgotten."""
        for topic in list(self._newest):
            if not self.slots.wanted(topic):
                continue
            message = self._newest.pop(topic)
            try:
                self.slots.put(topic, self._frame(message))
            except TectumError as error:
                context.log.warning("%s cannot be shown: %s", topic, error)
            message.release()

    def _frame(self, message: Message) -> bytes:
        if message.header.kind is Kind.IMAGE:
            return image_frame(message, self.config.width)
        if message.header.kind is Kind.POINTS:
            return points_frame(message)
        document: Any = message.header.fields["result"]
        return result_frame(message, document)

    def _show_state(self, context: Context, now_ns: int) -> None:
        counters = self._subscriber.counters()
        head = {
            "t": "state",
            "now_ns": now_ns,
            "topics": {
                name: item.document(now_ns, counters.get(name, {}))
                for name, item in self._vitals.items()
            },
            "fusion": {name: _listening(health) for name, health in self._health.items()},
        }
        if self.slots.watched:
            head["nodes"] = self._processes.document(now_ns, _pids(context))
        self.slots.put("state", frame(head))


def _listening(health: dict[str, Any]) -> dict[str, Any]:
    """Return of a fusion node's health what the page shows."""
    kept = {key: health.get(key) for key in ("listening", "inputs", "transport")}
    return {key: value for key, value in kept.items() if value is not None}


def _pids(context: Context) -> dict[str, int]:
    """Return the process of each node; a restarted one has another."""
    try:
        nodes = read_run(context.folder)["nodes"]
    except DataError:
        return {}
    return {name: int(record["pid"]) for name, record in nodes.items() if record.get("pid")}
