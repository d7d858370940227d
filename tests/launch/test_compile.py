"""Graph files to plans, and ten planted mistakes with their texts."""

import json

import pytest

from tectum.message import Kind
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan, plan_from
from tectum_launch.compile import load_graph
from tectum_launch.findings import GraphError

GOOD = """\
graph: good
budget: 80ms
nodes:
  camera: {run: plain_nodes:Camera, rate: 20Hz}
  microphone: {run: plain_nodes:Microphone}
  perception:
    run: fusion
    trigger: camera
    inputs:
      camera: {topic: camera/image, encoder: {run: plain_nodes:Encoder, gain: 2.0}}
      sound:
        topic: microphone/audio
        align: {window: {duration: 3s, lead: -20ms, coverage: 0.8}}
        offset: 5ms
        max_age: 400ms
        silent_after: 1s
        required: false
    head: {late: {rule: mean, weights: {camera: 2}}}
    lanes: 2
  recorder: {run: plain_nodes:Listener}
"""


def errors_of(path, *settings):
    with pytest.raises(GraphError) as caught:
        load_graph(str(path), settings, cores=4)
    return str(caught.value).replace(str(path), "graph.yaml").splitlines()


def test_a_graph_file_compiles_to_the_plan_that_it_describes(write_graph):
    graph = load_graph(str(write_graph(GOOD)), cores=4)
    perception = graph.nodes[2]
    assert perception.fusion is not None
    assert perception.fusion.plan == Plan(
        name="perception",
        inputs=(
            InputPlan(
                name="camera",
                topic="camera/image",
                align=AlignPlan("exact"),
                encoder="encode_camera",
                period_ns=50_000_000,
            ),
            InputPlan(
                name="sound",
                topic="microphone/audio",
                align=AlignPlan(
                    "window",
                    duration_ns=3_000_000_000,
                    lead_ns=-20_000_000,
                    coverage_permille=800,
                ),
                required=False,
                offset_ns=5_000_000,
                period_ns=20_000_000,
                silent_after_ns=1_000_000_000,
                cache_ns=400_000_000,
                history_ns=6_120_000_000,
            ),
        ),
        stages=(StagePlan("encode_camera", ("full", "half")), StagePlan("head")),
        head="head",
        trigger="camera",
        budget_ns=80_000_000,
        lanes=2,
    )


def test_the_fusion_node_is_given_its_plan_and_its_stages(write_graph):
    graph = load_graph(str(write_graph(GOOD)), cores=4)
    config = graph.nodes[2].config
    assert plan_from(config["plan"]) == graph.nodes[2].fusion.plan
    assert config["stages"] == {
        "encode_camera": {"python": {"run": "plain_nodes:Encoder", "gain": 2.0}},
        "head": {"late": {"rule": "mean", "weights": {"camera": 2.0}}},
    }
    assert config["device"]["threads"] == 1


def test_topics_have_their_kind_their_period_and_their_hearers(write_graph):
    graph = load_graph(str(write_graph(GOOD)), cores=4)
    topics = {topic.name: (topic.kind, topic.period_ns) for topic in graph.topics}
    assert topics["camera/image"] == (Kind.IMAGE, 50_000_000)
    assert topics["perception/result"] == (Kind.RESULT, 50_000_000)
    assert graph.nodes[2].subscribes == ("camera/image", "microphone/audio")
    assert set(graph.nodes[3].subscribes) == set(topics)


def test_the_effective_graph_is_plain_data(write_graph):
    graph = load_graph(str(write_graph(GOOD)), ["nodes.camera.rate=25Hz"], cores=4)
    document = json.loads(json.dumps(graph.document()))
    assert document["nodes"]["camera"]["config"]["rate"] == "25Hz"
    assert document["nodes"]["perception"]["on_exit"] == "stop"


def test_lanes_are_at_most_the_cores_and_the_stages(write_graph):
    path = write_graph(GOOD.replace("    lanes: 2\n", ""))
    assert [load_graph(str(path), cores=cores).nodes[2].fusion.plan.lanes for cores in (1, 8)] == [
        1,
        2,
    ]


