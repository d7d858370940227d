"""Several heads of one fusion node: one aligned set, each encoder once, by earliest deadline."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tectum.clock import NS_PER_MS as MS
from tectum.errors import ContractError
from tectum.ledger.digest import decision_digest
from tectum.ledger.row import Outcome, Row, Status
from tectum.pipeline.events import Arrived, Delivered, Event, Finished, Measured, Tick
from tectum.pipeline.opened import OpenSet
from tectum.pipeline.orders import Emit, Of, Picked, Start
from tectum.pipeline.pipeline import Pipeline
from tectum.pipeline.plan import (
    AlignPlan,
    HeadPlan,
    InputPlan,
    Plan,
    StagePlan,
    plan_document,
    plan_from,
)
from tectum.pipeline.simulate import Simulation, fixed_durations, simulate
from tectum.pipeline.verify import verify
from tectum.testing.arrivals import START_NS, Source, arrivals, together
from tectum.testing.audit import audit

several = settings(max_examples=settings().max_examples // 4, deadline=None)
NAMES = ("camera", "lidar", "radar")
ENCODERS = {"camera": "eye", "lidar": "shape", "radar": "ear"}
HEADS = ("warn", "see")
TAKES = {"eye": 12 * MS, "shape": 8 * MS, "ear": 5 * MS, "head_warn": 2 * MS, "head_see": 6 * MS}
INPUTS = (
    InputPlan("camera", "c/i", AlignPlan("nearest", 40 * MS, 40 * MS), "eye"),
    InputPlan("lidar", "l/p", AlignPlan("exact"), "shape"),
    InputPlan("radar", "r/p", AlignPlan("nearest", 30 * MS, 30 * MS), "ear", required=False),
)
STAGES = tuple([StagePlan(name) for name in TAKES])
WARN = HeadPlan("warn", "head_warn", ("lidar", "radar"), 60 * MS)
SEE = HeadPlan("see", "head_see", NAMES, 120 * MS)
PLAN = Plan(
    "two", INPUTS, STAGES, "", "lidar", budget_ns=120 * MS, lanes=2, heads=(SEE, WARN)
)  # fmt: skip
SOURCES = {
    "camera": Source("camera", 33 * MS, transit_ns=15 * MS),
    "lidar": Source("lidar", 100 * MS, transit_ns=8 * MS),
    "radar": Source("radar", 50 * MS, transit_ns=5 * MS),
}


def drive(
    plan: Plan = PLAN, takes: dict[str, int] | None = None, until_ms: int = 2000, **transit_ms: int
) -> Simulation:
    """Simulate a plan, audit its orders and verify its journal."""
    sources = [
        replace(source, transit_ns=transit_ms.get(name, source.transit_ns // MS) * MS)
        for name, source in SOURCES.items()
    ]
    warm = [Measured(START_NS, stage, "default", ns) for stage, ns in TAKES.items()]
    events = together(warm, *[arrivals(source, until_ms * MS) for source in sources])
    return checked(plan, simulate(plan, events, fixed_durations(TAKES | (takes or {}))))


def checked(plan: Plan, result: Simulation) -> Simulation:
    """Return a simulation that is as it must be, whatever it decided."""
    after = Tick(result.journal[-1].now_ns)
    shell = audit(plan, [*result.journal, after])
    verification = verify(plan, result.journal, result.digest, result.rows)
    assert verification.ok, verification.difference
    assert decision_digest(result.rows) == result.digest
    for head in plan.heads:
        triggers = [row.trigger for row in of(result, head.name)]
        assert triggers == list(range(len(triggers))) == shell.emitted[head.name]
    assert len({len(of(result, head.name)) for head in plan.heads}) <= 1
    return result


def of(result: Simulation, head: str) -> list[Row]:
    """Return the rows of one head."""
    return [row for row in result.rows if row.head == head]


def decisions(rows: list[Row]) -> list[tuple[object, ...]]:
    return [(row.trigger, row.outcome, row.reason, *_picks(row)) for row in rows]


def _picks(row: Row) -> list[tuple[str, int, int]]:
    return [(item.name, item.seq, item.distance_ns) for item in row.inputs]


# -- what a second head changes, and what not


def test_every_trigger_has_a_row_per_head_with_the_inputs_that_it_takes() -> None:
    result = drive()
    assert [len(of(result, head)) for head in HEADS] == [20, 20]
    assert all(row.outcome is Outcome.COMPLETE for row in result.rows)
    assert {tuple(i.name for i in row.inputs) for row in of(result, "warn")} == {("lidar", "radar")}
    assert {tuple(i.name for i in row.inputs) for row in of(result, "see")} == {NAMES}
    for row in result.rows:
        budget_ns = WARN.budget_ns if row.head == "warn" else SEE.budget_ns
        assert row.deadline_ns == row.stamp_ns + row.span_ns + budget_ns


def test_encoders_run_once_per_set_and_their_embeddings_are_shared() -> None:
    started: list[Start] = []
    pipeline = Pipeline(PLAN)
    for event in drive().journal:
        started += [order for order in pipeline.feed(event) if isinstance(order, Start)]
    runs = Counter(order.stage for order in started)
    assert runs == {"eye": 20, "shape": 20, "ear": 20, "head_warn": 20, "head_see": 20}
    taken = {stage: [set(_taken(o)) for o in started if o.stage == stage] for stage in runs}
    shared = [warn & see for warn, see in zip(taken["head_warn"], taken["head_see"], strict=True)]
    assert all(len(runs) == 2 for runs in shared)


def _taken(order: Start) -> list[int]:
    return [arg.run for arg in order.args if isinstance(arg, Of)]


def test_a_head_waits_only_for_the_encoders_that_it_reads() -> None:
    result = drive(camera=50)
    for warn, see in zip(of(result, "warn"), of(result, "see"), strict=True):
        camera = next(item for item in see.inputs if item.name == "camera")
        assert see.outcome is Outcome.COMPLETE
        assert warn.emitted_ns < camera.arrived_ns < see.head_begin_ns


def test_a_named_head_alone_decides_as_the_only_head_does() -> None:
    stages = tuple([stage for stage in STAGES if stage.name != "head_warn"])
    only = replace(PLAN, stages=stages, heads=(), head="head_see")
    named = replace(only, head="", heads=(SEE,))
    plain, result = drive(only), drive(named)
    assert [replace(row, head="") for row in result.rows] == plain.rows
    assert len(result.journal) == len(plain.journal)


def test_what_the_impatient_head_misses_the_patient_one_still_waits_for() -> None:
    result = drive(radar=75)
    assert {row.reason for row in of(result, "warn")} == {"input_not_arrived"}
    assert {row.outcome for row in of(result, "see")} == {Outcome.COMPLETE}


def test_what_the_impatient_head_picks_is_the_pick_of_the_patient_one() -> None:
    # The nearer camera image comes too late for the impatient head, not for the patient one.
    plan = replace(PLAN, heads=(SEE, replace(WARN, inputs=NAMES)))
    result = drive(plan, camera=55)
    alone = drive(replace(PLAN, heads=(SEE,)), camera=55)
    pairs = [*zip(of(result, "warn"), of(result, "see"), strict=True)][1:8]
    assert {warn.outcome for warn, _ in pairs} == {Outcome.COMPLETE}
    assert all(_picks(warn) == _picks(see) for warn, see in pairs)
    assert [_picks(row) for row in of(alone, "see")] != [_picks(row) for row in of(result, "see")]


def test_a_head_that_fails_costs_only_itself() -> None:
    failing = drive(takes={"head_see": -6 * MS})
    assert {row.reason for row in of(failing, "see")} == {"head_failed"}
    assert decisions(of(failing, "warn")) == decisions(of(drive(), "warn"))


def test_an_impatient_head_that_fails_costs_only_itself() -> None:
    failing = drive(takes={"head_warn": -2 * MS})
    assert {row.reason for row in of(failing, "warn")} == {"head_failed"}
    assert decisions(of(failing, "see")) == decisions(of(drive(), "see"))


def test_a_slow_head_costs_the_other_nothing_but_its_lane() -> None:
    slow = drive(takes={"head_see": 95 * MS})
    assert Outcome.SHED in {row.outcome for row in of(slow, "see")}
    assert decisions(of(slow, "warn")) == decisions(of(drive(), "warn"))


def test_an_encoder_that_fails_costs_its_modality_in_the_heads_that_take_it() -> None:
    result = drive(takes={"ear": -5 * MS})
    for row in result.rows:
        missing = [item.name for item in row.inputs if item.status is Status.MISSING]
        assert missing == ["radar"]
        assert row.reason == "input_encoder_failed"


def test_on_one_lane_the_head_with_the_earlier_deadline_goes_first() -> None:
    one = replace(PLAN, lanes=1)
    result = drive(one)
    for warn, see in zip(of(result, "warn"), of(result, "see"), strict=True):
        assert 0 < warn.head_end_ns <= see.head_begin_ns
    turned = replace(one, heads=(replace(SEE, budget_ns=60 * MS), replace(WARN, budget_ns=90 * MS)))
    result = drive(turned)
    for warn, see in zip(of(result, "warn"), of(result, "see"), strict=True):
        assert 0 < see.head_end_ns <= warn.head_begin_ns


def test_the_answer_of_one_head_is_not_held_up_by_another() -> None:
    order = [row.head for row in drive(camera=60).rows]
    assert order == ["warn", "see"] * 20


def test_heads_accept_what_they_are_told_to() -> None:
    both = (((("camera",), 1), (("lidar",), 1)),)
    plan = replace(PLAN, heads=(replace(SEE, accept=both), replace(WARN, accept=())))
    result = drive(plan, camera=500)
    real = [row for row in result.rows if "substituted" not in row.flags]
    assert {row.reason for row in real if row.head == "see"} == {"not_accepted"}
    assert {row.outcome for row in real if row.head == "warn"} == {Outcome.COMPLETE}


def test_a_variant_that_the_impatient_head_needs_is_not_given_back_by_the_patient_one() -> None:
    inputs = (INPUTS[1],)
    stages = (StagePlan("shape", ("large", "small")), StagePlan("head_warn"), StagePlan("head_see"))
    heads = (
        HeadPlan("see", "head_see", ("lidar",), 300 * MS),
        HeadPlan("warn", "head_warn", ("lidar",), 50 * MS),
    )
    plan = Plan("two", inputs, stages, "", "lidar", budget_ns=300 * MS, lanes=2, heads=heads)
    costs = {"shape/large": 60 * MS, "shape/small": 10 * MS, "head_warn": MS, "head_see": MS}
    warm = [
        Measured(START_NS, *(key.split("/") if "/" in key else (key, "default")), ns)
        for key, ns in costs.items()
    ]
    events = together(warm, arrivals(SOURCES["lidar"], 4000 * MS))
    result = checked(plan, simulate(plan, events, fixed_durations(costs)))
    assert {row.outcome for row in result.rows} == {Outcome.COMPLETE}
    assert {row.inputs[0].variant for row in result.rows} == {"small"}


def test_a_delivery_names_its_head() -> None:
    pipeline = Pipeline(PLAN)
    emitted: list[Row] = []
    for event in drive().journal:
        if isinstance(event, Delivered):
            break
        emitted += [order.row for order in pipeline.feed(event) if isinstance(order, Emit)]
    (row,) = emitted
    other = "see" if row.head == "warn" else "warn"
    with pytest.raises(ContractError, match=f"trigger 0 of head '{other}' was not being delivered"):
        pipeline.feed(Delivered(row.emitted_ns, 0, other))


def test_a_plan_with_heads_is_the_same_there_and_back() -> None:
    accept = (((("lidar", "radar"), 1),),)
    plan = replace(PLAN, heads=(SEE, replace(WARN, accept=accept)))
    assert plan_from(plan_document(plan)) == plan
    assert "heads" not in plan_document(replace(PLAN, heads=()))


def test_a_plan_seen_by_one_head_has_what_that_head_uses() -> None:
    seen = PLAN.seen_by("warn")
    assert [item.name for item in seen.inputs] == ["lidar", "radar"]
    assert [stage.name for stage in seen.stages] == ["shape", "ear", "head_warn"]
    assert (seen.head, seen.budget_ns, seen.heads) == ("head_warn", 60 * MS, ())
    assert seen.seen_by("") is seen


# -- whatever the load


@dataclass
class Load:
    """Two heads with variants, what they hear, and what their runs really take."""

    plan: Plan
    heard: tuple[Source, ...]
    costs: dict[tuple[str, str], int]
    vary_permille: int
    seed: int
    faults: int = 0
    """So many runs in a thousand raise."""

    def events(self) -> list[Event]:
        warm = [Measured(START_NS, *key, took_ns) for key, took_ns in self.costs.items()]
        return together(warm, *[arrivals(source, 1500 * MS) for source in self.heard])

    def run(self) -> Simulation:
        rng, share = random.Random(self.seed), self.vary_permille

        def duration(start: Start) -> int:
            factor = 1000 + rng.randint(-share, share)
            takes_ns = self.costs[start.stage, start.variant] * factor // 1000
            return -takes_ns if rng.randint(1, 1000) <= self.faults else takes_ns

        return simulate(self.plan, self.events(), duration)


@st.composite
def loads(draw: st.DrawFn) -> Load:
    costs = {}
    for name in ENCODERS.values():
        costs[name, "large"] = draw(st.integers(4, 70)) * MS
        costs[name, "small"] = max(MS, costs[name, "large"] // draw(st.integers(2, 10)))
    subsets = st.lists(st.sampled_from(NAMES), min_size=1, unique=True).map(tuple)
    heads, stages = [], [StagePlan(name, ("large", "small")) for name in ENCODERS.values()]
    for index in range(draw(st.integers(1, 3))):
        stage = f"head_{index}"
        costs[stage, "default"] = draw(st.integers(1, 12)) * MS
        stages.append(StagePlan(stage))
        budget_ns = draw(st.integers(30, 150)) * MS
        heads.append(HeadPlan(f"{index}", stage, draw(subsets), budget_ns))
    plan = Plan(
        "load", INPUTS, tuple(stages), "", "lidar",
        budget_ns=max(head.budget_ns for head in heads), lanes=draw(st.integers(1, 3)),
        eager=draw(st.sampled_from(["commit", "off", "guess"])), heads=tuple(heads),
    )  # fmt: skip
    sources = (
        Source("camera", 33 * MS, transit_ns=draw(st.integers(2, 50)) * MS, jitter_ns=2 * MS),
        Source("lidar", draw(st.integers(40, 100)) * MS, transit_ns=8 * MS, jitter_ns=MS),
        Source("radar", 50 * MS, transit_ns=draw(st.integers(2, 60)) * MS, jitter_ns=MS),
    )
    faults = draw(st.sampled_from([0, 0, 50]))
    return Load(
        plan, sources, costs, draw(st.integers(0, 200)), draw(st.integers(0, 1 << 16)), faults
    )


@several
@given(loads())
def test_every_trigger_has_one_outcome_per_head_and_what_is_delivered_is_in_time(
    load: Load,
) -> None:
    result = checked(load.plan, load.run())
    asked = [e for e in load.events() if isinstance(e, Arrived) and e.sample.ref.input == "lidar"]
    for head in load.plan.heads:
        rows = of(result, head.name)
        real = [row for row in rows if "substituted" not in row.flags]
        assert len(real) + result.counters["lidar"].get("covered", 0) == len(asked)
        assert all(r.emitted_ns <= r.deadline_ns for r in rows if r.outcome is not Outcome.SHED)
        assert all(row.blame for row in rows if row.reason in ("no_time", "overrun"))
        assert {tuple(sorted(i.name for i in row.inputs)) for row in rows} == {
            tuple(sorted(head.inputs))
        }


@several
@given(loads())
def test_heads_of_one_trigger_never_use_two_samples_of_one_input(load: Load) -> None:
    fresh: dict[tuple[int, str], set[int]] = {}
    for row in load.run().rows:
        for item in row.inputs:
            if item.seq >= 0 and item.status is not Status.CACHED:
                fresh.setdefault((row.trigger, item.name), set()).add(item.seq)
    assert all(len(seqs) == 1 for seqs in fresh.values())


@several
@given(loads())
def test_no_lane_runs_two_things_and_nothing_is_encoded_twice_at_a_time(load: Load) -> None:
    lanes: dict[int, list[int]] = {}
    running: dict[int, Start] = {}
    pipeline = Pipeline(load.plan)
    for event in load.run().journal:
        if isinstance(event, Finished):
            order = running.pop(event.run)
            if event.status != "cancelled":
                assert lanes[order.lane][0] == event.run
            lanes[order.lane].remove(event.run)
        for order in pipeline.feed(event):
            if not isinstance(order, Start):
                continue
            wanted = _alive(pipeline, running)
            if any(isinstance(arg, Picked) for arg in order.args):
                assert (order.stage, order.args) not in [(o.stage, o.args) for o in wanted]
            running[order.run] = order
            lanes.setdefault(order.lane, []).append(order.run)


def _alive(pipeline: Pipeline, running: dict[int, Start]) -> list[Start]:
    """Return the runs that somebody still wants."""
    runs = pipeline._books.runs.all
    return [o for run, o in running.items() if run in runs and not runs[run].cancelled_ns]


@several
@given(loads())
def test_what_is_ready_is_started_by_earliest_deadline(load: Load) -> None:
    pipeline = Pipeline(load.plan)
    for event in load.run().journal:
        started = [order for order in pipeline.feed(event) if isinstance(order, Start)]
        for order in started:
            wanted_by = [o for o in pipeline._books.open if order.run in _ids(o)]
            if not wanted_by:
                continue  # encoded ahead of its trigger
            deadline_ns = min(opened.deadline_ns for opened in wanted_by)
            for other in pipeline._books.open:
                if other.deadline_ns < deadline_ns:
                    assert not _left_standing(pipeline, other)


def _ids(opened: OpenSet) -> list[int]:
    return [run.id for run in (*opened.runs, opened.head) if run is not None]


def _left_standing(pipeline: Pipeline, opened: OpenSet) -> bool:
    """Return whether a set could have something started that was not."""
    if opened.resolved or opened.pending or opened.head is not None:
        return False
    if pipeline._books.planner.unstarted(opened):
        return True
    return all(run is None or run.finished for run in opened.runs)


@several
@given(st.integers(1, 400), st.integers(0, 1 << 16))
@example(vary_permille=380, seed=31)
def test_a_patient_head_beside_a_load_at_the_edge_does_not_make_a_variant_flap(
    vary_permille: int, seed: int
) -> None:
    # The better variant would fit the impatient head every other time, the patient one always.
    stages = (StagePlan("shape", ("large", "small")), StagePlan("head_warn"), StagePlan("head_see"))
    heads = (
        HeadPlan("see", "head_see", ("lidar",), 400 * MS),
        HeadPlan("warn", "head_warn", ("lidar",), 60 * MS),
    )
    plan = Plan("edge", (INPUTS[1],), stages, "", "lidar", budget_ns=400 * MS, heads=heads)
    costs = {("shape", "large"): 52 * MS, ("shape", "small"): 30 * MS}
    costs |= {("head_warn", "default"): MS, ("head_see", "default"): MS}
    source = Source("lidar", 60 * MS, transit_ns=4 * MS, jitter_ns=2 * MS)
    result = Load(plan, (source,), costs, vary_permille, seed).run()
    used = [row.inputs[0].variant for row in of(result, "warn") if row.inputs[0].variant]
    # Down, and where it was slower than in good times once more up, to see, and down again.
    assert sum(one != other for one, other in pairwise(used)) <= 3, used
