"""An intermediate fusion head: the embeddings of several modalities in, one answer out.

The model has one input per modality and a mask, which says which of them are there; a model that
makes up for what is old also has their ages, in seconds at the trigger. What is
absent is zeros, from a buffer made once and never written again; what is there is handed over as
the encoder gave it: without a copy, or, on a device with memory of its own, by a copy inside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tectum.errors import ConfigError
from tectum.fusion.contribution import contributions
from tectum.inference.device import CPU, Device
from tectum.inference.manifest import InputTensor, Manifest, sizes_of
from tectum.inference.session import NeverStopped, SessionOptions
from tectum.inference.sessions import Sessions
from tectum.inference.stage import OutputSpec, StageArg, StageOutput, Stopper, Tensor
from tectum.message import AnyArray, Value

__all__ = ["OnnxHead"]

Embeddings = Mapping[str, Tensor]
"""Modality -> embedding with its batch axis; absent modalities are left out."""


class OnnxHead:
    """A stage that fuses embeddings with one model."""

    def __init__(
        self,
        manifest: Manifest,
        *,
        name: str,
        inputs: Mapping[str, Sequence[OutputSpec]],
        device: Device = CPU,
        options: SessionOptions | None = None,
        sessions: Sessions | None = None,
        contribution: bool = False,
    ) -> None:
        """Load every variant, and find which input of the graph is which modality.

        Args:
            manifest: of the head.
            name: of the stage.
            inputs: what the encoder of each input of the graph gives.
            device: where to run.
            options: of the sessions.
            sessions: where they are loaded, to be shared with other stages.
            contribution: report how much each modality changes the answer; one more run for each.

        Raises:
            ConfigError: an input of the graph is no modality of the head, or gives no embedding.
        """
        self.name, self.manifest = name, manifest
        self.outputs = tuple(
            OutputSpec(result.name, result.role, result.labels, result.facts)
            for result in manifest.results
        )
        self.variants = manifest.variant_names
        self._feeds_of = _match(manifest, inputs)
        self._embeddings = [item for item in manifest.inputs if item.kind == "embedding"]
        self._mask = next((item for item in manifest.inputs if item.kind == "mask"), None)
        self._age = next((item for item in manifest.inputs if item.kind == "age"), None)
        self._contribution = contribution
        loaded = sessions or Sessions()
        self.sessions = {
            variant: loaded.get(manifest, variant, device, options) for variant in self.variants
        }
        self._absent = {item.name: self._resident(item, 0.0) for item in self._embeddings}
        self._masks: dict[tuple[bool, ...], Tensor] = {}
        self._warm: set[str] = set()

    @property
    def models(self) -> dict[str, str]:
        """Return the model's name with the SHA-256 of its best variant's file."""
        return {self.manifest.model: self.sessions[self.variants[0]].sha256}

    def warm_up(self, variant: str) -> None:
        """Answer once with every modality there; the first time also with none."""
        if variant not in self._warm:
            self._warm.add(variant)
            self._fuse(variant, {}, NeverStopped())
        self._answer(variant, self._absent, NeverStopped())

    def run(
        self,
        variant: str,
        args: Mapping[str, StageArg],
        state: Mapping[str, Tensor] | None,
        stopper: Stopper,
    ) -> StageOutput:
        """Fuse what is there."""
        del state
        present: dict[str, Tensor] = {}
        ages: dict[str, float] = {}
        for name, arg in args.items():
            if isinstance(arg, StageOutput):
                modality, output = self._feeds_of[name]
                present[modality], ages[modality] = arg.tensor(output), arg.age_ns / 1e9
        return self._answer(variant, present, stopper, ages)

    def close(self) -> None:
        """Give back the sessions."""
        for session in self.sessions.values():
            session.close()

    def _answer(
        self,
        variant: str,
        present: Embeddings,
        stopper: Stopper,
        ages: Mapping[str, float] | None = None,
    ) -> StageOutput:
        arrays = self._fuse(variant, present, stopper, ages)
        facts: dict[str, Value] = {"present": list(present)}
        if self._contribution:
            facts["contribution"] = contributions(
                arrays, present, lambda some: self._fuse(variant, some, stopper, ages)
            )
        return StageOutput(arrays, facts)

    def _fuse(
        self,
        variant: str,
        present: Embeddings,
        stopper: Stopper,
        ages: Mapping[str, float] | None = None,
    ) -> dict[str, AnyArray]:
        feeds = {**self._absent, **present}
        if self._mask is not None:
            feeds[self._mask.name] = self._mask_of(self._mask, present)
        if self._age is not None:
            known = ages or {}
            row = [known.get(name, 0.0) for name in self.manifest.modalities]
            feeds[self._age.name] = np.array([row], self._age.dtype)
        arrays = self.sessions[variant].run(feeds, stopper)
        return {result.name: result.taken_from(arrays) for result in self.manifest.results}

    def _mask_of(self, mask: InputTensor, present: Embeddings) -> Tensor:
        there = tuple([modality in present for modality in self.manifest.modalities])
        if there not in self._masks:
            self._masks[there] = self._resident(mask, there)
        return self._masks[there]

    def _resident(self, tensor: InputTensor, value: float | tuple[bool, ...]) -> Tensor:
        array = np.full(sizes_of(tensor.shape), value, tensor.dtype)
        return self.sessions[self.variants[0]].resident(tensor.name, array)


def _match(
    manifest: Manifest, inputs: Mapping[str, Sequence[OutputSpec]]
) -> dict[str, tuple[str, str]]:
    """Return, for each input of the graph, its modality and the output that is its embedding."""
    matched: dict[str, tuple[str, str]] = {}
    for name, outputs in inputs.items():
        embeddings = [output for output in outputs if output.role == "embedding"]
        if not embeddings:
            msg = f"input {name!r} gives no embedding: {manifest.model} needs an encoder for it"
            raise ConfigError(msg)
        modality = name if name in manifest.modalities else embeddings[0].facts.get("modality")
        taken = [one for one, _ in matched.values()]
        if modality not in manifest.modalities or modality in taken:
            msg = (
                f"input {name!r} is no modality of {manifest.model}, or the second of its kind; "
                f"it fuses one each of: {', '.join(manifest.modalities)}"
            )
            raise ConfigError(msg)
        matched[name] = (str(modality), embeddings[0].name)
    return matched
