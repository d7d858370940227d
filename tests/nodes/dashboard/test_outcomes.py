"""The timeline of a node with several heads: each answer by its own budget, each row explained."""

from tectum.clock import NS_PER_MS as MS
from tectum.ledger.codec import row_document
from tectum.message import Kind
from tectum.pipeline.plan import AlignPlan, HeadPlan, InputPlan, Plan, StagePlan
from tectum.pipeline.simulate import fixed_durations, simulate
from tectum.testing.arrivals import Source, arrivals
from tectum.testing.messages import make_message
from tectum_nodes.dashboard.outcomes import Outcomes

PLAN = Plan(
    "two",
    (InputPlan("lidar", "l/p", AlignPlan("exact")),),
    (StagePlan("head_see"), StagePlan("head_go")),
    "",
    "lidar",
    budget_ns=90 * MS,
    heads=(
        HeadPlan("see", "head_see", ("lidar",), 90 * MS),
        HeadPlan("go", "head_go", ("lidar",), 30 * MS),
    ),
)


def test_an_answer_is_on_time_by_the_budget_of_its_own_head():
    outcomes = Outcomes("two", PLAN)
    for head in ("see", "go"):
        document = {"head": head, "trigger": 0, "stamp_ns": 1, "outcome": "complete",
                    "reason": "complete", "latency_ms": 50.0}  # fmt: skip
        outcomes.take_result(make_message(f"two/{head}", Kind.RESULT), document)
    assert outcomes.on_time == 1


def test_a_trigger_is_explained_for_each_head():
    takes = fixed_durations({"head_see": -MS, "head_go": MS})
    rows = simulate(PLAN, arrivals(Source("lidar", 100 * MS), 500 * MS), takes).rows
    outcomes = Outcomes("two", PLAN)
    documents = [row_document(row) for row in rows]
    outcomes.take_ledger(make_message("two/ledger", Kind.LEDGER, rows=documents, notes=[]))
    told = outcomes.why(0, 2).splitlines()
    begins = [line.partition(" at ")[0] for line in told if not line.startswith(" ")]
    assert sorted(begins) == ["go: trigger 2", "see: trigger 2"]
    assert "head_see' failed" in outcomes.why(0, 2)
