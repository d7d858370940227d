"""The schema for editors says of a graph file what `tectum check` says, key by key."""

import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from tectum_launch.cli import main
from tectum_launch.document import parse_document, read_document
from tectum_launch.json_schema import graph_json_schema
from tectum_launch.shipped import shipped_graphs


@pytest.fixture(scope="module")
def validator():
    schema = graph_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def problems(validator, text):
    tree = parse_document(text, source="g.yaml", folder=Path()).tree
    return [
        (".".join(map(str, error.absolute_path)), error.message)
        for error in validator.iter_errors(tree)
    ]


@pytest.mark.parametrize("name", shipped_graphs())
def test_every_shipped_graph_is_valid(validator, name):
    errors = list(validator.iter_errors(read_document(shipped_graphs()[name]).tree))
    assert not errors, errors[0]


@pytest.mark.parametrize(
    "text",
    [
        "graph: g\nbudget: none\nnodes: {a: {run: camera, device: 0, rate: 30Hz}}\n",
        "graph: g\nnodes: {a: {run: 'mine:Node', whatever: 3}}\n",
        "include: [driving, {file: b.yaml, prefix: x_, parameters: {a: 1}}]\nnodes: {a: null}\n",
        "parameters: {seed: 7, clip: {default: null, description: A clip}}\n"
        "nodes: {a: {run: simulated_camera, seed: '${seed}', traffic: '${traffic:-2}'}}\n",
        "nodes: {f: {run: fusion, trigger: {rate: 5Hz}, accept: {at_least: {cameras: 4}}}}\n",
        "nodes: {f: {run: fusion, trigger: [a, b], accept: [[a], [b]],\n"
        "  inputs: {a: {topic: a/x, align: exact, encoder: [m, n]}, "
        "b: {topic: b/x, encoder: {run: 'mine:E', gain: 2}}}}}\n",
    ],
)
def test_what_a_graph_may_say_is_valid(validator, text):
    assert problems(validator, text) == []


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("nodes: {a: {run: camera, rte: 30Hz}}", "nodes.a", "'rte' was unexpected"),
        ("nodes: {a: {run: camra}}", "nodes.a.run", "is not valid under any"),
        ("nods: {}", "", "'nods' was unexpected"),
        ("nodes: {a: {run: camera, on_exit: stay}}", "nodes.a.on_exit", "is not valid under any"),
        (
            "nodes: {f: {run: fusion, inputs: {a: {topic: x/y, align: {neares: {}}}}}}",
            "nodes.f.inputs.a.align",
            "is not valid under any",
        ),
        (
            "nodes: {a: {run: simulated_camera, seed: [7]}}",
            "nodes.a.seed",
            "is not valid under any",
        ),
    ],
)
def test_a_mistake_is_marked_where_it_stands(validator, text, where, what):
    found = problems(validator, text)
    assert any(path == where and what in message for path, message in found), found


def test_every_key_of_a_node_has_a_description():
    case = next(
        case["then"]
        for case in graph_json_schema(["simulated_camera"])["$defs"]["Node"]["allOf"]
        if case["if"]["properties"]["run"]["const"] == "simulated_camera"
    )
    lacking = [key for key, schema in case["properties"].items() if "description" not in schema]
    assert lacking == []


def test_the_command_writes_it_to_a_file_or_to_the_terminal(tmp_path):
    file = tmp_path / "graph.schema.json"
    assert CliRunner().invoke(main, ["schema", str(file)]).exit_code == 0
    printed = CliRunner().invoke(main, ["schema"])
    assert json.loads(printed.stdout) == json.loads(file.read_text())
