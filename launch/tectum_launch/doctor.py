"""The doctor: what this machine offers to Tectum, and the way out where something is missing.

Each examination is a function that returns one line or more; none changes anything, none raises.
`ok` is as it should be, `warn` costs a part of Tectum, `fail` keeps it from running.
"""

from __future__ import annotations

import ctypes.util
import importlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

__all__ = ["EXAMINATIONS", "Line", "examine", "flavour_repair"]

MB = 1024 * 1024
LEAST_SHARED_MB = 256

FLAVOURS = {
    "cv2": ("opencv-python", "opencv-python-headless", "opencv-contrib-python",
            "opencv-contrib-python-headless"),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml",
                    "onnxruntime-openvino"),
}  # fmt: skip
"""Import name -> distributions that own the same folder: one of them, never two."""


@dataclass(frozen=True, slots=True)
class Line:
    """What was found in one place."""

    name: str
    state: str
    """ok, warn, fail."""
    found: str
    way_out: str = ""

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def examine() -> list[Line]:
    """Return what every examination found, in a fixed order."""
    return [line for examination in EXAMINATIONS for line in examination()]


def python() -> Iterator[Line]:
    """The interpreter is new enough."""
    text = ".".join(map(str, sys.version_info[:3]))
    new_enough = sys.version_info >= (3, 11)
    yield Line(
        "python", "ok" if new_enough else "fail", f"{text} ({sys.executable})",
        "" if new_enough else "install Python 3.11 or newer",
    )  # fmt: skip


def packages() -> Iterator[Line]:
    """What Tectum needs is installed, imports, and is there in one flavour."""
    for module, names in FLAVOURS.items():
        installed = [name for name in names if _version(name)]
        if len(installed) > 1:
            yield Line(
                module, "fail", f"{' and '.join(installed)} own one folder and break each other",
                f"run: {flavour_repair(installed)}",
            )  # fmt: skip
            continue
        yield _imports(module, installed[0] if installed else names[0])
    for module, name in (("zmq", "pyzmq"), ("av", "av"), ("mcap", "mcap")):
        yield _imports(module, name)


def flavour_repair(installed: list[str]) -> str:
    """Return the pip command that leaves the first of the `installed` flavours, whole."""
    kept = "onnxruntime-gpu" if "onnxruntime-gpu" in installed else installed[0]
    pip = f"{sys.executable} -m pip"
    return (
        f"{pip} uninstall --yes {' '.join(installed)} && "
        f"{pip} install --no-deps {kept}=={_version(kept)}"
    )


def providers() -> Iterator[Line]:
    """Where models can really run, which is not what ONNX Runtime lists."""
    try:
        from tectum.inference.device import DEVICES, why_not  # noqa: PLC0415 - may be broken

        reasons = {device: why_not(device) for device in DEVICES}
    except Exception as error:
        yield Line("models run on", "fail", f"{type(error).__name__}: {error}", "see onnxruntime")
        return
    usable = [device.name for device in DEVICES if not reasons[device]]
    missing = "; ".join(f"not {device.name}: {why}" for device, why in reasons.items() if why)
    way_out = (
        ""
        if len(usable) > 1
        else "nothing to do, unless this machine has a GPU: install its driver"
    )
    yield Line(
        "models run on", "ok", f"{', '.join(usable)} ({missing or 'all there are'})", way_out
    )


def sound() -> Iterator[Line]:
    """PortAudio is there, and a microphone."""
    if not _version("sounddevice"):
        yield Line("microphone", "warn", "sounddevice is not installed", "pip install sounddevice")
        return
    if not ctypes.util.find_library("portaudio"):
        yield Line(
            "microphone", "warn", "PortAudio is not on this machine: no live microphone",
            "Debian, Ubuntu: apt install libportaudio2; macOS: brew install portaudio",
        )  # fmt: skip
        return
    try:
        sounddevice = importlib.import_module("sounddevice")
        inputs = [
            item["name"] for item in sounddevice.query_devices() if item["max_input_channels"]
        ]
    except Exception as error:
        yield Line("microphone", "warn", f"PortAudio fails: {error}", "check the sound server")
        return
    if inputs:
        yield Line("microphone", "ok", ", ".join(inputs))
    else:
        yield Line("microphone", "warn", "PortAudio finds no input", "plug a microphone in")


def cameras() -> Iterator[Line]:
    """Cameras are there and may be read."""
    devices = sorted(Path("/dev").glob("video*"))
    if not devices:
        yield Line(
            "camera", "warn", "no /dev/video*: no live camera",
            "plug one in; in a container, pass it on (--device /dev/video0)",
        )  # fmt: skip
    for device in devices:
        if os.access(device, os.R_OK | os.W_OK):
            yield Line("camera", "ok", str(device))
        else:
            yield Line(
                "camera", "warn", f"{device} may not be read by this user",
                "sudo usermod -aG video $USER, then log in again",
            )  # fmt: skip


