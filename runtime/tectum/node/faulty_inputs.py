"""Faults on the living inputs of a fusion node: what stands between its subscriber and its shell.

It is told what a shell is told and passes it on, late, twice, restamped, spoilt or not at all, as
its faults say. What it drops is told to the shell as missing, with the cause `injected`. For one
thread, the loop's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from tectum.clock import Clock
from tectum.message import ArrayPayload, Message, Sample, SampleRef, Value, sample_of
from tectum.pipeline.events import Arrived, Ended, Event, Missed, Promised
from tectum.sync.fault_line import FaultLine
from tectum.sync.faults import Fault

__all__ = ["FaultyInputs", "Inputs"]

_SPOILT_PERMILLE = 10
"""How many of the bytes of a corrupt payload are wrong."""


class Inputs(Protocol):
    """What takes up what reaches the inputs of a fusion node: a `tectum.node.shell.Shell`."""

    def push(self, input_name: str, message: Message) -> None:
        """Take up a message that reached an input."""
        ...

    def promise(self, input_name: str, stamp_ns: int, *, begun: bool) -> None:
        """Take up that nothing before `stamp_ns` follows on an input."""
        ...

    def end(self, input_name: str) -> None:
        """Take up that an input's source has ended."""
        ...

    def miss(
        self, input_name: str, incarnation: int, first_seq: int, missing: int, cause: str
    ) -> None:
        """Take up that messages never came."""
        ...


class FaultyInputs:
    """Satisfies `Inputs`, before another one."""

    def __init__(self, faults: Iterable[Fault], inputs: Inputs, clock: Clock) -> None:
        """Stand before `inputs`; the times of `faults` are on the graph clock."""
        self._line = FaultLine(faults)
        self._inputs, self._clock = inputs, clock
        self._messages: dict[SampleRef, Message] = {}

    def push(self, input_name: str, message: Message) -> None:
        """Take up a message that reached an input."""
        sample = sample_of(message.header, input_name)
        self._messages[sample.ref] = message
        self._feed(Arrived(self._clock.now_ns(), sample))

    def promise(self, input_name: str, stamp_ns: int, *, begun: bool) -> None:
        """Take up that nothing before `stamp_ns` follows on an input."""
        self._feed(Promised(self._clock.now_ns(), input_name, stamp_ns, begun))

    def end(self, input_name: str) -> None:
        """Take up that an input's source has ended."""
        self._feed(Ended(self._clock.now_ns(), input_name))

    def miss(
        self, input_name: str, incarnation: int, first_seq: int, missing: int, cause: str
    ) -> None:
        """Take up that messages never came."""
        now_ns = self._clock.now_ns()
        self._feed(Missed(now_ns, input_name, incarnation, first_seq, missing, cause))

    def turn(self) -> int:
        """Pass on what is due; return when something is due again."""
        self._pass_on(self._line.take(self._clock.now_ns()))
        return self._line.next_ns()

    def close(self) -> None:
        """Tell what nobody was told of, and give back what is held; nothing follows."""
        for event in self._line.rest():
            if isinstance(event, Missed):
                self._tell(event)
        for message in self._messages.values():
            message.release()
        self._messages.clear()

    def _feed(self, event: Event) -> None:
        self._pass_on(self._line.push(event))
        for ref in self._line.lost:
            message = self._messages.pop(ref, None)
            if message is not None:
                message.release()
        self._line.lost.clear()

    def _pass_on(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Arrived):
                self._push(event.sample)
            else:
                self._tell(event)

    def _tell(self, event: Event) -> None:
        if isinstance(event, Promised):
            self._inputs.promise(event.input, event.stamp_ns, begun=event.begun)
        elif isinstance(event, Ended):
            self._inputs.end(event.input)
        elif isinstance(event, Missed):
            self._inputs.miss(
                event.input, event.incarnation, event.first_seq, event.missing, event.cause
            )

    def _push(self, sample: Sample) -> None:
        """Push a message as `sample` now says that it is; keep it where it comes once more."""
        message = self._messages[sample.ref]
        if self._line.holds(sample.ref):
            message.retain()
        else:
            del self._messages[sample.ref]
        passed = _restamped(message, sample)
        if sample.ref in self._line.corrupted:
            passed = _spoilt(passed)
            message.release()
            if sample.ref not in self._messages:
                self._line.corrupted.discard(sample.ref)
        self._inputs.push(sample.ref.input, passed)


def _restamped(message: Message, sample: Sample) -> Message:
    header = message.header
    if header.stamp_ns == sample.stamp_ns and header.fields.get("first", -1) == sample.first:
        return message
    fields: Mapping[str, Value] = header.fields
    if sample.first >= 0:
        fields = {**header.fields, "first": sample.first}
    return Message(header._replace(stamp_ns=sample.stamp_ns, fields=fields), message.payloads)


def _spoilt(message: Message) -> Message:
    """Return a copy with wrong bytes in it, the same ones for the same message."""
    chance = np.random.default_rng(message.header.seq)
    payloads = []
    for index in range(len(message.payloads)):
        array = message.array(index).copy()
        content = array.reshape(-1).view(np.uint8)
        places = chance.integers(
            0, max(1, content.size), 1 + content.size * _SPOILT_PERMILLE // 1000
        )
        if content.size:
            content[places] = chance.integers(0, 256, places.size, dtype=np.uint8)
        payloads.append(ArrayPayload(array))
    return Message(message.header, tuple(payloads))
