"""Results in a file: a table with the columns of what is answered, or lines of JSON."""

import csv
import json

import numpy as np
import pytest
from pydantic import ValidationError

from tectum.errors import DataError
from tectum.message import Kind
from tectum.testing import MemoryContext
from tectum_nodes.sink import SinkNode


class _Graph:
    """A fusion node that answers as a test wants, and a sink."""

    def __init__(self, path, **config):
        self.context = MemoryContext("sink")
        self.fusion = MemoryContext("perception", bus=self.context.bus)
        settings = {"path": str(path), "topics": ["perception/result"], **config}
        self.node = SinkNode(SinkNode.Config(**settings))
        self.node.open(self.context)

    def answer(self, trigger, siren=None):
        outputs = {
            "siren": {"buffer": 0, "role": "probability", "labels": []},
            "mood": {"buffer": 1, "role": "scores", "labels": ["calm", "glad"]},
            "pose": {"buffer": 2, "role": "tensor"},
            "grid": {"buffer": 3, "role": "grid"},
        }
        document = {
            "node": "perception",
            "trigger": trigger,
            "stamp_ns": 1000 + trigger,
            "outcome": "shed" if siren is None else "complete",
            "reason": "no_time" if siren is None else "complete",
            "latency_ms": 12.5,
            "flags": ["degraded", "late"],
            "inputs": {"camera": {"status": "fresh", "reason": "", "skew_ms": -3.5}},
            "outputs": {} if siren is None else outputs,
        }
        arrays = (
            np.array([siren or 0], np.float32),
            np.array([0.25, 0.75], np.float32),
            np.array([1, np.nan, 3], np.float32),
            np.zeros((24, 16), np.float32),
        )
        self.fusion.publish(
            "result",
            Kind.RESULT,
            () if siren is None else arrays,
            stamp_ns=1,
            fields={"result": document},
        )

    def finish(self):
        self.context.stop()
        self.node.run(self.context)
        self.node.close()


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_has_a_row_per_result_and_a_column_per_number(tmp_path):
    path = tmp_path / "drive.csv"
    graph = _Graph(path)
    graph.answer(0, siren=0.5)
    graph.finish()
    (row,) = table(path)
    assert row == {
        "node": "perception",
        "trigger": "0",
        "stamp_ns": "1000",
        "outcome": "complete",
        "reason": "complete",
        "latency_ms": "12.5",
        "age_ms": "",
        "blame": "",
        "flags": "degraded late",
        "camera.status": "fresh",
        "camera.reason": "",
        "camera.skew_ms": "-3.5",
        "siren": "0.5",
        "mood.calm": "0.25",
        "mood.glad": "0.75",
        "pose.0": "1.0",
        "pose.1": "nan",
        "pose.2": "3.0",
    }


def test_answers_of_all_heads_are_written_with_the_name_of_each(tmp_path):
    path = tmp_path / "drive.csv"
    context = MemoryContext("sink", run={"topics": {
        "perception/map": {"node": "perception", "kind": "result"},
        "perception/warning": {"node": "perception", "kind": "result"},
        "perception/health": {"node": "perception", "kind": "health"},
    }})  # fmt: skip
    fusion = MemoryContext("perception", bus=context.bus)
    node = SinkNode(SinkNode.Config(path=str(path)))
    node.open(context)
    for head, outcome in (("map", "complete"), ("warning", "shed"), ("map", "partial")):
        document = {"node": "perception", "head": head, "outcome": outcome}
        fusion.publish(head, Kind.RESULT, stamp_ns=1, fields={"result": document})
    context.stop()
    node.run(context)
    node.close()
    assert [(row["head"], row["outcome"]) for row in table(path)] == [
        ("map", "complete"),
        ("warning", "shed"),
        ("map", "partial"),
    ]


def test_results_before_the_first_answer_are_held_back_and_not_lost(tmp_path):
    path = tmp_path / "drive.csv"
    graph = _Graph(path)
    graph.answer(0)
    graph.answer(1)
    graph.answer(2, siren=0.5)
    graph.answer(3)
    graph.finish()
    rows = table(path)
    assert [(row["trigger"], row["outcome"], row["siren"]) for row in rows] == [
        ("0", "shed", ""),
        ("1", "shed", ""),
        ("2", "complete", "0.5"),
        ("3", "shed", ""),
    ]


def test_a_graph_that_never_answered_still_leaves_its_rows(tmp_path):
    path = tmp_path / "drive.csv"
    graph = _Graph(path)
    graph.answer(0)
    graph.finish()
    assert [row["reason"] for row in table(path)] == ["no_time"]


def test_an_existing_table_is_continued_under_its_own_columns(tmp_path):
    path = tmp_path / "drive.csv"
    path.write_text("trigger,siren\n7,0.25\n")
    graph = _Graph(path)
    graph.answer(8, siren=0.5)
    graph.finish()
    assert table(path) == [
        {"trigger": "7", "siren": "0.25"},
        {"trigger": "8", "siren": "0.5"},
    ]


def test_lines_of_json_hold_the_whole_document_and_the_numbers(tmp_path):
    path = tmp_path / "drive.jsonl"
    graph = _Graph(path)
    graph.answer(0, siren=0.5)
    graph.answer(1)
    graph.finish()
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert first["inputs"]["camera"]["skew_ms"] == -3.5
    assert first["values"] == {"siren": [0.5], "mood": [0.25, 0.75], "pose": [1.0, None, 3.0]}
    assert second["values"] == {}


def test_a_file_of_another_kind_is_refused():
    with pytest.raises(ValidationError, match=r"neither a \.csv nor a \.jsonl file"):
        SinkNode.Config(path="drive.xlsx")


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="results cannot be written to"):
        _Graph(tmp_path / "file" / "drive.csv")
