"""The report of a run: what fusion nodes counted and supervision saw, for programs and people."""

import json

from tectum.ledger.tally import Tally
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan
from tectum.pipeline.simulate import fixed_durations, simulate
from tectum.testing.arrivals import Source, arrivals, together
from tectum_launch.compile import load_graph
from tectum_launch.members import Member
from tectum_launch.report import assemble_report, fusion_reports, report_text
from tectum_launch.supervision import Supervision

MS, S = 1_000_000, 1_000_000_000
PLAN = Plan(
    "perception",
    (
        InputPlan("camera", "camera/image", AlignPlan("nearest", 20 * MS, 20 * MS)),
        InputPlan("lidar", "lidar/points", AlignPlan("exact")),
    ),
    (StagePlan("head"),),
    "head",
    trigger="lidar",
    budget_ns=100 * MS,
    accept=(((("camera",), 1),), ((("lidar",), 1),)),
)
GRAPH = """\
graph: small
budget: 100ms
nodes:
  camera: {run: plain_nodes:Camera}
  perception: {run: fusion, trigger: c, inputs: {c: {topic: camera/image}}, head: {late: product}}
  other: {run: fusion, trigger: c, inputs: {c: {topic: camera/image}}, head: {late: product}}
"""


def counted():
    """Return what a fusion node leaves after ten seconds, the camera dead after the first three."""
    heard = together(
        arrivals(Source("lidar", 100 * MS, transit_ns=3 * MS), 10 * S),
        arrivals(Source("camera", 33 * MS, transit_ns=3 * MS), 3 * S),
    )
    simulation = simulate(PLAN, heard, fixed_durations({"head": 2 * MS}))
    tally = Tally(PLAN)
    for row in simulation.rows:
        tally.add(row)
    return tally.document(counters=simulation.counters, digest=simulation.digest, unexplained=0)


def supervision(*deaths):
    members = (Member("camera", "continue"), Member("perception", "stop", answers=True))
    watched = Supervision(members, now_ns=0)
    watched.began_ns = S
    for node, at_ns in deaths:
        watched.exited(S + at_ns, node, "killed by SIGKILL", clean=False)
    watched.stop(11 * S, "10.00 s are over")
    return watched


def report(write_graph, fusion, *deaths):
    graph = load_graph(str(write_graph(GRAPH)), cores=1)
    return assemble_report(graph, fusion, supervision(*deaths), ended_ns=11 * S)


def test_the_keys_of_the_only_fusion_node_stand_at_the_top(write_graph):
    document = counted()
    made = report(write_graph, {"perception": document}, ("camera", 3 * S))
    assert made["triggers"] == sum(made["outcomes"].values()) == 100
    assert made["decisions_sha256"] == document["decisions_sha256"]
    assert made["deaths"] == [
        {
            "node": "camera",
            "at_s": 3.0,
            "cause": "killed by SIGKILL",
            "injected": False,
            "recovery_s": None,
        }
    ]
    assert (made["duration_s"], made["exit_code"]) == (10.0, 1)
    needed = {"on_time", "reasons", "latency_ms", "budget_ms", "phases_ms", "inputs"}
    assert needed <= set(made)
    assert json.loads(json.dumps(made)) == made


def test_several_fusion_nodes_are_added_up(write_graph):
    document = counted()
    made = report(write_graph, {"perception": document, "other": document})
    assert made["triggers"] == 200
    assert made["outcomes"]["partial"] == 2 * document["outcomes"]["partial"]
    assert made["on_time"] == document["on_time"]
    assert set(made["fusion"]) == {"perception", "other"}


def test_a_person_reads_what_was_fused_why_not_and_who_died(write_graph):
    text = report_text(report(write_graph, {"perception": counted()}, ("camera", 3 * S)))
    lines = text.splitlines()
    assert lines[0] == "small ran 10.0 s: 10.00 s are over"
    assert lines[1].startswith(
        "perception fused camera, lidar: 100 triggers, 100.0 % answered within 100 ms ("
    )
    assert any(line.endswith("x an input was silent") for line in lines)
    assert lines[-1] == (
        "camera died 3.0 s after the start: killed by SIGKILL; the graph went on without it"
    )


def test_a_fusion_node_that_died_is_told_with_its_consequence(write_graph):
    text = report_text(report(write_graph, {"perception": counted()}, ("perception", 2 * S)))
    assert text.splitlines()[-1] == (
        "perception died 2.0 s after the start: killed by SIGKILL; the graph was stopped"
    )


def test_a_run_that_never_began_says_why(write_graph):
    graph = load_graph(str(write_graph(GRAPH)), cores=1)
    watched = Supervision((Member("camera", "continue"),), now_ns=0)
    watched.exited(S, "camera", "exit code 1", clean=False)
    text = report_text(assemble_report(graph, {}, watched, ended_ns=2 * S))
    assert text == "small did not start: camera could not start: exit code 1"


def test_reports_are_read_where_fusion_nodes_left_them(write_graph, tmp_path):
    graph = load_graph(str(write_graph(GRAPH)), cores=1)
    (tmp_path / "other.report.json").write_text(json.dumps(counted()))
    (tmp_path / "camera.report.json").write_text("{}")
    assert list(fusion_reports(graph, tmp_path)) == ["other"]
