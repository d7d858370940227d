from __future__ import annotations

import pytest

from tectum.errors import DeviceError
from tectum.inference.device import CPU, CUDA, DEVICES, TENSORRT, Device, choose_device, why_not


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
    with pytest.raises(DeviceError, match="'rocm' is not a device: write gpu, tensorrt, cuda, cpu"):
        choose_device("rocm")


def test_the_cpu_lacks_nothing() -> None:
    assert why_not(CPU) == ""


@pytest.mark.parametrize("device", [device for device in DEVICES if device.is_gpu])
def test_what_a_gpu_lacks_on_this_machine_is_a_library_or_nothing(device: Device) -> None:
    reason = why_not(device)
    assert reason == "" or ".so" in reason


def test_a_missing_driver_is_named() -> None:
    absent = Device("x", ("X",), allocation="x", libraries=("libtectum-absent.so.9",))
    assert why_not(absent).startswith("libtectum-absent.so.9: cannot open shared object file")


def test_a_wheel_without_the_provider_is_named() -> None:
    absent = Device("x", ("X",), allocation="x", plugin="libonnxruntime_providers_absent.so")
    assert "libonnxruntime_providers_absent.so is not in" in why_not(absent)
