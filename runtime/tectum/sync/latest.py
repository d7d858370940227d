"""`latest`: the newest sample not after the trigger's time and not older than `max_age`.

Final at once: it never waits. For slow facts (a pose, a text, a state) and for the outputs of
encoders that run on every sample.
"""

from __future__ import annotations

from dataclasses import dataclass

from tectum.sync.base import Pick, Refusal, pick_at
from tectum.sync.stream import NEVER_NS, Stream

__all__ = ["Latest"]


@dataclass(frozen=True, slots=True)
class Latest:
    """Newest within `max_age_ns` before the trigger's time."""

    max_age_ns: int

    def best(self, stream: Stream, t_ns: int) -> Pick | Refusal:
        """Return the newest sample until `t_ns`, or how old it is."""
        index = stream.newest_until(t_ns)
        if index >= 0 and t_ns - stream.ats[index] <= self.max_age_ns:
            return pick_at(stream, index, t_ns)
        index = stream.newest_until(t_ns, freed=True)
        if index < 0:
            return Refusal("absent")
        seq, distance = stream.samples[index].ref.seq, stream.ats[index] - t_ns
        return Refusal("too_old", seq, distance, self.max_age_ns)

    def final(self, stream: Stream, t_ns: int, by_ns: int = NEVER_NS, now_ns: int = 0) -> bool:
        """Return True: what is there now is the answer."""
        del stream, t_ns, by_ns, now_ns
        return True

    def reach_ns(self) -> int:
        """Return the greatest age."""
        return self.max_age_ns