def test_a_node_that_is_bound_to_fewer_cores_has_fewer_lanes(write_graph):
    text = GOOD.replace("    lanes: 2\n", "    cpu: 0\n")
    assert load_graph(str(write_graph(text)), cores=8).nodes[2].fusion.plan.lanes == 1


def test_an_input_without_a_rule_takes_the_nearest_within_half_its_period(write_graph):
    path = write_graph(
        GOOD.replace("align: {window: {duration: 3s, lead: -20ms, coverage: 0.8}}", "")
    )
    plan = load_graph(str(path), cores=4).nodes[2].fusion.plan
    assert plan.input("sound").align == AlignPlan(
        "nearest", before_ns=10_000_000, after_ns=10_000_000
    )


def test_combinations_and_groups_become_requirements(write_graph):
    text = GOOD.replace(
        "    lanes: 2\n",
        "    groups: {senses: [camera, sound]}\n"
        "    accept: [[camera, sound], {at_least: {senses: 1}}]\n",
    ).replace("        required: false\n", "")
    plan = load_graph(str(write_graph(text)), cores=4).nodes[2].fusion.plan
    assert plan.accept == (
        ((("camera",), 1), (("sound",), 1)),
        ((("camera", "sound"), 1),),
    )
    assert [item.required for item in plan.inputs] == [False, False]


def test_an_input_of_every_combination_is_required(write_graph):
    text = GOOD.replace("    lanes: 2\n", "    accept: [[camera, sound], [camera]]\n").replace(
        "        required: false\n", ""
    )
    plan = load_graph(str(write_graph(text)), cores=4).nodes[2].fusion.plan
    assert [item.required for item in plan.inputs] == [True, False]


def test_a_rate_can_ask_for_results_and_a_fusion_node_may_have_no_budget(write_graph):
    text = GOOD.replace("trigger: camera", "trigger: {rate: 4Hz}").replace("80ms", "none")
    plan = load_graph(str(write_graph(text)), cores=4).nodes[2].fusion.plan
    assert (plan.trigger, plan.trigger_period_ns, plan.budget_ns) == ("", 250_000_000, 0)
    assert plan.input("camera").align.rule == "nearest"


