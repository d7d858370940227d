"""What to compute next, in which variant, and what to give up so that the deadline holds.

Rules: no work is started that the model says cannot end in time; a lane runs one thing; open sets
are served by earliest deadline, those of several heads of one trigger too: a later one reckons with
the lanes that are left, and with what a sibling encodes for it. When a set does not fit, in this
order: a cheaper variant, a cached embedding, leaving an input out, shedding. Waiting keeps to that
order too: for a *better* sample as long as the present variants allow, for *any* sample as long as
the cheapest do. Once a stage is degraded it stays so for a while (`tectum.budget.levels`). The
planner reads state and proposes; the pipeline carries out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tectum.budget.cheaper import Cheaper
from tectum.budget.choice import Choice
from tectum.budget.costs import Costs, cheapest, spread_ns
from tectum.budget.latency import Estimate, LatencyModel
from tectum.budget.levels import Levels
from tectum.budget.schedule import latest_begins, place
from tectum.pipeline.head import Head
from tectum.pipeline.opened import OpenSet
from tectum.pipeline.plan import Plan, StagePlan
from tectum.pipeline.port import Port
from tectum.pipeline.runs import Run
from tectum.sync.stream import NEVER_NS

__all__ = ["Choice", "Planner", "Wait"]

_PATIENCE = 3
_READILY = 16
"""After so many doubts in vain one doubts less readily."""
_MOST_PATIENT = 5
"""In the end only after two to the power of so many times the usual patience."""
_WORTH_NAMING = 20
"""What takes longer by less than one in so many parts of the budget is nobody's fault."""
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
        "_at_best",
        "_cheaper",
        "_costs",
        "_denied",
        "_doubts",
        "_found_out_ns",
        "_heads",
        "_levels",
        "_model",
        "_now_ns",
        "_plan",
        "_ports",
        "_preferred",
    )

    def __init__(
        self, plan: Plan, heads: Sequence[Head], ports: list[Port], model: LatencyModel
    ) -> None:
        """Plan for these inputs; `model` is shared with the pipeline, which feeds it."""
        self._plan = plan
        self._ports = ports
        self._model = model
        self._heads = tuple(heads)
        self._costs = Costs(heads, ports, model)
        self._cheaper = Cheaper(self._costs, ports)
        self._denied: dict[str, int] = {}
        """Stage, or stage/variant -> sets in a row that were given up before it could run."""
        self._doubts: dict[str, int] = {}
        """The same -> how often its costs were doubted since they were last what they should be."""
        self._found_out_ns: dict[str, int] = {}
        """Stage -> when a run last decided a doubt."""
        self._now_ns = 0
        self._levels = Levels()
        self._preferred = self._prefer()
        """Per head, every stage in the variant in which it runs at present."""
        self._at_best = True
        """Nothing is degraded at present: there is nothing to go back to."""

    # -- predictions

    def level(self, stage: str) -> int:
        """Return the index of the variant in which the stage runs at present."""
        return self._levels.of(stage)

    def encode_ns(self, index: int, variant: int) -> int:
        """Return what the encoder of the input at `index` typically takes; 0 without one."""
        return self._costs.encode_ns(index, variant)

    def head_ns(self, opened: OpenSet, variant: int) -> int:
        """Return what the head of a set typically takes."""
        return self._costs.head_ns(opened.by, variant)

    def first(self) -> tuple[int, ...]:
        """Return the inputs whose encoders should be the first to begin, where all are to do.

        Those on the lane that is done last when each lane takes the longest that is left; none
        while something is degraded.
        """
        if not self._at_best:
            return ()
        costs = {i: e[0].typical_ns for i, e in enumerate(self._costs.encoders) if e}
        free_at = [0] * self._plan.lanes
        on: list[tuple[int, ...]] = [()] * self._plan.lanes
        for index in sorted(costs, key=lambda i: -costs[i]):
            lane = free_at.index(min(free_at))
            free_at[lane] += costs[index]
            on[lane] += (index,)
        return on[free_at.index(max(free_at))]

    def usable_ns(self, without: int = -1) -> int:
        """Return how long after the end of its capture a trigger can still be answered in time.

        By the most patient head, whose set is computed one run after the other, and delivered.

        Args:
            without: the index of an input that has no part in it; -1: the set is whole.
        """
        return max([head.budget_ns - self._whole_ns(head, without) for head in self._heads])

    def _whole_ns(self, head: Head, without: int) -> int:
        variants, head_variant, *_ = self._preferred[head.index]
        costs = [self.encode_ns(i, variants[i]) for i in head.reads if i != without]
        return sum(costs) + self._costs.head_ns(head, head_variant) + self._plan.margin_ns

    def head_by_ns(self, opened: OpenSet) -> int:
        """Return how late the head may start, in its cheapest variant, for a timely answer."""
        if opened.deadline_ns >= NEVER_NS:
            return NEVER_NS
        costs, level = self._of_head(opened), self._preferred[opened.by.index].head_variant
        head = costs[cheapest(costs, level)]
        return opened.deadline_ns - self._plan.margin_ns - head.typical_ns - head.spread_ns

    def waits(self, opened: OpenSet) -> dict[int, Wait]:
        """Return, for each pending input, until when the set can wait for it."""
        if opened.deadline_ns >= NEVER_NS:
            return dict.fromkeys(opened.pending, Wait(NEVER_NS, NEVER_NS))
        todo = [*opened.pending, *self.unstarted(opened)]
        variants, head_variant, *_ = present = self._preferred[opened.by.index]
        lowest = Choice(
            tuple([cheapest(self._costs.encoders[i], v) for i, v in enumerate(variants)]),
            cheapest(self._of_head(opened), head_variant),
        )
        better = self._latest_begins(opened, todo, present)
        any_ = better if lowest == present else self._latest_begins(opened, todo, lowest)
        return {
            index: Wait(*pair) for index, *pair in zip(opened.pending, better, any_, strict=False)
        }

    # -- choices

    def choose(self, now_ns: int, opened: OpenSet, free_at: list[int]) -> Choice | None:
        """Return the best way to compute a settled set that fits its deadline.

        Takes the lanes' times from `free_at` (per lane, when it gets free) and leaves in it what
        the set will take. None where nothing helps: the set is to be shed.
        """
        self._now_ns = now_ns
        if opened.siblings:
            self._await_siblings(now_ns, opened)
        todo, limit_ns = self.unstarted(opened), self._latest_ns(opened)
        preferred = self._preferred[opened.by.index]
        choice, taken = preferred, list(free_at)
        end_ns = self._end_ns(now_ns, opened, todo, choice, taken)
        if end_ns > limit_ns:
            for choice in self._cheaper.choices(preferred, opened, todo):
                taken = list(free_at)
                end_ns = self._end_ns(now_ns, opened, todo, choice, taken)
                if end_ns <= limit_ns:
                    break
        if self._at_best and choice is preferred:
            opened.planned += (*todo, _HEAD)
        else:
            self._learn(opened, self._encoded(opened), choice, limit_ns - end_ns)
            self._learn_head(opened, choice, limit_ns - end_ns)
        opened.spare_ns = limit_ns - end_ns
        opened.ample = opened.spare_ns >= end_ns - now_ns
        if end_ns > limit_ns and self._plan.late != "deliver":
            return None
        free_at[:] = taken
        if opened.siblings:
            self._place(now_ns, opened, todo, choice, end_ns)
        return choice

    def eager(self, now_ns: int, opened: OpenSet, free_at: list[int]) -> Choice | None:
        """Return how to encode what a set that still waits has committed; leaves nothing out.

        What it waits for is reckoned with as if it came now: a lane that a costly variant takes is
        lacking later. None where nothing fits: it may once the set is settled and something can be
        given up.
        """
        if opened.siblings:
            self._await_siblings(now_ns, opened)
        begun = self.unstarted(opened)
        todo = [*begun, *[index for index in opened.pending if self._costs.encoders[index]]]
        limit_ns, preferred = self._latest_ns(opened), self._preferred[opened.by.index]
        for choice in (preferred, *self._cheaper.variants(preferred, opened, todo)):
            end_ns = self._end_ns(now_ns, opened, todo, choice, list(free_at))
            if end_ns <= limit_ns:
                self._learn(opened, begun, choice, limit_ns - end_ns)
                end_ns = self._end_ns(now_ns, opened, begun, choice, free_at)
                if opened.siblings:
                    self._place(now_ns, opened, begun, choice, end_ns)
                return choice
        return None

    def may_wait(self, now_ns: int, opened: OpenSet, free_at: list[int]) -> bool:
        """Return whether a set for which every lane was written off would still fit on free ones.

        They may return: a machine that stands still for a moment holds up all of them.
        """
        if min(free_at) < NEVER_NS:
            return False
        idle = [now_ns] * self._plan.lanes
        todo = self.unstarted(opened)
        end_ns = self._end_ns(now_ns, opened, todo, self._preferred[opened.by.index], idle)
        return end_ns <= self._latest_ns(opened)

    def deny(self, stages: Iterable[StagePlan]) -> None:
        """Something is given up because of what the model says of these stages.

        A stage that was kept from running for several sets in a row may have become fast again
        without anybody noticing: the model's word is doubted, and the next set tries.
        """
        for stage in stages:
            if self._out_of_patience(stage.name):
                for estimate in self._costs.of(stage):
                    estimate.doubt(self._now_ns)

    def deny_wait(self, opened: OpenSet, encoder: StagePlan | None) -> None:
        """An input is waited for no longer because of what its encoder and the head would take."""
        slow = any(estimate.slower_ns for estimate in self._of_head(opened))
        head = opened.by.stage if slow else None
        self.deny(stage for stage in (encoder, head) if stage is not None)

    def _out_of_patience(self, stage: str) -> bool:
        """Count a set in which a stage (or a variant) was denied; return whether to doubt that."""
        doubts = self._doubts.get(stage, 0)
        self._denied[stage] = self._denied.get(stage, 0) + 1
        if self._denied[stage] < _PATIENCE << min(_MOST_PATIENT, max(0, doubts - _READILY)):
            return False
        self._denied[stage], self._doubts[stage] = 0, doubts + 1
        return True

    def slowed(self, now_ns: int, runs: Iterable[Run], budget_ns: int) -> str:
        """Return the stage that takes most beyond what it should; empty: none takes much more.

        `runs` are those that may be running: what overstays is slow before it has ended.
        `budget_ns` is that of the head that asks: what is much of it.
        """
        heads = [head.stage for head in self._heads]
        stages = [*heads, *[p.encoder for p in self._ports if p.encoder is not None]]
        more_ns = {s.name: max(e.last_slower_ns for e in self._costs.of(s)) for s in stages}
        for run in runs:
            took_ns = 0 if run.finished or not run.begun_ns else now_ns - run.begun_ns
            if took_ns > 2 * run.expected_ns:
                more_ns[run.stage] = max(more_ns[run.stage], took_ns - run.expected_ns)
        slowest = max(more_ns, key=lambda name: more_ns[name])
        return slowest if more_ns[slowest] * _WORTH_NAMING > budget_ns else ""

    def costliest(self, opened: OpenSet) -> str:
        """Return the stage that takes most of what a set still has to compute, at its best."""
        return max(self.todo(opened), key=lambda stage: self._costs.of(stage)[0].typical_ns).name

    def todo(self, opened: OpenSet) -> list[StagePlan]:
        """Return the stages that have to end before the set can be answered, the head included."""
        running = [i for i, run in enumerate(opened.runs) if run is not None and not run.finished]
        encoders = [self._ports[index].encoder for index in (*self.unstarted(opened), *running)]
        return [*[stage for stage in encoders if stage is not None], opened.by.stage]

    def observe(self, run: Run, took_ns: int, *, ok: bool) -> None:
        """Learn from a run that has ended; one that was ended early took at least so long."""
        self._now_ns = max(self._now_ns, run.ended_ns)
        estimate = self._model.of(run.stage, run.variant)
        was_slow, was_doubted = estimate.slower_ns, estimate.is_doubted
        if ok or took_ns > estimate.typical_ns:
            estimate.observe(took_ns, run.begun_ns)
        if was_doubted:
            self._found_out_ns[run.stage] = run.ended_ns
        elif ok and run.begun_ns > self._found_out_ns.get(run.stage, 0):
            self._denied[run.stage] = 0  # it runs, and not for trial: there is nothing to find out
        if ok and not estimate.slower_ns:
            for key in (run.stage, f"{run.stage}/{run.variant}"):
                self._denied[key] = self._doubts[key] = 0
            if was_slow:
                self._is_itself_again(run.stage)

    def _is_itself_again(self, stage: str) -> None:
        """A stage that was slow is so no more in one variant: maybe it is so in none."""
        for estimate in self._costs.of(self._plan.stage(stage)):
            if estimate.slower_ns:
                estimate.doubt(self._now_ns)

    def unstarted(self, opened: OpenSet) -> list[int]:
        """Return the inputs whose committed sample still has to be encoded."""
        runs, ports = opened.runs, self._ports
        return [
            index
            for index, pick in enumerate(opened.picks)
            if pick is not None and runs[index] is None and ports[index].encoder is not None
        ]

    def _encoded(self, opened: OpenSet) -> list[int]:
        """Return the inputs that this set has encoded, or had, ahead of its trigger maybe."""
        return [
            index
            for index, pick in enumerate(opened.picks)
            if pick is not None and self._costs.encoders[index]
        ]

    def cached_fits(self, opened: OpenSet, index: int) -> bool:
        """Return whether a cached embedding may stand in for this input of the set."""
        return self._cheaper.cached_fits(opened, index)

    # -- parts

    def _prefer(self) -> list[Choice]:
        variants = tuple([self.level(p.encoder.name) if p.encoder else 0 for p in self._ports])
        return [Choice(variants, self.level(head.stage.name)) for head in self._heads]

    def _of_head(self, opened: OpenSet) -> tuple[Estimate, ...]:
        """Return what the head of a set takes in each variant."""
        return self._costs.heads[opened.by.index]

    def _await_siblings(self, now_ns: int, opened: OpenSet) -> None:
        """Find out what more urgent heads of the same trigger will encode for this set as well."""
        opened.awaited = {
            index: end_ns
            for other in opened.siblings
            if other.placed_ns == now_ns and not other.resolved
            for index, end_ns in other.placed.items()
        }
        opened.placed = {}

    def _place(
        self, now_ns: int, opened: OpenSet, todo: Sequence[int], choice: Choice, end_ns: int
    ) -> None:
        """Tell siblings what this set, answered at `end_ns`, is to encode, and by when."""
        by_ns = end_ns - self._costs.head_ns(opened.by, choice.head_variant)
        gone = (*choice.cached, *choice.left_out, *opened.awaited)
        opened.placed = {index: by_ns for index in todo if index not in gone}
        opened.placed_ns = now_ns

    def _latest_begins(self, opened: OpenSet, todo: Sequence[int], choice: Choice) -> list[int]:
        """Return how late each encoder of `todo` may begin for a timely answer."""
        head = self._of_head(opened)[choice.head_variant]
        chain = [
            self._costs.encoders[i][choice.variants[i]] for i in todo if self._costs.encoders[i]
        ]
        costs = [self.encode_ns(i, choice.variants[i]) for i in todo]
        limit_ns = opened.deadline_ns - self._plan.margin_ns
        head_by_ns = limit_ns - head.typical_ns - spread_ns(head, *chain)
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
        for index, by_ns in opened.awaited.items():
            if index not in gone:
                encoded_ns = max(encoded_ns, by_ns)
        head = self._of_head(opened)[choice.head_variant]
        gone += tuple(opened.awaited)
        chain = [self._costs.encoders[i][choice.variants[i]] for i in todo if i not in gone]
        if chain:
            costs = sorted([estimate.typical_ns for estimate in chain], reverse=True)
            encoded_ns = max(encoded_ns, place(free_at, now_ns, costs))
        return place(free_at, encoded_ns, (head.typical_ns,)) + spread_ns(head, *chain)

    def _learn(self, opened: OpenSet, todo: Sequence[int], choice: Choice, slack_ns: int) -> None:
        """Remember what was degraded; go back a step once the better variant leaves slack.

        Back at most once per set and stage, however often the set is looked at, and only for the
        head that needs the stage soonest; down whenever a second look has to give something up, or
        the next set would begin at its best again.
        """
        for index in todo:
            encoder = self._ports[index].encoder
            assert encoder is not None
            variant = choice.variants[index]
            first = index not in opened.planned and index in opened.by.leads
            if first or variant > self.level(encoder.name):
                opened.planned.append(index)
                self._take_up(opened, encoder, self._costs.encoders[index], variant, slack_ns)

    def _learn_head(self, opened: OpenSet, choice: Choice, slack_ns: int) -> None:
        variant, head = choice.head_variant, opened.by.stage
        if _HEAD not in opened.planned or variant > self.level(head.name):
            opened.planned.append(_HEAD)
            self._take_up(opened, head, self._of_head(opened), variant, slack_ns)

    def _take_up(
        self,
        opened: OpenSet,
        stage: StagePlan,
        costs: Sequence[Estimate],
        variant: int,
        slack_ns: int,
    ) -> None:
        if self._levels.chosen(stage.name, costs, variant, slack_ns, opened.by.budget_ns):
            self._preferred = choices = self._prefer()
            self._at_best = not any(any(c.variants) or c.head_variant for c in choices)
        level = self.level(stage.name)
        if level and costs[level - 1].slower_ns and not costs[level].slower_ns:
            # Slow in the better variant alone, as far as is known: who never tries never learns.
            better = f"{stage.name}/{stage.variants[level - 1]}"
            if self._out_of_patience(better):
                costs[level - 1].doubt(self._now_ns)
