"""The board: everything that a page shows, made from messages. Explicit time, no sockets.

Whoever has messages puts them in, a live graph's subscriber or the reader of a recording; the
board keeps the newest of each topic, remembers outcomes and vitals, and fills the slots from which
browsers are served. Frames are made only of what some browser wants to see. For one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tectum.clock import NS_PER_MS
from tectum.errors import DataError, TectumError
from tectum.message import Header, Kind, Message
from tectum.pipeline.plan import Plan
from tectum_nodes.dashboard.frames import (
    audio_frame,
    frame,
    image_frame,
    points_frame,
    result_frame,
)
from tectum_nodes.dashboard.outcomes import Outcomes
from tectum_nodes.dashboard.slots import Slots
from tectum_nodes.dashboard.vitals import TopicVitals

__all__ = ["Board"]

_AUDIO_S = 0.5
"""How much sound a frame carries: a browser that is late for less misses none."""
_SHOWN = (Kind.IMAGE, Kind.POINTS)
_OWN = (Kind.JOURNAL, Kind.LEDGER, Kind.RESULT, Kind.HEALTH, Kind.LATCHED)
"""What fusion nodes say, and facts: other parts of the page show it, not the table of topics."""


class Board:
    """What is known of one graph, and what of it is shown."""

    def __init__(
        self, topics: Mapping[str, tuple[str, str]], plans: Mapping[str, Plan], *, width: int
    ) -> None:
        """Know `topics` (name -> kind, node) and the `plans` of the fusion nodes.

        `width` is the longer side of pictures, in pixels; larger ones are made smaller.
        """
        self.slots = Slots()
        self.audio_s = _AUDIO_S
        self.complain: Callable[[str], None] = lambda words: None
        """Called with what cannot be shown, and why."""
        self.vitals = {
            name: TopicVitals(kind, node)
            for name, (kind, node) in topics.items()
            if kind not in _OWN
        }
        self.outcomes = {name: Outcomes(name, plan) for name, plan in plans.items()}
        for name, outcomes in self.outcomes.items():
            self.slots.add(f"{name}/outcomes", outcomes)
        self.health: dict[str, dict[str, Any]] = {}
        self.plans, self._width = plans, width
        self._newest: dict[str, Message] = {}
        self._sound: dict[str, NDArray[np.int16]] = {}
        self._sounded: dict[str, Header] = {}
        """Of the newest sound that has not been shown."""

    def introduce(self, graph: str, run: str, now_ns: int, epoch_ns: int, **more: Any) -> None:
        """Tell the page what the graph consists of; it begins anew where `more` has changed."""
        fusion = {
            name: {
                "budget_ms": plan.budget_ns / NS_PER_MS,
                "trigger": plan.trigger,
                "inputs": {item.name: item.topic for item in plan.inputs},
            }
            for name, plan in self.plans.items()
        }
        head = {
            "t": "hello",
            "graph": graph,
            "run": run,
            "now_ns": now_ns,
            "epoch_ns": epoch_ns,
            "topics": {name: item.kind for name, item in self.vitals.items()},
            "fusion": fusion,
            **more,
        }
        self.slots.put("hello", frame(head))

    # -- what comes

    def take(self, message: Message, now_ns: int) -> None:
        """Take up a message, and give it back once it is no longer needed."""
        header = message.header
        node = header.topic.partition("/")[0]
        vitals = self.vitals.get(header.topic)
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
        elif node in self.outcomes:
            self._take_word(node, message)
            return
        message.release()

    def forget(self) -> None:
        """Forget what came, as if nothing had; frames that nobody has seen yet are not shown."""
        for topic in self.vitals:
            self.slots.put(topic, frame({"t": "nothing"}))
        for topic, known in self.vitals.items():
            self.vitals[topic] = TopicVitals(known.kind, known.node)
        for outcomes in self.outcomes.values():
            outcomes.forget()
        self.health.clear()
        self._sound.clear()
        self._sounded.clear()
        self.release()

    def release(self) -> None:
        """Give all messages back."""
        for message in self._newest.values():
            message.release()
        self._newest.clear()

    def why(self, node: str, life: int, trigger: int) -> str:
        """Return what explains a trigger, in sentences."""
        known = self.outcomes.get(node)
        return known.why(life, trigger) if known else f"no node is called {node}"

    def _take_word(self, node: str, message: Message) -> None:
        """Take up what a fusion node says."""
        header = message.header
        document = header.fields.get("result")
        if header.kind is Kind.RESULT and isinstance(document, dict):
            self.outcomes[node].take_result(message, document)
            if document.get("outputs"):
                self._keep(header.topic, message)
                return
        elif header.kind is Kind.LEDGER:
            try:
                self.outcomes[node].take_ledger(message)
            except DataError as error:
                self.complain(str(error))
        elif header.kind is Kind.HEALTH:
            self.health[node] = dict(header.fields)
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
        most = round(self.audio_s * (rate_hz if isinstance(rate_hz, int) else 16_000))
        before = self._sound.get(topic, np.zeros(0, np.int16))
        self._sound[topic] = np.concatenate([before, mono])[-most:]
        self._sounded[topic] = message.header

    # -- what is shown

    def show(self) -> None:
        """Make frames of what is new and wanted; the rest waits, or is forgotten."""
        for topic in [topic for topic in self._sounded if self.slots.wanted(topic)]:
            self.slots.put(topic, audio_frame(self._sounded.pop(topic), self._sound[topic]))
        for topic in list(self._newest):
            if not self.slots.wanted(topic):
                continue
            message = self._newest.pop(topic)
            try:
                self.slots.put(topic, self._frame(message))
            except TectumError as error:
                self.complain(f"{topic} cannot be shown: {error}")
            message.release()

    def show_state(
        self, now_ns: int, counters: Mapping[str, Mapping[str, Any]], **more: Any
    ) -> None:
        """Show how topics are; `counters` are a subscriber's, per topic."""
        head = {
            "t": "state",
            "now_ns": now_ns,
            "topics": {
                name: item.document(now_ns, counters.get(name, {}))
                for name, item in self.vitals.items()
            },
            "fusion": {name: _listening(health) for name, health in self.health.items()},
            **more,
        }
        self.slots.put("state", frame(head))

    def _frame(self, message: Message) -> bytes:
        if message.header.kind is Kind.IMAGE:
            return image_frame(message, self._width)
        if message.header.kind is Kind.POINTS:
            return points_frame(message)
        document: Any = message.header.fields["result"]
        return result_frame(message, document)


def _listening(health: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a fusion node's health what the page shows."""
    kept = {key: health.get(key) for key in ("listening", "inputs", "transport")}
    return {key: value for key, value in kept.items() if value is not None}
