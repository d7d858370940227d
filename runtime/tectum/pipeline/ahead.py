"""Encoding ahead: what will belong to the next trigger is encoded before that trigger arrives.

Its stamp is *announced* by its node when the capture begins, or predicted as an interval from the
rhythm of the trigger input. What an alignment calls final over all of it is encoded at once on an
idle lane (`eager: guess` is content with what is final for the likely stamp); the set finds the
run by its samples. No pick is decided here. Runs that the set did not want are counted as wasted.
"""

from __future__ import annotations

from tectum.message import Sample, SampleRef
from tectum.pipeline.books import Books, picked
from tectum.pipeline.opened import OpenSet
from tectum.pipeline.port import Port
from tectum.pipeline.runs import Run
from tectum.sync.base import Pick, final_over
from tectum.sync.listening import Listening
from tectum.sync.stream import NEVER_NS

__all__ = ["Ahead"]

_NOBODY = SampleRef("", 0, -1)


class Ahead:
    """Looks ahead of the messages of the trigger input; of a rate there is nothing to expect."""

    __slots__ = ("_announced_ns", "_books", "_looked", "_ports", "_runs")

    def __init__(self, books: Books) -> None:
        """Expect nothing yet."""
        self._books = books
        self._announced_ns = -NEVER_NS
        self._ports = [
            port
            for port in books.ports
            if port is not books.trigger and port.encoder is not None and port.hops is None
        ]
        self._looked: dict[int, tuple[int, ...]] = {}
        """Index of an input -> what it was known of it when nothing was final yet: until that
        changes there is no need to look again."""
        self._runs: dict[int, tuple[Run, int]] = {}
        """Index of an input -> the run that encodes ahead for it (held), and for which trigger:
        the first at or after that instant."""

    def announce(self, stamp_ns: int) -> None:
        """Take up that a capture of the trigger input with exactly this stamp has begun."""
        assert self._books.trigger is not None
        trigger = self._books.trigger.raw
        span_ns = trigger.samples[-1].span_ns if trigger.samples else 0
        self._announced_ns = trigger.at_ns(Sample(_NOBODY, stamp_ns, span_ns))
        self._books.dirty = True

    def advance(self, last_ns: int) -> None:
        """Encode for the trigger after `last_ns` whatever is idle and ready."""
        books = self._books
        if books.plan.eager == "off" or books.trigger is None or books.stopped:
            return
        interval = self._interval(last_ns)
        for port in self._ports:
            port.ahead = False
            if interval is not None and port.index not in self._runs:
                port.ahead = not self._start(port, *interval)

    def settle(self, opened: OpenSet, port: Port) -> None:
        """Let go of what was encoded ahead for this trigger, whether it was right or not."""
        run, from_ns = self._runs.get(port.index, (None, 0))
        if run is None or opened.t_ns < from_ns:
            return
        del self._runs[port.index]
        fate = "ahead_used" if opened.runs[port.index] is run else "ahead_wasted"
        port.raw.counts[fate] = port.raw.counts.get(fate, 0) + 1
        self._books.give_up(run)

    def drop(self, failed: Run | None = None) -> None:
        """Let go of a run that failed, or of all when the graph stops."""
        for index, (run, _) in tuple(self._runs.items()):
            if failed is None or run is failed:
                del self._runs[index]
                self._books.give_up(run)

    def _interval(self, last_ns: int) -> tuple[int, int] | None:
        """Return from when to when the next trigger may be stamped; None where unknown."""
        assert self._books.trigger is not None
        trigger = self._books.trigger.raw
        if trigger.state is not Listening.SPEAKING:
            return None
        if self._announced_ns > last_ns:
            return self._announced_ns, self._announced_ns
        cadence = trigger.cadence
        if not cadence.period_ns:
            return None
        return last_ns + cadence.shortest_ns, last_ns + 2 * cadence.period_ns - cadence.shortest_ns

    def _start(self, port: Port, lo_ns: int, hi_ns: int) -> bool:
        """Start encoding ahead for one input; return whether it was started."""
        books, stream, lanes = self._books, port.stream, self._books.runs.free_lanes()
        known = (lo_ns, hi_ns, len(stream.ats), stream.first_held, stream.next_at_ns())
        if not lanes or self._looked.get(port.index) == known:
            return False
        earliest_ns, likely_ns = lo_ns, (lo_ns + hi_ns) // 2
        if books.plan.eager == "guess":
            lo_ns, hi_ns = likely_ns, likely_ns
        if not final_over(port.alignment, stream, lo_ns, hi_ns):
            self._looked[port.index] = known
            return False
        pick = port.alignment.best(stream, likely_ns)
        if not isinstance(pick, Pick):
            return False
        arg = picked(port, pick)
        if books.known_run(port, arg) is not None:
            return False
        assert port.encoder is not None
        level = books.planner.level(port.encoder.name)
        run = books.start(lanes[0], port, port.encoder, level, arg)
        books.runs.hold(run)
        self._runs[port.index] = (run, earliest_ns)
        return True
