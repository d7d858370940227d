"""What is held of one input: samples in stamp order, bounded in time and bytes.

Samples behind the held part stay as bare stamps for a while, so that a refusal can still name the
best candidate. Columns instead of records: bisection then runs in C. Which sample belongs to a
trigger is the alignment's to say.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from tectum.message import Sample, SampleRef
from tectum.pipeline.plan import InputPlan

__all__ = ["Buffer"]

_REMEMBERED = 512


class Buffer:
    """One input's samples."""

    __slots__ = (
        "_halves",
        "_held_bytes",
        "_offset_ns",
        "arrivals",
        "ats",
        "counts",
        "dropped",
        "ends",
        "first_held",
        "history_ns",
        "plan",
        "runs",
        "samples",
    )

    def __init__(self, plan: InputPlan, reach_ns: int = 0) -> None:
        """Begin empty; `reach_ns` is how far back the input's alignment looks."""
        self.plan = plan
        self.history_ns = plan.history_ns + reach_ns
        """How much time may be held."""
        self._offset_ns = plan.offset_ns
        self._halves = ("start", "middle", "end").index(plan.reference)
        """How many halves of its span a sample's reference point is after its stamp."""
        self.ats: list[int] = []
        self.ends: list[int] = []
        self.arrivals: list[int] = []
        self.samples: list[Sample] = []
        self.runs: list[int] = []
        """Of a derived stream (`on: sample`): the run that made each; -1 elsewhere."""
        self.first_held = 0
        """Samples before this index are bare stamps: their payload was freed."""
        self.counts: dict[str, int] = {"received": 0, "used": 0}
        self.dropped: list[SampleRef | int] = []
        """What adding let go of; the owner frees it and empties this."""
        self._held_bytes = 0

    def at_ns(self, sample: Sample) -> int:
        """Return the instant that a sample stands for: its reference point, less the offset."""
        at_ns = sample.stamp_ns - self._offset_ns
        return at_ns + sample.span_ns * self._halves // 2 if self._halves else at_ns

    # -- filling

    def append(self, now_ns: int, at_ns: int, sample: Sample, run: int) -> None:
        """Add a sample that is later than all others."""
        self._held_bytes += sample.nbytes
        self.ats.append(at_ns)
        self.ends.append(sample.stamp_ns - self._offset_ns + sample.span_ns)
        self.arrivals.append(now_ns)
        self.samples.append(sample)
        self.runs.append(run)

    def insert(self, now_ns: int, at_ns: int, sample: Sample, run: int) -> None:
        """Sort a sample in; one that belongs among the released is let go of at once."""
        index = bisect_left(self.ats, at_ns)
        self.ats.insert(index, at_ns)
        self.ends.insert(index, sample.stamp_ns - self._offset_ns + sample.span_ns)
        self.arrivals.insert(index, now_ns)
        self.samples.insert(index, sample)
        self.runs.insert(index, run)
        if index < self.first_held:
            self.first_held += 1
            self.dropped.append(run if run >= 0 else sample.ref)
        else:
            self._held_bytes += sample.nbytes

    def clear(self) -> None:
        """Begin anew, bare stamps included."""
        self.dropped.extend(self.release_all())
        for column in (self.ats, self.ends, self.arrivals, self.samples, self.runs):
            column.clear()
        self.first_held = self._held_bytes = 0

    # -- queries of alignments: indices into the columns, -1 for none

    def nearest(self, t_ns: int) -> int:
        """Return the index of the held sample nearest to `t_ns`; of equals the earlier."""
        after = bisect_left(self.ats, t_ns, self.first_held)
        if after == len(self.ats):
            return after - 1 if after > self.first_held else -1
        if after == self.first_held or self.ats[after] - t_ns < t_ns - self.ats[after - 1]:
            return after
        return after - 1

    def newest_until(self, t_ns: int, *, freed: bool = False) -> int:
        """Return the index of the newest sample whose reference point is not after `t_ns`.

        Looks at held samples, or with `freed` at all remembered stamps.
        """
        first = 0 if freed else self.first_held
        index = bisect_right(self.ats, t_ns, first) - 1
        return index if index >= first else -1

    def candidate(self, t_ns: int) -> int:
        """Return the index nearest to `t_ns` among all remembered stamps, freed ones included."""
        after = bisect_left(self.ats, t_ns)
        if after == len(self.ats):
            return after - 1
        if after == 0 or self.ats[after] - t_ns < t_ns - self.ats[after - 1]:
            return after
        return after - 1

    def holds(self, sample: Sample) -> bool:
        """Return whether this very message is held."""
        index = bisect_left(self.ats, self.at_ns(sample), self.first_held)
        return index < len(self.ats) and self.samples[index].ref == sample.ref

    # -- letting go

    def release_before(self, horizon_ns: int) -> list[SampleRef | int]:
        """Let go of held samples that end at or before `horizon_ns`; return what to free."""
        ends, count = self.ends, len(self.ats)
        last = self.first_held
        while last < count and ends[last] <= horizon_ns and self.ats[last] < horizon_ns:
            last += 1
        return self._release(last)

    def overfull(self) -> bool:
        """Return whether the buffer holds more time or bytes than it may."""
        if self.first_held >= len(self.ats):
            return False
        held_ns = self.ats[-1] - self.ats[self.first_held]
        return held_ns > self.history_ns or self._held_bytes > self.plan.history_bytes

    def release_oldest(self) -> list[SampleRef | int]:
        """Let go of the oldest held sample because the buffer is full; counted as evicted."""
        self.counts["evicted"] = self.counts.get("evicted", 0) + 1
        return self._release(self.first_held + 1)

    def release_all(self) -> list[SampleRef | int]:
        """Let go of every held sample: its owner keeps what it still needs."""
        return self._release(len(self.ats))

    def _release(self, last: int) -> list[SampleRef | int]:
        if last == self.first_held:
            return []
        released = self.samples[self.first_held : last]
        self._held_bytes -= sum([sample.nbytes for sample in released])
        freed: list[SampleRef | int] = [sample.ref for sample in released]
        if self.runs[last - 1] >= 0:
            freed = [*self.runs[self.first_held : last]]
        self.first_held = last
        if last > _REMEMBERED:
            surplus = last - _REMEMBERED // 2
            for column in (self.ats, self.ends, self.arrivals, self.samples, self.runs):
                del column[:surplus]
            self.first_held -= surplus
        return freed
