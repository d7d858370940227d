"""The stream of one input: what is held, what can still follow, and who is heard.

It holds facts only; which sample belongs to a trigger is the alignment's to say.
"""

from __future__ import annotations

from tectum.message import Sample
from tectum.pipeline.plan import InputPlan
from tectum.sync.buffer import Buffer
from tectum.sync.cadence import LEARN_FROM, UNKNOWN, learn_cadence
from tectum.sync.listening import TRANSITIONS, Listening
from tectum.sync.oddities import REFUSED, Oddities
from tectum.sync.pace import Pace, pace_of

__all__ = ["LEAST_SILENCE_NS", "NEVER_NS", "REFUSED", "TRIGGER_SILENCE_NS", "Stream"]

LEAST_SILENCE_NS = 250_000_000
"""Less than this is a hiccup of the machine or the network. Until then sets wait as they always do,
no longer than their deadline."""
TRIGGER_SILENCE_NS = 100_000_000
"""Of an input that triggers: without it there is no set at all."""

NEVER_NS = 1 << 62
"""Later than any stamp: the bound of an input from which nothing is expected."""

_FIRST_SOUND_NS = 1_000_000_000
_SWAP_NS = 20_000_000
"""Two messages that change places on their way are waited for where a period is no longer."""


class Stream(Buffer):
    """One input's samples and rhythm."""

    __slots__ = (
        "_learn_after",
        "_oddities",
        "_silence_ns",
        "_unlearned",
        "added_ns",
        "cadence",
        "expected",
        "heard_ns",
        "least_silence_ns",
        "pace",
        "promised_ns",
        "state",
        "usable_ns",
    )

    def __init__(self, plan: InputPlan, reach_ns: int = 0) -> None:
        """Begin empty and unheard; `reach_ns` is how far back its alignment looks."""
        super().__init__(plan, reach_ns)
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
        self.cadence = UNKNOWN
        """Learned after 1, 2, 4 ... 64 more samples, and at once when a bound of it is broken."""
        self.pace: Pace | None = None
        """Of a silent input: the pace that it kept, where it kept one."""
        self._silence_ns = plan.silent_after_ns or _FIRST_SOUND_NS
        self._unlearned, self._learn_after = 0, 1
        self._oddities = Oddities(self)

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
        period_ns = self.cadence.period_ns or self.plan.period_ns
        oddity = self._oddities.of(now_ns, at_ns, sample, period_ns)
        if oddity:
            self.counts[oddity] = self.counts.get(oddity, 0) + 1
            if oddity in REFUSED:
                return oddity
            if oddity == "clock_step":
                self._forget()
        self.heard_ns, self.added_ns = now_ns, at_ns
        if not self.ats or at_ns > self.ats[-1]:
            self._append(now_ns, at_ns, sample, run)
        else:
            self.insert(now_ns, at_ns, sample, run)
        return oddity

    @property
    def told(self) -> bool:
        """Return whether the oddity of the last sample was told before: it need not be again."""
        return self._oddities.told

    def promise(self, stamp_ns: int) -> None:
        """Take up that nothing with a stamp before `stamp_ns` follows."""
        self.promised_ns = max(self.promised_ns, stamp_ns - self.plan.offset_ns)

    def doubt(self) -> None:
        """Learn the rhythm anew with the next sample: what it let expect did not come."""
        self._unlearned = LEARN_FROM

    def hear(self, fact: str) -> str:
        """Apply `heard`, `hush` or `ended`; return the change to note, or an empty string."""
        entry = TRANSITIONS.get((self.state, fact))
        if entry is None:
            return ""
        self.state, change = entry
        self.expected = self.state in (Listening.UNHEARD, Listening.SPEAKING)
        self.pace = None if self.expected else pace_of(self.ats)
        return change

    def _forget(self) -> None:
        """Drop all samples and the rhythm: the source's clock has been set."""
        self.clear()
        self.cadence, self.promised_ns = UNKNOWN, -NEVER_NS
        self._unlearned, self._learn_after = 0, 1

    def _append(self, now_ns: int, at_ns: int, sample: Sample, run: int) -> None:
        """Add a sample in order; what is quicker than the bounds allow is learned at once."""
        cadence, ats = self.cadence, self.ats
        self._unlearned += 1
        if now_ns - at_ns < cadence.soonest_ns or (ats and at_ns - ats[-1] < cadence.shortest_ns):
            self._unlearned = LEARN_FROM
        self.append(now_ns, at_ns, sample, run)
        if self._unlearned >= self._learn_after:
            self._learn()

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
