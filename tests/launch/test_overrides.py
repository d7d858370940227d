from pathlib import Path

import pytest

from tectum_launch.document import parse_document
from tectum_launch.overrides import apply_overrides

TEXT = """
budget: 100ms
parameters: {clip: null, folder: "${DATA}/kitti", seed: 7}
nodes:
  camera: {rate: 30Hz, faults: [{at: 1s}], clip: "${clip}"}
  fusion: {inputs: {camera: {topic: camera/image}}}
"""


def document(text=TEXT):
    return parse_document(text, source="g.yaml", folder=Path())


def messages(doc):
    return [finding.text for finding in doc.findings]


def test_a_setting_replaces_a_value_and_its_place_is_the_option():
    doc = document()
    apply_overrides(doc, ["nodes.camera.rate=15Hz", "nodes.camera.faults.0.at=2s"])
    assert doc.tree["nodes"]["camera"]["rate"] == "15Hz"
    assert doc.tree["nodes"]["camera"]["faults"] == [{"at": "2s"}]
    assert str(doc.place(("nodes", "camera", "rate"))) == "--set nodes.camera.rate=15Hz"


def test_a_setting_may_add_keys_that_the_file_leaves_out():
    doc = document()
    apply_overrides(doc, ["nodes.fusion.inputs.camera.align.latest.max_age=1s"])
    assert doc.tree["nodes"]["fusion"]["inputs"]["camera"]["align"] == {"latest": {"max_age": "1s"}}
    assert not doc.findings


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "nodes.camra.rate=3Hz",
            "nodes.camra: no 'camra' here; allowed: camera, fusion; did you mean 'camera'?",
        ),
        (
            "nodes.fusion.inputs.camer.topic=x",
            "nodes.fusion.inputs.camer: no 'camer' here; allowed: camera; did you mean 'camera'?",
        ),
        ("nodes.lidar=3", "nodes.lidar: no 'lidar' here; allowed: camera, fusion"),
        ("nodes.camera.rate.x=3", "nodes.camera.rate.x: '30Hz' has no 'x' in it"),
        (
            "nodes.camera.faults.4.at=1s",
            "nodes.camera.faults[4]: the list has 1 items, numbered from 0",
        ),
        ("budget", "expected KEY.KEY=VALUE, such as nodes.camera.rate=15Hz"),
        ("budget=[1", "this is not YAML: expected ',' or ']', but got '<stream end>'"),
    ],
)
def test_a_setting_that_names_nothing_is_told_with_the_nearest_name(setting, message):
    doc = document()
    apply_overrides(doc, [setting])
    assert messages(doc) == [f"--set {setting}: {message}"]
