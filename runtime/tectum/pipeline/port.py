"""One input of the pipeline: its raw stream, the stream its alignment looks at, its latest commits.

The two streams are one, except where the encoder runs `on: sample`: then the alignment looks at
the encoder's outputs, which inherit the life (heard, silent, ended) of the raw stream.
"""

from __future__ import annotations

from collections import deque

from tectum.ledger.row import InputRow
from tectum.message import Sample
from tectum.pipeline.hops import Hop, Hops
from tectum.pipeline.plan import InputPlan, StagePlan
from tectum.pipeline.runs import Run
from tectum.sync.base import Alignment
from tectum.sync.nearest import Nearest
from tectum.sync.rules import build_alignment
from tectum.sync.stream import Stream

__all__ = ["Port"]

_COMMITS_REMEMBERED = 8


class Port:
    """An input with everything that is known of it."""

    __slots__ = (
        "_beatable_ns",
        "_commits",
        "alignment",
        "cached",
        "cached_at_ns",
        "encoder",
        "hop",
        "hop_run",
        "hop_state",
        "hops",
        "index",
        "plan",
        "raw",
        "stream",
        "waiting",
    )

    def __init__(self, index: int, plan: InputPlan, encoder: StagePlan | None) -> None:
        """Build the input at `index` of graph order."""
        self.index = index
        self.plan = plan
        self.encoder = encoder
        self.alignment: Alignment = build_alignment(plan.align)
        self.raw = Stream(plan)
        on_sample = encoder is not None and encoder.on == "sample"
        self.hops = Hops(encoder.hop) if on_sample and encoder is not None else None
        self.stream = Stream(plan) if on_sample else self.raw
        self.hop: Hop | None = None
        self.hop_run: Run | None = None
        self.hop_state: Run | None = None
        self.cached: Run | None = None
        self.cached_at_ns = 0
        self.waiting = 0
        """How many open sets wait for this input's pick."""
        self._commits: deque[tuple[int, int, InputRow]] = deque(maxlen=_COMMITS_REMEMBERED)
        self._beatable_ns = 0

    @property
    def expected(self) -> bool:
        """Return whether something may still come that an open set should wait for."""
        return self.raw.expected or self.hop_run is not None

    def remember(self, t_ns: int, row: InputRow) -> None:
        """Keep a commit, so that a better sample that comes later is noticed."""
        if not isinstance(self.alignment, Nearest):
            return
        limit = self.alignment.after_ns + 1 if row.seq < 0 else abs(row.distance_ns)
        self._commits.append((t_ns, limit, row))
        self._beatable_ns = max(self._beatable_ns, t_ns + limit)

    def notice_beaten(self, sample: Sample) -> None:
        """Mark the commits that this sample would have bettered."""
        at_ns = self.stream.at_ns(sample)
        if at_ns >= self._beatable_ns:
            return
        for t_ns, limit, row in self._commits:
            if abs(at_ns - t_ns) < limit and not row.beaten:
                row.beaten = True
                self.raw.counts["beaten"] = self.raw.counts.get("beaten", 0) + 1
