from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from tectum.errors import DeviceError, ModelError
from tectum.inference.device import CPU, CUDA, Device, why_not
from tectum.inference.manifest import read_manifest
from tectum.inference.session import NeverStopped, Session, SessionOptions
from tectum.inference.stage import Cancelled
from tectum.testing.devices import APART
from tectum.testing.models import ENCODER, ENCODER_GRAPH, Stop, write_model

IMAGE = {"image": np.full((1, 4, 6, 3), 51, np.uint8)}

SLOW = {
    "model": "test/slow",
    "version": 1,
    "licence": "Apache-2.0",
    "modality": "camera",
    "inputs": [{"name": "x", "kind": "tensor", "dtype": "float32", "shape": [500, 500]}],
    "outputs": [{"name": "y", "role": "tensor", "dtype": "float32", "shape": [500, 500]}],
}


class StopAtOnce(Stop):
    """A stopper that is pulled as soon as it can end the run."""

    def on_stop(self, action: Callable[[], None]) -> None:
        super().on_stop(action)
        self.pull()


def _session(folder: Path, **changes: object) -> Session:
    write_model(folder, ENCODER_GRAPH, ENCODER, **changes)
    return Session(read_manifest(folder), "fp32")


def _slow_graph(products: int) -> str:
    """Return a graph of so many matrix products in a row, each ended by a node boundary."""
    lines = [f"    x{i + 1} = MatMul(x{i}, x)" for i in range(products)]
    return "\n".join(
        [
            '<ir_version: 10, opset_import: ["" : 18]>',
            "slow (float[500, 500] x) => (float[500, 500] y) {",
            "    x0 = Identity(x)",
            *lines,
            f"    y = Identity(x{products})",
            "}",
        ]
    )


def test_a_session_computes_what_the_graph_says(tmp_path: Path) -> None:
    outputs = _session(tmp_path).run(IMAGE, NeverStopped())
    assert outputs["embedding"].tolist() == [[51.0, 51.0, 51.0]]
    assert outputs["bright"].tolist() == [[pytest.approx(0.2)]]


def test_it_says_where_its_nodes_run(tmp_path: Path) -> None:
    placement = _session(tmp_path).placement()
    assert list(placement) == ["CPUExecutionProvider"]
    assert placement["CPUExecutionProvider"] > 0


def test_threads_and_spinning_can_be_set(tmp_path: Path) -> None:
    write_model(tmp_path, ENCODER_GRAPH, ENCODER)
    options = SessionOptions(threads=2, spinning=True)
    outputs = Session(read_manifest(tmp_path), "fp32", options=options).run(IMAGE, NeverStopped())
    assert outputs["embedding"].shape == (1, 3)


def test_several_threads_may_share_a_session(tmp_path: Path) -> None:
    session = _session(tmp_path)
    results: list[float] = []

    def work() -> None:
        runs = (session.run(IMAGE, NeverStopped()) for _ in range(50))
        results.extend(float(outputs["bright"][0, 0]) for outputs in runs)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 200
    assert len(set(results)) == 1


def test_sessions_of_a_device_that_cannot_overlap_take_turns(tmp_path: Path) -> None:
    write_model(tmp_path, ENCODER_GRAPH, ENCODER)
    alone = Device("alone", ("CPUExecutionProvider",), concurrent=False)
    session = Session(read_manifest(tmp_path), "fp32", alone)
    other = Session(read_manifest(tmp_path), "fp32", alone)
    assert session._turn() is other._turn()
    assert session.run(IMAGE, NeverStopped())["bright"].shape == (1, 1)


def test_a_run_that_was_stopped_before_it_began_is_cancelled(tmp_path: Path) -> None:
    stop = Stop()
    stop.pull()
    session = _session(tmp_path)
    with pytest.raises(Cancelled):
        session.run(IMAGE, stop)
    assert session.run(IMAGE, Stop())["bright"].shape == (1, 1)


@pytest.mark.realtime
def test_a_run_is_cancelled_at_a_node_boundary_and_the_next_one_is_not(tmp_path: Path) -> None:
    products = 100
    write_model(tmp_path / "slow", _slow_graph(products), SLOW)
    session = Session(read_manifest(tmp_path / "slow"), "fp32")
    feeds = {"x": np.eye(500, dtype=np.float32)}
    stop = Stop()
    timer = threading.Timer(0.05, stop.pull)
    timer.start()
    with pytest.raises(Cancelled):
        session.run(feeds, stop)
    timer.join()
    assert np.array_equal(session.run(feeds, Stop())["y"], feeds["x"])


