"""What to compute next, in which variant, and what to give up so that the deadline holds.

Rules: no work is started that the model says cannot end in time; a lane runs one thing; open sets
are served by earliest deadline. When a set does not fit, in this order: a cheaper variant, a
cached embedding, leaving an input out, shedding. Waiting keeps to that order too: for a *better*
sample as long as the present variants allow, for *any* sample as long as the cheapest do. Once a
stage is degraded it stays so for a while (`tectum.budget.levels`). The planner reads state and
proposes; the pipeline carries out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import isqrt
from typing import NamedTuple

from tectum.budget.choice import Choice
from tectum.budget.latency import Estimate, LatencyModel
from tectum.budget.levels import Levels
from tectum.budget.schedule import latest_begins, place
from tectum.pipeline.accept import accepted
from tectum.pipeline.opened import OpenSet
from tectum.pipeline.plan import Plan, Requirement, StagePlan
from tectum.pipeline.port import Port
from tectum.pipeline.runs import Run
from tectum.sync.stream import NEVER_NS

__all__ = ["Choice", "Planner", "Wait"]

_PATIENCE = 3
_HEAD = -1
"""Stands for the head among the indices of inputs."""


class Wait(NamedTuple):
    """How long a set can wait for one input."""

    better_ns: int
    """Until when for a better sample than the one at hand: no variant is given up for that."""
    any_ns: int
    """Until when for the first acceptable one: a cheaper variant is better than no input."""


class Planner:
    """Chooses variants and order; see the module for its rules."""

    __slots__ = (
        "_denied",
        "_encoders",
        "_head",
        "_head_costs",
        "_levels",
        "_model",
        "_plan",
        "_ports",
        "_preferred",
        "_wanted",
    )

    def __init__(
        self, plan: Plan, ports: list[Port], model: LatencyModel, wanted: tuple[Requirement, ...]
    ) -> None:
        """Plan for these inputs; `model` is shared with the pipeline, which feeds it."""
        self._plan = plan
        self._ports = ports
        self._model = model
        self._wanted = wanted
        self._head = plan.stage(plan.head)
        self._head_costs = self._costs_of(self._head)
        self._encoders = [self._costs_of(p.encoder if p.hops is None else None) for p in ports]
        """Per input, what its encoder costs in each variant; nothing where a set runs none."""
        self._denied: dict[str, int] = {}
        """Stage -> sets in a row that were given up before it could run."""
        self._levels = Levels(plan.budget_ns)
        self._preferred = self._prefer()

    # -- predictions

    def level(self, stage: str) -> int:
        """Return the index of the variant in which the stage runs at present."""
        return self._levels.of(stage)

    def encode_ns(self, index: int, variant: int) -> int:
        """Return what the encoder of the input at `index` typically takes; 0 without one."""
        costs = self._encoders[index]
        return costs[variant].typical_ns if costs else 0

    def head_ns(self, variant: int) -> int:
        """Return what the head typically takes."""
        return self._head_costs[variant].typical_ns

    def whole_ns(self) -> int:
        """Return what a whole set takes, one run after the other, and its delivery."""
        variants, head_variant, *_ = self._preferred
        costs = [self.encode_ns(index, variant) for index, variant in enumerate(variants)]
        return sum(costs) + self.head_ns(head_variant) + self._plan.margin_ns

    def head_by_ns(self, opened: OpenSet) -> int:
        """Return how late the head may start, in its cheapest variant, for a timely answer."""
        if opened.deadline_ns >= NEVER_NS:
            return NEVER_NS
        head = self._head_costs[self._cheapest(self._head_costs, self._preferred.head_variant)]
        return opened.deadline_ns - self._plan.margin_ns - head.typical_ns - head.spread_ns

    def waits(self, opened: OpenSet) -> dict[int, Wait]:
        """Return, for each pending input, until when the set can wait for it."""
        if opened.deadline_ns >= NEVER_NS:
            return dict.fromkeys(opened.pending, Wait(NEVER_NS, NEVER_NS))
        todo = [*opened.pending, *self.unstarted(opened)]
        variants, head_variant, *_ = present = self._preferred
        cheapest = Choice(
            tuple([self._cheapest(self._encoders[i], v) for i, v in enumerate(variants)]),
            self._cheapest(self._head_costs, head_variant),
        )
        better = self._latest_begins(opened, todo, present)
        any_ = better if cheapest == present else self._latest_begins(opened, todo, cheapest)
        return {
            index: Wait(*pair) for index, *pair in zip(opened.pending, better, any_, strict=False)
        }

    # -- choices

    def choose(self, now_ns: int, opened: OpenSet, free_at: list[int]) -> Choice | None:
        """Return the best way to compute a settled set that fits its deadline.

        Takes the lanes' times from `free_at` (per lane, when it gets free) and leaves in it what
        the set will take. None where nothing helps: the set is to be shed.
        """
        todo, limit_ns = self.unstarted(opened), self._latest_ns(opened)
        choice, taken = self._preferred, list(free_at)
        end_ns = self._end_ns(now_ns, opened, todo, choice, taken)
        if end_ns > limit_ns:
            for choice in self._cheaper(opened, todo):
                taken = list(free_at)
                end_ns = self._end_ns(now_ns, opened, todo, choice, taken)
                if end_ns <= limit_ns:
                    break
        self._learn(opened, todo, choice, limit_ns - end_ns)
        self._learn_head(opened, choice, limit_ns - end_ns)
        opened.spare_ns = limit_ns - end_ns
        opened.ample = opened.spare_ns >= end_ns - now_ns
        if end_ns > limit_ns and self._plan.late != "deliver":
            return None
        free_at[:] = taken
        return choice

    def eager(self, now_ns: int, opened: OpenSet, free_at: list[int]) -> Choice | None:
        """Return how to encode what a set that still waits has committed; leaves nothing out.

        What it waits for is reckoned with as if it came now: a lane that a costly variant takes is
        lacking later. None where nothing fits: it may once the set is settled and something can be
        given up.
        """
        begun = self.unstarted(opened)
        todo = [*begun, *[index for index in opened.pending if self._encoders[index]]]
        limit_ns = self._latest_ns(opened)
        for choice in (self._preferred, *self._cheaper_variants(todo)):
            end_ns = self._end_ns(now_ns, opened, todo, choice, list(free_at))
            if end_ns <= limit_ns:
                self._learn(opened, begun, choice, limit_ns - end_ns)
                self._end_ns(now_ns, opened, begun, choice, free_at)
                return choice
        return None

    def deny(self, stages: Iterable[StagePlan]) -> None:
        """Something is given up because of what the model says of these stages.

        A stage that was kept from running for several sets in a row may have become fast again
        without anybody noticing: the model's word is doubted, and the next set tries.
        """
        for stage in stages:
            self._denied[stage.name] = self._denied.get(stage.name, 0) + 1
            if self._denied[stage.name] >= _PATIENCE:
                self._denied[stage.name] = 0
                for estimate in self._costs_of(stage):
                    estimate.doubt()

    def todo(self, opened: OpenSet) -> list[StagePlan]:
        """Return the stages that have to run before the set can be answered, the head included."""
        encoders = [self._ports[index].encoder for index in self.unstarted(opened)]
        return [*[stage for stage in encoders if stage is not None], self._head]

    def observe(self, run: Run, took_ns: int, *, ok: bool) -> None:
        """Learn from a run that has ended; one that was ended early took at least so long."""
        estimate = self._model.of(run.stage, run.variant)
        if ok:
            self._denied[run.stage] = 0
        if ok or took_ns > estimate.typical_ns:
            estimate.observe(took_ns)

    def unstarted(self, opened: OpenSet) -> list[int]:
        """Return the inputs whose committed sample still has to be encoded."""
        runs, ports = opened.runs, self._ports
        return [
            index
            for index, pick in enumerate(opened.picks)
            if pick is not None and runs[index] is None and ports[index].encoder is not None
        ]

    def cached_fits(self, opened: OpenSet, index: int) -> bool:
        """Return whether a cached embedding may stand in for this input of the set."""
        port = self._ports[index]
        age_ns = opened.t_ns - port.cached_at_ns
        return port.cached is not None and 0 <= age_ns <= port.plan.cache_ns

    # -- parts

    def _costs_of(self, stage: StagePlan | None) -> tuple[Estimate, ...]:
        if stage is None:
            return ()
        return tuple([self._model.of(stage.name, variant) for variant in stage.variants])

    def _prefer(self) -> Choice:
        """Return every stage in the variant in which it runs at present."""
        variants = [self.level(p.encoder.name) if p.encoder else 0 for p in self._ports]
        return Choice(tuple(variants), self.level(self._head.name))

    def _cheapest(self, costs: Sequence[Estimate], at_least: int) -> int:
        """Return the variant that takes the least time, of those not better than `at_least`."""
        if len(costs) <= 1:
            return at_least
        return min(range(at_least, len(costs)), key=lambda variant: costs[variant].typical_ns)

    def _latest_begins(self, opened: OpenSet, todo: Sequence[int], choice: Choice) -> list[int]:
        """Return how late each encoder of `todo` may begin for a timely answer."""
        head = self._head_costs[choice.head_variant]
        chain = [self._encoders[i][choice.variants[i]] for i in todo if self._encoders[i]]
        costs = [self.encode_ns(i, choice.variants[i]) for i in todo]
        limit_ns = opened.deadline_ns - self._plan.margin_ns
        head_by_ns = limit_ns - head.typical_ns - _spread_ns(head, *chain)
        return latest_begins(head_by_ns, costs, self._plan.lanes)

    def _latest_ns(self, opened: OpenSet) -> int:
        """Return when an answer may be expected at the latest: a tick may come a little late."""
        if opened.deadline_ns >= NEVER_NS:
            return 4 * NEVER_NS  # whatever the lanes say: one that was written off may return
        return opened.deadline_ns - self._plan.margin_ns // 4

    def _end_ns(
        self, now_ns: int, opened: OpenSet, todo: Sequence[int], choice: Choice, free_at: list[int]
    ) -> int:
        """Return when the set would be answered; takes the lanes it needs from `free_at`."""
        gone = choice.cached + choice.left_out
        encoded_ns = now_ns
        for index, run in enumerate(opened.runs):
            if run is not None and not run.finished and index not in gone:
                encoded_ns = max(encoded_ns, run.ends_ns)
        head = self._head_costs[choice.head_variant]
        chain = [self._encoders[i][choice.variants[i]] for i in todo if i not in gone]
        if chain:
            costs = sorted([estimate.typical_ns for estimate in chain], reverse=True)
            encoded_ns = max(encoded_ns, place(free_at, now_ns, costs))
        return place(free_at, encoded_ns, (head.typical_ns,)) + _spread_ns(head, *chain)

    def _cheaper(self, opened: OpenSet, todo: Sequence[int]) -> Iterator[Choice]:
        """Yield ever cheaper choices, each a small step from the one before."""
        choice = self._preferred
        for choice in self._cheaper_variants(todo):
            yield choice
        for index in todo:
            if self.cached_fits(opened, index):
                choice = choice._replace(cached=(*choice.cached, index))
                yield choice
        for index in self._droppable(opened, todo, choice):
            choice = choice._replace(left_out=(*choice.left_out, index))
            yield choice

    def _cheaper_variants(self, todo: Sequence[int]) -> Iterator[Choice]:
        """Yield choices in ever cheaper variants, the costliest encoder first, the head last."""
        choice = self._preferred
        for index in sorted(todo, key=lambda i: -self.encode_ns(i, 0)):
            for variant in range(choice.variants[index] + 1, len(self._encoders[index])):
                variants = list(choice.variants)
                variants[index] = variant
                choice = choice._replace(variants=tuple(variants))
                yield choice
        for variant in range(choice.head_variant + 1, len(self._head_costs)):
            choice = choice._replace(head_variant=variant)
            yield choice

    def _droppable(self, opened: OpenSet, todo: Sequence[int], choice: Choice) -> list[int]:
        """Return inputs that may be left out one after the other, the costliest first."""
        running = [i for i, run in enumerate(opened.runs) if run and not run.finished]
        left = [i for i in (*todo, *running) if i not in choice.cached]
        left.sort(
            key=lambda i: (self._ports[i].plan.required, -self.encode_ns(i, choice.variants[i]))
        )
        present = opened.present()
        droppable = []
        for index in left:
            remaining = [name for name in present if name != self._ports[index].plan.name]
            if accepted(self._wanted, remaining):
                present = remaining
                droppable.append(index)
        return droppable

    def _learn(self, opened: OpenSet, todo: Sequence[int], choice: Choice, slack_ns: int) -> None:
        """Remember what was degraded; go back a step once the better variant leaves slack.

        Back at most once per set and stage, however often the set is looked at; down whenever a
        second look has to give something up, or the next set would begin at its best again.
        """
        for index in todo:
            encoder = self._ports[index].encoder
            assert encoder is not None
            variant = choice.variants[index]
            if index not in opened.planned or variant > self.level(encoder.name):
                opened.planned.append(index)
                self._take_up(encoder, self._encoders[index], variant, slack_ns)

    def _learn_head(self, opened: OpenSet, choice: Choice, slack_ns: int) -> None:
        variant = choice.head_variant
        if _HEAD not in opened.planned or variant > self.level(self._head.name):
            opened.planned.append(_HEAD)
            self._take_up(self._head, self._head_costs, variant, slack_ns)

    def _take_up(
        self, stage: StagePlan, costs: Sequence[Estimate], variant: int, slack_ns: int
    ) -> None:
        if self._levels.chosen(stage.name, costs, variant, slack_ns):
            self._preferred = self._prefer()


def _spread_ns(*chain: Estimate) -> int:
    """Return what to keep free for runs that take longer than typical."""
    return isqrt(sum([estimate.spread_ns * estimate.spread_ns for estimate in chain]))
