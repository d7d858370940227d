"""The tally of a run: what all rows came to, in constant memory however long the graph runs.

Of several heads each has a tally of its own besides: theirs add up to the whole.

`Tally.document` is the core of a report (docs/results.md). Latency counts from the end of the
trigger's capture, age from its start, both to the returned delivery. The phases partition the
latency of an answered trigger: receive (end of capture -> accepted), wait (-> every pick
committed), encode (-> the head begins: what was left of encoding, and the wait for a lane),
fuse (the head), deliver.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tectum.ledger.clock_words import CLOCK_CHANGES, clock_sentence
from tectum.ledger.histogram import Histogram
from tectum.ledger.misses import Misses
from tectum.ledger.row import InputRow, Outcome, Row, Status
from tectum.pipeline.orders import Note
from tectum.pipeline.plan import InputPlan, Plan

__all__ = ["PHASES", "Tally", "quantiles"]

PHASES = ("receive", "wait", "encode", "fuse", "deliver")
_NS_PER_MS = 1_000_000
_COUNTED_APART = ("received", "used", "beaten")


class Tally:
    """Counts the closed rows of one fusion node."""

    def __init__(self, plan: Plan) -> None:
        """Begin with no rows."""
        self.triggers = 0
        self.on_time = 0
        """Answers that were delivered by their deadline."""
        self.late = 0
        """Answers that were delivered after it."""
        self.outcomes: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.flags: Counter[str] = Counter()
        self.blame: Counter[str] = Counter()
        self.misses = Misses(plan)
        self.latency = Histogram()
        self.age = Histogram()
        self._plan = plan
        self._phases = {phase: Histogram() for phase in PHASES}
        self._inputs = {item.name: _InputTally(item) for item in plan.inputs}
        self._clocks: dict[str, str] = {}
        """Input -> what is wrong with the clock of its stamps, or was last."""
        self._outcome_gap = _Gap()
        self._answer_gap = _Gap()
        self._heads = {head.name: Tally(plan.seen_by(head.name)) for head in plan.heads}

    def add(self, row: Row) -> None:
        """Count a closed row; rows come in acceptance order."""
        if row.head:
            self._heads[row.head].add(replace(row, head=""))
        self.triggers += 1
        self.outcomes[row.outcome.value] += 1
        self.reasons[row.reason] += 1
        self.flags.update(row.flags)
        if row.blame:
            self.blame[row.blame] += 1
        self.misses.add(row)
        self._outcome_gap.add(row.delivered_ns)
        for item in row.inputs:
            self._inputs[item.name].add(item)
        if row.outcome is not Outcome.SHED:
            self._add_answer(row)

    def note(self, note: Note) -> None:
        """Take up that something changed about an input."""
        if note.change in CLOCK_CHANGES:
            self._clocks[note.input] = clock_sentence(note, self._plan)

    @property
    def on_time_share(self) -> float:
        """Return the share of triggers answered by their deadline; 1.0 before the first."""
        return self.on_time / self.triggers if self.triggers else 1.0

    def document(
        self, *, counters: Mapping[str, Mapping[str, int]], digest: str, unexplained: int
    ) -> dict[str, Any]:
        """Return the report of the run as plain data; durations are floats in ms, None if none.

        Args:
            counters: what the pipeline counted, per input (`Pipeline.counters`).
            digest: the digest of the decisions.
            unexplained: how many messages were lost without anyone claiming them.
        """
        heads = {name: tally.core() for name, tally in self._heads.items()}
        return {
            **self.core(),
            **({"heads": heads} if heads else {}),
            "inputs": {
                name: item.document(counters.get(name, {})) for name, item in self._inputs.items()
            },
            "clocks": dict(self._clocks),
            "unexplained_loss": unexplained,
            "decisions_sha256": digest,
        }

    def core(self) -> dict[str, Any]:
        """Return what of `document` is about answers; of several heads each has its own."""
        return {
            "triggers": self.triggers,
            "outcomes": {outcome.value: self.outcomes[outcome.value] for outcome in Outcome},
            "on_time": round(self.on_time_share, 6),
            "latency_ms": quantiles(self.latency, (0.5, 0.95, 0.99)),
            "budget_ms": _ms(self._plan.budget_ns) if self._plan.budget_ns else None,
            "late": self.late,
            "reasons": dict(self.reasons.most_common()),
            "flags": dict(self.flags.most_common()),
            "blame": dict(self.blame.most_common()),
            "misses": self.misses.document(),
            "age_ms": quantiles(self.age, (0.5, 0.95, 0.99)),
            "phases_ms": {name: quantiles(h, (0.5, 0.95)) for name, h in self._phases.items()},
            "longest_gap_ms": {
                "outcomes": _ms(self._outcome_gap.longest_ns),
                "answers": _ms(self._answer_gap.longest_ns),
            },
        }

    def histograms(self) -> dict[str, Histogram]:
        """Return what the quantiles of `document` were taken from, by the path of their keys."""
        return {
            "latency_ms": self.latency,
            "age_ms": self.age,
            **{f"phases_ms/{name}": item for name, item in self._phases.items()},
            **{
                f"inputs/{name}/{key}": histogram
                for name, item in self._inputs.items()
                for key, histogram in item.histograms().items()
            },
            **{
                f"heads/{name}/{path}": histogram
                for name, tally in self._heads.items()
                for path, histogram in tally.histograms().items()
                if not path.startswith("inputs/")
            },
        }

    def _add_answer(self, row: Row) -> None:
        if row.deadline_ns and row.delivered_ns > row.deadline_ns:
            self.late += 1
        else:
            self.on_time += 1
        end_ns = row.stamp_ns + row.span_ns
        self.latency.add(row.delivered_ns - end_ns)
        self.age.add(row.delivered_ns - row.stamp_ns)
        self._answer_gap.add(row.delivered_ns)
        begin_ns = end_ns
        for phase, stop_ns in zip(PHASES, _phase_ends(row), strict=True):
            self._phases[phase].add(stop_ns - begin_ns)
            begin_ns = stop_ns


class _InputTally:
    """What one input gave to all sets."""

    def __init__(self, plan: InputPlan) -> None:
        self.fresh = 0
        self.cached: Counter[str] = Counter()
        self.missing: Counter[str] = Counter()
        self.encode = Histogram()
        self.distance = Histogram()
        self.distance_means = "lacking_ms" if plan.align.rule == "window" else "skew_ms"

    def add(self, item: InputRow) -> None:
        if item.status is Status.FRESH:
            self.fresh += 1
            self.distance.add(abs(item.distance_ns))
            if item.encode_end_ns:
                self.encode.add(item.encode_end_ns - item.encode_begin_ns)
        elif item.reason:
            (self.cached if item.status is Status.CACHED else self.missing)[item.reason] += 1

    def histograms(self) -> dict[str, Histogram]:
        return {"encode_ms": self.encode, self.distance_means: self.distance}

    def document(self, counts: Mapping[str, int]) -> dict[str, Any]:
        losses = {k.removeprefix("lost_"): n for k, n in counts.items() if k.startswith("lost_")}
        others = {
            key: count
            for key, count in counts.items()
            if not key.startswith("lost_") and key not in _COUNTED_APART
        }
        return {
            "received": counts.get("received", 0),
            "used": counts.get("used", 0),
            "fresh": self.fresh,
            "cached": dict(self.cached.most_common()),
            "missing": dict(self.missing.most_common()),
            "beaten": counts.get("beaten", 0),
            "losses": losses,
            "counts": others,
            "encode_ms": quantiles(self.encode, (0.5, 0.95)),
            self.distance_means: quantiles(self.distance, (0.5, 0.95)),
        }


class _Gap:
    """The longest time between neighbours of a row of instants."""

    __slots__ = ("_last_ns", "longest_ns")

    def __init__(self) -> None:
        self._last_ns = 0
        self.longest_ns = 0

    def add(self, instant_ns: int) -> None:
        if self._last_ns:
            self.longest_ns = max(self.longest_ns, instant_ns - self._last_ns)
        self._last_ns = instant_ns


def _phase_ends(row: Row) -> tuple[int, ...]:
    """Return when each of `PHASES` ended, for an answered row."""
    return (
        row.accepted_ns,
        row.settled_ns,
        row.head_begin_ns,
        row.head_end_ns,
        row.delivered_ns,
    )


def quantiles(histogram: Histogram, shares: tuple[float, ...]) -> dict[str, float | None]:
    """Return `p50` and so on for the `shares`, and `max`, in ms; None where nothing was counted."""
    names = [f"p{share * 100:.0f}" for share in shares]
    if not histogram.count:
        return dict.fromkeys([*names, "max"])
    values = {n: _ms(histogram.quantile_ns(s)) for n, s in zip(names, shares, strict=True)}
    return {**values, "max": _ms(histogram.largest_ns)}


def _ms(duration_ns: int) -> float:
    return round(duration_ns / _NS_PER_MS, 3)
