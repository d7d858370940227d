"""Several heads in a graph file: what it compiles to, what is refused, checked and drawn."""

import dataclasses

import numpy as np
import pytest

import tectum_launch
from tectum.clock import NS_PER_MS as MS
from tectum.ledger.tally import Tally
from tectum.message import Kind
from tectum.pipeline.plan import AlignPlan, HeadPlan, InputPlan, Plan, StagePlan
from tectum.pipeline.simulate import fixed_durations, simulate
from tectum.testing.arrivals import Source, arrivals
from tectum.testing.models import ENCODER, ENCODER_GRAPH, write_model
from tectum_launch.checks import check_graph, fusions_of
from tectum_launch.checks.costs import NodeCosts
from tectum_launch.checks.load import load_of
from tectum_launch.checks.timing import needed_ns
from tectum_launch.compile import load_graph
from tectum_launch.findings import GraphError
from tectum_launch.graph_svg import graph_svg
from tectum_launch.graph_words import graph_text
from tectum_launch.report import fusion_text

HEADS = """\
    heads:
      result: {late: {rule: mean, weights: {camera: 2}}, accept: [[camera]]}
      warning:
        late: product
        inputs: [sound]
        budget: 30ms
"""
GOOD = f"""\
graph: good
budget: 80ms
nodes:
  camera: {{run: plain_nodes:Camera, rate: 20Hz}}
  microphone: {{run: plain_nodes:Microphone}}
  perception:
    run: fusion
    trigger: camera
    inputs:
      camera: {{topic: camera/image, encoder: {{run: plain_nodes:Encoder, gain: 2.0}}}}
      sound:
        topic: microphone/audio
        align: {{window: {{duration: 300ms}}}}
        required: false
{HEADS}    groups: {{eyes: [camera]}}
    lanes: 2
"""


def test_each_head_has_a_plan_a_stage_and_a_topic(write_graph):
    graph = load_graph(str(write_graph(GOOD)), cores=4)
    node = graph.nodes[2]
    plan = node.fusion.plan
    assert (plan.head, plan.budget_ns, plan.accept) == ("", 80 * MS, ())
    assert plan.heads == (
        HeadPlan("result", "head_result", ("camera", "sound"), 80 * MS, (((("camera",), 1),),)),
        HeadPlan("warning", "head_warning", ("sound",), 30 * MS),
    )
    assert [stage.name for stage in plan.stages] == ["encode_camera", "head_result", "head_warning"]
    answers = [topic.name for topic in node.publishes if topic.kind is Kind.RESULT]
    assert answers == ["perception/result", "perception/warning"]
    assert "perception/ledger" in [topic.name for topic in node.publishes]


