"""What stages take in a simulation: recorded durations count for the model they were taken of."""

from tectum_launch.compile import load_graph
from tectum_launch.graph import FusionPart
from tectum_launch.stage_times import stage_times


def driving(*settings: str) -> FusionPart:
    graph = load_graph("driving", settings, cores=2)
    part = next(node.fusion for node in graph.nodes if node.fusion)
    assert part is not None
    return part


def specs(part: FusionPart) -> dict[str, object]:
    return {name: stage.spec for name, stage in part.stages.items()}


def test_the_recorded_models_need_no_claims() -> None:
    part = driving()
    times = stage_times(part, specs(part), {})
    assert (times.table, times.claimed) == ({}, ())
    assert times.claims["head/fp32"] == part.stages["head"].claims_ns()["fp32"]


def test_a_model_that_moved_to_another_folder_is_the_same() -> None:
    part = driving()
    elsewhere = {name: {"model": {"folder": f"/opt/{spec['model']['folder']}"}}
                 for name, spec in specs(part).items()}  # fmt: skip
    assert stage_times(part, elsewhere, {}).claimed == ()


def test_another_model_takes_what_its_manifest_claims() -> None:
    part = driving("nodes.perception.head.intermediate=driving/head_sum")
    times = stage_times(part, specs(driving()), {})
    assert times.claimed == ("head",)
    assert times.table == {"head/fp32": part.stages["head"].claims_ns()["fp32"]}


def test_a_cost_given_by_hand_goes_before_claims() -> None:
    part = driving("nodes.perception.head.intermediate=driving/head_sum")
    times = stage_times(part, specs(driving()), {"head": 5})
    assert (times.table, times.claimed) == ({"head": 5}, ())


def test_of_a_recording_that_names_no_models_nothing_is_another() -> None:
    times = stage_times(driving(), {}, {})
    assert (times.table, times.claimed) == ({}, ())
