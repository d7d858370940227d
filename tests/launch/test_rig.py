from pathlib import Path

import pytest

from tectum_launch.document import parse_document
from tectum_launch.rig import graph_rig, merged_rig

RIG = """\
frames:
  lidar: {parent: ego, translation: [1, 2, 3]}
  camera: {parent: lidar, translation: [0, 0, 0], rotation: [0, 0, 0.7071068, 0.7071068]}
cameras:
  camera: {width: 640, height: 480, matrix: [[500, 0, 320], [0, 500, 240], [0, 0, 1]]}
"""


def graph(value, folder=Path()):
    document = parse_document(f"rig: {value}\n", source="g.yaml", folder=folder)
    return document, graph_rig(document, ("rig",), document.tree["rig"])


def test_poses_become_matrices_and_cameras_have_a_frame(tmp_path):
    (tmp_path / "rig.yaml").write_text(RIG)
    document, rig = graph("rig.yaml", tmp_path)
    assert not document.findings
    assert rig["frames"]["lidar"] == {
        "parent": "ego",
        "matrix": [[1, 0, 0, 1], [0, 1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]],
    }
    assert rig["cameras"]["camera"]["frame"] == "camera"


def test_a_quarter_turn_about_z_takes_x_to_y(tmp_path):
    (tmp_path / "rig.yaml").write_text(RIG)
    rows = graph("rig.yaml", tmp_path)[1]["frames"]["camera"]["matrix"]
    assert [round(row[0], 6) for row in rows] == [0, 1, 0, 0]


def test_mistakes_in_a_rig_file_are_told_with_its_own_lines(tmp_path):
    (tmp_path / "rig.yaml").write_text(
        RIG.replace("0.7071068, 0.7071068", "0.5, 0.5").replace("width", "widht")
    )
    document, _ = graph("rig.yaml", tmp_path)
    texts = [finding.text.replace(str(tmp_path), "") for finding in document.findings]
    assert texts == [
        "/rig.yaml:3:11: frames.camera: a rotation is a unit quaternion x, y, z, w; this one has "
        "length 0.7071",
        "/rig.yaml:5:11: cameras.camera.width: the key 'width' is missing here; keys: frame, "
        "width, height, matrix, projection, distortion",
        "/rig.yaml:5:12: cameras.camera.widht: unknown key 'widht'; allowed: frame, width, "
        "height, matrix, projection, distortion; did you mean 'width'?",
    ]


def test_a_rig_may_stand_in_the_graph():
    document, rig = graph("{frames: {lidar: {parent: ego, matrix: 3}}}")
    assert rig is None
    assert document.findings[0].text == "g.yaml:1:45: rig.frames.lidar.matrix: 3 is not a list"


def test_a_rig_file_that_is_missing_is_named():
    document, _ = graph("nowhere.yaml")
    assert document.findings[0].text == "g.yaml:1:6: rig: there is no file nowhere.yaml"


@pytest.mark.parametrize("empty", [None, {}, {"frames": {}}])
def test_the_first_rig_that_names_a_frame_holds(empty):
    first = {"frames": {"lidar": {"parent": "a"}}}
    second = {"frames": {"lidar": {"parent": "b"}, "radar": {"parent": "c"}}, "cameras": {"x": {}}}
    assert merged_rig([empty, first, second]) == {
        "frames": {"lidar": {"parent": "a"}, "radar": {"parent": "c"}},
        "cameras": {"x": {}},
    }
    assert merged_rig([empty]) is None
