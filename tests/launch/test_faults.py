"""Faults and assertions of a graph: every wrong key is named, every broken promise is said."""

import pytest

from tectum.ledger.recovery import Recovery
from tectum.sync.faults import Fault
from tectum.sync.stream import NEVER_NS
from tectum_launch.assertions import judge
from tectum_launch.compile import load_graph
from tectum_launch.fault_plan import fault_text
from tectum_launch.findings import GraphError
from tectum_launch.shipped import shipped_faults

MS, S = 1_000_000, 1_000_000_000
GRAPH = """\
graph: small
budget: 100ms
nodes:
  camera: {run: plain_nodes:Camera}
  lidar: {run: plain_nodes:Lidar}
  near: &fusion
    run: fusion
    trigger: lidar
    inputs: {camera: {topic: camera/image}, lidar: {topic: lidar/points}}
    head: {late: product}
  far: *fusion
"""


@pytest.fixture
def struck(write_graph, tmp_path):
    """Return a function that compiles the graph with a file of faults."""

    def compile_with(text, own=""):
        file = tmp_path / "faults.yaml"
        file.write_text(text)
        return load_graph(str(write_graph(GRAPH + own)), faults=str(file)).faults

    return compile_with


def faults(plan):
    return [(item["name"], item["node"], Fault(**item["fault"])) for item in plan.records]


def test_a_fault_is_read_with_its_units_and_strikes_every_input_of_its_name(struck):
    plan = struck("faults: [{input: camera, fault: delay, by: 20ms, at: 2s, for: 1s, every: 3s}]")
    fault = Fault("delay", "camera", 2 * S, S, 3 * S, amount_ns=20 * MS)
    assert faults(plan) == [
        ("delay on camera", "near", fault), ("delay on camera (2)", "far", fault)
    ]  # fmt: skip


def test_one_of_several_inputs_is_meant_by_its_node(struck):
    plan = struck("faults: [{input: far.camera, fault: drop, share: 30%, seed: 4}]")
    drop = Fault("drop", "camera", lasting_ns=NEVER_NS, permille=300, seed=4)
    assert faults(plan) == [("drop on camera", "far", drop)]
    assert fault_text(plan.records[0]) == "drop on camera from 0 us"


def test_what_strikes_a_node_is_kept_apart(struck):
    plan = struck(
        "faults:\n"
        "  - {node: lidar, fault: kill, at: 8s}\n"
        "  - {node: camera, fault: hang, at: 1s, for: 500ms}\n"
        "  - {node: far, fault: slow, by: 5ms}\n"
    )
    kill = Fault("kill", "lidar", 8 * S, 0)
    assert plan.of_nodes(["lidar"]) == (kill,)
    assert [fault.kind for fault in plan.of_nodes(["camera", "lidar"])] == ["hang", "kill"]
    assert plan.of_nodes(["perception"]) == ()
    assert [name for name, _, _ in faults(plan)] == [
        "kill of lidar",
        "hang of camera",
        "slow of far",
    ]
    assert plan.live_only == ("kill of lidar", "hang of camera", "slow of far")


