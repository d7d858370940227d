"""Checks of models: their files are those of their manifests, and stages can be made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tectum.errors import TectumError
from tectum.inference.files import check_hash, find_file
from tectum.inference.stage import OutputSpec
from tectum_launch.checks.base import Fusion
from tectum_launch.findings import Finding

__all__ = ["models_are_whole", "stages_can_be_built"]


def models_are_whole(fusion: Fusion) -> Iterator[Finding]:
    """Every model file is there and has the hash of its manifest."""
    for name, stage in fusion.part.stages.items():
        for manifest in stage.manifests:
            for variant in manifest.variants:
                try:
                    check_hash(manifest, variant, find_file(manifest, variant))
                except TectumError as error:
                    yield fusion.finding(fusion.stage_path(name), f"{error}", level="error")


def stages_can_be_built(fusion: Fusion) -> Iterator[Finding]:
    """Every stage loads, with the tensors of its manifest, and the head takes what they give."""
    outputs: dict[str, Sequence[OutputSpec]] = {}
    for item in fusion.plan.inputs:
        outputs[item.name] = ()
        if item.encoder:
            try:
                outputs[item.name] = _outputs(fusion, item.encoder, {item.name: ()})
            except TectumError as error:
                yield fusion.finding(fusion.stage_path(item.encoder), f"{error}", level="error")
                return
    try:
        _outputs(fusion, fusion.plan.head, outputs)
    except TectumError as error:
        yield fusion.finding(("head",), f"{error}", level="error")


def _outputs(
    fusion: Fusion, stage: str, inputs: Mapping[str, Sequence[OutputSpec]]
) -> tuple[OutputSpec, ...]:
    from tectum.inference.stages import build_stage  # noqa: PLC0415 - loads ONNX Runtime

    spec = fusion.part.stages[stage].spec
    device = fusion.part.device
    built = build_stage(spec, name=stage, inputs=inputs, rig=fusion.rig, device=device)
    try:
        return tuple(built.outputs)
    finally:
        built.close()
