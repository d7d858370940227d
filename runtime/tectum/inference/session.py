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
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from tectum.errors import ClosedError, ModelError
from tectum.inference.buffers import Buffers, DeviceTensor, resident
from tectum.inference.device import CPU, Device
from tectum.inference.files import check_hash, find_file
from tectum.inference.flag import Flags, run_options
from tectum.inference.manifest import Manifest
from tectum.inference.opening import SessionOptions, open_model
from tectum.inference.rows import Rows
from tectum.inference.stage import Cancelled, Held, Stopper, Tensor
from tectum.inference.tensors import check_tensors
from tectum.message import AnyArray

__all__ = ["Computed", "NeverStopped", "Session", "SessionOptions"]

_LOCKS: dict[str, threading.Lock] = {}
"""One for each device whose sessions may not run at the same time."""


class NeverStopped:
    """The stopper of a run that nobody will cancel: warm-up, measuring, scripts."""

    stopped = False

    def on_stop(self, action: object) -> None:
        """Forget `action`."""


class Computed(NamedTuple):
    """The outputs of a run by name: here, or held on the device."""

    arrays: dict[str, AnyArray]
    held: dict[str, Held]

    def tensor(self, name: str) -> Tensor:
        """Return the output called `name`, wherever it is."""
        return self.held[name] if name in self.held else self.arrays[name]


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
        self.options = options or SessionOptions()
        self.sha256 = check_hash(manifest, entry, path)
        self._session = open_model(str(path), manifest.model, device, self.options)
        check_tensors(manifest, self._session, str(path))
        self.outputs = tuple(output.name for output in manifest.outputs)
        self._overlaps = device.concurrent and not device.captures
        lock = _LOCKS.setdefault(device.name, threading.Lock())
        self._lock: contextlib.AbstractContextManager[object] = (
            contextlib.nullcontext() if self._overlaps else lock
        )
        self._flags = Flags()
        self._rows: dict[str, Rows] = {}
        self._buffers: Buffers | None = None
        if device.is_gpu:
            self._buffers = Buffers(
                self._session, device, self._turn, manifest.inputs, manifest.outputs
            )

    def placement(self) -> dict[str, int]:
        """Return how many nodes of the graph each provider runs, the most first."""
        parts = self._session.get_provider_graph_assignment_info()
        nodes: Counter[str] = Counter()
        for part in parts:
            nodes[part.ep_name] += len(part.get_nodes())
        return dict(nodes.most_common())

    def resident(self, name: str, array: AnyArray) -> Tensor:
        """Return `array` where feeding it to the input called `name` costs no copy."""
        if self._buffers is not None and not self._buffers.is_on_host(name):
            return resident(array, self.device, self._turn)
        kept = np.array(array)
        kept.flags.writeable = False
        return kept

    def run(self, feeds: Mapping[str, Tensor], stopper: Stopper) -> dict[str, AnyArray]:
        """Return the outputs by name for `feeds` by name, as `compute` does with nothing held."""
        return self.compute(feeds, stopper).arrays

    def compute(
        self, feeds: Mapping[str, Tensor], stopper: Stopper, hold: Collection[str] = ()
    ) -> Computed:
        """Return the outputs for `feeds` by name.

        Those named in `hold` stay on the device until they are released, where it has memory of
        its own; elsewhere they are arrays like the others, and nothing is copied.

        Raises:
            Cancelled: the run was stopped.
            ClosedError: the session was closed.
            ModelError: ONNX Runtime refuses the feeds, or a node failed.
        """
        if self._session is None:
            msg = f"{self.manifest.model} has been closed"
            raise ClosedError(msg)
        flag = self._flags.lend()
        stopper.on_stop(flag.raiser())
        try:
            if self._overlaps:
                return self._compute(feeds, stopper, flag.options, hold)
            with self._lock:
                return self._compute(feeds, stopper, flag.options, hold)
        except Cancelled:
            raise
        except Exception as error:
            # `run` raises its own Fail, a bound run a RuntimeError: the words are the same.
            if stopper.stopped or "terminate flag" in str(error):
                raise Cancelled from error
            msg = f"{self.manifest.model} ({self.variant}) failed: {_first_line(error)}"
            raise ModelError(msg) from error
        finally:
            self._flags.take_back(flag)

    def compute_batch(
        self,
        feeds: Mapping[str, AnyArray],
        count: int,
        stopper: Stopper,
        hold: Collection[str] = (),
    ) -> list[Computed]:
        """Return what `compute` gives for each of `count` rows of `feeds`, from one run.

        Every output has the rows along its first axis.
        """
        whole = self.compute(feeds, stopper, hold)
        parts = [Computed({}, {}) for _ in range(count)]
        for name, array in whole.arrays.items():
            for index, part in enumerate(parts):
                part.arrays[name] = array[index : index + 1]
        for name, held in whole.held.items():
            assert isinstance(held, DeviceTensor)
            with self._lock:
                rows = self._rows_of(name).split(held, count, run_options())
            for part, row in zip(parts, rows, strict=True):
                part.held[name] = row
        for held in whole.held.values():
            held.release()
        return parts

    def close(self) -> None:
        """Give back the session's memory."""
        self._session = self._buffers = None
        self._rows.clear()

    def _rows_of(self, name: str) -> Rows:
        if name not in self._rows:
            output = next(item for item in self.manifest.outputs if item.name == name)
            self._rows[name] = Rows(output, self.device, self._turn)
        return self._rows[name]

    def _compute(
        self, feeds: Mapping[str, Tensor], stopper: Stopper, options: Any, hold: Collection[str]
    ) -> Computed:
        if stopper.stopped:
            raise Cancelled
        if self._buffers is not None:
            return Computed(*self._buffers.run(feeds, options, hold))
        arrays = self._session.run(self.outputs, feeds, options)
        return Computed(dict(zip(self.outputs, arrays, strict=True)), {})

    def _turn(self) -> contextlib.AbstractContextManager[object]:
        return self._lock


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