def shared_memory() -> Iterator[Line]:
    """There is room for payloads in shared memory."""
    folder = Path("/dev/shm")
    if not folder.is_dir():
        yield Line("shared memory", "warn", "no /dev/shm: payloads travel inline", "nothing to do")
        return
    free = shutil.disk_usage(folder).free // MB
    enough = free >= LEAST_SHARED_MB
    yield Line(
        "shared memory", "ok" if enough else "warn", f"{free} MB free in {folder}",
        "" if enough else "make it larger: mount -o remount,size=1G /dev/shm; "
        "in a container: --shm-size=1g",
    )  # fmt: skip


def run_folder() -> Iterator[Line]:
    """Runs have a private folder, short enough for sockets, and none is left of dead ones."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK | os.X_OK):
        yield Line("XDG_RUNTIME_DIR", "ok", runtime)
    else:
        state = "is not set" if not runtime else f"is {runtime}, which cannot be written"
        yield Line(
            "XDG_RUNTIME_DIR", "warn", f"{state}: runs are kept in {tempfile.gettempdir()}",
            "works as it is; set it to a folder of yours to have runs there",
        )  # fmt: skip
    yield from _stale_runs()


def models() -> Iterator[Line]:
    """Other people's models are here, or can be pulled."""
    from tectum.errors import ModelError  # noqa: PLC0415
    from tectum.inference.files import find_file  # noqa: PLC0415
    from tectum.inference.manifest import read_manifest  # noqa: PLC0415
    from tectum_models.catalogue import find, names  # noqa: PLC0415

    here: dict[str, bool] = {}
    for manifest in (read_manifest(find(name)) for name in names()):
        for variant in manifest.variants:
            if variant.source is not None:
                try:
                    here[manifest.model] = find_file(manifest, variant).is_file()
                except ModelError:
                    here[manifest.model] = False
    lacking = [name for name, found in here.items() if not found]
    told = f"{len(here) - len(lacking)} of {len(here)} are here"
    way_out = f"`tectum models pull {' '.join(lacking)}` for graphs that need them"
    yield Line("models of others", "ok", told, way_out if lacking else "")


def data() -> Iterator[Line]:
    """TECTUM_DATA names a folder of recordings, and TECTUM_MODELS one of models."""
    for name, what in (("TECTUM_DATA", "recordings"), ("TECTUM_MODELS", "models")):
        value = os.environ.get(name)
        if not value:
            way_out = f"set it to a folder of {what} of others, if you have one"
            yield Line(name, "ok", "not set", way_out)
        for part in filter(None, (value or "").split(os.pathsep)):
            if Path(part).is_dir():
                yield Line(name, "ok", part)
            else:
                yield Line(
                    name, "fail", f"{part} is not a folder", f"set {name} to one that exists"
                )


EXAMINATIONS: tuple[Callable[[], Iterator[Line]], ...] = (
    python,
    packages,
    providers,
    cameras,
    sound,
    shared_memory,
    run_folder,
    models,
    data,
)
"""A new examination is one function and one line here."""


def _stale_runs() -> Iterator[Line]:
    from tectum.errors import TectumError  # noqa: PLC0415
    from tectum.rundir import dead_runs, live_runs  # noqa: PLC0415

    try:
        alive, dead = live_runs(), dead_runs()
    except TectumError as error:
        yield Line("runs", "fail", f"{error}")
        return
    names = ", ".join(folder.name for folder in alive) or "none"
    if dead:
        yield Line(
            "runs", "warn", f"alive: {names}; {len(dead)} folders of dead runs in {dead[0].parent}",
            "the next launch removes them",
        )  # fmt: skip
    else:
        yield Line("runs", "ok", f"alive: {names}; nothing left of dead ones")


def _imports(module: str, name: str) -> Line:
    found = _version(name)
    if not found:
        return Line(module, "fail", f"{name} is not installed", f"pip install {name}")
    try:
        importlib.import_module(module)
    except Exception as error:
        why = str(error).splitlines()[-1] if str(error) else type(error).__name__
        return Line(module, "fail", f"{name} {found} does not import: {why}", _repair(name, why))
    return Line(module, "ok", f"{name} {found}")


def _repair(name: str, why: str) -> str:
    pip = f"{sys.executable} -m pip"
    if name == "opencv-python" and re.search(r"lib\w+.*\.so", why):
        return (
            f"the screen libraries are missing, run: {pip} uninstall --yes opencv-python && "
            f"{pip} install --no-deps opencv-python-headless=={_version(name)}"
        )
    return f"run: {pip} install --force-reinstall --no-deps {name}=={_version(name)}"


def _version(name: str) -> str:
    try:
        distribution(name)
        return version(name)
    except PackageNotFoundError:
        return ""
