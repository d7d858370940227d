"""The conditions that a graph is tried under."""

from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan
from tectum_launch.evaluation.groups import GROUPS
from tectum_launch.evaluation.variations import AS_IT_IS, variations_of

MS = 1_000_000


def plan_of(*names, budget_ms=100):
    inputs = tuple(InputPlan(name, f"{name}/x", AlignPlan("exact")) for name in names)
    return Plan("p", inputs, (StagePlan("head"),), "head", names[0], budget_ns=budget_ms * MS)


def test_the_graph_as_it_is_comes_first_and_names_are_unique():
    found = variations_of(plan_of("camera", "lidar", "siren"), GROUPS)
    assert found[0].name == AS_IT_IS
    assert len({each.name for each in found}) == len(found)
    assert {each.group for each in found[1:]} == set(GROUPS)


def test_every_subset_of_three_sensors_is_tried():
    found = variations_of(plan_of("camera", "lidar", "siren"), ("modalities",))
    assert [each.kept for each in found[1:]] == [
        ("camera",), ("lidar",), ("siren",),
        ("camera", "lidar"), ("camera", "siren"), ("lidar", "siren"),
    ]  # fmt: skip
    only_lidar = found[2]
    assert [(fault.kind, fault.input) for fault in only_lidar.faults] == [
        ("drop", "camera"),
        ("drop", "siren"),
    ]


def test_of_many_sensors_single_ones_and_all_but_one_are_tried():
    found = variations_of(plan_of(*"abcdef"), ("modalities",))
    assert [len(each.kept) for each in found[1:]] == [1] * 6 + [5] * 6


def test_without_a_budget_no_budgets_are_tried():
    assert len(variations_of(plan_of("a", "b", budget_ms=0), ("budgets",))) == 1
    assert [each.budget_ns // MS for each in variations_of(plan_of("a"), ("budgets",))[1:]] == [
        25, 50, 75, 150,
    ]  # fmt: skip