MISTAKES = [
    (
        "an unknown key three levels deep",
        GOOD.replace("lead: -20ms,", "leed: -20ms,"),
        "graph.yaml:13:40: nodes.perception.inputs.sound.align.window.leed: unknown key "
        "'leed'; allowed: duration, lead, coverage; did you mean 'lead'?",
    ),
    (
        "an unknown key of a node's own configuration",
        GOOD.replace("rate: 20Hz", "lens: {focl: 3}"),
        "graph.yaml:4:44: nodes.camera.lens.focl: unknown key 'focl'; allowed: focal, coating; "
        "did you mean 'focal'?",
    ),
    (
        "a misspelt node",
        GOOD.replace("run: fusion", "run: fussion"),
        "graph.yaml:7:10: nodes.perception.run: no node is called 'fussion'; allowed: ",
    ),
    (
        "a misspelt class",
        GOOD.replace("plain_nodes:Microphone", "plain_nodes:Mikrophone"),
        "graph.yaml:5:21: nodes.microphone.run: plain_nodes has no class 'Mikrophone'; allowed: "
        "LensConfig, CameraConfig, Camera, Microphone, Lidar, Player, Listener, Encoder; did you "
        "mean 'Microphone'?",
    ),
    (
        "a topic that nobody publishes",
        GOOD.replace("topic: camera/image", "topic: camera/img"),
        "graph.yaml:10:23: nodes.perception.inputs.camera.topic: no node publishes 'camera/img'; "
        "allowed: camera/image, microphone/audio, ",
    ),
    (
        "a missing model",
        GOOD.replace("{run: plain_nodes:Encoder, gain: 2.0}", "./no/such/model"),
        "graph.yaml:10:46: nodes.perception.inputs.camera.encoder: there is no model in ",
    ),
    (
        "a node that stands twice",
        GOOD.replace("  recorder:", "  camera:"),
        "graph.yaml:20:3: nodes.camera: the key 'camera' stands twice: the first is in line 4; "
        "two nodes cannot publish the same topics",
    ),
    (
        "two nodes that publish one topic",
        GOOD.replace("plain_nodes:Listener", "plain_nodes:Player"),
        "graph.yaml:20:3: nodes.recorder: 'camera' and 'recorder' both publish camera/image: "
        "leave one out",
    ),
    (
        "a unit that is missing",
        GOOD.replace("rate: 20Hz", "rate: 20"),
        "graph.yaml:4:43: nodes.camera.rate: 20 is not a rate: write a number with a unit "
        "(Hz, kHz, MHz), such as 30Hz",
    ),
    (
        "a budget without a unit",
        GOOD.replace("budget: 80ms", "budget: 80"),
        "graph.yaml:2:9: budget: 80 is not a duration: write a number with a unit "
        "(ns, us, ms, s, min), such as 100ms; or none, where every trigger may take as long as "
        "it needs",
    ),
    (
        "a wrong type",
        GOOD.replace("required: false", "required: perhaps"),
        "graph.yaml:17:19: nodes.perception.inputs.sound.required: 'perhaps' is not true or false",
    ),
    (
        "a value that is not allowed",
        GOOD.replace("rule: mean", "rule: men"),
        "graph.yaml:18:25: nodes.perception.head.late.rule: 'men' is not known here; allowed: "
        "product, mean, vote, ",
    ),
    (
        "a trigger that is no input",
        GOOD.replace("trigger: camera", "trigger: camra"),
        "graph.yaml:8:14: nodes.perception.trigger: no input is called 'camra'; allowed: camera, "
        "sound; did you mean 'camera'?",
    ),
    (
        "two rules for one input",
        GOOD.replace("align: {window", "align: {exact: {}, window"),
        "graph.yaml:13:16: nodes.perception.inputs.sound.align: align takes exactly one of exact, "
        "nearest, latest, window, interpolate; found exact, window",
    ),
    (
        "no budget at all",
        GOOD.replace("budget: 80ms\n", ""),
        "graph.yaml:6:5: nodes.perception.budget: no budget: write `budget: 100ms` here or at "
        "the top, or `budget: none`",
    ),
    (
        "a key that is missing",
        GOOD.replace("    head: {late: {rule: mean, weights: {camera: 2}}}\n", ""),
        "graph.yaml:7:5: nodes.perception: a fusion node takes exactly one of head, heads; "
        "found none",
    ),
]


@pytest.mark.parametrize(
    ("text", "message"),
    [pytest.param(text, message, id=name) for name, text, message in MISTAKES],
)
def test_a_planted_mistake_is_told_with_its_place_and_the_way_out(write_graph, text, message):
    errors = errors_of(write_graph(text))
    assert len(errors) == 1
    assert errors[0].startswith(message)


def test_nodes_that_wait_for_each_other_are_named_in_order(write_graph):
    text = """\
graph: circle
budget: 80ms
nodes:
  a: {run: fusion, trigger: x, inputs: {x: {topic: b/result}}, head: {late: vote}}
  b: {run: fusion, trigger: x, inputs: {x: {topic: a/result}}, head: {late: vote}}
"""
    assert errors_of(write_graph(text)) == [
        "graph.yaml:4:52: nodes.a.inputs.x.topic: these nodes wait for each other: a -> b -> a"
    ]


