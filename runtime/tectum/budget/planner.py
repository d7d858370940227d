"""What to compute next, in which variant, and what to give up so that the deadline holds.

Rules: no work is started that the model says cannot end in time; a lane runs one thing; open sets
are served by earliest deadline. When a set does not fit, in this order: a cheaper variant, a
cached embedding, leaving an input out, shedding. Once a stage is degraded it stays so until there
is a quarter of slack (hysteresis). The planner reads state and proposes; the pipeline carries out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isqrt

from tectum.budget.latency import LatencyModel
from tectum.budget.schedule import latest_begins, place
from tectum.pipeline.accept import accepted
from tectum.pipeline.opened import OpenSet
from tectum.pipeline.plan import Plan, Requirement, StagePlan
from tectum.pipeline.port import Port
from tectum.pipeline.runs import Run
from tectum.sync.stream import NEVER_NS

__all__ = ["Choice", "Planner"]

_PATIENCE = 3


@dataclass(slots=True)
class Choice:
    """How one set is to be computed: per input the variant's index, what is cached or left out."""

    variants: list[int]
    head_variant: int
    cached: list[int]
    left_out: list[int]
    fits: bool = True


class Planner:
    """Chooses variants and order; see the module for its rules."""

    __slots__ = ("_denied", "_head", "_levels", "_model", "_plan", "_ports", "_wanted")

    def __init__(
        self, plan: Plan, ports: list[Port], model: LatencyModel, wanted: tuple[Requirement, ...]
    ) -> None:
        """Plan for these inputs; `model` is shared with the pipeline, which feeds it."""
        self._plan = plan
        self._ports = ports
        self._model = model
        self._wanted = wanted
        self._head = plan.stage(plan.head)
        self._denied: dict[str, int] = {}
        """Stage -> sets in a row that were given up before it could run."""
        self._levels: dict[str, int] = {}
        """Stage -> the variant index it is degraded to; absent: the best."""

    # -- predictions

    def level(self, stage: str) -> int:
        """Return the index of the variant in which the stage runs at present."""
        return self._levels.get(stage, 0)

    def encode_ns(self, port: Port, variant: int) -> int:
        """Return what the input's encoder typically takes; 0 without one."""
        if port.encoder is None or port.hops is not None:
            return 0
        return self._model.typical_ns(port.encoder.name, port.encoder.variants[variant])

    def head_ns(self, variant: int) -> int:
        """Return what the head typically takes."""
        return self._model.typical_ns(self._head.name, self._head.variants[variant])

    def whole_ns(self) -> int:
        """Return what a whole set takes, one run after the other, and its delivery."""
        levels = self._preferred()
        costs = [
            self.encode_ns(port, variant)
            for port, variant in zip(self._ports, levels.variants, strict=True)
        ]
        return sum(costs) + self.head_ns(levels.head_variant) + self._plan.margin_ns

    def head_by_ns(self, opened: OpenSet) -> int:
        """Return how late the head may start for the answer to be in time."""
        if opened.deadline_ns >= NEVER_NS:
            return NEVER_NS
        variant = self.level(self._head.name)
        return self._limit_ns(opened) - self.head_ns(variant) - self._slack_ns([], variant)

    def force_at_ns(self, opened: OpenSet) -> list[int]:
        """Return, for each pending input, until when the set can wait for it."""
        if opened.deadline_ns >= NEVER_NS:
            return [NEVER_NS] * len(opened.pending)
        levels = self._preferred()
        costs = [self.encode_ns(self._ports[i], levels.variants[i]) for i in opened.pending]
        chain = [(self._ports[i], levels.variants[i]) for i in opened.pending]
        head_by_ns = (
            self._limit_ns(opened)
            - self.head_ns(levels.head_variant)
            - self._slack_ns(chain, levels.head_variant)
        )
        return latest_begins(head_by_ns, costs, self._plan.lanes)

    # -- choices

    def choose(self, now_ns: int, opened: OpenSet, free_at: list[int]) -> Choice:
        """Return the best way to compute a settled set that fits its deadline.

        Takes the lanes' times from `free_at` (per lane, when it gets free) and leaves in it what
        the set will take. `fits` is False where nothing helps: the set is to be shed.
        """
        choice = self._preferred()
        limit_ns = self._latest_ns(opened)
        taken = list(free_at)
        end_ns = self._end_ns(now_ns, opened, choice, taken)
        steps = self._cheaper(opened, choice)
        while end_ns > limit_ns and (cheaper := next(steps, None)) is not None:
            choice, taken = cheaper, list(free_at)
            end_ns = self._end_ns(now_ns, opened, choice, taken)
        choice.fits = end_ns <= limit_ns or self._plan.late == "deliver"
        if choice.fits:
            free_at[:] = taken
        self._learn(opened, choice, limit_ns - end_ns)
        return choice

    def eager(self, now_ns: int, opened: OpenSet, free_at: list[int]) -> Choice:
        """Return how to encode what a set that still waits has committed; leaves nothing out.

        `fits` is False where even that would end too late: it may fit once the set is settled and
        something can be given up.
        """
        choice = self._preferred()
        taken = list(free_at)
        choice.fits = self._end_ns(now_ns, opened, choice, taken) <= self._latest_ns(opened)
        if choice.fits:
            free_at[:] = taken
        return choice

    def deny(self, stages: Iterable[StagePlan]) -> None:
        """Something is given up because of what the model says of these stages.

        A stage that was kept from running for several sets in a row may have become fast again
        without anybody noticing: the model's word is doubted, and the next set tries.
        """
        for stage in stages:
            self._denied[stage.name] = self._denied.get(stage.name, 0) + 1
            if self._denied[stage.name] >= _PATIENCE:
                self._denied[stage.name] = 0
                for variant in stage.variants:
                    self._model.doubt(stage.name, variant)

    def todo(self, opened: OpenSet) -> list[StagePlan]:
        """Return the stages that have to run before the set can be answered, the head included."""
        encoders = [self._ports[index].encoder for index in self.unstarted(opened)]
        return [*[stage for stage in encoders if stage is not None], self._head]

    def observe(self, run: Run, took_ns: int, *, ok: bool) -> None:
        """Learn from a run that has ended; one that was ended early took at least so long."""
        if ok:
            self._denied[run.stage] = 0
        if ok or took_ns > self._model.typical_ns(run.stage, run.variant):
            self._model.observe(run.stage, run.variant, took_ns)

    def unstarted(self, opened: OpenSet) -> list[int]:
        """Return the inputs whose committed sample still has to be encoded."""
        return [
            index
            for index, pick in enumerate(opened.picks)
            if pick is not None
            and opened.runs[index] is None
            and self._ports[index].encoder is not None
        ]

    # -- parts

    def _preferred(self) -> Choice:
        variants = [self.level(p.encoder.name) if p.encoder else 0 for p in self._ports]
        return Choice(variants, self.level(self._head.name), [], [])

    def _latest_ns(self, opened: OpenSet) -> int:
        """Return when an answer may be expected at the latest: a tick may come a little late."""
        return opened.deadline_ns - self._plan.margin_ns // 4

    def _limit_ns(self, opened: OpenSet) -> int:
        if opened.deadline_ns >= NEVER_NS:
            return 2 * NEVER_NS  # even a lane that was written off fits no deadline at all
        return opened.deadline_ns - self._plan.margin_ns

    def _end_ns(self, now_ns: int, opened: OpenSet, choice: Choice, free_at: list[int]) -> int:
        """Return when the set would be answered; takes the lanes it needs from `free_at`."""
        gone = (*choice.cached, *choice.left_out)
        begin_ns = now_ns
        for index, run in enumerate(opened.runs):
            if run is not None and not run.finished and index not in gone:
                begin_ns = max(begin_ns, run.begun_ns + run.expected_ns)
        todo = [index for index in self.unstarted(opened) if index not in gone]
        chain = [(self._ports[index], choice.variants[index]) for index in todo]
        costs = sorted([self.encode_ns(*link) for link in chain], reverse=True)
        encoded_ns = max(begin_ns, place(free_at, now_ns, costs))
        end_ns = place(free_at, encoded_ns, [self.head_ns(choice.head_variant)])
        return end_ns + self._slack_ns(chain, choice.head_variant)

    def _slack_ns(self, chain: list[tuple[Port, int]], head_variant: int) -> int:
        """Return what to keep free for runs that take longer than typical."""
        head = self._model.spread_ns(self._head.name, self._head.variants[head_variant])
        squares = head * head
        for port, variant in chain:
            if port.encoder is not None and port.hops is None:
                spread = self._model.spread_ns(port.encoder.name, port.encoder.variants[variant])
                squares += spread * spread
        return isqrt(squares)

    def _cheaper(self, opened: OpenSet, first: Choice) -> Iterator[Choice]:
        """Yield ever cheaper choices, each a small step from the one before."""
        choice = first
        todo = self.unstarted(opened)
        for index in sorted(todo, key=lambda i: -self.encode_ns(self._ports[i], 0)):
            encoder = self._ports[index].encoder
            assert encoder is not None
            for variant in range(choice.variants[index] + 1, len(encoder.variants)):
                choice = _copy(choice)
                choice.variants[index] = variant
                yield choice
        for variant in range(choice.head_variant + 1, len(self._head.variants)):
            choice = _copy(choice)
            choice.head_variant = variant
            yield choice
        for index in todo:
            if self.cached_fits(opened, index):
                choice = _copy(choice)
                choice.cached.append(index)
                yield choice
        for index in self._droppable(opened, choice):
            choice = _copy(choice)
            choice.left_out.append(index)
            yield choice

    def cached_fits(self, opened: OpenSet, index: int) -> bool:
        """Return whether a cached embedding may stand in for this input of the set."""
        port = self._ports[index]
        age_ns = opened.t_ns - port.cached_at_ns
        return port.cached is not None and 0 <= age_ns <= port.plan.cache_ns

    def _droppable(self, opened: OpenSet, choice: Choice) -> list[int]:
        """Return inputs that may be left out one after the other, the costliest first."""
        unfinished = self.unstarted(opened)
        unfinished += [i for i, run in enumerate(opened.runs) if run and not run.finished]
        left = [i for i in unfinished if i not in choice.cached]
        left.sort(key=lambda i: (self._ports[i].plan.required, -self._cost_ns(i, choice)))
        present = opened.present()
        droppable = []
        for index in left:
            remaining = [name for name in present if name != self._ports[index].plan.name]
            if accepted(self._wanted, remaining):
                present = remaining
                droppable.append(index)
        return droppable

    def _cost_ns(self, index: int, choice: Choice) -> int:
        return self.encode_ns(self._ports[index], choice.variants[index])

    def _learn(self, opened: OpenSet, choice: Choice, slack_ns: int) -> None:
        """Remember what was degraded; go back a step once the better variant leaves slack."""
        if opened.planned:
            return
        opened.planned = True
        for index in self.unstarted(opened):
            encoder = self._ports[index].encoder
            assert encoder is not None
            self._set_level(encoder, choice.variants[index], slack_ns)
        self._set_level(self._head, choice.head_variant, slack_ns)

    def _set_level(self, stage: StagePlan, variant: int, slack_ns: int) -> None:
        level = self.level(stage.name)
        if variant > level:
            self._levels[stage.name] = variant
        elif level > 0:
            names = stage.variants
            now_ns = self._model.typical_ns(stage.name, names[level])
            better_ns = self._model.typical_ns(stage.name, names[level - 1])
            if (slack_ns - (better_ns - now_ns)) * 4 > self._plan.budget_ns:
                self._levels[stage.name] = level - 1


def _copy(choice: Choice) -> Choice:
    return Choice(
        list(choice.variants), choice.head_variant, list(choice.cached), list(choice.left_out)
    )
