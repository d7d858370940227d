from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tectum.errors import ClosedError, ConfigError, DeviceError, ModelError
from tectum.inference.device import CUDA, TENSORRT, why_not
from tectum.inference.encoder import OnnxEncoder
from tectum.inference.head import OnnxHead
from tectum.inference.late_head import LateHead
from tectum.inference.session import NeverStopped
from tectum.inference.stage import Cut, OutputSpec
from tectum.inference.stages import build_stage
from tectum.message import Kind
from tectum.testing.messages import make_message
from tectum.testing.models import ENCODER, ENCODER_GRAPH, HEAD, HEAD_GRAPH, write_model


class Doubler:
    """A user's own stage."""

    variants = ("default",)
    outputs = (OutputSpec("twice", "tensor"),)

    def __init__(self, *, name: str, inputs: Any, by: int = 2) -> None:
        self.name, self.inputs, self.by = name, inputs, by


def _spec(folder: Path, **more: Any) -> dict[str, Any]:
    return {"model": {"folder": str(folder), **more}}


def test_encoders_and_head_work_together(tmp_path: Path) -> None:
    write_model(tmp_path / "camera", ENCODER_GRAPH, ENCODER)
    write_model(tmp_path / "head", HEAD_GRAPH, HEAD)
    encoder = build_stage(_spec(tmp_path / "camera"), name="encoder", inputs=["camera"])
    head = build_stage(
        _spec(tmp_path / "head", contribution=True),
        name="head",
        inputs={"camera": encoder.outputs},
    )
    assert isinstance(encoder, OnnxEncoder)
    assert isinstance(head, OnnxHead)
    image = np.full((4, 6, 3), 5, np.uint8)
    cut = Cut((make_message("camera/image", Kind.IMAGE, image, encoding="bgr8"),))
    code = encoder.run("fp32", {"camera": cut}, None, NeverStopped())
    answer = head.run("fp32", {"camera": code}, None, NeverStopped())
    assert answer.arrays["seen"].tolist() == [15]
    assert answer.facts["contribution"]["there"] == {"camera": 1.0}


def test_rules_and_classes_are_stages_too() -> None:
    given = {"siren": (OutputSpec("near", "probability"),)}
    late = build_stage({"late": {"rule": "mean"}}, name="head", inputs=given)
    assert isinstance(late, LateHead)
    path = f"{__name__}:Doubler"
    own = build_stage({"python": {"run": path, "by": 3}}, name="own", inputs=["a", "b"])
    assert (own.name, own.by, list(own.inputs)) == ("own", 3, ["a", "b"])


WRONG = [
    ({}, "has not one of the keys model, chain, early, late, objects, over_time, python"),
    ({"modle": {}}, "has not one of the keys .*did you mean 'model'"),
    ({"model": {}}, "stage 'x': model.folder is missing"),
    ({"model": {"folder": "f", "foldre": 1}}, "there is no model in f"),
    ({"chain": {"folder": "f"}}, "stage 'x': chain: .* is not a list"),
    ({"chain": [{"folder": "f", "margin": 1}]}, r"chain\[0\]\.margin: unknown key"),
    ({"python": {"run": "nowhere"}}, "'nowhere' does not name a class"),
    ({"python": {"run": "tectum.nowhere:Class"}}, "'tectum.nowhere:Class' cannot be used as a st"),
    ({"python": {"run": "tectum.errors:Class"}}, "'tectum.errors:Class' cannot be used as a stage"),
]


@pytest.mark.parametrize(("spec", "message"), WRONG)
def test_what_is_wrong_is_named(spec: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, ModelError), match=message):
        build_stage(spec, name="x", inputs=["x"])


def test_device_settings_are_checked(tmp_path: Path) -> None:
    write_model(tmp_path, ENCODER_GRAPH, ENCODER)
    with pytest.raises(ConfigError, match=r"device\.treads: unknown key .*did you mean 'threads'"):
        build_stage(_spec(tmp_path), name="x", inputs=["x"], device={"treads": 2})
    stage = build_stage(
        _spec(tmp_path), name="x", inputs=["x"], device={"require": "cpu", "threads": 2}
    )
    stage.warm_up("fp32")


@pytest.mark.skipif(not (why_not(CUDA) and why_not(TENSORRT)), reason="this machine has a GPU")
def test_requiring_a_gpu_where_there_is_none_names_the_missing_library(tmp_path: Path) -> None:
    write_model(tmp_path, ENCODER_GRAPH, ENCODER)
    with pytest.raises(DeviceError, match=r"require: gpu: .*cuda: lib.*\.so"):
        build_stage(_spec(tmp_path), name="x", inputs=["x"], device={"require": "gpu"})


def test_a_stage_can_be_closed(tmp_path: Path) -> None:
    write_model(tmp_path, ENCODER_GRAPH, ENCODER)
    stage = build_stage(_spec(tmp_path), name="x", inputs=["x"])
    stage.close()
    with pytest.raises(ClosedError, match="test/camera has been closed"):
        stage.warm_up("fp32")
