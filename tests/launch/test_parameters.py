from pathlib import Path

import pytest

from tectum_launch.document import parse_document
from tectum_launch.overrides import apply_overrides
from tectum_launch.parameters import Parameter, declared_parameters, fill_parameters

TEXT = """
parameters: {clip: null, folder: "${DATA}/kitti", seed: 7}
nodes:
  camera: {rate: 30Hz, clip: "${clip}"}
"""


def document(text=TEXT):
    return parse_document(text, source="g.yaml", folder=Path())


def messages(doc):
    return [finding.text for finding in doc.findings]


def test_a_parameter_is_set_by_its_bare_name_and_filled_in():
    doc = document()
    apply_overrides(doc, ["clip=talk.mpg"])
    fill_parameters(doc, {})
    assert doc.tree["nodes"]["camera"]["clip"] == "talk.mpg"
    assert "parameters" not in doc.tree
    assert not doc.findings


def test_a_reference_that_is_a_whole_value_keeps_its_type():
    doc = document("parameters: {seed: 7}\nnodes: {a: {seed: '${seed}', name: 'n-${seed}'}}\n")
    fill_parameters(doc, {})
    assert doc.tree["nodes"]["a"] == {"seed": 7, "name": "n-7"}


def test_a_reference_falls_back_to_the_environment_and_then_to_its_default():
    doc = document("nodes: {a: {x: '${X}', y: '${Y:-30}', z: '${X}/${Y:-b}'}}\n")
    fill_parameters(doc, {"X": "here"})
    assert doc.tree["nodes"]["a"] == {"x": "here", "y": 30, "z": "here/b"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "parameters: {clip: null}\nnodes: {a: {x: '${clip}'}}\n",
            "the parameter 'clip' has no value: give it one with --set clip=VALUE",
        ),
        (
            "parameters: {folder: '${DATA}/k'}\nnodes: {a: {x: '${folder}'}}\n",
            "the environment variable DATA is not set: set it, or give the parameter 'folder' "
            "a value with --set folder=VALUE",
        ),
        (
            "parameters: {seed: 7}\nnodes: {a: {x: '${sed}'}}\n",
            "'sed' is neither a parameter of this graph (seed) nor set in the environment: "
            "set it, or write ${sed:-default}; did you mean 'seed'?",
        ),
    ],
)
def test_a_reference_without_a_value_is_told_where_it_stands(text, message):
    doc = document(text)
    fill_parameters(doc, {})
    assert messages(doc) == [f"g.yaml:2:16: nodes.a.x: {message}"]


def test_a_parameter_that_is_set_needs_no_environment():
    doc = document("parameters: {folder: '${DATA}/k'}\nnodes: {a: {x: '${folder}'}}\n")
    apply_overrides(doc, ["folder=/here"])
    fill_parameters(doc, {})
    assert doc.tree["nodes"]["a"]["x"] == "/here"
    assert not doc.findings


DESCRIBED = """
parameters:
  seed: 7
  clip: {default: null, description: A video with sound}
  lens: {default: {focal: 35}, description: The lens}
nodes: {a: {clip: "${clip}", lens: "${lens}"}}
"""


def test_parameters_may_be_described():
    assert declared_parameters(document(DESCRIBED)) == (
        Parameter("seed", 7),
        Parameter("clip", None, "A video with sound"),
        Parameter("lens", {"focal": 35}, "The lens"),
    )


def test_a_described_parameter_is_set_and_filled_like_any_other():
    doc = document(DESCRIBED)
    declared_parameters(doc)
    apply_overrides(doc, ["clip=talk.mpg"])
    fill_parameters(doc, {})
    assert doc.tree["nodes"]["a"] == {"clip": "talk.mpg", "lens": {"focal": 35}}


def test_the_description_of_a_parameter_without_a_value_is_told():
    doc = document(DESCRIBED)
    fill_parameters(doc, {})
    assert messages(doc) == [
        "g.yaml:6:19: nodes.a.clip: the parameter 'clip' (A video with sound) has no value: give "
        "it one with --set clip=VALUE"
    ]


def test_a_reference_to_the_environment_is_never_a_parameter():
    doc = document("parameters: {X: 1}\nnodes: {a: {x: '${env:X}', y: '${env:Y:-2}'}}\n")
    fill_parameters(doc, {"X": "outside"})
    assert doc.tree["nodes"]["a"] == {"x": "outside", "y": 2}


def test_a_variable_that_is_not_set_is_told_with_the_way_out():
    doc = document("parameters: {X: 1}\nnodes: {a: {x: '${env:X}'}}\n")
    fill_parameters(doc, {})
    assert messages(doc) == [
        "g.yaml:2:16: nodes.a.x: the environment variable X is not set: set it, or write "
        "${env:X:-default}"
    ]