def test_a_key_of_the_file_stands_in_the_place_of_the_graphs_own(struck):
    own = "faults: [{input: lidar, fault: reorder}]\nassert: {on_time: 50%}\n"
    both = struck("faults: [{input: far.lidar, fault: drop}]", own)
    assert [name for name, *_ in faults(both)] == ["drop on lidar"]
    assert both.checks.on_time == 0.5
    asserted = struck("assert: {on_time: 70%}", own)
    assert [name for name, *_ in faults(asserted)] == ["reorder on lidar", "reorder on lidar (2)"]
    assert asserted.checks.on_time == 0.7
    assert asserted.checked_in.source.endswith("faults.yaml")


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("{input: camra, fault: drop}", "2:13: faults[0].input: no fusion node has an input 'cam"),
        ("{input: camra, fault: drop}", "did you mean 'camera'?"),
        ("{input: up.camera, fault: drop}", "no fusion node has an input 'up.camera'"),
        ("{node: cam, fault: kill}", "2:12: faults[0].node: the graph has no node 'cam'; allowed:"),
        ("{input: camera, fault: dealy}", "2:28: faults[0].fault: 'dealy' is not known here"),
        ("{input: camera, fault: delay}", "2:5: faults[0]: delay needs `by:`"),
        ("{input: camera, fault: burst}", "burst needs `for:`"),
        ("{input: camera, fault: drift}", "drift needs `ppm:`"),
        ("{input: camera, fault: delay, by: -20ms}", "`by` is how much later, a positive duration"),
        ("{input: camera, fault: delay, by: 20}", "2:39: faults[0].by: 20 is not a duration"),
        ("{input: camera, fault: drop, by: 2s}", "drop takes no `by:` (it takes at, for, every,"),
        ("{input: camera, fault: drop, share: 120%}", "'120%' is not a share: write 0.95, or 95%"),
        ("{input: camera, fault: drop, for: 2s, every: 1s}", "`every` must be longer than `for`"),
        ("{node: camera, fault: drop}", "drop strikes one input: give `input:` and no `node:`"),
        ("{input: camera, fault: kill}", "kill strikes one node: give `node:` and no `input:`"),
        ("{node: camera, fault: kill, for: 1s}", "kill takes no `for:` (it takes at, every)"),
        ("{node: camera, fault: hang}", "hang needs `for:`"),
        ("{input: camera, fault: drop, when: 2s}", "unknown key 'when'; allowed: fault, input,"),
    ],
)  # fmt: skip
def test_each_wrong_fault_is_named_with_its_line(struck, line, finding):
    with pytest.raises(GraphError) as caught:
        struck(f"faults:\n  - {line}\n")
    assert finding in str(caught.value)
    assert "faults.yaml:2:" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("on_tim: 3", "1:10: assert.on_tim: unknown key 'on_tim'; allowed: on_time, outcomes, age"),
        ("on_time: many", "'many' is not a share: write 0.95, or 95%"),
        ("outcomes: {partial: 3%}", "assert.outcomes.partial: '3%' is not a mapping"),
        ("outcomes: {done: 3%}", "'done' is not known here; allowed: complete, partial, shed"),
        ("latency: {p50: 3}", "assert.latency.p50: 3 is not a duration"),
        ("recovery: 3", "assert.recovery: 3 is not a mapping"),
        ("recovery: {within: 3s, to: health}", "'health' is not known here; allowed: complete"),
        ("unexplained_loss: -1", "assert.unexplained_loss: -1 should be greater than or equal"),
    ],
)
def test_each_wrong_assertion_is_named_with_its_line(struck, line, finding):
    with pytest.raises(GraphError) as caught:
        struck(f"assert: {{{line}}}\n")
    assert finding in str(caught.value)
    assert "faults.yaml:1:" in str(caught.value)


def test_a_graph_whose_own_faults_are_wrong_does_not_compile(write_graph):
    with pytest.raises(GraphError, match=r"graph.yaml:12:18: faults\[0\].input: no fusion node"):
        load_graph(str(write_graph(GRAPH + "faults: [{input: ear, fault: drop}]\n")))


def test_without_a_fusion_node_there_is_nothing_to_judge(write_graph):
    text = "graph: bare\nnodes: {camera: {run: plain_nodes:Camera}}\nassert: {on_time: 1.0}\n"
    with pytest.raises(GraphError, match="there is no fusion node whose answers could be judged"):
        load_graph(str(write_graph(text)))


def test_an_unknown_file_is_named_with_the_shipped_ones(write_graph):
    with pytest.raises(Exception, match=r"no faults file 'drivin'.*did you mean 'driving'"):
        load_graph(str(write_graph(GRAPH)), faults="drivin")


@pytest.mark.parametrize("name", shipped_faults())
def test_shipped_faults_fit_the_graph_of_their_name(name):
    plan = load_graph(name, faults=name).faults
    assert plan.records
    assert plan.checks is not None


# -- what was asserted

