"""One graph file made of several: what stands in whose place, and where errors are found."""

import pytest

from tectum.errors import TectumError
from tectum_launch.compile import load_graph
from tectum_launch.document import read_document
from tectum_launch.inclusion import include_files

CAMERA = """
parameters:
  rate: {default: 10Hz, description: Of the camera}
nodes:
  camera: {run: "plain_nodes:Camera", rate: "${rate}"}
"""
LISTENER = """
nodes:
  listener: {run: "plain_nodes:Listener", topics: [camera/image]}
"""


@pytest.fixture
def files(tmp_path, write_graph):
    """Return a function that writes files and gives the graph that includes them."""

    def write(graph, **others):
        for name, text in others.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.with_suffix(".yaml").write_text(text)
        return write_graph(graph)

    return write


def nodes(path, *settings):
    return {node.name: node for node in load_graph(str(path), settings).nodes}


def errors(path, *settings):
    with pytest.raises(TectumError) as caught:
        load_graph(str(path), settings)
    return str(caught.value).splitlines()


def test_the_nodes_of_included_files_stand_beside_those_of_the_graph(files):
    path = files(
        "graph: g\ninclude: [camera.yaml, sub/listener.yaml]\n"
        "nodes: {ear: {run: 'plain_nodes:Microphone'}}\n",
        camera=CAMERA,
        sub__listener=LISTENER,
    )
    found = nodes(path)
    assert list(found) == ["camera", "listener", "ear"]
    assert found["listener"].subscribes == ("camera/image",)


def test_the_including_file_has_the_last_word_on_each_key(files):
    path = files(
        "graph: g\ninclude: camera.yaml\nnodes: {camera: {lens: {focal: 50}}}\n",
        camera=CAMERA.replace('rate: "${rate}"', "rate: 20Hz, lens: {focal: 24, coating: single}"),
    )
    assert nodes(path)["camera"].config == {
        "rate": "20Hz",
        "lens": {"focal": 50, "coating": "single"},
    }


def test_a_later_file_stands_over_an_earlier_one(files):
    path = files(
        "graph: g\ninclude: [camera.yaml, fast.yaml]\nnodes: {}\n",
        camera=CAMERA,
        fast="nodes: {camera: {rate: 60Hz}}\n",
    )
    assert nodes(path)["camera"].config["rate"] == "60Hz"


def test_a_node_that_is_null_is_left_out(files):
    path = files(
        "graph: g\ninclude: [camera.yaml, listener.yaml]\nnodes: {listener: null}\n",
        camera=CAMERA,
        listener=LISTENER,
    )
    assert list(nodes(path)) == ["camera"]


def test_one_file_can_be_had_twice_under_two_prefixes_with_parameters_of_its_own(files):
    path = files(
        "graph: g\ninclude:\n"
        "  - {file: both.yaml, prefix: left_, parameters: {rate: 15Hz}}\n"
        "  - {file: both.yaml, prefix: right_}\n"
        "nodes: {}\n",
        both=CAMERA + LISTENER.replace("\nnodes:\n", ""),
    )
    found = nodes(path, "rate=40Hz")
    assert list(found) == ["left_camera", "left_listener", "right_camera", "right_listener"]
    assert found["left_listener"].subscribes == ("left_camera/image",)
    assert found["right_listener"].subscribes == ("right_camera/image",)
    rates = [found[name].config["rate"] for name in ("left_camera", "right_camera")]
    assert rates == ["15Hz", "40Hz"]


def test_a_parameter_can_be_given_what_the_graph_leaves_open(files):
    path = files(
        "graph: g\nparameters: {all: 5Hz}\n"
        "include: {file: camera.yaml, parameters: {rate: '${all}'}}\nnodes: {}\n",
        camera=CAMERA,
    )
    assert nodes(path, "all=7Hz")["camera"].config["rate"] == "7Hz"


def test_a_shipped_graph_is_included_by_its_name_and_varied(write_graph):
    path = write_graph(
        "graph: slower\ninclude: driving\nbudget: 200ms\nnodes: {camera: {rate: 15Hz}}\n"
    )
    graph = load_graph(str(path))
    assert graph.budget_ns == 200_000_000
    rates = {topic.name: topic.period_ns for topic in graph.topics}
    assert rates["camera/image"] == round(1e9 / 15)


def test_a_rig_of_an_included_file_lies_beside_that_file(files):
    path = files(
        "graph: g\ninclude: sub/camera.yaml\nnodes: {}\n",
        sub__camera="rig: rig.yaml\n" + CAMERA,
        sub__rig="frames: {mast: {parent: base, translation: [0, 0, 2]}}\n",
    )
    assert list(load_graph(str(path)).rig["frames"]) == ["mast"]


def test_errors_name_the_file_and_line_that_they_stand_in(files, tmp_path):
    path = files(
        "graph: g\ninclude: {file: camera.yaml, prefix: left_}\nnodes: {}\n",
        camera=CAMERA.replace("rate:", "rte:", 2).replace("rte: {", "rate: {"),
    )
    (line,) = errors(path)
    assert line.startswith(f"{tmp_path}/camera.yaml:5:39: nodes.left_camera.rte: unknown key")


@pytest.mark.parametrize(
    ("include", "message"),
    [
        (
            "camra.yaml",
            "2:10: include: there is no file 'camra.yaml' in {folder}, nor a shipped graph of "
            "that name; allowed: ",
        ),
        ("graph.yaml", "2:10: include: graph.yaml includes itself"),
        ("loop.yaml", "1:10: include: graph.yaml includes itself"),
        (
            "{file: camera.yaml, parameters: {rte: 3Hz}}",
            "2:43: include.parameters.rte: camera.yaml has no parameter 'rte'; allowed: rate; "
            "did you mean 'rate'?",
        ),
        ("{fil: camera.yaml}", "2:11: include.fil: unknown key 'fil'; allowed: file, prefix"),
        ("3", "2:10: include: 3 is not a mapping, `key: value`"),
    ],
)
def test_what_cannot_be_included_is_told_where_it_stands(files, tmp_path, include, message):
    path = files(
        f"graph: g\ninclude: {include}\nnodes: {{}}\n",
        camera=CAMERA,
        loop="include: graph.yaml\nnodes: {}\n",
    )
    assert any(message.format(folder=tmp_path) in line for line in errors(path))


def test_a_file_that_includes_nothing_stays_as_it_is(write_graph):
    document = read_document(write_graph("graph: g\nnodes: {a: {run: camera}}\n"))
    before = dict(document.tree)
    include_files(document)
    assert document.tree == before
