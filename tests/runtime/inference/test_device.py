from __future__ import annotations

import pytest

from tectum.errors import ConfigError, DeviceError
from tectum.inference.device import (
    CPU,
    CUDA,
    DEVICES,
    TENSORRT,
    WEBGPU,
    Device,
    choose_device,
    why_not,
)


def _lacking(*devices: Device):
    return lambda device: "libx.so: no such file" if device in devices else ""


def test_the_best_device_that_can_be_used_is_chosen() -> None:
    assert choose_device(missing=_lacking()) is TENSORRT
    assert choose_device(missing=_lacking(TENSORRT)) is CUDA
    assert choose_device(missing=_lacking(TENSORRT, CUDA)) is CPU


def test_a_required_device_is_taken_though_a_better_one_is_there() -> None:
    assert choose_device("cpu", missing=_lacking()) is CPU
    assert choose_device("cuda", missing=_lacking()) is CUDA


def test_requiring_a_gpu_refuses_to_fall_back_and_says_which_library_is_missing() -> None:
    with pytest.raises(DeviceError) as caught:
        choose_device("gpu", missing=_lacking(TENSORRT, CUDA))
    message = str(caught.value)
    assert message.startswith("require: gpu: no such device can be used here")
    assert "cuda: libx.so: no such file" in message
    assert "Install the NVIDIA driver" in message


def test_a_gpu_that_is_there_satisfies_the_requirement() -> None:
    assert choose_device("gpu", missing=_lacking(TENSORRT)) is CUDA


def test_an_unknown_device_is_named_with_the_known_ones() -> None:
    known = r"tensorrt, cuda, webgpu, cpu \(or require: gpu\)"
    with pytest.raises(ConfigError, match=f"'rocm' is not a device: write {known}"):
        choose_device("rocm")
    with pytest.raises(ConfigError, match=r"'webgp' is not a device.*did you mean 'webgpu'"):
        choose_device(prefer=["webgp"])
    with pytest.raises(ConfigError, match="'gpu' is not a device"):
        choose_device(options={"gpu": {}}, missing=_lacking())


def test_devices_are_tried_in_the_order_that_is_preferred() -> None:
    assert choose_device(prefer=["webgpu", "cuda"], missing=_lacking()) is WEBGPU
    assert choose_device(prefer=["webgpu", "cuda"], missing=_lacking(WEBGPU)) is CUDA


def test_the_cpu_is_taken_where_nothing_that_is_preferred_can_be_used() -> None:
    assert choose_device(prefer=["webgpu"], missing=_lacking(WEBGPU)) is CPU


def test_a_gpu_is_looked_for_among_the_preferred_devices_only() -> None:
    with pytest.raises(DeviceError, match=r"\(webgpu: libx.so: no such file\)\. Install a Vulkan"):
        choose_device("gpu", prefer=["webgpu", "cpu"], missing=_lacking(WEBGPU))
    with pytest.raises(DeviceError, match=r"\(none is preferred\)\. Name one in `prefer`"):
        choose_device("gpu", prefer=["cpu"], missing=_lacking())


def test_options_reach_the_providers_of_the_chosen_device() -> None:
    options = {"tensorrt": {"trt_fp16_enable": "1"}, "cuda": {"gpu_mem_limit": "9"}, "cpu": {}}
    device = choose_device(options=options, missing=_lacking())
    assert device == TENSORRT.__class__(
        **{name: getattr(TENSORRT, name) for name in TENSORRT.__slots__ if name != "options"},
        options={
            "TensorrtExecutionProvider": {"trt_fp16_enable": "1"},
            "CUDAExecutionProvider": {"gpu_mem_limit": "9"},
            "CPUExecutionProvider": {},
        },
    )


def test_a_device_that_records_runs_is_known_by_its_options() -> None:
    assert not choose_device(missing=_lacking()).captures
    options = {"webgpu": {"enableGraphCapture": "1"}}
    assert choose_device("webgpu", options=options, missing=_lacking()).captures


def test_the_cpu_lacks_nothing() -> None:
    assert why_not(CPU) == ""


@pytest.mark.parametrize("device", [device for device in DEVICES if device.is_gpu])
def test_what_a_gpu_lacks_on_this_machine_is_a_library_or_nothing(device: Device) -> None:
    reason = why_not(device)
    words = (".so", "no adapter", "not installed")
    assert reason == "" or any(word in reason for word in words)


def test_a_missing_driver_is_named() -> None:
    absent = Device("x", ("X",), allocation="x", libraries=("libtectum-absent.so.9",))
    assert why_not(absent).startswith("libtectum-absent.so.9: cannot open shared object file")


def test_a_missing_package_is_named() -> None:
    absent = Device("x", ("X",), allocation="x", package="onnxruntime_ep_absent")
    assert why_not(absent) == "the package onnxruntime-ep-absent is not installed"


def test_a_wheel_without_the_provider_is_named() -> None:
    absent = Device("x", ("X",), allocation="x", plugin="libonnxruntime_providers_absent.so")
    assert "libonnxruntime_providers_absent.so is not in" in why_not(absent)
