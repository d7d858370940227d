"""Under which conditions a graph is tried: as it is, without sensors, with faults, late. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from tectum.clock import NS_PER_MS
from tectum.ledger.words import duration_words, listed
from tectum.pipeline.plan import Plan
from tectum.sync.faults import Fault

__all__ = ["AS_IT_IS", "Variation", "variations_of"]

AS_IT_IS = "as it is"

_MOST_SUBSETS = 4
"""With more inputs than this only single ones, and all but one, are tried."""
_OFFSETS_MS = (-200, -100, -50, 50, 100, 200)
_STRENGTHS = (100, 300, 500)
"""Messages lost of a thousand."""
_JITTERS_MS = (10, 30, 100)
_BUDGETS = (0.25, 0.5, 0.75, 1.5)


@dataclass(frozen=True, slots=True)
class Variation:
    """One condition."""

    group: str
    name: str
    faults: tuple[Fault, ...] = ()
    budget_ns: int = 0
    """0: the graph's own."""
    input: str = ""
    """Which input it is about, where it is about one."""
    amount: float = 0.0
    """How strong: of a thousand lost, or ms."""
    kept: tuple[str, ...] = ()
    """modalities: the inputs that are there."""


def variations_of(plan: Plan, groups: tuple[str, ...]) -> list[Variation]:
    """Return the conditions to try `plan` under, the graph as it is first."""
    makers = {
        "modalities": _modalities,
        "faults": _faults,
        "offsets": _offsets,
        "budgets": _budgets,
    }
    found = [Variation("", AS_IT_IS, kept=tuple(item.name for item in plan.inputs))]
    for group in groups:
        found += makers[group](plan)
    return found


def _modalities(plan: Plan) -> Iterator[Variation]:
    names = tuple(item.name for item in plan.inputs)
    sizes = range(1, len(names)) if len(names) <= _MOST_SUBSETS else (1, len(names) - 1)
    for size in sizes:
        for kept in combinations(names, size):
            missing = [name for name in names if name not in kept]
            faults = tuple(Fault("drop", name) for name in missing)
            yield Variation("modalities", f"only {listed(kept)}", faults, kept=kept)


def _faults(plan: Plan) -> Iterator[Variation]:
    for item in plan.inputs:
        for share in _STRENGTHS:
            fault = Fault("drop", item.name, permille=share)
            name = f"{item.name} loses {share // 10} %"
            yield Variation("faults", name, (fault,), input=item.name, amount=share)
        for jitter_ms in _JITTERS_MS:
            fault = Fault("jitter", item.name, amount_ns=jitter_ms * NS_PER_MS)
            name = f"{item.name} comes {jitter_ms} ms late on average"
            yield Variation("faults", name, (fault,), input=item.name, amount=jitter_ms)


def _offsets(plan: Plan) -> Iterator[Variation]:
    for item in plan.inputs:
        for offset_ms in _OFFSETS_MS:
            fault = Fault("clock_step", item.name, amount_ns=offset_ms * NS_PER_MS)
            name = f"{item.name} stamped {offset_ms:+} ms off"
            yield Variation("offsets", name, (fault,), input=item.name, amount=offset_ms)


def _budgets(plan: Plan) -> Iterator[Variation]:
    if not plan.budget_ns:
        return
    for share in _BUDGETS:
        budget_ns = round(plan.budget_ns * share)
        name = f"budget {duration_words(budget_ns)}"
        yield Variation("budgets", name, budget_ns=budget_ns, amount=budget_ns / NS_PER_MS)
