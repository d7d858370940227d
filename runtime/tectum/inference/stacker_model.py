"""A learned stacker that is a model: what each modality decides in, one decision out.

The model has an input of kind `scores` per modality, a mask of which are there, and may have their
ages, in seconds at the trigger. What is absent is zeros.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tectum.errors import ConfigError, ModelError
from tectum.inference.device import CPU, Device
from tectum.inference.late_parts import Combination
from tectum.inference.manifest import InputTensor, Manifest, sizes_of
from tectum.inference.session import NeverStopped, SessionOptions
from tectum.inference.sessions import Sessions
from tectum.inference.stage import OutputSpec, Stopper
from tectum.message import AnyArray

__all__ = ["ModelStacker"]


class ModelStacker:
    """Combines decisions with one model; the first of its results is the answer."""

    def __init__(
        self,
        manifest: Manifest,
        *,
        inputs: Mapping[str, Sequence[OutputSpec]],
        device: Device = CPU,
        options: SessionOptions | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        """Load every variant, and find which input of the graph is which modality.

        Args:
            manifest: of the model, which is a stacker.
            inputs: what the encoder of each input of the graph gives.
            device: where to run.
            options: of the sessions.
            sessions: where they are loaded, to be shared with other stages.

        Raises:
            ConfigError: the model is no stacker.
        """
        self.manifest = manifest
        if not manifest.is_stacker:
            msg = f"late.model: {manifest.model!r} is no stacker: it has no inputs of kind `scores`"
            raise ConfigError(msg)
        self._result = manifest.results[0]
        self._modality = {name: _modality(name, of, manifest) for name, of in inputs.items()}
        self.variants = manifest.variant_names
        loaded = sessions or Sessions()
        self.sessions = {
            variant: loaded.get(manifest, variant, device, options) for variant in self.variants
        }
        self._of_kind = {
            kind: [tensor for tensor in manifest.inputs if tensor.kind == kind]
            for kind in ("scores", "mask", "age")
        }

    @property
    def models(self) -> dict[str, str]:
        """Return the model's name with the SHA-256 of its best variant's file."""
        return {self.manifest.model: self.sessions[self.variants[0]].sha256}

    def check(self, item: Combination) -> None:
        """Refuse inputs that are none of its modalities, and decisions of another kind."""
        wanted, spec = self._result, item.spec
        modalities = [self._modality[name] for name in item.parts]
        strange = "" in modalities or len(set(modalities)) < len(modalities)
        if strange or (spec.role, spec.labels) != (wanted.role, wanted.labels):
            msg = (
                f"late.model: {self.manifest.model} combines {wanted.name!r} ({wanted.role}, "
                f"labels {list(wanted.labels)}) of one each of "
                f"{', '.join(self.manifest.modalities)}; {spec.name!r} is {spec.role} of "
                f"{', '.join(item.parts)}, labels {list(spec.labels)}"
            )
            raise ConfigError(msg)

    def warm_up(self, variant: str) -> None:
        """Answer once with every modality there, none of which knows anything."""
        even = {
            tensor.name: np.full(sizes_of(tensor.shape), 0.5, tensor.dtype)
            for tensor in self._of_kind["scores"]
        }
        self._answer(even, {}, variant, NeverStopped())

    def fuse(
        self,
        decisions: Mapping[str, AnyArray],
        ages_ns: Mapping[str, int],
        variant: str,
        stopper: Stopper,
    ) -> AnyArray:
        """Return what the inputs decide together, of the shape of each decision."""
        given = {self._modality[name]: array for name, array in decisions.items()}
        ages = {self._modality[name]: ages_ns[name] / 1e9 for name in decisions}
        return self._answer(given, ages, variant, stopper)

    def close(self) -> None:
        """Give back the sessions."""
        for session in self.sessions.values():
            session.close()

    def _answer(
        self,
        given: Mapping[str, AnyArray],
        ages: Mapping[str, float],
        variant: str,
        stopper: Stopper,
    ) -> AnyArray:
        order = self.manifest.modalities
        rows = {
            "mask": [float(name in given) for name in order],
            "age": [ages.get(name, 0.0) for name in order],
        }
        feeds = {tensor.name: self._fed(tensor, given) for tensor in self._of_kind["scores"]}
        for kind, values in rows.items():
            for tensor in self._of_kind[kind]:
                feeds[tensor.name] = np.array([values], tensor.dtype)
        return self._result.taken_from(self.sessions[variant].run(feeds, stopper))

    def _fed(self, tensor: InputTensor, given: Mapping[str, AnyArray]) -> AnyArray:
        sizes = sizes_of(tensor.shape)
        if tensor.name not in given:
            return np.zeros(sizes, tensor.dtype)
        array = np.asarray(given[tensor.name], tensor.dtype)
        if array.size != np.prod(sizes):
            msg = (
                f"{self.manifest.model} takes {tensor.name!r} of the shape {list(tensor.shape)}; "
                f"the input that is it decides {list(array.shape)}"
            )
            raise ModelError(msg)
        return array.reshape(sizes)


def _modality(name: str, outputs: Sequence[OutputSpec], manifest: Manifest) -> str:
    """Return which modality of the model an input of the graph is; empty: none."""
    if name in manifest.modalities:
        return name
    said = {str(output.facts.get("modality", "")) for output in outputs}
    return next((one for one in manifest.modalities if one in said), "")
