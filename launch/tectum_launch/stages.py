"""Encoders and heads: from what a graph file says to what the fusion node builds.

A stage's *spec* is plain data for `tectum.inference.stages.build_stage`; its `StagePlan` is what
deciding code knows of it. Model names are resolved to folders here, so that nodes import no
models. Nothing is loaded: manifests are read, files are not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tectum.errors import ConfigError
from tectum.inference.manifest import Manifest, read_manifest
from tectum.node.base import NodeConfig
from tectum.pipeline.plan import StagePlan
from tectum_launch.head_schema import EarlyConfig, HeadConfig, LateConfig
from tectum_launch.registry import load_class
from tectum_launch.stage_schema import StageConfig

__all__ = ["ResolvedStage", "find_model", "resolve_encoder", "resolve_head"]

SAMPLE_KINDS = ("image", "audio", "points", "tensor")
"""Kinds of a model's inputs that are samples of a sensor; the same words as topics' kinds."""


@dataclass(frozen=True, slots=True)
class ResolvedStage:
    """A stage that was found."""

    plan: StagePlan
    spec: dict[str, Any]
    manifests: tuple[Manifest, ...] = ()
    """Of its models, in the order in which they run."""

    @property
    def takes(self) -> tuple[str, ...]:
        """Return the kinds of sample that its first model takes; empty: not known."""
        tensors = self.manifests[0].inputs if self.manifests else ()
        return tuple(tensor.kind for tensor in tensors if tensor.kind in SAMPLE_KINDS)

    def claims_ns(self, device: str = "cpu") -> dict[str, int]:
        """Return what one run of each variant costs by the manifests, best variant first.

        Of models in a row all members run, in the variant of that name where they have one. What
        manifests do not say of `device` they say of the CPU; 0: they say nothing.
        """
        return {
            variant: sum(_claim_ns(manifest, variant, device) for manifest in self.manifests)
            for variant in (self.plan.variants if self.manifests else ())
        }


def find_model(name: str, folder: Path) -> Path:
    """Return the folder of the model called `name`.

    `name` is a shipped model, or a path (beginning with `/`, `./`, `../` or `~`) from `folder`.

    Raises:
        ConfigError: there is no such model.
    """
    if name.startswith(("/", "./", "../", "~")):
        return (folder / Path(name).expanduser()).resolve()
    from tectum_models.catalogue import find  # noqa: PLC0415 - only graphs with models need it

    return Path(find(name))


def resolve_encoder(name: str, config: StageConfig, input_name: str, folder: Path) -> ResolvedStage:
    """Return the encoder of the input called `input_name`, as the stage `name`.

    Raises:
        TectumError: a model or class is not found or is not an encoder.
    """
    if config.run:
        return _callable(name, config.run, config.parameters, input_name)
    manifests = tuple(read_manifest(find_model(model, folder)) for model in config.models)
    if not manifests:
        msg = "an empty list of models encodes nothing: leave `encoder` out to pass samples on"
        raise ConfigError(msg)
    heads = [manifest.model for manifest in manifests if manifest.is_head]
    if heads:
        msg = f"{heads[0]!r} is a fusion head, not an encoder: name it under `head`"
        raise ConfigError(msg)
    folders = [{"folder": str(manifest.folder)} for manifest in manifests]
    spec = {"model": folders[0]} if len(folders) == 1 else {"chain": folders}
    return ResolvedStage(_encoder_plan(name, manifests, input_name), spec, manifests)


def resolve_head(name: str, config: HeadConfig, folder: Path) -> ResolvedStage:
    """Return the head, as the stage `name`, steadied over time where that is wanted.

    Raises:
        TectumError: its model or class is not found or is not a head.
    """
    head = _head(name, config, folder)
    if config.over_time is None:
        return head
    given, models = _given(config.over_time), head.manifests
    if config.over_time.model:
        manifest = read_manifest(find_model(config.over_time.model, folder))
        if not manifest.is_over_time:
            msg = f"over_time.model: {manifest.model!r} carries nothing over time: no `state` input"
            raise ConfigError(msg)
        given["model"], models = str(manifest.folder), (*models, manifest)
    return replace(head, spec={"over_time": {**given, "head": head.spec}}, manifests=models)


def _head(name: str, config: HeadConfig, folder: Path) -> ResolvedStage:
    if config.run:
        return _callable(name, config.run, config.parameters, "")
    if config.late:
        return _late(name, config.late, folder)
    if config.objects:
        return ResolvedStage(StagePlan(name), {"objects": _given(config.objects)})
    if config.early:
        return _early(name, config.early, folder)
    assert config.intermediate is not None, "a head is one of five kinds"
    manifest = read_manifest(find_model(config.intermediate.model, folder))
    if not manifest.is_head:
        msg = f"{manifest.model!r} is an encoder for {manifest.modality}, not a fusion head"
        raise ConfigError(msg)
    if manifest.is_over_time:
        msg = f"{manifest.model!r} is a head over time: it belongs into `over_time`, as its `model`"
        raise ConfigError(msg)
    if manifest.is_stacker:
        msg = (
            f"{manifest.model!r} is a stacker of decisions: write head: {{late: {{rule: stacker, "
            f"model: {config.intermediate.model}}}}}"
        )
        raise ConfigError(msg)
    plan = StagePlan(name, manifest.variant_names)
    settings = {"folder": str(manifest.folder), "contribution": config.intermediate.contribution}
    return ResolvedStage(plan, {"model": settings}, (manifest,))


def _late(name: str, config: LateConfig, folder: Path) -> ResolvedStage:
    given = _given(config)
    if config.file:
        given["file"] = str((folder / Path(config.file).expanduser()).resolve())
    if not config.model:
        return ResolvedStage(StagePlan(name), {"late": given})
    rules = {config.rule, *(output.rule for output in config.outputs.values())}
    if config.file or "stacker" not in rules:
        msg = (
            f"late.model: {config.model!r} is for the rule stacker, in place of `file`; here the "
            f"rule is {config.rule} and file is {config.file!r}: leave one of them out"
        )
        raise ConfigError(msg)
    manifest = read_manifest(find_model(config.model, folder))
    if not manifest.is_stacker:
        msg = f"late.model: {manifest.model!r} is no stacker: it has no inputs of kind `scores`"
        raise ConfigError(msg)
    given["model"] = str(manifest.folder)
    return ResolvedStage(StagePlan(name, manifest.variant_names), {"late": given}, (manifest,))


def _early(name: str, config: EarlyConfig, folder: Path) -> ResolvedStage:
    given = _given(config)
    if not config.model:
        return ResolvedStage(StagePlan(name), {"early": given})
    manifest = read_manifest(find_model(config.model, folder))
    given["model"] = str(manifest.folder)
    return ResolvedStage(StagePlan(name, manifest.variant_names), {"early": given}, (manifest,))


def _given(config: NodeConfig) -> dict[str, Any]:
    """Return the keys that the graph gives: the stage has defaults of its own for the rest."""
    return config.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _claim_ns(manifest: Manifest, name: str, device: str) -> int:
    """Return the cost that a manifest claims, where it names none for the place the dearest."""
    best = manifest.variants[0]
    variant = next((item for item in manifest.variants if item.name == name), best)
    claims = variant.latency_ms
    elsewhere = claims.get("cpu", max(claims.values(), default=0.0))
    return round(1e6 * claims.get(device, elsewhere))


def _encoder_plan(name: str, manifests: tuple[Manifest, ...], input_name: str) -> StagePlan:
    first, last = manifests[0], manifests[-1]
    on_sample = first.on == "sample"
    return StagePlan(
        name,
        last.variant_names,
        on=first.on,
        input=input_name if on_sample else "",
        hop=first.hop,
        stateful=any(manifest.stateful for manifest in manifests),
        model=" ".join(manifest.model for manifest in manifests),
    )


def _callable(name: str, run: str, parameters: dict[str, Any], input_name: str) -> ResolvedStage:
    if ":" not in run:
        msg = f"{run!r} does not name a class: write package.module:Class"
        raise ConfigError(msg)
    found = load_class(run)
    on = getattr(found, "on", "trigger")
    plan = StagePlan(
        name,
        tuple(getattr(found, "variants", ("default",))),
        on=on,
        input=input_name if on == "sample" else "",
        hop=getattr(found, "hop", 0),
        stateful=getattr(found, "stateful", False),
    )
    return ResolvedStage(plan, {"python": {"run": run, **parameters}})