MISTAKES = [
    (
        "both forms",
        GOOD.replace("    lanes: 2\n", "    head: {late: mean}\n"),
        "graph.yaml:7:5: nodes.perception: a fusion node takes exactly one of head, heads; "
        "found head, heads",
    ),
    (
        "an input that a head lacks",
        GOOD.replace("inputs: [sound]", "inputs: [sond, sound]"),
        "graph.yaml:19:18: nodes.perception.heads.warning.inputs[0]: no input is called 'sond'; "
        "allowed: camera, sound; did you mean 'sound'?",
    ),
    (
        "an input that nobody takes",
        GOOD.replace("{late: {rule: mean, weights: {camera: 2}}, accept: [[camera]]}",
                     "{late: mean, inputs: [sound]}"),
        "graph.yaml:10:7: nodes.perception.inputs.camera: no head takes 'camera': add it to the "
        "`inputs` of one (result, warning)",
    ),
    (
        "accepting what the head does not take",
        GOOD.replace("budget: 30ms", "accept: [[camera]]"),
        "nodes.perception.heads.warning.accept[0]: no input or group is called 'camera'",
    ),
    (
        "accept of the node",
        GOOD.replace("    lanes: 2\n", "    accept: [[camera]]\n"),
        "nodes.perception: `accept` is about the inputs of one head: of several each has its own, "
        "under `heads: {result: {accept: ...}}`",
    ),
    (
        "a name that is taken",
        GOOD.replace("      warning:", "      ledger:"),
        "'ledger' is a topic of every fusion node: give the head another name, such as 'result'",
    ),
    (
        "one with a budget, one without",
        GOOD.replace("budget: 30ms", "budget: none"),
        "nodes.perception.heads.warning.budget: head 'warning' has no budget, others have one: a "
        "set is picked once, for all heads; give each of them a budget, or none",
    ),
    (
        "a weight of an input that the head lacks",
        GOOD.replace("late: product", "late: {rule: mean, weights: {camera: 2}}"),
        "nodes.perception.heads.warning.late.weights.camera: no input is called 'camera'",
    ),
    (
        "a key that no head has",
        GOOD.replace("budget: 30ms", "budgett: 30ms"),
        "nodes.perception.heads.warning.budgett: ",
    ),
    (
        "a head of two kinds",
        GOOD.replace("late: product", "late: product\n        objects: {}"),
        "head takes exactly one of early, intermediate, late, objects, run; found late, objects",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"), [pytest.param(text, message, id=name) for name, text, message in MISTAKES]
)
def test_a_mistake_is_told_with_its_place_and_the_way_out(write_graph, text, message):
    path = write_graph(text)
    with pytest.raises(GraphError) as caught:
        load_graph(str(path), cores=4)
    told = str(caught.value).replace(str(path), "graph.yaml").splitlines()
    assert any(message in line for line in told), told
    assert all(line.startswith("graph.yaml:") for line in told if "nodes.perception" in line)


def test_the_time_of_every_head_counts_in_the_lanes_and_against_its_own_budget(write_graph):
    graph = load_graph(str(write_graph(GOOD.replace("lanes: 2", "lanes: 1"))), cores=4)
    stages = {"encode_camera/full": 20 * MS, "head_result/default": 10 * MS,
              "head_warning/default": 25 * MS}  # fmt: skip
    costs = {"perception": NodeCosts(stages)}
    (fusion,) = fusions_of(graph, costs)
    assert load_of(fusion) == pytest.approx(55 / 50)
    warning, result = fusion.by_head
    assert (warning.head, result.head) == ("warning", "result")
    assert needed_ns(warning) == (25 + 2) * MS
    assert needed_ns(result) == (25 + 20 + 10 + 2) * MS
    assert not [f for f in check_graph(graph, costs=costs) if f.path[-1] == "budget"]
    tighter = dataclasses.replace(
        costs["perception"], stages=stages | {"head_warning/default": 40 * MS}
    )
    found = [f for f in check_graph(graph, costs={"perception": tighter}) if f.path[-1] == "budget"]
    assert [f.path for f in found] == [("nodes", "perception", "heads", "warning", "budget")]
    assert "budget: 42ms would do" in found[0].message
    assert "head_warning 40.0 ms" in found[0].message
    assert found[0].place.line == 20


def test_the_console_and_the_sink_hear_every_head(write_graph):
    others = "  console: {run: console}\n  sink: {run: sink, path: out.csv}\n"
    named = GOOD.replace("      result: {late", "      map: {late")
    graph = load_graph(str(write_graph(named + others)), cores=4)
    hears = {node.name: node.subscribes for node in graph.nodes}
    assert hears["sink"] == ("perception/map", "perception/warning")
    assert hears["console"] == ("perception/map", "perception/warning", "perception/health")


def test_every_head_is_drawn(write_graph):
    graph = load_graph(str(write_graph(GOOD)), cores=4)
    words = graph_text(graph)
    assert "head result: late fusion: mean, budget 80 ms" in words
    assert "head warning: late fusion: product of sound, budget 30 ms" in words
    assert "-> perception/warning: result" in words
    assert "warning: late fusion: product" in graph_svg(graph)


def test_a_person_reads_what_each_head_came_to():
    see = HeadPlan("see", "head_see", ("lidar",), 90 * MS)
    heads = (see, HeadPlan("go", "head_go", ("lidar",)))
    inputs = (InputPlan("lidar", "l/p", AlignPlan("exact")),)
    stages = (StagePlan("head_see"), StagePlan("head_go"))
    plan = Plan("two", inputs, stages, "", "lidar", budget_ns=90 * MS, heads=heads)
    takes = fixed_durations({"head_see": -MS, "head_go": MS})
    tally = Tally(plan)
    for row in simulate(plan, arrivals(Source("lidar", 100 * MS), 500 * MS), takes).rows:
        tally.add(row)
    lines = fusion_text("two", tally.document(counters={}, digest="", unexplained=0))
    assert lines[0].startswith("two fused lidar: 2 heads asked for 10 answers, 50.0 % answered (")
    assert "  see: 0 complete, 0 partial, 5 shed; 0.0 % on time" in lines
    assert "    5 misses of 5 triggers: head_see failures caused 100 %" in lines
    assert "  go: 5 complete, 0 partial, 0 shed; 100.0 % on time" in lines


EMBEDDED = """
graph: eyes
budget: 5s
nodes:
  left:  {run: simulated_camera, rate: 10Hz}
  right: {run: simulated_camera, rate: 10Hz}
  both:
    run: fusion
    trigger: left
    inputs:
      left:  {topic: left/image, encoder: ./eye}
      right: {topic: right/image, align: {nearest: {tolerance: 20ms}}, encoder: ./eye}
    heads:
      result: {late: mean}
      first: {late: mean, inputs: [left], budget: 4s}
"""


@pytest.mark.realtime
@pytest.mark.timeout(120)
def test_an_embedded_node_gives_the_results_of_each_head(tmp_path):
    write_model(tmp_path / "eye", ENCODER_GRAPH, ENCODER)
    path = tmp_path / "eyes.yaml"
    path.write_text(EMBEDDED)
    with tectum_launch.embed(str(path)) as both:
        stamp_ns = both.clock.now_ns()
        both.end("right/image")
        both.push("left/image", np.full((4, 4, 3), 51, np.uint8), stamp_ns, encoding="bgr8")
        both.end("left/image")
        results = list(both.results())
        report = both.report()
    by_head = {result.document["head"]: result for result in results}
    assert len(results) == 2
    assert by_head["first"].header.topic == "both/first"
    assert by_head["first"].document["outcome"] == "complete"
    assert list(by_head["first"].document["inputs"]) == ["left"]
    assert by_head["result"].header.topic == "both/result"
    assert list(by_head["result"].document["inputs"]) == ["left", "right"]
    assert by_head["result"].document["outcome"] == "shed"
    assert report["triggers"] == 2
    assert {head: part["outcomes"]["complete"] for head, part in report["heads"].items()} == {
        "result": 0,
        "first": 1,
    }
