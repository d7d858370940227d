"""Devices: where models run. A device is one small object; which exist is found out, not believed.

ONNX Runtime lists CUDA on machines that have none and falls back without an exception. So a
provider is asked for only when its driver library loads, and `why_not` says what is missing.
"""

from __future__ import annotations

import ctypes
import functools
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tectum.errors import DeviceError

__all__ = ["CPU", "CUDA", "DEVICES", "TENSORRT", "Device", "choose_device", "why_not"]


@dataclass(frozen=True, slots=True)
class Device:
    """A place where models run."""

    name: str
    providers: tuple[str, ...]
    """ONNX Runtime's providers, in the order in which they are asked for."""
    allocation: str = "cpu"
    """What ONNX Runtime calls its memory: `cpu`, `cuda`."""
    concurrent: bool = True
    """Whether sessions may run at the same time."""
    libraries: tuple[str, ...] = ()
    """System libraries without which its first provider cannot load."""
    plugin: str = ""
    """File of ONNX Runtime's wheel that holds its first provider."""

    @property
    def is_gpu(self) -> bool:
        """Return whether it is anything but the CPU."""
        return self.allocation != "cpu"


CPU = Device("cpu", ("CPUExecutionProvider",))
CUDA = Device(
    "cuda",
    ("CUDAExecutionProvider", "CPUExecutionProvider"),
    allocation="cuda",
    libraries=("libcuda.so.1",),
    plugin="libonnxruntime_providers_cuda.so",
)
TENSORRT = Device(
    "tensorrt",
    ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
    allocation="cuda",
    libraries=("libcuda.so.1", "libnvinfer.so.10"),
    plugin="libonnxruntime_providers_tensorrt.so",
)
DEVICES = (TENSORRT, CUDA, CPU)
"""In order of preference."""


def choose_device(require: str = "", *, missing: Callable[[Device], str] | None = None) -> Device:
    """Return the best device that can really be used.

    Args:
        require: `gpu`, or the name of a device, to refuse anything else; empty: any.
        missing: says what a device lacks; `why_not` unless a test asks otherwise.

    Raises:
        DeviceError: what is required cannot be used, or is not a device.
    """
    missing = missing or why_not
    if require not in ("", "gpu", *(device.name for device in DEVICES)):
        names = ", ".join(device.name for device in DEVICES)
        msg = f"require: {require!r} is not a device: write gpu, {names}"
        raise DeviceError(msg)
    wanted = [
        device
        for device in DEVICES
        if require in ("", device.name) or (require == "gpu" and device.is_gpu)
    ]
    reasons = {device: missing(device) for device in reversed(wanted)}
    for device in wanted:
        if not reasons[device]:
            return device
    told = "; ".join(f"{device.name}: {reason}" for device, reason in reasons.items())
    msg = f"require: {require}: no such device can be used here ({told}). {_WAY_OUT}"
    raise DeviceError(msg)


_WAY_OUT = (
    "Install the NVIDIA driver and `pip install onnxruntime-gpu[cuda,cudnn]`, or leave `require` "
    "out to run on the CPU"
)


@functools.cache
def why_not(device: Device) -> str:
    """Return what keeps `device` from being used, or an empty string when nothing does."""
    for library in device.libraries:
        reason = _load_error(library)
        if reason:
            return reason
    return _plugin_error(device.plugin) if device.plugin else ""


def _load_error(library: str) -> str:
    try:
        ctypes.CDLL(library)
    except OSError as error:
        return str(error)
    return ""


def _plugin_error(plugin: str) -> str:
    """Load the provider's library in a child process, and return what went wrong.

    In this process it may only be loaded by ONNX Runtime, which prepares it first.
    """
    import onnxruntime  # noqa: PLC0415 - heavy

    folder = Path(onnxruntime.__file__).parent / "capi"
    if not (folder / plugin).is_file():
        flavour = "this is not onnxruntime-gpu"
        return f"{plugin} is not in {folder}: {flavour}"
    return _run_probe(str(folder / plugin))


def _run_probe(library: str) -> str:
    program = (
        "import sys, onnxruntime, os\n"
        "getattr(onnxruntime, 'preload_dlls', lambda: None)()\n"
        "import ctypes\n"
        "shared = 'libonnxruntime_providers_shared.so'\n"
        "shared = os.path.join(os.path.dirname(sys.argv[1]), shared)\n"
        "ctypes.CDLL(shared, ctypes.RTLD_GLOBAL)\n"
        "ctypes.CDLL(sys.argv[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, library],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    lines = done.stderr.strip().splitlines()
    # Killed by a signal: it was found and loaded, but ONNX Runtime had not prepared its host.
    return lines[-1] if done.returncode > 0 and lines else ""
