"""A chain: a detector, then models that look at the best thing it found.

The first model gives `boxes`; each later one sees the sample around the best box (its manifest
says how much around it, step `around`). Where nothing was found the later ones do not run and
their results are left out; the fact `found` is the number of boxes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from tectum.errors import ConfigError
from tectum.inference.encoder import OnnxEncoder
from tectum.inference.session import Session
from tectum.inference.stage import Cut, OutputSpec, StageArg, StageOutput, Stopper, Tensor

__all__ = ["Chain"]


class Chain:
    """A stage of several encoders on one input."""

    def __init__(self, encoders: Sequence[OnnxEncoder], *, name: str) -> None:
        """Chain `encoders`; the first must give boxes.

        Raises:
            ConfigError: it gives none, a member is stateful, or two give one name.
        """
        self.name = name
        self._first, self._later = encoders[0], tuple(encoders[1:])
        self.variants = encoders[-1].variants
        """Those of the last model; the others follow where they have one of that name."""
        self.outputs: tuple[OutputSpec, ...] = tuple(
            output for encoder in encoders for output in encoder.outputs
        )
        self._boxes = _check(encoders, self.outputs)

    @property
    def models(self) -> dict[str, str]:
        """Return each model's name with the SHA-256 of its best variant's file."""
        return {
            model: digest
            for encoder in (self._first, *self._later)
            for model, digest in encoder.models.items()
        }

    @property
    def sessions(self) -> dict[str, Session]:
        """Return every member's sessions, by model and variant."""
        members = (self._first, *self._later)
        return {
            f"{member.manifest.model} {variant}": session
            for member in members
            for variant, session in member.sessions.items()
        }

    def warm_up(self, variant: str) -> None:
        """Run every member once."""
        for encoder in (self._first, *self._later):
            encoder.warm_up(_variant(encoder, variant))

    def run(
        self,
        variant: str,
        args: Mapping[str, StageArg],
        state: Mapping[str, Tensor] | None,
        stopper: Stopper,
    ) -> StageOutput:
        """Detect, then look closer at the best."""
        del state
        (arg,) = args.values()
        cut = cast(Cut, arg)
        found = self._first.run(_variant(self._first, variant), args, None, stopper)
        boxes = found.arrays[self._boxes]
        arrays, held = dict(found.arrays), dict(found.held)
        if len(boxes):
            best = boxes[boxes[:, 4].argmax(), :4]
            box = (float(best[0]), float(best[1]), float(best[2]), float(best[3]))
            for encoder in self._later:
                sample = encoder.sample(cut)
                chosen = _variant(encoder, variant)
                closer = encoder.encode(chosen, sample, None, stopper, box)
                arrays.update(closer.arrays)
                held.update(closer.held)
        return StageOutput(arrays, {**found.facts, "found": len(boxes)}, held=held)

    def close(self) -> None:
        """Give back every member's sessions."""
        for encoder in (self._first, *self._later):
            encoder.close()


def _variant(encoder: OnnxEncoder, wanted: str) -> str:
    return wanted if wanted in encoder.variants else encoder.variants[0]


def _check(encoders: Sequence[OnnxEncoder], outputs: Sequence[OutputSpec]) -> str:
    """Return the name of the first model's boxes."""
    names = [output.name for output in outputs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"two models of the chain give a result called {twice[0]!r}"
        raise ConfigError(msg)
    for encoder in encoders:
        if encoder.manifest.stateful:
            msg = f"{encoder.manifest.model} carries state and cannot be part of a chain"
            raise ConfigError(msg)
    boxes = [output.name for output in encoders[0].outputs if output.role == "boxes"]
    if not boxes:
        msg = f"{encoders[0].manifest.model} gives no boxes, so nothing can follow it in a chain"
        raise ConfigError(msg)
    return boxes[0]
