from __future__ import annotations

from pathlib import Path

import numpy as np

from tectum.inference.device import CPU, PREFERRED, Device
from tectum.inference.placement import placement_lines
from tectum.inference.session import NeverStopped, SessionOptions
from tectum.inference.sessions import Sessions
from tectum.inference.stage import Cut
from tectum.inference.stages import build_stage
from tectum.message import Kind
from tectum.testing.messages import make_message
from tectum.testing.models import ENCODER, ENCODER_GRAPH, write_model
from tectum.testing.nets import write_encoder


def test_inputs_that_name_one_model_share_its_session(tmp_path: Path) -> None:
    write_model(tmp_path, ENCODER_GRAPH, ENCODER)
    sessions = Sessions()
    left, right = (
        build_stage({"model": {"folder": str(tmp_path)}}, name=n, inputs=[n], sessions=sessions)
        for n in ("left", "right")
    )
    assert left.sessions["fp32"] is right.sessions["fp32"]
    for value, stage in ((10, left), (20, right)):
        image = np.full((4, 6, 3), value, np.uint8)
        cut = Cut((make_message("camera/image", Kind.IMAGE, image, encoding="bgr8"),))
        output = stage.run("fp32", {stage.name: cut}, None, NeverStopped())
        assert output.arrays["embedding"].tolist() == [[value] * 3]


def test_another_model_variant_device_or_setting_is_another_session(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_model(tmp_path / name, ENCODER_GRAPH, ENCODER)
    sessions = Sessions()

    def load(name: str, **device: object) -> object:
        stage = build_stage(
            {"model": {"folder": str(tmp_path / name)}},
            name=name, inputs=[name], device=device, sessions=sessions,
        )  # fmt: skip
        return stage.sessions["fp32"]

    assert load("one") is load("one")
    assert len({id(load("one")), id(load("two")), id(load("one", threads=2))}) == 3
    assert sessions.get(load("one").manifest, "fp32", CPU, SessionOptions()) is load("one")
    elsewhere = Device("elsewhere", CPU.providers)
    assert sessions.get(load("one").manifest, "fp32", elsewhere) is not load("one")


def test_a_node_says_once_that_its_models_run_on_the_cpu_and_why(tmp_path: Path) -> None:
    write_encoder(tmp_path, "camera")
    device, spec = {"prefer": ["cpu"]}, {"model": {"folder": str(tmp_path)}}
    stages = [
        build_stage(spec, name=name, inputs=[name], device=device) for name in ("left", "right")
    ]
    assert placement_lines(stages, device) == ["models run on the CPU"]
    (line,) = placement_lines(stages, {})
    assert line.startswith("models run on the CPU (tensorrt: ")
    assert all(f"{name}: " in line for name in PREFERRED if name != "cpu")


def test_stages_without_models_have_no_place(tmp_path: Path) -> None:
    given = {"siren": ()}
    assert placement_lines([_Plain()], given) == []


class _Plain:
    """A stage of a user's own."""
