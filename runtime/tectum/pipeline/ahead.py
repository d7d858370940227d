"""Encoding ahead: when the next trigger will be, and what was encoded for it before it arrived.

The next trigger's stamp is *announced* by its node when the capture begins, or predicted as an
interval from the trigger input's rhythm. What an alignment calls final over all of it can be
encoded at once; the run is found by its samples when the set opens. Runs that no set used are
counted as wasted. Nothing here decides a pick: that is done again, when the trigger is there.
"""

from __future__ import annotations

from tectum.message import Sample, SampleRef
from tectum.pipeline.runs import Run
from tectum.sync.listening import Listening
from tectum.sync.stream import NEVER_NS, Stream

__all__ = ["Ahead"]

_NOBODY = SampleRef("", 0, -1)


class Ahead:
    """The expected next trigger, and per input the run made for it."""

    __slots__ = ("_announced_ns", "_trigger", "runs")

    def __init__(self, trigger: Stream | None) -> None:
        """Look ahead of the messages of `trigger`; of a rate there is nothing to expect."""
        self._trigger = trigger
        self._announced_ns = -NEVER_NS
        self.runs: dict[int, tuple[Run, int]] = {}
        """Index of an input -> the run that encodes ahead for it (held), and for which trigger:
        the first at or after that instant."""

    def announce(self, stamp_ns: int) -> None:
        """Take up that a capture with exactly this stamp has begun."""
        if self._trigger is None:
            return
        samples = self._trigger.samples
        span_ns = samples[-1].span_ns if samples else 0
        self._announced_ns = self._trigger.at_ns(Sample(_NOBODY, stamp_ns, span_ns))

    def interval(self, last_ns: int) -> tuple[int, int] | None:
        """Return from when to when the trigger after `last_ns` may be stamped; None: unknown."""
        trigger = self._trigger
        if trigger is None or trigger.state is not Listening.SPEAKING:
            return None
        if self._announced_ns > last_ns:
            return self._announced_ns, self._announced_ns
        cadence = trigger.cadence()
        if not cadence.period_ns:
            return None
        return last_ns + cadence.shortest_ns, last_ns + 2 * cadence.period_ns - cadence.shortest_ns
