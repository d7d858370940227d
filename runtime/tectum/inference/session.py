"""A session: one `.onnx` file in ONNX Runtime, checked against its manifest before it runs.

Promises: the file's hash and tensors are those of the manifest; it runs on the device asked for,
and `placement` tells which provider took how many nodes; a run that is stopped raises `Cancelled`
at the next node boundary. One thread and no spinning unless asked otherwise. May be called from
several lanes at once. It does not know what the tensors mean.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tectum.errors import ClosedError, DeviceError, ModelError
from tectum.inference.device import CPU, Device
from tectum.inference.files import check_hash, find_file
from tectum.inference.manifest import InputTensor, Manifest, OutputTensor
from tectum.inference.stage import Cancelled, Stopper
from tectum.message import AnyArray

__all__ = ["NeverStopped", "Session", "SessionOptions"]

_LOCKS: dict[str, threading.Lock] = {}
"""One for each device whose sessions may not run at the same time."""

_DTYPES = {
    "tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64",
    "tensor(uint8)": "uint8", "tensor(int8)": "int8", "tensor(uint16)": "uint16",
    "tensor(int16)": "int16", "tensor(int32)": "int32", "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}  # fmt: skip

_ERRORS_ONLY = 3
"""ONNX Runtime's severity: its warnings repeat per session what `placement` tells once."""


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How a session runs."""

    threads: int = 1
    """ONNX Runtime's own default, one per core, is 3 to 4 times slower with several sessions."""
    spinning: bool = False


class NeverStopped:
    """The stopper of a run that nobody will cancel: warm-up, measuring, scripts."""

    stopped = False

    def on_stop(self, action: object) -> None:
        """Forget `action`."""


class Session:
    """One variant of a model, loaded."""

    def __init__(
        self,
        manifest: Manifest,
        variant: str,
        device: Device = CPU,
        options: SessionOptions | None = None,
    ) -> None:
        """Load the file of `variant` on `device`.

        Raises:
            ModelError: the file is missing, damaged, or not what the manifest says.
            DeviceError: the model did not get on the device.
        """
        entry = manifest.variant(variant)
        path = find_file(manifest, entry)
        self.manifest, self.variant, self.device = manifest, variant, device
        self.sha256 = check_hash(manifest, entry, path)
        self._session = _load(str(path), device, options or SessionOptions())
        _check_tensors(manifest, self._session, str(path))
        _check_device(device, self._session, manifest.model)
        self.outputs = tuple(output.name for output in manifest.outputs)

    def placement(self) -> dict[str, int]:
        """Return how many nodes of the graph each provider runs, the most first."""
        parts = self._session.get_provider_graph_assignment_info()
        nodes: Counter[str] = Counter()
        for part in parts:
            nodes[part.ep_name] += len(part.get_nodes())
        return dict(nodes.most_common())

    def run(self, feeds: Mapping[str, AnyArray], stopper: Stopper) -> dict[str, AnyArray]:
        """Return the outputs by name for `feeds` by name.

        Raises:
            Cancelled: the run was stopped.
            ClosedError: the session was closed.
            ModelError: ONNX Runtime refuses the feeds, or a node failed.
        """
        import onnxruntime  # noqa: PLC0415 - heavy

        if self._session is None:
            msg = f"{self.manifest.model} has been closed"
            raise ClosedError(msg)
        options = onnxruntime.RunOptions()  # its flag is sticky: a fresh one for each run
        options.log_severity_level = 4  # a stopped run is no error: the exception says it
        stopper.on_stop(lambda: setattr(options, "terminate", True))
        if stopper.stopped:
            raise Cancelled
        try:
            with self._turn():
                arrays = self._session.run(list(self.outputs), dict(feeds), options)
        except Exception as error:
            # `run` raises its own Fail, a bound run a RuntimeError: the words are the same.
            if stopper.stopped or "terminate flag" in str(error):
                raise Cancelled from error
            msg = f"{self.manifest.model} ({self.variant}) failed: {_first_line(error)}"
            raise ModelError(msg) from error
        return dict(zip(self.outputs, arrays, strict=True))

    def close(self) -> None:
        """Give back the session's memory."""
        self._session = None

    def _turn(self) -> contextlib.AbstractContextManager[object]:
        if self.device.concurrent:
            return contextlib.nullcontext()
        return _LOCKS.setdefault(self.device.name, threading.Lock())


def _load(path: str, device: Device, options: SessionOptions) -> Any:
    import onnxruntime  # noqa: PLC0415 - heavy

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = _ERRORS_ONLY
    spinning = "1" if options.spinning else "0"
    settings.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    settings.add_session_config_entry("session.inter_op.allow_spinning", spinning)
    settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if device.is_gpu and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # finds CUDA and cuDNN that pip installed
    try:
        return onnxruntime.InferenceSession(path, settings, providers=list(device.providers))
    except Exception as error:
        msg = f"{path} cannot be loaded: {_first_line(error)}"
        raise ModelError(msg) from error


def _check_device(device: Device, session: Any, model: str) -> None:
    wanted, given = device.providers[0], session.get_providers()
    if wanted not in given:
        msg = (
            f"{model} should run on {device.name}, but ONNX Runtime gave it only "
            f"{', '.join(given)}: its libraries do not load; run `tectum doctor`"
        )
        raise DeviceError(msg)


def _check_tensors(manifest: Manifest, session: Any, path: str) -> None:
    """Refuse a file whose inputs or outputs are not those of the manifest."""
    for what, entries, found in (
        ("input", manifest.inputs, session.get_inputs()),
        ("output", manifest.outputs, session.get_outputs()),
    ):
        by_name = {tensor.name: tensor for tensor in found}
        names = {entry.name for entry in entries}
        if what == "input" and set(by_name) - names:
            unlisted = ", ".join(sorted(set(by_name) - names))
            msg = f"{path} wants an input that {manifest.place} does not list: {unlisted}"
            raise ModelError(msg)
        for entry in entries:
            _check_tensor(what, entry, by_name, f"{path}, but {manifest.place}")


def _check_tensor(
    what: str, entry: InputTensor | OutputTensor, found: Mapping[str, Any], where: str
) -> None:
    if entry.name not in found:
        msg = f"there is no {what} {entry.name!r} (only {', '.join(found)}) in {where} lists it"
        raise ModelError(msg)
    tensor = found[entry.name]
    dtype, shape = _DTYPES.get(tensor.type, tensor.type), tensor.shape
    if dtype != entry.dtype or not _agree(shape, entry.shape):
        msg = (
            f"{what} {entry.name!r} is {dtype} {list(shape)} in {where} says "
            f"{entry.dtype} {list(entry.shape)}"
        )
        raise ModelError(msg)


def _agree(found: list[int | str | None], stated: tuple[int | str, ...]) -> bool:
    """Return whether two shapes may be one: a free size of the file takes what is stated."""
    if len(found) != len(stated):
        return False
    return all(not isinstance(a, int) or a == b for a, b in zip(found, stated, strict=True))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
