"""Checks of models: files are those of manifests, variants get cheaper, stages can be built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from tectum.errors import DeviceError, TectumError
from tectum.inference.files import check_hash, find_file
from tectum.inference.stage import OutputSpec
from tectum.units import duration_text
from tectum_launch.checks.base import Fusion
from tectum_launch.findings import Finding, KeyPath

__all__ = ["models_are_whole", "stages_can_be_built", "variants_get_cheaper"]


def models_are_whole(fusion: Fusion) -> Iterator[Finding]:
    """Every model file is there and has the hash of its manifest."""
    for name, stage in fusion.part.stages.items():
        for manifest in stage.manifests:
            for variant in manifest.variants:
                try:
                    check_hash(manifest, variant, find_file(manifest, variant))
                except TectumError as error:
                    yield fusion.finding(fusion.stage_path(name), f"{error}", level="error")


def variants_get_cheaper(fusion: Fusion) -> Iterator[Finding]:
    """Each variant costs less than the one before it: what is degraded to it saves time."""
    for stage in fusion.part.stages:
        costs = [(name, cost) for name, cost in fusion.costs_ns(stage).items() if cost]
        for (better, before_ns), (cheaper, after_ns) in pairwise(costs):
            if after_ns >= before_ns:
                message = (
                    f"variant {cheaper} takes {duration_text(after_ns)} on {fusion.device}, no "
                    f"less than {better} with {duration_text(before_ns)}: a late set gains "
                    f"nothing by it; leave it out of the model's `variants`, or put it first"
                )
                yield fusion.finding(fusion.stage_path(stage), message)


def stages_can_be_built(fusion: Fusion) -> Iterator[Finding]:
    """Every stage loads, with the tensors of its manifest, and the head takes what they give."""
    outputs: dict[str, Sequence[OutputSpec]] = {}
    for item in fusion.plan.inputs:
        outputs[item.name] = ()
        if item.encoder:
            try:
                outputs[item.name] = _outputs(fusion, item.encoder, {item.name: ()})
            except TectumError as error:
                path = _path(error, fusion.stage_path(item.encoder))
                yield fusion.finding(path, f"{error}", level="error")
                return
    for head in fusion.plan.all_heads:
        inputs = {name: specs for name, specs in outputs.items() if name in head.inputs}
        try:
            _outputs(fusion, head.stage, inputs)
        except TectumError as error:
            path = _path(error, fusion.stage_path(head.stage))
            yield fusion.finding(path, f"{error}", level="error")


def _path(error: TectumError, stage: KeyPath) -> KeyPath:
    """Return the key to change: what stands in the way may be the device, not the stage."""
    return ("device", "require") if isinstance(error, DeviceError) else stage


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
