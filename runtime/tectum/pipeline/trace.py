"""A timeline of what one fusion node did, from its journal: for people, in the trace viewer's form.

The journal is fed to a fresh pipeline, as `verify` does; its orders and the ends of runs give
every slice. The form is Chrome's Trace Event Format (JSON), which Perfetto and `chrome://tracing`
open: slices per lane, one span per set with its phases, marks for what changed about an input.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tectum.ledger.row import Row
from tectum.pipeline.events import Event, Finished
from tectum.pipeline.orders import Close, Note, Order, Start
from tectum.pipeline.pipeline import Pipeline
from tectum.pipeline.plan import Plan

__all__ = ["named", "slice_of", "trace_of"]

TraceEvent = dict[str, Any]

_LANES = 100
"""Threads of a process in the viewer: lanes from here on, the rest below."""
_NOTES = 1


def trace_of(plan: Plan, journal: Iterable[Event], process: int) -> Iterator[TraceEvent]:
    """Yield the trace of a fusion node as the viewer's process number `process`."""
    yield named(process, f"fusion {plan.name}")
    yield named(process, "inputs", _NOTES)
    for lane in range(plan.lanes):
        yield named(process, f"lane {lane}", _LANES + lane)
    pipeline, running = Pipeline(plan), _Running(process)
    for event in journal:
        if isinstance(event, Finished):
            yield from running.ended(event)
        for order in pipeline.feed(event):
            yield from running.ordered(order)


def named(process: int, name: str, thread: int | None = None) -> TraceEvent:
    """Return what gives a process, or one of its threads, its name."""
    what = "process_name" if thread is None else "thread_name"
    return {"ph": "M", "name": what, "pid": process, "tid": thread or 0, "args": {"name": name}}


def slice_of(
    name: str, place: tuple[int, int], begin_ns: int, end_ns: int, **facts: Any
) -> TraceEvent:
    """Return a slice on (process, thread); ns on the graph clock."""
    return {
        "ph": "X",
        "name": name,
        "pid": place[0],
        "tid": place[1],
        "ts": begin_ns / 1000,
        "dur": max(0, end_ns - begin_ns) / 1000,
        "args": facts,
    }


class _Running:
    """The runs of one fusion node that have been ordered and not ended."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._runs: dict[int, Start] = {}

    def ordered(self, order: Order) -> Iterator[TraceEvent]:
        if isinstance(order, Start):
            self._runs[order.run] = order
        elif isinstance(order, Close):
            yield from self._set(order.row)
        elif isinstance(order, Note):
            name = f"{order.input} {order.change}"
            yield self._mark(name, order.now_ns, detail_ns=order.detail_ns)

    def ended(self, event: Finished) -> Iterator[TraceEvent]:
        start = self._runs.pop(event.run, None)
        if start is None:
            return
        place = (self._process, _LANES + start.lane)
        name = start.stage if event.status == "ok" else f"{start.stage} ({event.status})"
        begin_ns = event.now_ns - event.compute_ns
        yield slice_of(name, place, begin_ns, event.now_ns, variant=start.variant, run=event.run)

    def _mark(self, name: str, at_ns: int, **facts: Any) -> TraceEvent:
        mark = {"ph": "i", "s": "t", "name": name, "pid": self._process, "tid": _NOTES}
        return {**mark, "ts": at_ns / 1000, "args": facts}

    def _set(self, row: Row) -> Iterator[TraceEvent]:
        """Yield a set with its phases, as nested spans of their own track: sets overlap."""
        facts = {
            "outcome": row.outcome.value,
            "reason": row.reason,
            "flags": list(row.flags),
            "blame": row.blame,
            "stamp_ns": row.stamp_ns,
            "deadline_ns": row.deadline_ns,
            "inputs": {
                item.name: f"{item.status.value} {item.reason}".strip() for item in row.inputs
            },
        }
        ended_ns = max(row.delivered_ns, row.emitted_ns, row.accepted_ns)
        name = f"{row.head} {row.outcome.value} #{row.trigger}".strip()
        number = f"{row.head} {row.trigger}".strip()
        yield from self._span(number, name, row.accepted_ns, ended_ns, facts)
        phases = (
            ("wait for inputs", row.accepted_ns, row.settled_ns),
            ("head", row.head_begin_ns, row.head_end_ns),
            ("delivery", row.emitted_ns, row.delivered_ns),
        )
        for phase, begin_ns, end_ns in phases:
            if 0 < begin_ns < end_ns:
                yield from self._span(number, phase, begin_ns, end_ns, {})

    def _span(
        self, number: str, name: str, begin_ns: int, end_ns: int, facts: dict[str, Any]
    ) -> Iterator[TraceEvent]:
        same = {"cat": "set", "id": number, "name": name, "pid": self._process, "tid": 0}
        yield {**same, "ph": "b", "ts": begin_ns / 1000, "args": facts}
        yield {**same, "ph": "e", "ts": end_ns / 1000}
