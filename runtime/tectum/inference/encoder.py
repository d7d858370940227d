"""An encoder: sample -> preprocessing -> ONNX session -> postprocessing -> named arrays.

Embeddings leave it with their batch axis, as the head takes them, and are not copied: on a device
with memory of its own they stay there until the output is released, as does carried state. Other
results are arrays without that axis. A stateful model gets its state, and the sound just before,
from the run before; without it, it begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import cast

import numpy as np

from tectum.errors import ConfigError, ModelError
from tectum.inference import postprocess, preprocess
from tectum.inference.device import CPU, Device
from tectum.inference.manifest import InputTensor, Manifest, Shape, sizes_of
from tectum.inference.postprocess import Piece
from tectum.inference.samples import (
    SENSED,
    SampleArray,
    comes_as_fed,
    plausible_cut,
    sample_array,
)
from tectum.inference.session import Computed, NeverStopped, SessionOptions
from tectum.inference.sessions import Sessions
from tectum.inference.stage import Cut, Held, Job, StageArg, StageOutput, Stopper, Tensor
from tectum.inference.steps import View, read_steps
from tectum.message import AnyArray, Value

__all__ = ["OnnxEncoder"]

State = Mapping[str, Tensor]
Box = tuple[float, float, float, float]


class OnnxEncoder:
    """A stage that runs one model on the samples of one input."""

    def __init__(
        self,
        manifest: Manifest,
        *,
        name: str,
        device: Device = CPU,
        options: SessionOptions | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        """Load every variant, or share those that `sessions` has loaded.

        Raises:
            ConfigError: the manifest's steps are wrong, or it takes no or several samples.
            ModelError: a file is missing, damaged, or not what the manifest says.
            DeviceError: the model did not get on the device.
        """
        self.name, self.manifest = name, manifest
        self.outputs = manifest.specs()
        self.variants = manifest.variant_names
        self._sensed = _sensed(manifest)
        self._dtype = np.dtype(self._sensed.dtype)
        self._before = read_steps(manifest.preprocess, preprocess.STEPS, manifest.place)
        self._after = read_steps(manifest.postprocess, postprocess.STEPS, manifest.place)
        loaded = sessions or Sessions()
        self.sessions = {
            variant: loaded.get(manifest, variant, device, options) for variant in self.variants
        }
        self._fixed = self._residents()
        self._states = [tensor for tensor in manifest.inputs if tensor.kind == "state"]
        self._carries = bool(self._states or self._sensed.context)
        self._feeds_as_it_comes = not (self._before or self._after or self._carries)
        self._hold = self._held_names()
        self._batches = _is_row_by_row(manifest)

    @property
    def models(self) -> dict[str, str]:
        """Return the model's name with the SHA-256 of its best variant's file."""
        return {self.manifest.model: self.sessions[self.variants[0]].sha256}

    def warm_up(self, variant: str) -> None:
        """Run once on an empty sample, to the end: a device that is only asked has not run yet."""
        cut = plausible_cut(self._sensed, prepared=bool(self._before))
        output = self.run(variant, {self.name: cut}, None, NeverStopped())
        for held in output.held.values():
            held.numpy()
        output.release()

    def run(
        self, variant: str, args: Mapping[str, StageArg], state: State | None, stopper: Stopper
    ) -> StageOutput:
        """Encode the one argument."""
        (cut,) = args.values()
        assert isinstance(cut, Cut)
        return self.encode(variant, sample_array(cut, self._sensed), state, stopper)

    def prepared(self, variant: str, args: Mapping[str, StageArg]) -> Job | None:
        """Return the run of one argument ready to go, where the sample is fed as it came."""
        (cut,) = args.values()
        session = self.sessions[variant]
        if not self._feeds_as_it_comes or session.device.is_gpu:
            return None
        if not isinstance(cut, Cut) or not comes_as_fed(cut, self._sensed):
            return None
        sample = sample_array(cut, self._sensed)
        compute = partial(session.compute, self._feeds(sample.array, {}))
        return partial(self._encode_prepared, sample.facts, compute)

    def _encode_prepared(
        self, facts: dict[str, Value], compute: Callable[[Stopper], Computed], stopper: Stopper
    ) -> StageOutput:
        arrays = compute(stopper).arrays
        here = {item.name: item.taken_from(arrays) for item in self.manifest.results}
        return StageOutput(here, facts)

    def sample(self, cut: Cut) -> SampleArray:
        """Return `cut` as the array that preprocessing begins with."""
        return sample_array(cut, self._sensed)

    def encode(
        self,
        variant: str,
        sample: SampleArray,
        state: State | None,
        stopper: Stopper,
        box: Box | None = None,
    ) -> StageOutput:
        """Encode a sample, or the part of it in `box` where the manifest has a step `around`."""
        session, view = self.sessions[variant], View(sample.array, size=sample.size, box=box)
        views = preprocess.apply(self._before, view) if self._before else [view]
        hold = self._hold if len(views) == 1 else ()
        pieces, computed, carried = [], Computed({}, {}), state or {}
        if self._carries and not carried:
            carried = self._initial_state()
        for view in views:
            feeds = self._feeds(view.array, carried)
            computed = session.compute(feeds, stopper, hold)
            if self._carries:
                carried = self._next_state(feeds, computed)
            pieces.append(Piece(computed.arrays, view))
        return self._output(sample, pieces, computed.held, carried)

    def batch_key(self, variant: str) -> object:
        """Return what runs have in common that may share a batch; None: they may not.

        On the CPU they may not: several lanes do as much at a time, and each has its result sooner.
        """
        session = self.sessions[variant]
        return id(session) if session.device.is_gpu and self._batches else None

    def run_together(
        self, variant: str, many: Sequence[Mapping[str, StageArg]], stopper: Stopper
    ) -> list[StageOutput]:
        """Encode the one argument of each of `many` in one batch."""
        samples = [self.sample(cast(Cut, cut)) for args in many for cut in args.values()]
        views = [self._views(sample, None)[0] for sample in samples]
        name = self._sensed.name
        rows = [np.asarray(self._feeds(view.array, {})[name]) for view in views]
        feeds = {name: np.concatenate(rows)}
        parts = self.sessions[variant].compute_batch(feeds, len(rows), stopper, self._hold)
        return [
            self._output(sample, [Piece(part.arrays, view)], part.held, {})
            for sample, view, part in zip(samples, views, parts, strict=True)
        ]

    def close(self) -> None:
        """Give back the sessions."""
        for session in self.sessions.values():
            session.close()

    def _views(self, sample: SampleArray, box: Box | None) -> list[View]:
        view = View(sample.array, size=sample.size, box=box)
        return preprocess.apply(self._before, view)

    def _output(
        self,
        sample: SampleArray,
        pieces: list[Piece],
        held: Mapping[str, Held],
        carried: State,
    ) -> StageOutput:
        plain = len(pieces) == 1 and not self._after
        arrays = pieces[0].arrays if plain else postprocess.apply(self._after, pieces)
        results = self.manifest.results
        if not held:
            here = {item.name: item.taken_from(arrays) for item in results}
            return StageOutput(here, sample.facts, carried or None)
        return StageOutput(
            {item.name: item.taken_from(arrays) for item in results if item.tensor not in held},
            sample.facts,
            carried or None,
            {item.name: held[item.tensor] for item in results if item.tensor in held},
        )

    def _residents(self) -> dict[str, Tensor]:
        """Return the constants, and the states that a sequence begins with, where they are fed."""
        any_session = self.sessions[self.variants[0]]
        return {
            tensor.name: any_session.resident(
                tensor.name, np.full(sizes_of(tensor.shape), tensor.value, tensor.dtype)
            )
            for tensor in self.manifest.inputs
            if tensor.kind in ("constant", "state")
        }

    def _held_names(self) -> tuple[str, ...]:
        """Return the tensors that need not leave the device: embeddings and carried state."""
        results = () if self._after else self.manifest.results
        states = [tensor.next for tensor in self.manifest.inputs if tensor.kind == "state"]
        return (*(item.tensor for item in results if item.role == "embedding"), *states)

    def _feeds(self, array: AnyArray, state: State) -> dict[str, Tensor]:
        tensor = self._sensed
        if tensor.context:
            array = np.concatenate([np.asarray(state[_context(tensor)]), array])
        if array.ndim == len(tensor.shape) - 1:
            array = array[None]
        _check(array, tensor, self._dtype, self.manifest)
        feeds = {**self._fixed, tensor.name: array}
        for carried in self._states:
            if carried.name in state:
                feeds[carried.name] = state[carried.name]
        return feeds

    def _initial_state(self) -> dict[str, Tensor]:
        state = {tensor.name: self._fixed[tensor.name] for tensor in self._states}
        if self._sensed.context:
            state[_context(self._sensed)] = np.zeros(self._sensed.context, self._sensed.dtype)
        return state

    def _next_state(self, feeds: State, computed: Computed) -> dict[str, Tensor]:
        state = {tensor.name: computed.tensor(tensor.next) for tensor in self._states}
        if self._sensed.context:
            newest = np.asarray(feeds[self._sensed.name]).reshape(-1)[-self._sensed.context :]
            state[_context(self._sensed)] = newest.copy()
        return state


def _sensed(manifest: Manifest) -> InputTensor:
    sensed = [tensor for tensor in manifest.inputs if tensor.kind in SENSED]
    if len(sensed) != 1:
        names = ", ".join(tensor.name for tensor in sensed) or "none"
        msg = (
            f"{manifest.place}: inputs: an encoder takes one input of kind {', '.join(SENSED)}; "
            f"found {names}"
        )
        raise ConfigError(msg)
    return sensed[0]


def _is_row_by_row(manifest: Manifest) -> bool:
    """Return whether each sample is one row of the model's only input, and of each output."""
    steps = [step.name for step in manifest.preprocess]
    shapes = [tensor.shape for tensor in manifest.inputs]
    shapes += [tensor.shape for tensor in manifest.outputs]
    free = all(shape[:1] == ("batch",) for shape in shapes)
    return free and len(manifest.inputs) == 1 and "tiles" not in steps and "around" not in steps


def _context(tensor: InputTensor) -> str:
    return f"{tensor.name}.context"


def _check(
    array: AnyArray, tensor: InputTensor, dtype: np.dtype[np.generic], manifest: Manifest
) -> None:
    if array.dtype != dtype or not _fits(array.shape, tensor.shape):
        msg = (
            f"{manifest.model}: its input {tensor.name!r} is {tensor.dtype} {list(tensor.shape)}, "
            f"but the sample came to {array.dtype} {list(array.shape)} after preprocessing"
        )
        raise ModelError(msg)


def _fits(shape: tuple[int, ...], stated: Shape) -> bool:
    if len(shape) != len(stated):
        return False
    for given, wanted in zip(shape, stated, strict=True):  # a generator costs as much as the rest
        if given != wanted and not isinstance(wanted, str):
            return False
    return True
