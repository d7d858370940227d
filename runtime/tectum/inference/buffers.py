"""Buffers: the tensors of one session on a device that has memory of its own.

A session has a small pool of *slots*, each a set of fixed buffers that is bound once and never
again, as recorded graphs need it. A run takes a slot, writes its inputs in place (one copy from
the host per array; nothing from the host for what is on the device), and reads back what is not
held there. What is held keeps its slot until it is released. A slot belongs to one run at a time;
taking and giving back may happen in any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from tectum.inference.device import CPU, Device
from tectum.inference.manifest import InputTensor, OutputTensor
from tectum.inference.stage import Held, Tensor
from tectum.message import AnyArray

__all__ = ["Buffers", "DeviceTensor", "Turn", "resident"]

Turn = Callable[[], AbstractContextManager[object]]
"""Gives the lock under which a device is used, where its sessions may not overlap."""

FREE_SLOTS = 8
"""Slots of one session that wait for their next run; the longest unused goes first."""


class DeviceTensor:
    """A tensor in the memory of a device. Satisfies `Held`."""

    __slots__ = ("_lease", "_turn", "value")

    def __init__(self, value: Any, turn: Turn, lease: _Lease | None = None) -> None:
        """Wrap ONNX Runtime's `value`, which belongs to `lease`; None: to nobody else."""
        self.value, self._turn, self._lease = value, turn, lease

    @property
    def shape(self) -> tuple[int, ...]:
        """Return its sizes."""
        return tuple(self.value.shape())

    def numpy(self) -> AnyArray:
        """Read it back."""
        with self._turn():
            array: AnyArray = self.value.numpy()
        return array

    def release(self) -> None:
        """Let its slot be used again."""
        if self._lease is not None:
            self._lease.end()


def resident(array: AnyArray, device: Device, turn: Turn = nullcontext) -> DeviceTensor:
    """Return `array` in the memory of `device`: copied now, and never again.

    `turn` is taken for that; a caller who has it already passes none.
    """
    with turn():
        value = _allocate(array.shape, array.dtype, device)
        value.update_inplace(np.ascontiguousarray(array))
    return DeviceTensor(value, turn)


class Buffers:
    """The pool of one session."""

    def __init__(
        self,
        session: Any,
        device: Device,
        turn: Turn,
        inputs: Collection[InputTensor],
        outputs: Collection[OutputTensor],
    ) -> None:
        """Begin with no slot: what shapes are wanted shows in the first run."""
        self._session, self._device, self._turn = session, device, turn
        self._inputs = {tensor.name: tensor for tensor in inputs}
        self._outputs = tuple(outputs)
        self._on_host = _inputs_on_host(session) if device.allocation != "cpu" else set()
        self._lock = threading.Lock()
        self._free: list[_Slot] = []
        self._made = 0

    def is_on_host(self, name: str) -> bool:
        """Return whether the session reads an input, such as a shape, in the host's memory."""
        return name in self._on_host

    def run(
        self, feeds: Mapping[str, Tensor], options: Any, hold: Collection[str]
    ) -> tuple[dict[str, AnyArray], dict[str, Held]]:
        """Return what is read back and what stays on the device, by name.

        The caller has the device's turn. What ONNX Runtime raises is passed on.
        """
        slot = self._take(feeds)
        lease = _Lease(self, slot)
        try:
            slot.write(feeds)
            if self._device.captures:
                options.add_run_config_entry("gpu_graph_id", str(slot.number))
            values = slot.run(self._session, options)
            arrays = {name: value.numpy() for name, value in values.items() if name not in hold}
        except BaseException:
            lease.end()
            raise
        held: dict[str, Held] = {
            name: DeviceTensor(values[name], self._turn, lease) for name in values if name in hold
        }
        if not held:
            lease.end()
        return arrays, held

    def give_back(self, slot: _Slot) -> None:
        """Take a slot back that nobody uses any more."""
        with self._lock:
            self._free.append(slot)
            del self._free[:-FREE_SLOTS]

    def _take(self, feeds: Mapping[str, Tensor]) -> _Slot:
        shapes = {name: tuple(_shape(feed)) for name, feed in feeds.items()}
        with self._lock:
            for index in reversed(range(len(self._free))):
                if self._free[index].shapes == shapes:
                    return self._free.pop(index)
            number = self._made = self._made + 1
        return self._make(shapes, number)

    def _make(self, shapes: dict[str, tuple[int, ...]], number: int) -> _Slot:
        """Allocate and bind; an output whose size only the run tells is left to ONNX Runtime."""
        sizes: dict[int | str, int] = {}
        inputs, outputs = {}, {}
        for name, shape in shapes.items():
            tensor = self._inputs[name]
            sizes.update(zip(tensor.shape, shape, strict=False))
            # Elsewhere than the session reads it, an input is copied when it is bound, not when
            # it runs: what is written to it later would never be seen.
            place = CPU if name in self._on_host else self._device
            inputs[name] = _allocate(shape, np.dtype(tensor.dtype), place)
        for output in self._outputs:
            shape = tuple(sizes.get(n, -1) if isinstance(n, str) else n for n in output.shape)
            known = min(shape, default=0) >= 0
            dtype = np.dtype(output.dtype)
            outputs[output.name] = _allocate(shape, dtype, self._device) if known else None
        return _Slot(number, shapes, self._session.io_binding(), inputs, outputs, self._device)


