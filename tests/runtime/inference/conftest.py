"""What tests of devices share: a spy on copies, and two encoders with a head on any device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from tectum.inference.device import CPU, Device
from tectum.inference.encoder import OnnxEncoder
from tectum.inference.head import OnnxHead
from tectum.inference.manifest import read_manifest
from tectum.inference.session import NeverStopped
from tectum.inference.sessions import Sessions
from tectum.inference.stage import Cut, StageOutput
from tectum.message import Kind
from tectum.testing.messages import make_message
from tectum.testing.nets import write_encoder, write_head

MODALITIES = ("camera", "depth")


@dataclass
class Copies:
    """What crossed between host and device, by the calls that ONNX Runtime was asked for."""

    made: Counter[str] = field(default_factory=Counter)

    def take(self) -> dict[str, int]:
        """Return the copies since the last call."""
        made, self.made = dict(self.made), Counter()
        return made


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> Copies:
    """Count every way in which ONNX Runtime's Python interface moves a tensor."""
    spy = Copies()

    def watch(owner: type, name: str, kind: Callable[[tuple[Any, ...]], str]) -> None:
        real = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            spy.made[kind(args)] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)

    def direction(args: tuple[Any, ...]) -> str:
        return "up" if isinstance(args[1], np.ndarray) else "across"

    watch(ort.OrtValue, "update_inplace", direction)
    for name in ("numpy", "__array__", "__dlpack__"):
        if hasattr(ort.OrtValue, name):
            watch(ort.OrtValue, name, lambda _: "down")
    watch(ort.OrtValue, "ortvalue_from_numpy", lambda _: "up")
    watch(ort.IOBinding, "bind_cpu_input", lambda _: "up")
    watch(ort.IOBinding, "copy_outputs_to_cpu", lambda _: "down")
    watch(ort.InferenceSession, "run", lambda _: "hidden")
    return spy


@dataclass
class Perception:
    """Two encoders and a head on one device."""

    encoders: dict[str, OnnxEncoder]
    head: OnnxHead

    def encode(self, name: str, image: np.ndarray) -> StageOutput:
        """Return what the encoder called `name` gives for an image."""
        cut = Cut((make_message(f"{name}/image", Kind.IMAGE, image, encoding="bgr8"),))
        return self.encoders[name].run("fp32", {name: cut}, None, NeverStopped())

    def fuse(self, codes: dict[str, StageOutput | None]) -> np.ndarray:
        """Return the head's scores."""
        return self.head.run("fp32", codes, None, NeverStopped()).arrays["scores"]

    def answer(self, images: dict[str, np.ndarray]) -> np.ndarray:
        """Return the scores for the images that are there, and release what led to them."""
        codes = {name: self.encode(name, image) for name, image in images.items()}
        scores = self.fuse({name: codes.get(name) for name in self.encoders})
        for code in codes.values():
            code.release()
        return scores

    def close(self) -> None:
        """Give back all sessions."""
        for stage in (*self.encoders.values(), self.head):
            stage.close()


def load(device: Device, folders: Mapping[str, Path], head: Path) -> Perception:
    """Load an encoder per name and the head, warmed up; one folder is one session."""
    sessions = Sessions()
    encoders = {
        name: OnnxEncoder(read_manifest(folder), name=name, device=device, sessions=sessions)
        for name, folder in folders.items()
    }
    given = {name: encoder.outputs for name, encoder in encoders.items()}
    fused = OnnxHead(read_manifest(head), name="head", inputs=given, device=device)
    for stage in (*encoders.values(), fused):
        stage.warm_up("fp32")
    return Perception(encoders, fused)


@pytest.fixture
def perceive(tmp_path: Path) -> Iterator[Callable[..., Perception]]:
    """Give a function that loads two encoders and a head, warmed up, on a device."""
    folders = {name: tmp_path / name for name in MODALITIES}
    for seed, (name, folder) in enumerate(folders.items()):
        write_encoder(folder, name, side=32 - 8 * seed, seed=seed)
    head = write_head(tmp_path / "head", MODALITIES)
    made: list[Perception] = []

    def perception(device: Device = CPU) -> Perception:
        made.append(load(device, folders, head))
        return made[-1]

    yield perception
    for one in made:
        one.close()


@pytest.fixture
def twins(tmp_path: Path) -> Callable[[Device], Perception]:
    """Give a function that loads a left and a right camera of one model, and their head."""
    folder = write_encoder(tmp_path / "twin", "camera")
    head = write_head(tmp_path / "twins", ("left", "right"))
    return lambda device: load(device, {"left": folder, "right": folder}, head)


@pytest.fixture
def images() -> Callable[[int], dict[str, np.ndarray]]:
    """Give a function from a seed to one image per modality."""

    def draw(seed: int) -> dict[str, np.ndarray]:
        chance = np.random.default_rng(seed)
        return {
            name: chance.integers(0, 256, (32 - 8 * i, 32 - 8 * i, 3), np.uint8)
            for i, name in enumerate(MODALITIES)
        }

    return draw