REPORT = {
    "triggers": 200,
    "outcomes": {"complete": 150, "partial": 40, "shed": 10},
    "on_time": 0.93,
    "age_ms": {"p50": 80.0, "p95": 110.0, "p99": 130.5, "max": 140.0},
    "latency_ms": {"p50": None, "p95": None, "p99": None, "max": None},
    "unexplained_loss": 3,
    "recovery": {
        "drop on camera": {"ended": 2, "complete_ms": 812.0, "answer_ms": 90.0,
                           "waiting_ms": {"complete": 0.0, "answer": 0.0}},
        "kill of lidar": {"ended": 1, "complete_ms": 0.0, "answer_ms": 120.0,
                          "waiting_ms": {"complete": 2300.0, "answer": 0.0}},
    },
}  # fmt: skip


def sentences(struck, text, report=REPORT):
    plan = struck(f"assert:\n  {text}\n")
    return [(item.ok, item.sentence) for item in judge(plan, {"near": report}, ["near"])]


@pytest.mark.parametrize(
    ("text", "ok", "words"),
    [
        ("on_time: 93%", True, "near answered 93.0 % of 200 triggers in time"),
        ("on_time: 0.95", False, "wanted: at least 95.0 % by their deadline"),
        ("outcomes: {complete: 80%}", False, "75.0 % of 200 outcomes of near were complete"),
        ("outcomes: {shed: 5%}", True, "wanted: at most 5.0 %"),
        ("outcomes: {partial: {at_least: 10%, at_most: 15%}}", False,
         "20.0 % of 200 outcomes of near were partial; wanted: at least 10.0 % and at most 15.0 %"),
        ("age: {p99: 130ms}", False, "p99 of the age of answers of near was 130.5 ms"),
        ("age: {max: 140ms}", True, "wanted: at most 140.0 ms"),
        ("latency: {p95: 100ms}", False, "near gave no answer; wanted: at most 100.0 ms"),
        ("unexplained_loss: 2", False, "3 messages to near were lost without a reason"),
        ("unexplained_loss: 3", True, "wanted: at most 3"),
    ],
)  # fmt: skip
def test_each_assertion_says_what_was_seen_and_what_was_wanted(struck, text, ok, words):
    ((holds, sentence),) = sentences(struck, text)
    assert (holds, words in sentence) == (ok, True), sentence
    assert "faults.yaml:2:" in sentence


def test_recovery_is_judged_for_every_fault_that_ended(struck):
    found = sentences(struck, "recovery: 500ms")
    assert [ok for ok, _ in found] == [False, False]
    assert (
        "after the end of 'drop on camera' the answers of near were complete again after 812.0"
        in (found[0][1])
    )
    assert (
        "were not complete again in the 2300.0 ms until the end; wanted: within 500.0 ms"
        in (found[1][1])
    )
    to_answers = sentences(struck, "recovery: {within: 100ms, to: answer}")
    assert [ok for ok, _ in to_answers] == [True, False]


def test_what_had_no_time_to_recover_is_not_held_against_it(struck):
    recovery = Recovery({"drop on camera": Fault("drop", "camera", 0, 5)})
    report = {**REPORT, "recovery": recovery.document()}
    ((ok, sentence),) = sentences(struck, "recovery: 500ms", report)
    assert not ok
    assert "no fault ended while near ran, so there was nothing to recover from" in sentence
    waiting = {"ended": 1, "complete_ms": 0.0, "answer_ms": 0.0,
               "waiting_ms": {"complete": 400.0, "answer": 0.0}}  # fmt: skip
    ((ok, _),) = sentences(struck, "recovery: 500ms", {**REPORT, "recovery": {"drop": waiting}})
    assert ok


def test_nothing_holds_of_a_run_in_which_nothing_was_asked(struck):
    idle = {**REPORT, "triggers": 0, "on_time": 1.0}
    assert [ok for ok, _ in sentences(struck, "on_time: 0%", idle)] == [False]
    plan = struck("assert: {on_time: 0%}\n")
    ((verdict,)) = judge(plan, {}, ["near"])
    assert "near left no report; wanted: at least one trigger" in verdict.sentence
