from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tectum.errors import DataError
from tectum.message import Kind
from tectum.testing import MemoryContext
from tectum.testing.messages import make_message
from tectum_nodes.pictures import PicturesNode
from tectum_nodes.result_picture import draw_result

OBJECT = np.array([[50, 20, 90, 60, 0.9, 0, 8.0, 8.0, 1.0, 0.0, 9]], np.float32)
PLAN = {"inputs": [{"name": "front", "topic": "camera/image"}]}


def _result(trigger: int, seq: int, *, answered: bool = True) -> dict[str, Any]:
    outputs = {"objects": {"buffer": 0, "role": "objects", "labels": ["car"]}}
    document = {
        "node": "perception",
        "trigger": trigger,
        "outcome": "complete" if answered else "shed",
        "latency_ms": 20.0,
        "inputs": {"front": {"status": "fresh", "seq": seq}},
        "outputs": outputs if answered else {},
    }
    return {"result": document}


class _Graph:
    """A camera and a fusion node that say what a test tells them to, and the node under test."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.viewer = MemoryContext("viewer")
        bus = self.viewer.bus
        self.camera = MemoryContext("camera", bus=bus)
        self.fusion = MemoryContext("perception", bus=bus)
        settings = {"topics": ["camera/image"], "folder": str(folder), **config}
        self.node = PicturesNode(PicturesNode.Config(**settings))
        self.node.open(self.viewer)
        self.fusion.latch("result", {"fact": "plan", "plan": PLAN})

    def see(self, shade: int) -> None:
        image = np.full((100, 200, 3), shade, np.uint8)
        self.camera.publish("image", Kind.IMAGE, (image,), stamp_ns=1, fields={"encoding": "bgr8"})

    def answer(self, trigger: int, seq: int, *, answered: bool = True) -> None:
        arrays = (OBJECT,) if answered else ()
        fields = _result(trigger, seq, answered=answered)
        self.fusion.publish("result", Kind.RESULT, arrays, stamp_ns=1, fields=fields)

    def finish(self) -> None:
        self.viewer.stop()
        self.node.run(self.viewer)
        self.node.close()


def test_a_result_is_drawn_on_the_image_that_it_used(tmp_path: Path) -> None:
    graph = _Graph(tmp_path)
    for shade in (40, 120, 200):
        graph.see(shade)
    graph.answer(7, seq=1)
    graph.finish()
    (path,) = tmp_path.iterdir()
    assert path.name == "000007.jpg"
    picture = cv2.imread(str(path))
    middle = 26 + (picture.shape[0] - 26) // 2
    assert abs(int(picture[middle + 30, 10].mean()) - 120) < 5


def test_shed_triggers_and_those_between_are_not_drawn(tmp_path: Path) -> None:
    graph = _Graph(tmp_path, every=2)
    graph.see(9)
    graph.answer(0, seq=0, answered=False)
    for trigger in range(1, 6):
        graph.answer(trigger, seq=0)
    graph.finish()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000002.jpg", "000004.jpg"]
    assert graph.node.written == 2


def test_a_result_whose_image_is_gone_is_drawn_without_it(tmp_path: Path) -> None:
    graph = _Graph(tmp_path)
    graph.answer(0, seq=5)
    graph.finish()
    assert len(list(tmp_path.iterdir())) == 1


def test_without_a_folder_it_hears_and_draws_nothing() -> None:
    config = PicturesNode.Config(topics=("camera/image",))
    assert PicturesNode.topics_of(config) == ()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    node = PicturesNode(PicturesNode.Config(topics=("a/b",), folder=str(tmp_path / "file" / "x")))
    with pytest.raises(DataError, match=r"the folder for pictures, .*file/x, cannot be made"):
        node.open(MemoryContext("viewer"))


def test_of_several_cameras_the_boxes_of_the_shown_one_are_drawn() -> None:
    image = make_message(
        "b/image", Kind.IMAGE, np.full((100, 200, 3), 90, np.uint8), encoding="bgr8"
    )
    pictures = []
    for seen_by in (0, 1):
        fields = _result(0, 0)["result"]
        fields["outputs"]["seen_by"] = {
            "buffer": 1, "role": "tensor", "labels": ["left", "right"],
        }  # fmt: skip
        arrays = (OBJECT, np.array([seen_by], np.float32))
        result = make_message("p/result", Kind.RESULT, *arrays, result=fields)
        pictures.append(draw_result(result, {"right": image})[:, :200])
    assert (pictures[0] != pictures[1]).any()
    assert len(np.unique(pictures[1])) > len(np.unique(pictures[0]))
