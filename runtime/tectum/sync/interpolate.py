"""`interpolate`: what the input was at the trigger's time, between the samples on either side.

For poses, IMU readings and other values that change smoothly. The pick holds both samples and how
far the trigger lies between them; the values are computed where payloads are (linear, rotations
along the great circle). It waits for the sample after the trigger, and never extrapolates.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from tectum.sync.base import PPM, Pick, Refusal, pick_at
from tectum.sync.stream import NEVER_NS, Stream

__all__ = ["Interpolate"]


@dataclass(frozen=True, slots=True)
class Interpolate:
    """Between a sample at most `before_ns` before the trigger and one `after_ns` after it."""

    before_ns: int
    after_ns: int

    def best(self, stream: Stream, t_ns: int) -> Pick | Refusal:
        """Return the samples on either side, or the one that is too far away."""
        after = bisect_left(stream.ats, t_ns, stream.first_held)
        if after < len(stream.ats) and stream.ats[after] == t_ns:
            return pick_at(stream, after, t_ns)
        if after == stream.first_held or after == len(stream.ats):
            return Refusal("absent")
        before_ns, after_ns = stream.ats[after - 1] - t_ns, stream.ats[after] - t_ns
        if -before_ns > self.before_ns:
            seq = stream.samples[after - 1].ref.seq
            return Refusal("out_of_tolerance", seq, before_ns, self.before_ns)
        if after_ns > self.after_ns:
            seq = stream.samples[after].ref.seq
            return Refusal("out_of_tolerance", seq, after_ns, self.after_ns)
        return _between(stream, after, t_ns)

    def final(self, stream: Stream, t_ns: int, by_ns: int = NEVER_NS, now_ns: int = 0) -> bool:
        """Return whether both sides are there, or one of them does not come in time."""
        del now_ns  # a gap is worse than a wait
        first_ns, last_ns = stream.coming(by_ns)
        after = bisect_left(stream.ats, t_ns, stream.first_held)
        there = stream.ats[after] if after < len(stream.ats) else NEVER_NS
        if there == t_ns or first_ns > last_ns:
            return True
        if not self._side_before(stream, after, t_ns):
            return max(first_ns, t_ns - self.before_ns) > min(last_ns, t_ns)
        if there < NEVER_NS:
            return first_ns >= there
        return max(first_ns, t_ns) > min(last_ns, t_ns + self.after_ns)

    def reach_ns(self) -> int:
        """Return how far before the trigger a sample may be."""
        return self.before_ns

    def _side_before(self, stream: Stream, after: int, t_ns: int) -> bool:
        held = after > stream.first_held
        return held and t_ns - stream.ats[after - 1] <= self.before_ns


def _between(stream: Stream, after: int, t_ns: int) -> Pick:
    """Return the pick of the samples at `after - 1` and `after`."""
    one, other = stream.samples[after - 1], stream.samples[after]
    begin_ns, end_ns = stream.ats[after - 1], stream.ats[after]
    return Pick(
        at_ns=t_ns,
        distance_ns=0,
        refs=(one.ref, other.ref),
        arrived_ns=max(stream.arrivals[after - 1], stream.arrivals[after]),
        stamp_ns=other.stamp_ns,
        error_ns=max(one.error_ns, other.error_ns),
        weight_ppm=(t_ns - begin_ns) * PPM // (end_ns - begin_ns),
    )
