"""Devices: where models run. A device is one small object; which exist is found out, not believed.

ONNX Runtime lists CUDA on machines that have none and falls back without an exception. So a
provider is asked for only when its driver library loads, and `why_not` says what is missing.
All that differs between devices stands in the table below; nothing else asks which one it is.
"""

from __future__ import annotations

import ctypes
import functools
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tectum.errors import ConfigError, DeviceError, nearest_name
from tectum.inference.plugins import adapters

__all__ = [
    "CPU",
    "CUDA",
    "DEVICES",
    "PREFERRED",
    "TENSORRT",
    "WEBGPU",
    "Device",
    "choose_device",
    "device_named",
    "why_not",
]

Options = Mapping[str, str]

_NVIDIA = "Install the NVIDIA driver and `pip install onnxruntime-gpu[cuda,cudnn]`"
_VULKAN = "Install a Vulkan driver and `pip install onnxruntime-ep-webgpu`"
_CAPTURES = ("enable_cuda_graph", "trt_cuda_graph_enable", "enableGraphCapture")
"""Options that record the launches of a run and replay them."""


@dataclass(frozen=True, slots=True)
class Device:
    """A place where models run."""

    name: str
    providers: tuple[str, ...]
    """ONNX Runtime's providers, in the order in which they are asked for."""
    allocation: str = "cpu"
    """What ONNX Runtime calls its memory: `cpu`, `cuda`, `webgpu`."""
    concurrent: bool = True
    """Whether sessions may run at the same time."""
    libraries: tuple[str, ...] = ()
    """System libraries without which its first provider cannot load."""
    plugin: str = ""
    """File of ONNX Runtime's wheel that holds its first provider."""
    package: str = ""
    """Python package that brings its first provider."""
    way_out: str = ""
    """What to do where it cannot be used."""
    options: Mapping[str, Options] = field(default_factory=dict, hash=False)
    """Provider -> what is passed on to it, as its own documentation has it."""

    @property
    def is_gpu(self) -> bool:
        """Return whether it is anything but the CPU: it has memory of its own."""
        return self.allocation != "cpu"

    @property
    def captures(self) -> bool:
        """Return whether runs are to be recorded and replayed: a session's runs never overlap."""
        wanted = [given.get(key, "0") for given in self.options.values() for key in _CAPTURES]
        return any(value.lower() in ("1", "true") for value in wanted)


CPU = Device("cpu", ("CPUExecutionProvider",))
CUDA = Device(
    "cuda",
    ("CUDAExecutionProvider", "CPUExecutionProvider"),
    allocation="cuda",
    libraries=("libcuda.so.1",),
    plugin="libonnxruntime_providers_cuda.so",
    way_out=_NVIDIA,
)
TENSORRT = Device(
    "tensorrt",
    ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
    allocation="cuda",
    libraries=("libcuda.so.1", "libnvinfer.so.10"),
    plugin="libonnxruntime_providers_tensorrt.so",
    way_out=_NVIDIA,
)
WEBGPU = Device(
    "webgpu",
    ("WebGpuExecutionProvider", "CPUExecutionProvider"),
    allocation="webgpu",
    concurrent=False,  # runs that overlap corrupt each other: onnxruntime issues 32561 and 27592
    package="onnxruntime_ep_webgpu",
    way_out=_VULKAN,
)
DEVICES = (TENSORRT, CUDA, WEBGPU, CPU)
PREFERRED = ("tensorrt", "cuda", "cpu")
"""Names of devices in order of preference, where the graph says nothing."""
_BY_NAME = {device.name: device for device in DEVICES}
_PROVIDER_OF = {device.name: device.providers[0] for device in DEVICES}


def choose_device(
    require: str = "",
    *,
    prefer: Sequence[str] = PREFERRED,
    options: Mapping[str, Options] | None = None,
    missing: Callable[[Device], str] | None = None,
) -> Device:
    """Return the best device that can really be used.

    Args:
        require: `gpu`, or the name of a device, to refuse anything else; empty: any of `prefer`,
            and the CPU where none of them can be used.
        prefer: names of devices, best first.
        options: name of a device -> options that are passed on to its provider.
        missing: says what a device lacks; `why_not` unless a test asks otherwise.

    Raises:
        ConfigError: a name is not that of a device.
        DeviceError: what is required cannot be used.
    """
    missing = missing or why_not
    _check_names(require, [*prefer, *(options or {})])
    reasons = {}
    for device in _wanted(require, prefer):
        reasons[device.name] = missing(device)
        if not reasons[device.name]:
            given = _by_provider(device, options or {})
            return replace(device, options=given) if given else device
    told = "; ".join(f"{name}: {reason}" for name, reason in reversed(reasons.items()))
    way_out = " or ".join(dict.fromkeys(_BY_NAME[name].way_out for name in reasons))
    msg = (
        f"require: {require}: no such device can be used here ({told or 'none is preferred'}). "
        f"{way_out or 'Name one in `prefer`'}, or leave `require` out to run on the CPU"
    )
    raise DeviceError(msg)


def device_named(name: str) -> Device:
    """Return the device called `name`, as in a graph's `device: {prefer: [...]}`."""
    return _BY_NAME[name]


def _check_names(require: str, names: Sequence[str]) -> None:
    known = ", ".join(_BY_NAME)
    for name in (*names, *([require] if require not in ("", "gpu") else [])):
        if name not in _BY_NAME:
            close = nearest_name(name, _BY_NAME)
            msg = f"device: {name!r} is not a device: write {known} (or require: gpu){close}"
            raise ConfigError(msg)


def _wanted(require: str, prefer: Sequence[str]) -> list[Device]:
    preferred = [_BY_NAME[name] for name in prefer]
    if require == "gpu":
        return [device for device in preferred if device.is_gpu]
    if require:
        return [_BY_NAME[require]]
    return [*preferred, CPU]


def _by_provider(device: Device, options: Mapping[str, Options]) -> dict[str, Options]:
    named = {_PROVIDER_OF[name]: given for name, given in options.items()}
    return {provider: named[provider] for provider in device.providers if provider in named}


@functools.cache
def why_not(device: Device) -> str:
    """Return what keeps `device` from being used, or an empty string when nothing does."""
    for library in device.libraries:
        reason = _load_error(library)
        if reason:
            return reason
    if device.package:
        return _package_error(device.package)
    return _plugin_error(device.plugin) if device.plugin else ""


def _package_error(package: str) -> str:
    try:
        found = adapters(package)
    except DeviceError as error:
        return str(error)
    return "" if found else "no adapter: its driver is missing, or this machine has no GPU"


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
