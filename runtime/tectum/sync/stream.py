"""The buffer of one input: samples in stamp order, what can still follow, and who is heard.

Bounded in time and bytes. It holds facts only; which sample belongs to a trigger is the
alignment's to say. Samples behind the held part stay as bare stamps for a while, so that a refusal
can still name the best candidate. Columns instead of records: bisection then runs in C.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from tectum.message import Sample, SampleRef
from tectum.pipeline.plan import InputPlan
from tectum.sync.cadence import LEARN_FROM, UNKNOWN, learn_cadence
from tectum.sync.clock_watch import AHEAD_NS, BEHIND_NS, ClockWatch
from tectum.sync.listening import TRANSITIONS, Listening

__all__ = ["LEAST_SILENCE_NS", "NEVER_NS", "REFUSED", "TRIGGER_SILENCE_NS", "Stream"]

LEAST_SILENCE_NS = 250_000_000
"""Less than this is a hiccup of the machine or the network. Until then sets wait as they always do,
no longer than their deadline."""
TRIGGER_SILENCE_NS = 100_000_000
"""Of an input that triggers: without it there is no set at all."""
REFUSED = ("stamp_zero", "stamp_future", "clock_ahead", "duplicate")
"""Oddities of a sample that is not taken up."""

NEVER_NS = 1 << 62
"""Later than any stamp: the bound of an input from which nothing is expected."""

_REMEMBERED = 512
_FIRST_SOUND_NS = 1_000_000_000
_SWAP_NS = 20_000_000
"""Two messages that change places on their way are waited for where a period is no longer."""
_STEP_PERIODS = 4
_LEAST_STEP_NS = 50_000_000
_UNKNOWN_STEP_NS = 500_000_000


class Stream:
    """One input's samples and rhythm."""

    __slots__ = (
        "_former_life",
        "_halves",
        "_held_bytes",
        "_history_ns",
        "_learn_after",
        "_life",
        "_newest_seq",
        "_offset_ns",
        "_silence_ns",
        "_unlearned",
        "added_ns",
        "arrivals",
        "ats",
        "cadence",
        "counts",
        "dropped",
        "ends",
        "expected",
        "first_held",
        "heard_ns",
        "least_silence_ns",
        "plan",
        "promised_ns",
        "runs",
        "samples",
        "state",
        "told",
        "usable_ns",
        "watch",
    )

    def __init__(self, plan: InputPlan, reach_ns: int = 0) -> None:
        """Begin empty and unheard; `reach_ns` is how far back its alignment looks."""
        self.plan = plan
        self._history_ns = plan.history_ns + reach_ns
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
        self.heard_ns = 0
        self.added_ns = 0
        """Reference point of the sample that was added last."""
        self.least_silence_ns = LEAST_SILENCE_NS
        self.usable_ns = NEVER_NS
        """Of an input that triggers: how long after the end of a capture it can still be answered
        in time."""
        self.promised_ns = -NEVER_NS
        self.state = Listening.UNHEARD
        self.expected = True
        """More may come soon."""
        self.counts: dict[str, int] = {"received": 0, "used": 0}
        self.dropped: list[SampleRef | int] = []
        """What `add` let go of; the owner frees it and empties this."""
        self.watch = ClockWatch()
        self.told = False
        """The oddity of the sample that was added last was told before: it need not be again."""
        self._life = self._former_life = self._newest_seq = -1
        self.cadence = UNKNOWN
        """Learned after 1, 2, 4 ... 64 more samples, and at once when a bound of it is broken."""
        self._silence_ns = plan.silent_after_ns or _FIRST_SOUND_NS
        self._unlearned, self._learn_after = 0, 1
        self._held_bytes = 0

    # -- facts in

    def add(self, now_ns: int, sample: Sample, run: int = -1) -> str:
        """Take up a sample; return what is odd about it, or an empty string.

        `stamp_zero`, `stamp_future`, `clock_ahead` and `duplicate` are refused; `stamp_disorder`
        is sorted in, `clock_behind` taken as it is.
        `restarted`: the source lives anew, on the same clock. `clock_step`: its clock went back;
        the buffer begins anew with this sample.
        """
        at_ns = sample.stamp_ns - self._offset_ns
        if self._halves:
            at_ns += sample.span_ns * self._halves // 2
        self.counts["received"] += 1
        self.told = False
        oddity = self._oddity(now_ns, at_ns, sample)
        if oddity:
            self.counts[oddity] = self.counts.get(oddity, 0) + 1
            if oddity in REFUSED:
                return oddity
            if oddity == "clock_step":
                self._forget()
        self.heard_ns, self.added_ns = now_ns, at_ns
        ref = sample.ref
        if ref.incarnation != self._life:
            self._recognise(ref)
        elif ref.seq > self._newest_seq:
            self._newest_seq = ref.seq
        if not self.ats or at_ns > self.ats[-1]:
            self._append(now_ns, at_ns, sample, run)
        else:
            self._insert(now_ns, at_ns, sample, run)
        return oddity

    def at_ns(self, sample: Sample) -> int:
        """Return the instant that a sample stands for: its reference point, less the offset."""
        at_ns = sample.stamp_ns - self._offset_ns
        return at_ns + sample.span_ns * self._halves // 2 if self._halves else at_ns

    def promise(self, stamp_ns: int) -> None:
        """Take up that nothing with a stamp before `stamp_ns` follows."""
        self.promised_ns = max(self.promised_ns, stamp_ns - self.plan.offset_ns)

    def hear(self, fact: str) -> str:
        """Apply `heard`, `hush` or `ended`; return the change to note, or an empty string."""
        entry = TRANSITIONS.get((self.state, fact))
        if entry is None:
            return ""
        self.state, change = entry
        self.expected = self.state in (Listening.UNHEARD, Listening.SPEAKING)
        return change

    def _forget(self) -> None:
        """Drop all samples and the rhythm: the source's clock has been set."""
        self.dropped.extend(self.release_all())
        for column in (self.ats, self.ends, self.arrivals, self.samples, self.runs):
            column.clear()
        self.first_held = self._held_bytes = 0
        self.cadence, self.promised_ns, self._newest_seq = UNKNOWN, -NEVER_NS, -1
        self._unlearned, self._learn_after = 0, 1

    # -- what is known

    def next_at_ns(self) -> int:
        """Return a lower bound on the reference point of any sample still to come."""
        if not self.expected:
            return NEVER_NS
        if not self.ats:
            return self.promised_ns
        shortest = self.plan.period_ns - self.plan.jitter_ns if self.plan.jitter_ns else 0
        learned = self.ats[-1] + (shortest or self.cadence.shortest_ns)
        return max(learned, self.promised_ns)

    def coming(self, by_ns: int) -> tuple[int, int]:
        """Return the bounds on the reference point of anything that still comes by `by_ns`.

        Where the first is above the second, nothing is expected in time.
        """
        if not self.expected:
            return NEVER_NS, -NEVER_NS
        cadence = self.cadence
        known = by_ns < NEVER_NS and cadence is not UNKNOWN
        return self.next_at_ns(), by_ns - cadence.soonest_ns if known else NEVER_NS

    def overdue_ns(self) -> int:
        """Return from when the next sample is taken for lost, if it has not come by then."""
        cadence = self.cadence
        if cadence is UNKNOWN or not self.expected:
            return NEVER_NS
        swap_ns = cadence.period_ns if cadence.period_ns <= _SWAP_NS else 0
        return self.ats[-1] + cadence.usual_ns + cadence.latest_ns + swap_ns

    def likely_next_ns(self, now_ns: int) -> int:
        """Return the bound on what follows if all that is overdue was lost; no bound before."""
        overdue_ns = self.overdue_ns()
        if now_ns < overdue_ns:
            return -NEVER_NS
        period_ns = max(1, self.period_ns())
        lost = (now_ns - overdue_ns) // period_ns + 1
        return self.next_at_ns() + lost * period_ns

    def period_ns(self) -> int:
        """Return the learned period, until then the one that the graph states; 0 where unknown.

        A camera that drops to half its rate in the dark is slow, not silent.
        """
        return self.cadence.period_ns or self.plan.period_ns

    def silent_at_ns(self, started_ns: int) -> int:
        """Return when this input counts as silent unless it is heard before."""
        if not self.expected:
            return NEVER_NS
        if self.state is Listening.UNHEARD:
            return started_ns + max(self._longest_silence_ns(), _FIRST_SOUND_NS)
        silent_at_ns = self.heard_ns + self._silence_ns
        if self.usable_ns < NEVER_NS and self.ends and not self.plan.silent_after_ns:
            return self._hurried_ns(silent_at_ns)
        return silent_at_ns

    def _learn(self) -> None:
        """Learn the rhythm anew, and how long this input may say nothing."""
        last = slice(-LEARN_FROM, None)
        self.cadence = learn_cadence(self.ats[last], self.arrivals[last], self.ends[last])
        self._unlearned = 0
        self._learn_after = min(2 * self._learn_after, LEARN_FROM)
        self._silence_ns = self._longest_silence_ns()

    def _longest_silence_ns(self) -> int:
        """Return how long this input may say nothing before it counts as silent."""
        if self.plan.silent_after_ns:
            return self.plan.silent_after_ns
        period_ns = self.period_ns()
        if not period_ns:
            return _FIRST_SOUND_NS
        return max(3 * period_ns + self.cadence.jitter_ns, self.least_silence_ns)

    def _hurried_ns(self, silent_at_ns: int) -> int:
        """Return when a trigger input counts as silent: while its second miss can be answered.

        Never before two periods and the jitter are over.
        """
        period_ns = self.period_ns()
        if not period_ns:
            return silent_at_ns
        # the period is not known to the last bit, and ticks come a little late
        answerable_ns = self.ends[-1] + self.usable_ns + 2 * period_ns - period_ns // 16
        least_ns = max(2 * period_ns + self.cadence.jitter_ns, self.least_silence_ns)
        return max(self.heard_ns + least_ns, min(silent_at_ns, answerable_ns))

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
        return held_ns > self._history_ns or self._held_bytes > self.plan.history_bytes

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

    # -- parts of add

    def _append(self, now_ns: int, at_ns: int, sample: Sample, run: int) -> None:
        """Add a sample in order; what is quicker than the bounds allow is learned at once."""
        cadence, ats = self.cadence, self.ats
        self._unlearned += 1
        if now_ns - at_ns < cadence.soonest_ns or (ats and at_ns - ats[-1] < cadence.shortest_ns):
            self._unlearned = LEARN_FROM
        self._held_bytes += sample.nbytes
        ats.append(at_ns)
        self.ends.append(sample.stamp_ns - self._offset_ns + sample.span_ns)
        self.arrivals.append(now_ns)
        self.samples.append(sample)
        self.runs.append(run)
        if self._unlearned >= self._learn_after:
            self._learn()

    def _oddity(self, now_ns: int, at_ns: int, sample: Sample) -> str:
        if sample.stamp_ns <= 0:
            return "stamp_zero"
        ahead_ns = at_ns - now_ns
        if ahead_ns > AHEAD_NS:
            return self._ahead(ahead_ns)
        oddity = self._order(at_ns, sample)
        if not oddity and (ahead_ns < -BEHIND_NS or self.watch.off):
            return self._clock(ahead_ns)
        return oddity

    def _ahead(self, ahead_ns: int) -> str:
        """Return what is odd about a stamp that lies in the future: itself, or the whole clock."""
        change = self.watch.see(ahead_ns)
        self.told = self.watch.off and not change
        return "clock_ahead" if self.watch.off else "stamp_future"

    def _clock(self, ahead_ns: int) -> str:
        """Return what is new about the clock of the stamps; a wrong one counts each sample."""
        change = self.watch.see(ahead_ns)
        if self.watch.off and not change and ahead_ns < -BEHIND_NS:
            self.counts["clock_behind"] = self.counts.get("clock_behind", 0) + 1
        return change

    def _order(self, at_ns: int, sample: Sample) -> str:
        """Return what is odd about the place of a stamp among the others."""
        in_order = not self.ats or at_ns > self.ats[-1]
        life = sample.ref.incarnation
        if in_order and life == self._life:
            return ""
        reborn = life not in (self._life, self._former_life)
        if in_order:
            return "restarted" if reborn and self._life >= 0 else ""
        if reborn or self._stepped_back(at_ns, sample.ref):
            return "clock_step"
        index = bisect_left(self.ats, at_ns)
        return "duplicate" if self.ats[index] == at_ns else "stamp_disorder"

    def _stepped_back(self, at_ns: int, ref: SampleRef) -> bool:
        """Return whether the source's clock was set back: later in sequence, far earlier in stamp.

        A message that was overtaken on its way has the earlier sequence number.
        """
        back_ns = self.ats[-1] - at_ns
        if back_ns > self._history_ns:
            return True
        if ref.incarnation != self._life or ref.seq <= self._newest_seq:
            return False
        period_ns = self.period_ns()
        least_ns = max(_STEP_PERIODS * period_ns, _LEAST_STEP_NS) if period_ns else _UNKNOWN_STEP_NS
        return back_ns > least_ns

    def _recognise(self, ref: SampleRef) -> None:
        """Take up a new life of the source, unless it is a straggler of the former one."""
        if ref.incarnation != self._former_life:
            self._life, self._former_life, self._newest_seq = ref.incarnation, self._life, ref.seq

    def _insert(self, now_ns: int, at_ns: int, sample: Sample, run: int) -> None:
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
