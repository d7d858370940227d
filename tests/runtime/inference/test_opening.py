"""How ONNX Runtime is asked for a session: threads, spinning, providers and their options."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest

from tectum.errors import DeviceError, ModelError
from tectum.inference.device import CPU, WEBGPU, choose_device
from tectum.inference.opening import SessionOptions, open_model
from tectum.inference.plugins import adapters
from tectum.testing.models import ENCODER, ENCODER_GRAPH, write_model


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(write_model(tmp_path, ENCODER_GRAPH, ENCODER) / "model.onnx")


SPINNING = ("session.intra_op.allow_spinning", "session.inter_op.allow_spinning")


@pytest.mark.parametrize(
    ("asked", "threads", "spinning"),
    [(SessionOptions(), 1, "0"), (SessionOptions(threads=3, spinning=True), 3, "1")],
)
def test_one_thread_and_no_spinning_unless_asked_otherwise(
    file: str, asked: SessionOptions, threads: int, spinning: str
) -> None:
    options = open_model(file, "test/camera", CPU, asked).get_session_options()
    assert options.intra_op_num_threads == threads
    assert options.inter_op_num_threads == 1
    assert [options.get_session_config_entry(key) for key in SPINNING] == [spinning] * 2


OPTIONS = {
    "tensorrt": {"trt_fp16_enable": "1", "trt_engine_cache_path": "/var/cache/engines"},
    "cuda": {"gpu_mem_limit": "2147483648", "enable_cuda_graph": "1"},
}


@pytest.mark.parametrize("name", ["tensorrt", "cuda"])
def test_options_are_handed_to_the_provider_as_they_are(
    file: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What is asked of ONNX Runtime, on a machine where the provider itself cannot load."""
    asked: list[Any] = []
    real = ort.InferenceSession

    def session(source: str, settings: Any, providers: Any, enable_fallback: int) -> Any:
        assert not enable_fallback
        asked.extend(providers)
        return real(source, settings, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(ort, "InferenceSession", session)
    device = choose_device(prefer=[name], options=OPTIONS, missing=lambda device: "")
    with pytest.raises(DeviceError, match=f"test/camera should run on {name}, but ONNX Runtime"):
        open_model(file, "test/camera", device, SessionOptions())
    cuda, cpu = ("CUDAExecutionProvider", OPTIONS["cuda"]), ("CPUExecutionProvider", {})
    first = [("TensorrtExecutionProvider", OPTIONS["tensorrt"])] if name == "tensorrt" else []
    assert asked == [*first, cuda, cpu]


def test_a_provider_that_refuses_is_shown_with_the_options_that_it_was_given(file: str) -> None:
    pytest.importorskip("onnxruntime_ep_webgpu")
    if adapters("onnxruntime_ep_webgpu"):
        pytest.skip("there is a WebGPU device here, which need not refuse")
    device = replace(WEBGPU, options={WEBGPU.providers[0]: {"enableGraphCaptur": "1"}})
    words = r"cannot be loaded on webgpu: .* \(its provider was given \{enableGraphCaptur: 1\}: are"
    with pytest.raises(ModelError, match=words):
        open_model(file, "test/camera", device, SessionOptions())
