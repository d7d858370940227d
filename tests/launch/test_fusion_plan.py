"""How the alignments and triggers of a graph file become those of the plan."""

import pytest

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.pipeline.plan import AlignPlan
from tectum_launch.align_schema import AlignConfig
from tectum_launch.compile import load_graph
from tectum_launch.findings import GraphError
from tectum_launch.fusion_plan import align_plan
from tectum_launch.fusion_schema import Trigger as AnyTrigger
from tectum_launch.fusion_schema import TriggerConfig

PERIOD_NS = 30 * NS_PER_MS


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"exact": {}}, AlignPlan("exact")),
        ({"nearest": {"tolerance": "40ms"}}, AlignPlan("nearest", 40_000_000, 40_000_000)),
        ({"nearest": {"before": "40ms", "after": "0ms"}}, AlignPlan("nearest", 40_000_000, 0)),
        ({"latest": {"max_age": "1s"}}, AlignPlan("latest", max_age_ns=1_000_000_000)),
        (
            {"window": {"duration": "1s", "lead": "-20ms", "coverage": 0.8}},
            AlignPlan("window", duration_ns=10**9, lead_ns=-20_000_000, coverage_permille=800),
        ),
        ({"interpolate": {"reach": "25ms"}}, AlignPlan("interpolate", 25_000_000, 25_000_000)),
    ],
)
def test_every_rule_has_one_meaning(written, meant) -> None:
    config = AlignConfig.model_validate(written)
    assert align_plan(config, is_trigger=False, period_ns=PERIOD_NS) == meant


def test_the_default_is_exact_for_the_trigger_and_half_a_period_for_others() -> None:
    assert align_plan(None, is_trigger=True, period_ns=PERIOD_NS) == AlignPlan("exact")
    others = align_plan(None, is_trigger=False, period_ns=PERIOD_NS)
    assert others == AlignPlan("nearest", PERIOD_NS // 2, PERIOD_NS // 2)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("lidar", ("lidar", ())),
        (["lidar"], ("lidar", ())),
        (["lidar", "camera"], ("lidar", ("camera",))),
        ({"input": "lidar", "also": ["camera"]}, ("lidar", ("camera",))),
    ],
)
def test_one_input_or_several_may_trigger(written, meant) -> None:
    from pydantic import TypeAdapter

    trigger: TriggerConfig = TypeAdapter(AnyTrigger).validate_python(written)
    assert (trigger.input, trigger.also) == meant


def test_more_inputs_do_not_go_with_a_rate() -> None:
    with pytest.raises(ValueError, match="a rate is a trigger by itself"):
        TriggerConfig.model_validate({"rate": "5Hz", "also": ["camera"]})


FUSION = """\
graph: keys
budget: 80ms
nodes:
  camera: {run: plain_nodes:Camera}
  perception:
    run: fusion
    trigger: camera
    inputs: {camera: {topic: camera/image, encoder: {run: plain_nodes:Encoder}}}
    head: {late: mean}
"""


def _plan(write_graph, old: str = "", new: str = ""):
    graph = load_graph(str(write_graph(FUSION.replace(old, new) if old else FUSION)), cores=4)
    return graph.nodes[1].fusion.plan


@pytest.mark.parametrize("eager", ["commit", "guess", "off"])
def test_how_eager_a_node_encodes_is_the_graphs_to_say(write_graph, eager: str) -> None:
    assert _plan(write_graph).eager == "commit"
    assert _plan(write_graph, "trigger:", f"eager: {eager}\n    trigger:").eager == eager


def test_a_misspelt_eagerness_is_told_with_what_is_allowed(write_graph) -> None:
    with pytest.raises(GraphError) as caught:
        _plan(write_graph, "trigger:", "eager: gues\n    trigger:")
    assert str(caught.value).endswith(
        "nodes.perception.eager: 'gues' is not known here; allowed: commit, guess, off; did you "
        "mean 'guess'?"
    )


def test_how_much_of_an_input_is_kept_is_bounded_in_time_and_bytes(write_graph) -> None:
    (usual,) = _plan(write_graph).inputs
    assert (usual.history_ns, usual.history_bytes) == (2 * NS_PER_S, 256 * 2**20)
    buffer = "camera/image, buffer: {duration: 5s, size: 1.5GB}"
    (given,) = _plan(write_graph, "camera/image", buffer).inputs
    assert (given.history_ns, given.history_bytes) == (5 * NS_PER_S, 1_500_000_000)


def test_a_size_without_a_unit_is_refused(write_graph) -> None:
    with pytest.raises(GraphError, match=r"buffer\.size: 512 is not a size: write a number with"):
        _plan(write_graph, "camera/image", "camera/image, buffer: {size: 512}")


@pytest.mark.parametrize(("clock", "ahead_s"), [("graph", 0), ("utc", 0), ("tai", 37), ("gps", 18)])
def test_the_clock_that_an_input_declares_is_taken_off_its_stamps(
    write_graph, clock: str, ahead_s: int
) -> None:
    declared = f"camera/image, offset: 5ms, clock: {clock}"
    (given,) = _plan(write_graph, "camera/image", declared).inputs
    assert given.offset_ns == ahead_s * NS_PER_S + 5 * NS_PER_MS


def test_a_devices_own_clock_is_sent_to_the_node_that_reads_it(write_graph) -> None:
    told = (
        r"inputs\.camera\.clock: 'device' is not a clock of an input .* set `clock: device` at the"
    )
    with pytest.raises(GraphError, match=told):
        _plan(write_graph, "camera/image", "camera/image, clock: device")


def test_a_clock_that_nobody_knows_is_refused_with_those_that_are_known(write_graph) -> None:
    with pytest.raises(GraphError, match="'ptp' is not known here; allowed: graph, utc, tai, gps"):
        _plan(write_graph, "camera/image", "camera/image, clock: ptp")