@pytest.mark.realtime
@pytest.mark.parametrize(
    ("device", "error", "calls"),
    [(CPU, "Fail", "run"), (APART, "RuntimeError", "run_with_iobinding")],
)
def test_after_100_cancels_in_a_row_the_session_gives_what_it_gave_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: Device, error: str, calls: str
) -> None:
    """Cancelled in the middle, by plain runs and by bound ones: their exceptions differ."""
    write_model(tmp_path, _slow_graph(200), SLOW)
    session = Session(read_manifest(tmp_path), "fp32", device)
    real, soon = getattr(ort.InferenceSession, calls), []

    def entered(*args: object, **kwargs: object) -> object:
        for stop in soon:
            threading.Timer(0.002, stop.pull).start()
        return real(*args, **kwargs)

    monkeypatch.setattr(ort.InferenceSession, calls, entered)
    feeds = {"x": np.eye(500, dtype=np.float32)[::-1].copy()}
    before = session.run(feeds, Stop())["y"]
    for _ in range(100):
        soon[:] = [Stop()]
        with pytest.raises(Cancelled) as caught:
            session.run(feeds, soon[0])
        assert type(caught.value.__cause__).__name__ == error
    soon.clear()
    np.testing.assert_array_equal(session.run(feeds, Stop())["y"], before)


def test_a_stop_that_comes_too_late_harms_no_run_that_follows(tmp_path: Path) -> None:
    session = _session(tmp_path)
    before = session.run(IMAGE, NeverStopped())
    ended = Stop()
    session.run(IMAGE, ended)
    ended.pull()
    for _ in range(3):
        after = session.run(IMAGE, NeverStopped())
        assert {name: array.tolist() for name, array in after.items()} == {
            name: array.tolist() for name, array in before.items()
        }


def test_what_was_stopped_is_not_lent_to_another_run(tmp_path: Path) -> None:
    session = _session(tmp_path)
    for _ in range(5):
        with pytest.raises(Cancelled):
            session.run(IMAGE, StopAtOnce())
        assert session.run(IMAGE, NeverStopped())["embedding"].shape == (1, 3)


def test_feeds_of_the_wrong_shape_are_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"test/camera \(fp32\) failed: .*image") as caught:
        _session(tmp_path).run({"image": np.zeros((1, 9, 6, 3), np.uint8)}, NeverStopped())
    assert "\n" not in str(caught.value)


def test_a_file_with_another_hash_is_refused(tmp_path: Path) -> None:
    variants = [{"name": "fp32", "file": "model.onnx", "sha256": "0" * 64}]
    with pytest.raises(ModelError, match=r"has SHA-256 .* says 0000000000000000\.\.\."):
        _session(tmp_path, variants=variants)


def test_a_truncated_file_without_a_hash_is_refused_by_the_runtime(tmp_path: Path) -> None:
    variants = [{"name": "fp32", "file": "model.onnx"}]
    folder = write_model(tmp_path, ENCODER_GRAPH, ENCODER, variants=variants)
    path = folder / "model.onnx"
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(ModelError, match=r"model\.onnx cannot be loaded: "):
        Session(read_manifest(folder), "fp32")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    variants = [{"name": "fp32", "file": "model.onnx"}]
    folder = write_model(tmp_path, ENCODER_GRAPH, ENCODER, variants=variants)
    (folder / "model.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match=r"model\.onnx"):
        Session(read_manifest(folder), "fp32")


DIFFERENT = [
    ({"inputs": [{**ENCODER["inputs"][0], "dtype": "float32"}]},
     r"input 'image' is uint8 \['batch', 4, 6, 3\] in .* says float32"),
    ({"inputs": [{**ENCODER["inputs"][0], "shape": ["batch", 4, 6, 1]}]},
     r"says uint8 \['batch', 4, 6, 1\]"),
    ({"inputs": [{**ENCODER["inputs"][0], "shape": ["batch", 4, 6]}]},
     r"says uint8 \['batch', 4, 6\]"),
    ({"inputs": [{**ENCODER["inputs"][0], "name": "picture"}]},
     r"wants an input that .* does not list: image"),
    ({"outputs": [*ENCODER["outputs"], {**ENCODER["outputs"][0], "name": "extra"}]},
     r"there is no output 'extra' \(only embedding, bright\)"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), DIFFERENT)
def test_a_file_that_is_not_what_its_manifest_says_is_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        _session(tmp_path, **changes)
    assert str(tmp_path / "model.yaml") in str(caught.value)


@pytest.mark.skipif(why_not(CUDA) == "", reason="this machine has CUDA")
def test_a_model_that_falls_back_to_the_cpu_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_model(tmp_path, ENCODER_GRAPH, ENCODER)
    with pytest.raises(DeviceError, match="test/camera should run on cuda, but"):
        Session(read_manifest(tmp_path), "fp32", CUDA)
    capfd.readouterr()


def test_nothing_is_printed_when_models_are_loaded_and_stopped(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    session = _session(tmp_path)
    stop = Stop()
    stop.pull()
    with pytest.raises(Cancelled):
        session.run(IMAGE, stop)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
