"""A learned head over time: what each modality decides at a moment in, what is believed now out.

One model with an input of kind `scores` per modality and a mask of which are there; one may have
their ages and the seconds `elapsed` since the moment before. What it carries from moment to moment
(kind `state`) it is given back; zeros at the beginning. What is absent is zeros.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tectum.errors import ConfigError
from tectum.inference.device import CPU, Device
from tectum.inference.manifest import InputTensor, Manifest, sizes_of
from tectum.inference.session import NeverStopped, SessionOptions
from tectum.inference.sessions import Sessions
from tectum.inference.stage import OutputSpec, StageArg, StageOutput, Stopper, Tensor
from tectum.message import AnyArray

__all__ = ["RecurrentHead", "moment_of"]

MOMENT = "moment_ns"
"""In the carried state: the moment that it is of."""


def moment_of(args: Mapping[str, StageArg]) -> int:
    """Return the trigger's moment in ns, which the outputs of inputs tell; 0: none is there."""
    moments = [
        arg.stamp_ns + arg.age_ns if isinstance(arg, StageOutput) else arg.message.header.stamp_ns
        for arg in args.values()
        if arg is not None
    ]
    return max(moments, default=0)


class RecurrentHead:
    """A stage that makes one answer of the decisions of this moment and of all before."""

    def __init__(
        self,
        manifest: Manifest,
        *,
        name: str,
        inputs: Mapping[str, Sequence[OutputSpec]],
        decision: str,
        device: Device = CPU,
        options: SessionOptions | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        """Load every variant, and find which input of the graph decides for which modality.

        Args:
            manifest: of the model.
            name: of the stage.
            inputs: what the encoder of each input of the graph gives.
            decision: name of the scores that it takes of them, and gives.
            device: where to run.
            options: of the sessions.
            sessions: where they are loaded, to be shared with other stages.

        Raises:
            ConfigError: the model does not give such scores, no input decides for one of its
                modalities, or labels differ.
        """
        self.name, self.manifest, self.decision = name, manifest, decision
        self.outputs: tuple[OutputSpec, ...] = (_answer(manifest, decision),)
        self.variants = manifest.variant_names
        self._feeds_of = _match(manifest, inputs, self.outputs[0])
        loaded = sessions or Sessions()
        self.sessions = {
            variant: loaded.get(manifest, variant, device, options) for variant in self.variants
        }
        self._of_kind = {
            kind: [tensor for tensor in manifest.inputs if tensor.kind == kind]
            for kind in ("scores", "mask", "age", "elapsed", "state")
        }

    @property
    def models(self) -> dict[str, str]:
        """Return the model's name with the SHA-256 of its best variant's file."""
        return {self.manifest.model: self.sessions[self.variants[0]].sha256}

    def warm_up(self, variant: str) -> None:
        """Answer once with nothing there."""
        self._step(variant, {}, {}, 0.0, {}, NeverStopped())

    def run(
        self,
        variant: str,
        args: Mapping[str, StageArg],
        state: Mapping[str, Tensor] | None,
        stopper: Stopper,
    ) -> StageOutput:
        """Take up a moment, which is not before that of `state`."""
        present: dict[str, AnyArray] = {}
        ages: dict[str, float] = {}
        for name, modality in self._feeds_of.items():
            arg = args.get(name)
            if isinstance(arg, StageOutput) and self.decision in arg.arrays:
                present[modality], ages[modality] = arg.arrays[self.decision], arg.age_ns / 1e9
        now_ns, carried = moment_of(args), dict(state or {})
        before_ns = int(np.asarray(carried.pop(MOMENT, now_ns)))
        elapsed_s = max(0, now_ns - before_ns) / 1e9
        arrays = self._step(variant, present, ages, elapsed_s, carried, stopper)
        answer = next(item for item in self.manifest.results if item.name == self.decision)
        after: dict[str, Tensor] = {
            tensor.name: arrays[tensor.next] for tensor in self._of_kind["state"]
        }
        after[MOMENT] = np.array(now_ns, np.int64)
        facts = {"present": list(present)}
        return StageOutput({self.decision: answer.taken_from(arrays)}, facts, after)

    def close(self) -> None:
        """Give back the sessions."""
        for session in self.sessions.values():
            session.close()

    def _step(
        self,
        variant: str,
        present: Mapping[str, AnyArray],
        ages: Mapping[str, float],
        elapsed_s: float,
        state: Mapping[str, Tensor],
        stopper: Stopper,
    ) -> dict[str, AnyArray]:
        order, feeds = self.manifest.modalities, dict(state)
        rows = {
            "mask": [float(name in present) for name in order],
            "age": [ages.get(name, 0.0) for name in order],
            "elapsed": [elapsed_s],
        }
        for tensor in self._of_kind["scores"]:
            given = present.get(tensor.name)
            feeds[tensor.name] = _zeros(tensor) if given is None else _row(given, tensor)
        for kind, values in rows.items():
            for tensor in self._of_kind[kind]:
                feeds[tensor.name] = np.array([values], tensor.dtype)
        for tensor in self._of_kind["state"]:
            feeds.setdefault(tensor.name, _zeros(tensor))
        return self.sessions[variant].run(feeds, stopper)


def _zeros(tensor: InputTensor) -> AnyArray:
    return np.zeros(sizes_of(tensor.shape), tensor.dtype)


def _row(scores: AnyArray, tensor: InputTensor) -> AnyArray:
    return np.asarray(scores, tensor.dtype).reshape(1, -1)


def _answer(manifest: Manifest, decision: str) -> OutputSpec:
    for result in manifest.results:
        if result.name == decision and result.role == "scores":
            return OutputSpec(result.name, result.role, result.labels, result.facts)
    given = ", ".join(item.name for item in manifest.results if item.role == "scores") or "none"
    msg = (
        f"over_time.model: {manifest.model} gives no scores {decision!r}, which `decision` names; "
        f"it gives: {given}"
    )
    raise ConfigError(msg)


def _match(
    manifest: Manifest, inputs: Mapping[str, Sequence[OutputSpec]], answer: OutputSpec
) -> dict[str, str]:
    """Return, for each input of the graph that decides, its modality."""
    matched: dict[str, str] = {}
    for name, outputs in inputs.items():
        for output in outputs:
            if output.name != answer.name or output.role != "scores":
                continue
            modality = name if name in manifest.modalities else str(output.facts.get("modality"))
            if modality not in manifest.modalities or modality in matched.values():
                msg = (
                    f"over_time.model: input {name!r} decides {answer.name!r}, but is no modality "
                    f"of {manifest.model} or the second of its kind; it takes one each of: "
                    f"{', '.join(manifest.modalities)}"
                )
                raise ConfigError(msg)
            if output.labels != answer.labels:
                msg = (
                    f"over_time.model: {manifest.model} knows the labels {list(answer.labels)}; "
                    f"input {name!r} decides between {list(output.labels)}"
                )
                raise ConfigError(msg)
            matched[name] = modality
    if not matched:
        msg = (
            f"over_time.model: no input decides {answer.name!r}; {manifest.model} takes it of: "
            f"{', '.join(manifest.modalities)}"
        )
        raise ConfigError(msg)
    return matched
