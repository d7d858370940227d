"""Faults one after the other on a stream of events as it comes: pushed in, taken out when due.

Pure: what is held back comes out by `take`, whose `now_ns` is the caller's. A message that was
dropped is reported as missing, with the cause `injected`, right before the next thing that its
input hears: as a loss on a link would be. Every fault sees what the one before it left.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence

from tectum.message import SampleRef
from tectum.pipeline.events import Arrived, Ended, Event, Missed, Promised
from tectum.sync.faults import Fault, Injector
from tectum.sync.stream import NEVER_NS

__all__ = ["INJECTED", "FaultLine", "faulted", "inject"]

INJECTED = "injected"
"""The cause under which dropped messages are counted."""


class FaultLine:
    """Faults at work on the events of a pipeline."""

    def __init__(self, faults: Iterable[Fault], seed: int = 0) -> None:
        """Hold nothing yet.

        Raises:
            ConfigError: there is no fault of some kind.
        """
        self._injectors = [
            Injector(fault, f"{seed + fault.seed}/{index}/{fault.kind}/{fault.input}")
            for index, fault in enumerate(faults)
        ]
        self._held: list[tuple[int, int, int, Event]] = []
        """When, in which order, how far along the line, what."""
        self._order = 0
        self._gaps: dict[str, list[SampleRef]] = {}
        self.lost: list[SampleRef] = []
        """Messages that were dropped; the caller gives them back and empties this."""
        self.corrupted: set[SampleRef] = set()
        """Messages whose content is to be spoilt; the caller takes them out."""

    def push(self, event: Event) -> list[Event]:
        """Take up what happens now; return what comes out by now, in order of time."""
        now_ns = event.now_ns
        before = self.take(now_ns)
        if isinstance(event, Ended):
            event = event._replace(now_ns=self._last_of(event.input, now_ns))
        self._keep(0, [event])
        return [*before, *self.take(now_ns)]

    def take(self, now_ns: int) -> list[Event]:
        """Return what comes out by `now_ns`, in order of time."""
        out: list[Event] = []
        while self._held and self._held[0][0] <= now_ns:
            _, _, place, event = heapq.heappop(self._held)
            if place == len(self._injectors):
                out += self._with_gaps(event)
            else:
                self._keep(place + 1, self._injectors[place].push(event))
                self._note(self._injectors[place])
        return out

    def next_ns(self) -> int:
        """Return when something comes out at the earliest; `NEVER_NS` where nothing is held."""
        return self._held[0][0] if self._held else NEVER_NS

    def holds(self, ref: SampleRef) -> bool:
        """Return whether this message, or one more of its like, is still to come."""
        return any(injector.holds(ref) for injector in self._injectors) or any(
            isinstance(event, Arrived) and event.sample.ref == ref for *_, event in self._held
        )

    def rest(self) -> list[Event]:
        """Return all that is held, as nothing follows: each event at its own time."""
        out: list[Event] = []
        for place, injector in enumerate(self._injectors):
            out += self.take(NEVER_NS)
            self._keep(place + 1, injector.let_go(0))
        out += self.take(NEVER_NS)
        last_ns = max([event.now_ns for event in out], default=0)
        out.sort(key=lambda event: event.now_ns)
        return [*out, *(gap for name in list(self._gaps) for gap in self._told(name, last_ns))]

    def _keep(self, place: int, events: Sequence[Event]) -> None:
        for event in events:
            heapq.heappush(self._held, (event.now_ns, self._order, place, event))
            self._order += 1

    def _note(self, injector: Injector) -> None:
        """Take down what a fault has done to messages."""
        for ref in injector.lost:
            self._gaps.setdefault(ref.input, []).append(ref)
        self.lost += injector.lost
        self.corrupted.update(injector.corrupted)
        injector.lost, injector.corrupted = [], []

    def _with_gaps(self, event: Event) -> Iterator[Event]:
        """Yield an event after the losses that it makes known."""
        if isinstance(event, Arrived):
            yield from self._told(event.sample.ref.input, event.now_ns)
        elif isinstance(event, Promised | Ended):
            yield from self._told(event.input, event.now_ns)
        yield event

    def _told(self, name: str, now_ns: int) -> Iterator[Missed]:
        """Yield the losses of an input that nobody was told of, one for each run of numbers."""
        refs = self._gaps.pop(name, [])
        first = 0
        for index in range(1, len(refs) + 1):
            if index < len(refs) and refs[index] == refs[index - 1]._replace(
                seq=refs[index - 1].seq + 1
            ):
                continue
            _, incarnation, seq = refs[first]
            yield Missed(now_ns, name, incarnation, seq, index - first, INJECTED)
            first = index

    def _last_of(self, name: str, now_ns: int) -> int:
        """Return when the last message of an input comes out that is held now."""
        held = [
            at_ns
            for at_ns, *_, event in self._held
            if isinstance(event, Arrived) and event.sample.ref.input == name
        ]
        return max([now_ns, *held])


def faulted(events: Iterable[Event], faults: Iterable[Fault], seed: int = 0) -> Iterator[Event]:
    """Yield `events` (in order of time) with all faults at work, in order of time.

    Raises:
        ConfigError: there is no fault of some kind.
    """
    line = FaultLine(faults, seed)
    last_ns = 0
    for event in events:
        yield from line.push(event)
        last_ns = event.now_ns
    yield from (event._replace(now_ns=max(last_ns, event.now_ns)) for event in line.rest())


def inject(events: Iterable[Event], faults: Iterable[Fault], seed: int = 0) -> list[Event]:
    """Return the same without a word about what was dropped, as if it had never been.

    Raises:
        ConfigError: there is no fault of some kind.
    """
    return [
        event
        for event in faulted(events, faults, seed)
        if not (isinstance(event, Missed) and event.cause == INJECTED)
    ]
