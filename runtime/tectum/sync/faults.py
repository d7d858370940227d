"""Faults as a pure transformer of events: what bad sensors, clocks and links do, on purpose.

Seeded: the same events, faults and seed give the same events. Each fault draws from a generator of
its own, so that adding one does not change what another does. A fault acts on the messages of one
input whose arrival lies in its time; promises of an input go the way of its messages where all of
these are lost, or all come later. `fault_line` puts faults one after the other, on a stream as it
comes. Used by tests, by simulation, and on living inputs.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from tectum.errors import ConfigError, nearest_name
from tectum.message import Sample, SampleRef
from tectum.pipeline.events import Arrived, Ended, Event, Promised
from tectum.sync.stream import NEVER_NS

__all__ = ["KINDS", "NODE_KINDS", "Fault", "Injector"]

NODE_KINDS = ("kill", "hang", "slow")
"""What can happen to a node. kill: its process dies at once. hang: its loop does nothing for a
time, like a stopped process. slow: each turn of its loop takes longer."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong with one input, or one node. Times in ns on the graph clock."""

    kind: str
    """One of `KINDS`, or of `NODE_KINDS`."""
    input: str
    """Which input; of `NODE_KINDS` which node."""
    since_ns: int = 0
    """When it begins, by arrival."""
    lasting_ns: int = NEVER_NS
    every_ns: int = 0
    """It comes again so often; 0: once."""
    permille: int = 1000
    """How many of the messages in its time it strikes."""
    amount_ns: int = 0
    """delay, slow: how long; jitter: the mean; duplicate: how much later the second comes;
    clock_step: by how much (signed)."""
    ppm: int = 0
    """drift: how much too fast the clock runs."""
    seed: int = 0
    """Which of all the ways in which chance may have it."""

    def strikes_at(self, now_ns: int) -> bool:
        """Return whether its time is now."""
        return self.begun_ns(now_ns) >= 0

    def begun_ns(self, now_ns: int) -> int:
        """Return when the stretch of its time that is now began; -1 when its time is not now."""
        since_ns = now_ns - self.since_ns
        if since_ns < 0:
            return -1
        if self.every_ns:
            since_ns %= self.every_ns
        return now_ns - since_ns if since_ns < self.lasting_ns else -1

    def begins_ns(self, after_ns: int) -> int:
        """Return when it next begins, at or after `after_ns`; `NEVER_NS` when it does not."""
        if after_ns <= self.since_ns:
            return self.since_ns
        if not self.every_ns:
            return NEVER_NS
        return self.since_ns - (self.since_ns - after_ns) // self.every_ns * self.every_ns

    def ends_ns(self, after_ns: int) -> int:
        """Return when it next ends, at or after `after_ns`; `NEVER_NS` when it does not."""
        if self.lasting_ns >= NEVER_NS or (self.every_ns and self.lasting_ns >= self.every_ns):
            return NEVER_NS
        begins_ns = self.begins_ns(after_ns - self.lasting_ns)
        return NEVER_NS if begins_ns >= NEVER_NS else begins_ns + self.lasting_ns

    def moved(self, by_ns: int) -> Fault:
        """Return the same at another time."""
        return replace(self, since_ns=self.since_ns + by_ns)


