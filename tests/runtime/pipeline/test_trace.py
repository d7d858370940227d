"""A journal as a timeline: every run on its lane, every set with its outcome."""

from collections import Counter
from itertools import pairwise

from tectum.pipeline.events import Finished
from tectum.pipeline.trace import trace_of


def traced(scene, run):
    return list(trace_of(scene.plan, run.journal, process=3))


def test_every_run_is_a_slice_on_its_lane_and_no_lane_runs_two_things(scene):
    run = scene.run(scene.heard(1000))
    events = traced(scene, run)
    slices = [event for event in events if event["ph"] == "X"]
    ended = [event for event in run.journal if isinstance(event, Finished)]
    assert len(slices) == len(ended)
    assert {slice_["pid"] for slice_ in slices} == {3}
    for lane in {slice_["tid"] for slice_ in slices}:
        of_lane = sorted((s["ts"], s["ts"] + s["dur"]) for s in slices if s["tid"] == lane)
        assert all(end <= begin + 1e-3 for (_, end), (begin, _) in pairwise(of_lane))


def test_every_set_is_a_span_with_its_outcome_and_phases(scene):
    run = scene.run(scene.heard(1000, dead="camera", since_ms=500))
    events = traced(scene, run)
    sets = [event for event in events if event["ph"] == "b" and event["name"][-1].isdigit()]
    assert Counter(event["args"]["outcome"] for event in sets) == Counter(
        row.outcome.value for row in run.rows
    )
    begun = [(event["id"], event["name"]) for event in events if event["ph"] == "b"]
    ended = [(event["id"], event["name"]) for event in events if event["ph"] == "e"]
    assert sorted(begun) == sorted(ended)
    assert sets[-1]["args"]["inputs"]["camera"].startswith("missing")


def test_what_changed_about_an_input_is_marked(scene):
    run = scene.run(scene.heard(1500, dead="camera", since_ms=500))
    marks = [event["name"] for event in traced(scene, run) if event["ph"] == "i"]
    assert "camera silent" in marks
