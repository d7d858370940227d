"""What a fusion node's triggers came to, for the timeline: remembered, counted, explained.

Outcomes come from results, at once; rows, which explain them, from the ledger a little later. A
fusion node that is restarted counts its triggers from 0 again: its lives are told apart.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Any

from tectum.errors import TectumError
from tectum.ledger.codec import row_from
from tectum.ledger.row import Row
from tectum.ledger.why import explain
from tectum.message import Message
from tectum.pipeline.orders import Note
from tectum.pipeline.plan import Plan
from tectum_nodes.dashboard.buckets import Buckets
from tectum_nodes.dashboard.frames import frame

__all__ = ["Outcomes"]

REMEMBERED = 600
_BEFORE, _AFTER = 100, 30
"""How many rows around one trigger say what is usual, and what came too late."""


class Outcomes:
    """The timeline of one fusion node; a slot of its own (see `slots.Slot`)."""

    def __init__(self, node: str, plan: Plan) -> None:
        """Know of no trigger yet."""
        self.node, self.plan = node, plan
        self._budgets_ms = {head.name: head.budget_ns / 1e6 for head in plan.all_heads}
        self.version = -1
        self._epoch = 0
        """How often everything was forgotten: what a page has of an earlier epoch is void."""
        self._items: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
        self._rows: deque[tuple[int, Row]] = deque(maxlen=REMEMBERED + _BEFORE)
        self._notes: deque[Note] = deque(maxlen=REMEMBERED)
        self.counts: Counter[str] = Counter()
        """Outcome -> triggers."""
        self.reasons: Counter[str] = Counter()
        """Why it was not complete -> triggers."""
        self.on_time = 0
        self.latency = Buckets()
        """Of what was delivered, from the end of capture, in seconds."""
        self.phases_s: defaultdict[str, float] = defaultdict(float)
        """Phase -> seconds, of all triggers together."""
        self._lives: list[int] = []

    def take_result(self, message: Message, document: Mapping[str, Any]) -> None:
        """Take up what a trigger came to."""
        outcome, latency_ms = str(document["outcome"]), float(document["latency_ms"])
        budget_ms = self._budgets_ms.get(str(document.get("head", "")), 0.0)
        self._count(outcome, document, latency_ms)
        self.on_time += outcome != "shed" and (not budget_ms or latency_ms <= budget_ms)
        self._items.append(
            {
                "life": self._life(message.header.incarnation),
                "trigger": document["trigger"],
                "stamp_ns": document["stamp_ns"],
                "outcome": outcome,
                "reason": document["reason"],
                "flags": list(document.get("flags", ())),
                "latency_ms": round(latency_ms, 2),
                "age_ms": round(float(document.get("age_ms", latency_ms)), 2),
                "phases_ms": {
                    name: round(float(took), 2)
                    for name, took in document.get("phases_ms", {}).items()
                },
            }
        )
        self.version += 1

    def _count(self, outcome: str, document: Mapping[str, Any], latency_ms: float) -> None:
        self.counts[outcome] += 1
        if outcome != "complete":
            self.reasons[str(document["reason"])] += 1
        if outcome != "shed":
            self.latency.add(latency_ms / 1e3)
        for name, took_ms in document.get("phases_ms", {}).items():
            self.phases_s[str(name)] += float(took_ms) / 1e3

    def take_ledger(self, message: Message) -> None:
        """Take up rows and notes.

        Raises:
            DataError: they are of another version.
        """
        life = self._life(message.header.incarnation)
        rows, notes = message.header.fields.get("rows"), message.header.fields.get("notes")
        for row in _maps(rows):
            self._rows.append((life, row_from(row)))
        self._notes.extend(Note(**note) for note in _maps(notes))

    def forget(self) -> None:
        """Forget all triggers; whoever has seen them is told to forget them too."""
        self._epoch += 1
        self.version += 1
        self._items.clear()
        self._rows.clear()
        self._notes.clear()
        self._lives.clear()
        self.counts.clear()
        self.reasons.clear()
        self.phases_s.clear()
        self.latency = Buckets()
        self.on_time = 0

    def frame_after(self, seen: int) -> bytes:
        """Return the outcomes since the version `seen`, and the counts of all."""
        fresh = min(self.version - seen, len(self._items))
        items = list(self._items)
        return frame(
            {
                "t": "outcomes",
                "node": self.node,
                "epoch": self._epoch,
                "items": items[len(items) - fresh :],
                "counts": dict(self.counts),
                "on_time": self.on_time,
            }
        )

    def why(self, life: int, trigger: int) -> str:
        """Return the sentences that explain one trigger: see `tectum.ledger.why.explain`.

        Of several heads, what it came to for each.
        """
        rows = [row for its_life, row in self._rows if its_life == life]
        found = [i for i, row in enumerate(rows) if row.trigger == trigger]
        if not found:
            return "Its row has not come yet, or was forgotten: ask `tectum why`."
        return "\n".join([self._explained(rows, index) for index in found])

    def _explained(self, rows: list[Row], index: int) -> str:
        before, after = rows[max(0, index - _BEFORE) : index], rows[index + 1 : index + 1 + _AFTER]
        try:
            return explain(rows[index], self.plan, before, later=after, notes=list(self._notes))
        except TectumError as error:
            return str(error)

    def _life(self, incarnation: int) -> int:
        """Return which life of the node this is: 0, 1, 2 ..."""
        if incarnation not in self._lives:
            self._lives.append(incarnation)
        return self._lives.index(incarnation)


def _maps(value: object) -> list[Any]:
    """Return the maps in a list that came from outside."""
    items = value if isinstance(value, Sequence) else ()
    return [item for item in items if isinstance(item, Mapping)]