class Injector:
    """One fault at work on a stream of events."""

    __slots__ = ("_fault", "_held", "_rng", "_strike", "corrupted", "frozen", "lost")

    def __init__(self, fault: Fault, seed: str) -> None:
        """Begin with nothing held back.

        Raises:
            ConfigError: there is no fault of this kind.
        """
        if fault.kind not in KINDS:
            hint = nearest_name(fault.kind, KINDS)
            msg = f"no fault is called '{fault.kind}'{hint} (known: {', '.join(KINDS)})"
            raise ConfigError(msg)
        self._fault = fault
        self._rng = random.Random(seed)
        self._strike = KINDS[fault.kind]
        self._held: Arrived | None = None
        self.frozen: Sample | None = None
        """freeze: what is repeated."""
        self.lost: list[SampleRef] = []
        """drop: what was; the owner empties it."""
        self.corrupted: list[SampleRef] = []
        """corrupt: whose content is to be; the owner empties it."""

    def push(self, event: Event) -> list[Event]:
        """Return what becomes of one event, in no particular order; `now_ns` may be later."""
        fault = self._fault
        if isinstance(event, Promised) and event.input == fault.input:
            return self._promised(event)
        if isinstance(event, Ended) and event.input == fault.input:
            return [*self.let_go(event.now_ns), event]
        if not isinstance(event, Arrived) or event.sample.ref.input != fault.input:
            return [event]
        if fault.strikes_at(event.now_ns) and self._rng.randrange(1000) < fault.permille:
            struck: list[Event] = [*self._strike(self, fault, event)]
            return struck
        self.frozen = event.sample
        return [*self.let_go(event.now_ns), event]

    def hold(self, event: Arrived) -> None:
        """reorder: keep a message back until the next one has passed it."""
        self._held = event

    def let_go(self, now_ns: int) -> list[Event]:
        """Return the message that was kept back, if any, as arriving now."""
        held, self._held = self._held, None
        return [] if held is None else [held._replace(now_ns=max(now_ns, held.now_ns))]

    def holds(self, ref: SampleRef) -> bool:
        """Return whether a message is kept back."""
        return self._held is not None and self._held.sample.ref == ref

    def exponential_ns(self, mean_ns: int) -> int:
        """Draw a duration of this mean."""
        return int(self._rng.expovariate(1 / mean_ns)) if mean_ns > 0 else 0

    def _promised(self, event: Promised) -> list[Event]:
        """Let a promise go the way of the messages around it, where all go one way."""
        fault = self._fault
        if fault.permille < 1000 or not fault.strikes_at(event.now_ns):
            return [event]
        if fault.kind == "drop":
            return []
        if fault.kind == "delay":
            return [event._replace(now_ns=event.now_ns + fault.amount_ns)]
        return (
            [event._replace(now_ns=_over_ns(fault, event.now_ns))]
            if fault.kind == "burst"
            else [event]
        )


# -- what each kind does to a message


def _delay(injector: Injector, fault: Fault, event: Arrived) -> list[Event]:
    del injector
    return [event._replace(now_ns=event.now_ns + fault.amount_ns)]


def _jitter(injector: Injector, fault: Fault, event: Arrived) -> list[Event]:
    more_ns = injector.exponential_ns(fault.amount_ns)
    return [event._replace(now_ns=event.now_ns + more_ns)]


def _drop(injector: Injector, fault: Fault, event: Arrived) -> list[Event]:
    del fault
    injector.lost.append(event.sample.ref)
    return []


def _duplicate(injector: Injector, fault: Fault, event: Arrived) -> list[Event]:
    del injector
    return [event, event._replace(now_ns=event.now_ns + fault.amount_ns)]


def _reorder(injector: Injector, fault: Fault, event: Arrived) -> list[Event]:
    del fault
    passed = injector.let_go(event.now_ns)
    injector.hold(event)
    return passed


def _freeze(injector: Injector, fault: Fault, event: Arrived) -> list[Event]:
    del fault
    if injector.frozen is None:
        injector.frozen = event.sample
    old, sample = injector.frozen, event.sample
    return [event._replace(sample=sample._replace(stamp_ns=old.stamp_ns, first=old.first))]


def _burst(injector: Injector, fault: Fault, event: Arrived) -> list[Event]:
    del injector
    return [event._replace(now_ns=_over_ns(fault, event.now_ns))]


def _over_ns(fault: Fault, now_ns: int) -> int:
    """Return when the stretch of a fault's time that is now is over."""
    return fault.begun_ns(now_ns) + fault.lasting_ns


def _clock_step(injector: Injector, fault: Fault, event: Arrived) -> list[Event]:
    del injector
    return [_restamped(event, fault.amount_ns)]


def _drift(injector: Injector, fault: Fault, event: Arrived) -> list[Event]:
    del injector
    return [_restamped(event, (event.sample.stamp_ns - fault.since_ns) * fault.ppm // 1_000_000)]


def _corrupt(injector: Injector, fault: Fault, event: Arrived) -> list[Event]:
    del fault
    injector.corrupted.append(event.sample.ref)
    return [event]


def _restamped(event: Arrived, by_ns: int) -> Arrived:
    sample = event.sample
    return event._replace(sample=sample._replace(stamp_ns=sample.stamp_ns + by_ns))


KINDS: dict[str, Callable[[Injector, Fault, Arrived], list[Event]]] = {
    "delay": _delay,
    "jitter": _jitter,
    "drop": _drop,
    "duplicate": _duplicate,
    "reorder": _reorder,
    "freeze": _freeze,
    "burst": _burst,
    "clock_step": _clock_step,
    "drift": _drift,
    "corrupt": _corrupt,
}
"""delay: arrives later. jitter: later by a random time. drop: never. duplicate: twice. reorder:
after the one that follows it. freeze: the last stamp again and again. burst: nothing, then all at
once when its time is over. clock_step: stamped off by so much. drift: ever more so. corrupt: with
wrong bytes in its payload, which nothing that decides can see."""