class _Slot:
    """One set of buffers of a session."""

    def __init__(
        self,
        number: int,
        shapes: Mapping[str, tuple[int, ...]],
        binding: Any,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any],
        device: Device,
    ) -> None:
        """Bind them; an output that is None gets its memory in each run."""
        self.number, self.shapes = number, shapes
        self._binding, self._inputs, self._device = binding, inputs, device
        self._outputs = outputs
        self._copied: dict[str, Tensor] = {}
        """Input -> what was last copied to it and does not change."""
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in outputs.items():
            if value is not None:
                binding.bind_ortvalue_output(name, value)

    def write(self, feeds: Mapping[str, Tensor]) -> None:
        """Fill the inputs; what is there already and does not change is not copied again."""
        for name, feed in feeds.items():
            if self._copied.pop(name, None) is not feed:
                self._fill(self._inputs[name], feed)
            if not (isinstance(feed, np.ndarray) and feed.flags.writeable):
                self._copied[name] = feed

    def _fill(self, value: Any, feed: Tensor) -> None:
        if isinstance(feed, DeviceTensor):
            value.update_inplace(feed.value)
        else:
            array = feed if isinstance(feed, np.ndarray) else feed.numpy()
            value.update_inplace(np.ascontiguousarray(array))

    def run(self, session: Any, options: Any) -> dict[str, Any]:
        """Run, and return the outputs as ONNX Runtime's values by name."""
        loose = [name for name, value in self._outputs.items() if value is None]
        for name in loose:
            self._binding.bind_output(name, self._device.allocation, 0)
        session.run_with_iobinding(self._binding, options)
        if not loose:
            return dict(self._outputs)
        bound = [*(name for name in self._outputs if name not in loose), *loose]
        return dict(zip(bound, self._binding.get_outputs(), strict=True))


class _Lease:
    """The right to use a slot; it ends once, whoever ends it."""

    __slots__ = ("_buffers", "_slot")

    def __init__(self, buffers: Buffers, slot: _Slot) -> None:
        self._buffers = buffers
        self._slot: _Slot | None = slot

    def end(self) -> None:
        """Give the slot back; further calls do nothing."""
        slot, self._slot = self._slot, None
        if slot is not None:
            self._buffers.give_back(slot)


def _shape(feed: Tensor) -> tuple[int, ...]:
    if isinstance(feed, (np.ndarray, DeviceTensor)):
        return feed.shape
    return feed.numpy().shape


def _inputs_on_host(session: Any) -> set[str]:
    infos = session.get_input_memory_infos()
    tensors = session.get_inputs()
    return {tensor.name for tensor, info in zip(tensors, infos, strict=True) if info.name == "Cpu"}


def _allocate(shape: tuple[int, ...], dtype: np.dtype[Any], device: Device) -> Any:
    """Return uninitialised memory: whoever asks for it writes all of it before it is read."""
    import onnxruntime  # noqa: PLC0415 - heavy

    return onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, dtype, device.allocation, 0)
