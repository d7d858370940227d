"""What arrives in a simulation: as the journal of a recorded run tells, else as messages lie in it.

The arrivals of a plan come from the journal where the recorded run used the same topic, with the
names of the plan's own inputs; for other topics, and recordings of others, a message arrives at
its log time. The order is that of time, and of the plan's inputs where times are equal.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from tectum.errors import DataError
from tectum.message import Kind, sample_of
from tectum.pipeline.events import Arrived, Ended, Event, Measured, Missed, Promised, Stopped
from tectum.pipeline.plan import Plan
from tectum.recording.reader import LogReader
from tectum_launch.logged import LoggedFusion

__all__ = ["arrivals_of"]

Inputs = Mapping[str, tuple[str, ...]]
"""Topic -> the inputs of a plan that take it."""


def arrivals_of(plan: Plan, log: Path, recorded: LoggedFusion | None) -> Iterator[Event]:
    """Return the events from outside for a simulation of `plan` over `log`.

    Raises:
        DataError: the log lacks a topic of the plan, or its journal is damaged.
    """
    inputs: dict[str, tuple[str, ...]] = {}
    for item in plan.inputs:
        inputs[item.topic] = (*inputs.get(item.topic, ()), item.name)
    known = {item.topic for item in recorded.plan.inputs} if recorded else set()
    parts = [_from_messages(log, {topic: inputs[topic] for topic in inputs if topic not in known})]
    if recorded:
        parts.insert(0, _from_journal(recorded, inputs, plan))
    return heapq.merge(*parts, key=lambda event: event.now_ns)


def _from_journal(recorded: LoggedFusion, inputs: Inputs, plan: Plan) -> Iterator[Event]:
    """Yield what came from outside; the rest of the journal is what the pipeline made of it."""
    topics = {item.name: item.topic for item in recorded.plan.inputs}
    stages = {stage.name: stage.variants for stage in plan.stages}
    for event in recorded.events():
        if isinstance(event, Arrived):
            for name in inputs.get(topics[event.sample.ref.input], ()):
                ref = replace(event.sample.ref, input=name)
                yield event._replace(sample=replace(event.sample, ref=ref))
        elif isinstance(event, (Promised, Ended, Missed)):
            for name in inputs.get(topics[event.input], ()):
                yield event._replace(input=name)
        elif isinstance(event, Measured):
            if event.variant in stages.get(event.stage, ()):
                yield event
        elif isinstance(event, Stopped):
            yield event


def _from_messages(log: Path, inputs: Inputs) -> Iterator[Event]:
    if not inputs:
        return
    with LogReader(log) as reader:
        missing = [topic for topic in inputs if topic not in reader.topics]
        if missing:
            known = ", ".join(topic for topic in reader.topics if "/@" not in topic)
            msg = f"{log} has no topic {missing[0]!r}, which the graph uses; it has: {known}"
            raise DataError(msg)
        records = heapq.merge(
            reader.messages(tuple(inputs)),
            reader.signs(tuple(inputs)),
            key=lambda record: record.log_ns,
        )
        for record in records:
            header = record.message.header
            for name in inputs[header.topic]:
                if header.kind is Kind.PROMISE:
                    begun = bool(header.fields.get("begun", False))
                    yield Promised(record.log_ns, name, header.stamp_ns, begun)
                elif header.kind is Kind.END:
                    yield Ended(record.log_ns, name)
                elif header.kind is not Kind.LATCHED:
                    yield Arrived(record.log_ns, sample_of(header, name))
            record.message.release()
