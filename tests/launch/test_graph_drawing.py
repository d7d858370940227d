"""A graph can be read in the terminal and seen as a picture, without being started."""

import json
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from tectum.pipeline.plan import AlignPlan
from tectum_launch.cli import main
from tectum_launch.compile import load_graph
from tectum_launch.graph_svg import graph_svg
from tectum_launch.graph_words import align_words

MS = 1_000_000
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("align", "words"),
    [
        (AlignPlan("exact"), "exact"),
        (AlignPlan("nearest", 40 * MS, 40 * MS), "nearest within 40 ms"),
        (AlignPlan("nearest", 40 * MS, 5 * MS), "nearest 40 ms before to 5 ms after"),
        (AlignPlan("latest", max_age_ns=200 * MS), "latest, at most 200 ms old"),
        (AlignPlan("window", duration_ns=1000 * MS), "window of 1 s"),
        (AlignPlan("interpolate", 20 * MS, 20 * MS), "interpolated within 20 ms"),
    ],
)
def test_an_alignment_is_said_as_a_person_reads_it(align, words):
    assert align_words(align) == words


def test_the_shipped_drive_is_shown_with_its_topics_alignments_and_parameters():
    shown = CliRunner().invoke(main, ["graph", "driving", "--set", "budget=80ms"]).stdout
    for line in (
        "driving: 4 nodes, budget 80 ms",
        "            -> camera/image: image, 30 Hz, 184 kB, heard by perception",
        "            trigger lidar, budget 80 ms, ",
        "            <- siren   microphone/audio  window of 1 s -> driving/siren, optional",
        "            accepts camera | lidar",
        "            head: intermediate fusion: driving/head",
        "parameters (--set NAME=VALUE)",
        "  weather: day",
    ):
        assert f"\n{line}" in f"\n{shown}"


def test_parameters_of_included_files_are_shown_with_their_descriptions(write_graph):
    path = write_graph(
        "graph: g\nparameters: {far: {default: null, description: How far}}\n"
        "include: driving\nnodes: {}\n"
    )
    shown = CliRunner().invoke(main, ["graph", str(path)]).stdout
    assert "  far: (must be given)  How far\n" in shown
    assert "  seed: 7\n" in shown


def test_the_picture_has_a_box_per_node_and_an_arrow_per_hearing():
    graph = load_graph("driving")
    root = ElementTree.fromstring(graph_svg(graph))
    boxes = root.findall(f"{SVG}rect")
    assert len(boxes) == len(graph.nodes)
    arrows = [path for path in root.iter(f"{SVG}path") if path.get("marker-end")]
    assert len(arrows) == 3
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert "image, 30 Hz, 184 kB" in texts
    assert "    driving/camera" in texts


def test_what_hears_stands_to_the_right_of_what_it_hears_and_no_boxes_overlap(write_graph):
    names = [f"cam{i}" for i in range(4)]
    lines = [f"  {name}: {{run: 'plain_nodes:Camera'}}" for name in names]
    lines += [
        f"  ear{i}: {{run: 'plain_nodes:Listener', topics: [{n}/image]}}"
        for i, n in enumerate(reversed(names))
    ]
    root = ElementTree.fromstring(
        graph_svg(load_graph(str(write_graph("\n".join(["graph: g", "nodes:", *lines, ""])))))
    )
    places = [
        tuple(float(box.get(key)) for key in ("x", "y", "height"))
        for box in root.findall(f"{SVG}rect")
    ]
    columns = sorted({x for x, _, _ in places})
    assert len(columns) == 2
    for column in columns:
        ys = sorted((y, y + height) for x, y, height in places if x == column)
        assert len(ys) == 4
        assert all(end < begin for (_, end), (begin, _) in pairwise(ys))
    for path in root.iter(f"{SVG}path"):
        if path.get("marker-end"):
            begin_y, end_y = re.findall(r"M\d+ (\d+)C.* (\d+)$", path.get("d"))[0]
            assert begin_y == end_y, "nodes stand beside what they hear"


def test_the_command_writes_a_picture_and_plain_data(tmp_path):
    file = tmp_path / "driving.svg"
    assert CliRunner().invoke(main, ["graph", "driving", "--svg", str(file)]).exit_code == 0
    assert ElementTree.parse(file).getroot().tag == f"{SVG}svg"
    document = json.loads(CliRunner().invoke(main, ["graph", "driving", "--json"]).stdout)
    assert list(document["nodes"]) == ["camera", "lidar", "microphone", "perception"]
