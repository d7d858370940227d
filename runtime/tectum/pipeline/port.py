"""One input of the pipeline: its raw stream, the stream its alignment looks at, its latest commits.

The two streams are one, except where the encoder runs `on: sample`: then the alignment looks at
the encoder's outputs, which inherit the life (heard, silent, ended) of the raw stream.
"""

from __future__ import annotations

from collections import deque

from tectum.errors import ConfigError
from tectum.ledger.row import InputRow, Row
from tectum.message import Sample
from tectum.pipeline.hops import Hop, Hops
from tectum.pipeline.opened import OpenSet
from tectum.pipeline.plan import InputPlan, StagePlan
from tectum.pipeline.runs import Run
from tectum.sync.base import Alignment
from tectum.sync.nearest import Nearest
from tectum.sync.rules import build_alignment
from tectum.sync.stream import Stream

__all__ = ["Port"]

_COMMITS_REMEMBERED = 8
_OF_SEVERAL = ("window", "interpolate")
_Rows = tuple[tuple[Row, InputRow], ...]


class Port:
    """An input with everything that is known of it."""

    __slots__ = (
        "_commits",
        "ahead",
        "alignment",
        "asks",
        "beatable_ns",
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
        """Build the input at `index` of graph order.

        Raises:
            ConfigError: its alignment does not exist, or does not go with its encoder.
        """
        self.index = index
        self.plan = plan
        self.encoder = encoder
        self.alignment: Alignment = build_alignment(plan.align)
        self.raw = Stream(plan, self.alignment.reach_ns())
        on_sample = encoder is not None and encoder.on == "sample"
        if on_sample and plan.align.rule in _OF_SEVERAL:
            msg = (
                f"{plan.name}: align: {plan.align.rule} picks several samples, but its encoder "
                "runs on every sample and gives one output for each: nearest, latest and exact work"
            )
            raise ConfigError(msg)
        self.hops = Hops(encoder.hop) if on_sample and encoder is not None else None
        self.stream = Stream(plan, self.alignment.reach_ns()) if on_sample else self.raw
        self.hop: Hop | None = None
        self.hop_run: Run | None = None
        self.hop_state: Run | None = None
        self.cached: Run | None = None
        self.cached_at_ns = 0
        self.asks = False
        """Its messages ask for results."""
        self.waiting = 0
        """How many open sets wait for this input's pick."""
        self.ahead = False
        """The next trigger is in sight, and nothing is encoded for it yet."""
        self._commits: deque[tuple[int, int, _Rows]] = deque(maxlen=_COMMITS_REMEMBERED)
        self.beatable_ns = 0
        """No later sample betters what was committed."""

    @property
    def expected(self) -> bool:
        """Return whether something may still come that an open set should wait for."""
        return self.raw.expected or self.hop_run is not None

    def holds(self, sample: Sample) -> bool:
        """Return whether this very message is kept for a trigger or a hop to come."""
        return self.hops.holds(sample.ref) if self.hops is not None else self.raw.holds(sample)

    def remember(self, opened: OpenSet, *sharers: OpenSet) -> None:
        """Keep a commit, so that a better sample that comes later is noticed.

        `sharers` are sets for which the same was committed.
        """
        if not isinstance(self.alignment, Nearest):
            return
        item = opened.items[self.index]
        limit = self.alignment.reach_ns(), self.alignment.after_ns
        limit_ns = max(limit) + 1 if item.seq < 0 else abs(item.distance_ns) - item.error_ns
        rows = tuple([(each.row, each.items[self.index]) for each in (opened, *sharers)])
        self._commits.append((opened.t_ns, limit_ns, rows))
        self.beatable_ns = max(self.beatable_ns, opened.t_ns + limit_ns)

    def notice_beaten(self, sample: Sample) -> list[int]:
        """Mark the commits that this sample would have bettered.

        Returns the stamps of triggers whose row is closed: it can no longer say so itself.
        """
        at_ns = self.stream.at_ns(sample)
        closed: list[int] = []
        if not isinstance(self.alignment, Nearest):
            return closed
        for index, (t_ns, limit_ns, rows) in enumerate(self._commits):
            surely_ns = abs(at_ns - t_ns) + sample.error_ns
            if surely_ns >= limit_ns or not self.alignment.accepts(at_ns - t_ns):
                continue
            self._commits[index] = (t_ns, surely_ns, rows)
            self.raw.counts["beaten"] = self.raw.counts.get("beaten", 0) + 1
            for row, item in rows:
                item.beaten = item.beaten or not row.delivered_ns
            if any(row.delivered_ns for row, _ in rows):
                closed.append(t_ns)
        return closed
