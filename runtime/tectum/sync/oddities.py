"""What is odd about a sample's stamp or its place among the others: each has a name.

Promises the same name for the same row of samples. What each name is, and its effect, is the table
of docs/alignment.md; to the stream it only matters whether the sample is refused, and whether the
source's clock was set back.
"""

from __future__ import annotations

from bisect import bisect_left

from tectum.message import Sample, SampleRef
from tectum.sync.buffer import Buffer
from tectum.sync.clock_watch import AHEAD_NS, BEHIND_NS, ClockWatch

__all__ = ["ODDITIES", "REFUSED", "Oddities"]

REFUSED = ("stamp_zero", "stamp_future", "clock_ahead", "duplicate")
"""Oddities of a sample that is not taken up."""
ODDITIES = (
    *REFUSED,
    "clock_behind",
    "clock_agrees",
    "stamp_disorder",
    "clock_step",
    "restarted",
)
"""All of them."""

_STEP_PERIODS = 4
_LEAST_STEP_NS = 50_000_000
_UNKNOWN_STEP_NS = 500_000_000


class Oddities:
    """Judges the samples of one input."""

    __slots__ = ("_buffer", "_former_life", "_life", "_newest_seq", "_watch", "told")

    def __init__(self, buffer: Buffer) -> None:
        """Judge samples against those that `buffer` remembers."""
        self._buffer = buffer
        self._watch = ClockWatch()
        self._life = self._former_life = self._newest_seq = -1
        self.told = False
        """The oddity of the last sample was told before: it need not be again."""

    def of(self, now_ns: int, at_ns: int, sample: Sample, period_ns: int) -> str:
        """Return what is odd about the next sample, or an empty string.

        Args:
            now_ns: when it arrived.
            at_ns: its reference point.
            sample: itself.
            period_ns: of the input; 0 where unknown.
        """
        self.told = False
        ats, life = self._buffer.ats, sample.ref.incarnation
        in_order = ats and at_ns > ats[-1] and life == self._life and sample.stamp_ns > 0
        if in_order and -BEHIND_NS <= at_ns - now_ns <= AHEAD_NS and not self._watch.off:
            self._newest_seq = sample.ref.seq
            return ""  # as nearly every sample
        oddity = self._oddity(now_ns, at_ns, sample, period_ns)
        if oddity not in REFUSED:
            self._recognise(sample.ref, oddity)
        return oddity

    def _recognise(self, ref: SampleRef, oddity: str) -> None:
        """Take up the number and the life of a sample, unless it is a straggler of the former."""
        if oddity == "clock_step":
            self._newest_seq = -1  # what follows is compared with nothing before
        if ref.incarnation == self._life:
            self._newest_seq = max(self._newest_seq, ref.seq)
        elif ref.incarnation != self._former_life:
            self._life, self._former_life, self._newest_seq = ref.incarnation, self._life, ref.seq

    def _oddity(self, now_ns: int, at_ns: int, sample: Sample, period_ns: int) -> str:
        if sample.stamp_ns <= 0:
            return "stamp_zero"
        ahead_ns = at_ns - now_ns
        if ahead_ns > AHEAD_NS:
            return self._ahead(ahead_ns)
        oddity = self._order(at_ns, sample, period_ns)
        if not oddity and (ahead_ns < -BEHIND_NS or self._watch.off):
            return self._clock(ahead_ns)
        return oddity

    def _ahead(self, ahead_ns: int) -> str:
        """Return what is odd about a stamp that lies in the future: itself, or the whole clock."""
        change = self._watch.see(ahead_ns)
        self.told = self._watch.off and not change
        return "clock_ahead" if self._watch.off else "stamp_future"

    def _clock(self, ahead_ns: int) -> str:
        """Return what is new about the clock of the stamps; a wrong one counts each sample."""
        change = self._watch.see(ahead_ns)
        if self._watch.off and not change and ahead_ns < -BEHIND_NS:
            counts = self._buffer.counts
            counts["clock_behind"] = counts.get("clock_behind", 0) + 1
        return change

    def _order(self, at_ns: int, sample: Sample, period_ns: int) -> str:
        """Return what is odd about the place of a stamp among the others."""
        ats = self._buffer.ats
        in_order = not ats or at_ns > ats[-1]
        life = sample.ref.incarnation
        if in_order and life == self._life:
            return ""
        reborn = life not in (self._life, self._former_life)
        if in_order:
            return "restarted" if reborn and self._life >= 0 else ""
        if reborn or self._stepped_back(at_ns, sample.ref, period_ns):
            return "clock_step"
        return "duplicate" if ats[bisect_left(ats, at_ns)] == at_ns else "stamp_disorder"

    def _stepped_back(self, at_ns: int, ref: SampleRef, period_ns: int) -> bool:
        """Return whether the source's clock was set back: later in sequence, far earlier in stamp.

        A message that was overtaken on its way has the earlier sequence number.
        """
        back_ns = self._buffer.ats[-1] - at_ns
        if back_ns > self._buffer.history_ns:
            return True
        if ref.incarnation != self._life or ref.seq <= self._newest_seq:
            return False
        least_ns = max(_STEP_PERIODS * period_ns, _LEAST_STEP_NS) if period_ns else _UNKNOWN_STEP_NS
        return back_ns > least_ns
