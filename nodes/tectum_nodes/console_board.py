"""What the console knows of a fusion node or one of its heads, from results and health.

Pure bookkeeping with explicit time; it is drawn elsewhere. Rates come from two health messages a
few seconds apart; what is counted is counted from the console's own beginning, so that a late
console tells no lies.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.message import AnyArray, Kind, Message

__all__ = ["Board", "InputState", "boards_of"]

_REMEMBERED = 60
_RATE_OVER_NS = 3 * NS_PER_S
_ANSWERED = ("complete", "partial")


@dataclass(slots=True)
class InputState:
    """One input as the console shows it."""

    state: str = "unheard"
    """unheard, speaking, silent, mute, ended: as `tectum.sync.listening` has it."""
    heard_ns: int = 0
    rate_hz: float = 0.0
    status: str = ""
    """In the latest result: fresh, cached, missing."""
    reason: str = ""
    age_ms: float | None = None
    """How old its sample was in the latest result that used it."""
    used: int = 0
    _counts: deque[tuple[int, int]] = field(default_factory=deque)

    def count(self, now_ns: int, received: int) -> None:
        """Take up how many messages had come by `now_ns`."""
        self._counts.append((now_ns, received))
        while len(self._counts) > 2 and self._counts[1][0] <= now_ns - _RATE_OVER_NS:
            self._counts.popleft()
        (first_ns, before), (last_ns, after) = self._counts[0], self._counts[-1]
        if last_ns > first_ns:
            self.rate_hz = (after - before) * NS_PER_S / (last_ns - first_ns)


def boards_of(node: str, plan: Mapping[str, Any]) -> dict[str, Board]:
    """Return a board for the answers of each head of a fusion node, by their topics."""
    heads = plan.get("heads", ())
    if not heads:
        return {f"{node}/result": Board(node, plan)}
    return {
        f"{node}/{head['name']}": Board(
            f"{node}/{head['name']}",
            {
                **plan,
                "budget_ns": head["budget_ns"],
                "inputs": [item for item in plan["inputs"] if item["name"] in head["inputs"]],
            },
        )
        for head in heads
    }


class Board:
    """The present state of one fusion node, or of one of several heads."""

    def __init__(self, node: str, plan: Mapping[str, Any]) -> None:
        """Know nothing of `node` but its plan document."""
        self.node = node
        self.budget_ms = int(plan.get("budget_ns", 0)) / NS_PER_MS
        self.trigger = str(plan.get("trigger", ""))
        self.inputs = {str(item["name"]): InputState() for item in plan.get("inputs", ())}
        self.outcomes: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.on_time = 0
        self.recent: deque[str] = deque(maxlen=_REMEMBERED)
        """The latest outcomes, oldest first."""
        self.latencies_ms: deque[float] = deque(maxlen=_REMEMBERED)
        self.answer: Mapping[str, Any] = {}
        """The latest document that has outputs."""
        self.arrays: dict[str, AnyArray] = {}
        self.answered_ns = 0
        self.heard_ns = 0
        """When the node was last heard."""

    @property
    def triggers(self) -> int:
        """Return how many outcomes were seen."""
        return sum(self.outcomes.values())

    def take(self, message: Message, now_ns: int) -> None:
        """Take up a result or health message; others are ignored."""
        header = message.header
        if header.kind is Kind.RESULT:
            self.heard_ns = now_ns
            document = header.fields.get("result")
            if isinstance(document, Mapping):
                self._take_result(document, message, now_ns)
        elif header.kind is Kind.HEALTH:
            self.heard_ns = now_ns
            self._take_health(header.fields, header.stamp_ns)

    def quantile_ms(self, share: float) -> float | None:
        """Return a quantile of the latest latencies, None before the first."""
        if not self.latencies_ms:
            return None
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def _take_result(self, document: Mapping[str, Any], message: Message, now_ns: int) -> None:
        outcome = str(document.get("outcome", ""))
        self.outcomes[outcome] += 1
        self.reasons[str(document.get("reason", ""))] += 1
        self.recent.append(outcome)
        for name, item in document.get("inputs", {}).items():
            self._take_input(self.inputs.setdefault(name, InputState()), item)
        if outcome not in _ANSWERED:
            return
        latency_ms = float(document.get("latency_ms", 0.0))
        self.latencies_ms.append(latency_ms)
        self.on_time += not self.budget_ms or latency_ms <= self.budget_ms
        self.answer, self.answered_ns = document, now_ns
        self.arrays = {
            name: message.array(output["buffer"]).copy()
            for name, output in document.get("outputs", {}).items()
            if 0 <= output.get("buffer", -1) < len(message.payloads)
        }

    def _take_input(self, state: InputState, item: Mapping[str, Any]) -> None:
        state.status, state.reason = str(item.get("status", "")), str(item.get("reason", ""))
        if state.status != "missing":
            state.used += 1
            state.age_ms = item.get("age_ms")

    def _take_health(self, fields: Mapping[str, Any], stamp_ns: int) -> None:
        for name, counts in fields.get("inputs", {}).items():
            if name in self.inputs:
                self.inputs[name].count(stamp_ns, int(counts.get("received", 0)))
        for name, (state, heard_ns) in fields.get("listening", {}).items():
            if name in self.inputs:
                self.inputs[name].state, self.inputs[name].heard_ns = str(state), int(heard_ns)
