"""Cheaper: what is given up so that a set fits, step by step, the least loss first.

A cheaper variant, a cached embedding, leaving an input out; shedding is what remains after that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tectum.budget.choice import Choice
from tectum.budget.costs import Costs
from tectum.pipeline.accept import accepted
from tectum.pipeline.opened import OpenSet
from tectum.pipeline.port import Port

__all__ = ["Cheaper"]


class Cheaper:
    """Makes ever cheaper choices of one."""

    __slots__ = ("_costs", "_ports")

    def __init__(self, costs: Costs, ports: Sequence[Port]) -> None:
        """Keep to the combinations that the head of a set accepts."""
        self._costs, self._ports = costs, ports

    def cached_fits(self, opened: OpenSet, index: int) -> bool:
        """Return whether a cached embedding may stand in for this input of the set."""
        port = self._ports[index]
        age_ns = opened.t_ns - port.cached_at_ns
        return port.cached is not None and 0 <= age_ns <= port.plan.cache_ns

    def choices(self, present: Choice, opened: OpenSet, todo: Sequence[int]) -> Iterator[Choice]:
        """Yield ever cheaper choices than the present one, each a small step from the last."""
        choice = present
        for choice in self.variants(present, opened, todo):
            yield choice
        for index in todo:
            if self.cached_fits(opened, index):
                choice = choice._replace(cached=(*choice.cached, index))
                yield choice
        for index in self._droppable(opened, todo, choice):
            choice = choice._replace(left_out=(*choice.left_out, index))
            yield choice

    def variants(self, choice: Choice, opened: OpenSet, todo: Sequence[int]) -> Iterator[Choice]:
        """Yield choices in ever cheaper variants, the costliest encoder first, the head last."""
        for index in sorted(todo, key=lambda i: -self._costs.encode_ns(i, 0)):
            for variant in range(choice.variants[index] + 1, len(self._costs.encoders[index])):
                variants = list(choice.variants)
                variants[index] = variant
                choice = choice._replace(variants=tuple(variants))
                yield choice
        for variant in range(choice.head_variant + 1, len(opened.by.stage.variants)):
            choice = choice._replace(head_variant=variant)
            yield choice

    def _droppable(self, opened: OpenSet, todo: Sequence[int], choice: Choice) -> list[int]:
        """Return inputs that may be left out one after the other, the costliest first."""
        running = [i for i, run in enumerate(opened.runs) if run and not run.finished]
        left = [i for i in (*todo, *running) if i not in choice.cached]
        left.sort(
            key=lambda i: (
                self._ports[i].plan.required,
                -self._costs.encode_ns(i, choice.variants[i]),
            )
        )
        present = opened.present()
        droppable = []
        for index in left:
            remaining = [name for name in present if name != self._ports[index].plan.name]
            if accepted(opened.by.wanted, remaining):
                present = remaining
                droppable.append(index)
        return droppable