def test_all_mistakes_of_a_file_are_told_at_once_in_the_order_of_the_file(write_graph):
    text = (
        GOOD.replace("budget: 80ms", "budgt: 80ms")
        .replace("rate: 20Hz", "rate: fast")
        .replace("topic: camera/image", "topic: camera/img")
        .replace("{run: plain_nodes:Encoder, gain: 2.0}", "./no/such/model")
        .replace("lead: -20ms", "lad: 0ms")
        .replace("trigger: camera", "trigger: cam")
        .replace("run: plain_nodes:Listener", "run: recordr")
    )
    lines = [error.split(": ")[1] for error in errors_of(write_graph(text))]
    assert lines == [
        "budgt",
        "nodes.camera.rate",
        "nodes.perception.trigger",
        "nodes.perception.inputs.camera.topic",
        "nodes.perception.inputs.camera.encoder",
        "nodes.perception.inputs.sound.align.window.lad",
        "nodes.recorder.run",
    ]


def test_a_broken_node_is_not_blamed_on_those_who_hear_it(write_graph):
    errors = errors_of(write_graph(GOOD.replace("plain_nodes:Microphone", "no_such_module:M")))
    assert errors == [
        "graph.yaml:5:21: nodes.microphone.run: no_such_module cannot be imported: "
        "No module named 'no_such_module'"
    ]


def test_a_setting_is_checked_like_the_file(write_graph):
    assert errors_of(write_graph(GOOD), "nodes.camera.rte=3Hz") == [
        "--set nodes.camera.rte=3Hz: nodes.camera.rte: unknown key 'rte'; allowed: run, process, "
        "on_exit, env, restart, hang, cpu, nice, realtime, host, rate, lens; did you mean 'rate'?"
    ]


def test_how_a_node_is_brought_back_is_set_per_node(write_graph):
    text = GOOD.replace(
        "rate: 20Hz}",
        "rate: 20Hz, on_exit: restart, restart: {first: 50ms, most: 3, within: 1min}, "
        "hang: {after: 400ms}, cpu: 0, nice: 5}",
    )
    camera, microphone, *_ = load_graph(str(write_graph(text)), cores=1).nodes
    assert (camera.restart.first_ns, camera.restart.most) == (50_000_000, 3)
    assert (camera.hang.after_ns, camera.hang.ends) == (400_000_000, True)
    assert camera.scheduling.document() == {"cpu": (0,), "nice": 5}
    assert not microphone.hang.ends
    assert microphone.scheduling.document() == {}


def test_a_rule_about_restarts_needs_a_node_that_is_restarted(write_graph):
    text = GOOD.replace("rate: 20Hz}", "rate: 20Hz, restart: {most: 3}}")
    assert errors_of(write_graph(text)) == [
        "graph.yaml:4:49: nodes.camera.restart: 'camera' is never restarted, for its on_exit is "
        "'continue': write on_exit: restart, or leave this out"
    ]


def test_nodes_of_one_process_must_agree_on_where_it_runs(write_graph):
    text = GOOD.replace("rate: 20Hz}", "rate: 20Hz, process: one, cpu: [0, 1]}").replace(
        "{run: plain_nodes:Microphone}", "{run: plain_nodes:Microphone, process: one, cpu: 1}"
    )
    (error,) = errors_of(write_graph(text))
    assert error.endswith(
        "nodes.microphone.cpu: 'microphone' shares a process with 'camera', whose cpu is [0, 1], "
        "not [1]"
    )


def test_nodes_of_one_process_must_agree_on_what_their_end_means(write_graph):
    text = GOOD.replace("rate: 20Hz}", "rate: 20Hz, process: one, env: {A: x}}").replace(
        "{run: plain_nodes:Microphone}",
        "{run: plain_nodes:Microphone, process: one, on_exit: restart, env: {A: y}}",
    )
    assert errors_of(write_graph(text)) == [
        "graph.yaml:5:68: nodes.microphone.on_exit: 'microphone' shares a process with 'camera', "
        "whose end means 'continue' for the graph, not 'restart': write on_exit: continue, or "
        "another process",
        "graph.yaml:5:86: nodes.microphone.env.A: 'microphone' shares a process with 'camera', "
        "where A is 'x'",
    ]
