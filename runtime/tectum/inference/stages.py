"""From what a compiled graph says of a stage to the stage itself.

A spec is plain data with one key: `model` (an encoder or a head, as its manifest says), `chain`
(a detector and models that look at what it found), `early`, `late`, `objects`, `over_time` (a head
whose answers are steadied), or `python` (a user's own class). Building loads and checks the files,
the manifests and the wiring.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from tectum.errors import ConfigError, nearest_name
from tectum.inference.chain import Chain
from tectum.inference.device import PREFERRED, Device, choose_device
from tectum.inference.early_head import EarlyHead
from tectum.inference.encoder import OnnxEncoder
from tectum.inference.head import OnnxHead
from tectum.inference.keys import Keys
from tectum.inference.late_head import LateHead
from tectum.inference.manifest import Manifest, read_manifest
from tectum.inference.objects_head import ObjectsHead
from tectum.inference.over_time import OverTime
from tectum.inference.recurrent import RecurrentHead
from tectum.inference.session import SessionOptions
from tectum.inference.sessions import Sessions
from tectum.inference.stacker_model import ModelStacker
from tectum.inference.stage import OutputSpec, Stage

__all__ = ["SPECS", "build_stage", "model_stage"]

Inputs = Mapping[str, Sequence[OutputSpec]]


def build_stage(
    spec: Mapping[str, Any],
    *,
    name: str,
    inputs: Inputs | Iterable[str],
    rig: Mapping[str, Any] | None = None,
    device: Mapping[str, Any] | None = None,
    sessions: Sessions | None = None,
) -> Stage:
    """Return the stage that `spec` describes, loaded and checked, not yet warmed up.

    Args:
        spec: `{kind: settings}`; the kinds are the keys of `SPECS`.
        name: of the stage, as in the plan.
        inputs: names of its inputs in graph order. For a head, a mapping to the `outputs` of each
            input's encoder; empty where the input has none.
        rig: the graph's rig document, for stages that need geometry.
        device: `prefer`, `require`, `options`, `threads`, `spinning`, as in the graph.
        sessions: where models are loaded, to share those that several stages name.

    Raises:
        ConfigError: the spec, a manifest or the wiring is wrong.
        ModelError: a model file is missing, damaged, or not what its manifest says.
        DeviceError: the device that is required cannot be used.
    """
    if len(spec) != 1 or next(iter(spec)) not in SPECS:
        close = nearest_name(next(iter(spec), ""), SPECS)
        msg = f"stage {name!r}: {dict(spec)!r} has not one of the keys {', '.join(SPECS)}{close}"
        raise ConfigError(msg)
    ((kind, settings),) = spec.items()
    wired = inputs if isinstance(inputs, Mapping) else dict.fromkeys(inputs, ())
    parts = _Parts(name, wired, rig, device or {}, sessions or Sessions())
    return SPECS[kind](settings, parts)


Measurable = OnnxEncoder | OnnxHead | RecurrentHead | LateHead
"""A model alone, as a stage."""


def model_stage(manifest: Manifest, device: Device) -> Measurable:
    """Return the model of `manifest` alone on `device`, as a stage, to be measured or tried.

    Raises:
        ConfigError, ModelError, DeviceError: as `build_stage`.
    """
    if not manifest.is_head:
        return OnnxEncoder(manifest, name=manifest.model, device=device)
    if manifest.is_over_time:
        return _over_time_alone(manifest, device)
    if manifest.is_stacker:
        return _stacker_alone(manifest, device)
    given = {
        name: (OutputSpec(name, "embedding", facts={"modality": name}),)
        for name in manifest.modalities
    }
    return OnnxHead(manifest, name=manifest.model, inputs=given, device=device)


def _over_time_alone(manifest: Manifest, device: Device) -> RecurrentHead:
    """Return a head over time as if each of its modalities were an input of a graph."""
    answer = next(item for item in manifest.results if item.role == "scores")
    spec = OutputSpec(answer.name, answer.role, answer.labels)
    given = dict.fromkeys(manifest.modalities, (spec,))
    return RecurrentHead(
        manifest, name=manifest.model, inputs=given, decision=answer.name, device=device
    )


def _stacker_alone(manifest: Manifest, device: Device) -> LateHead:
    """Return a stacker as if each of its modalities were an input of a graph."""
    answer = manifest.results[0]
    given = {
        name: (OutputSpec(answer.name, answer.role, answer.labels, {"modality": name}),)
        for name in manifest.modalities
    }
    learned = ModelStacker(manifest, inputs=given, device=device)
    return LateHead({"rule": "stacker"}, name=manifest.model, inputs=given, learned=learned)


class _Parts:
    """What the builders share."""

    def __init__(
        self,
        name: str,
        inputs: Inputs,
        rig: Mapping[str, Any] | None,
        device: Mapping[str, Any],
        sessions: Sessions,
    ) -> None:
        self.name, self.inputs, self.rig = name, inputs, rig
        self._sessions = sessions
        keys = Keys(device, "the graph", "device")
        self._device = _device_of(keys)
        self._options = SessionOptions(
            keys.get("threads", int, 1), keys.get("spinning", bool, False)
        )
        keys.finish()

    def encoder(self, manifest: Manifest) -> OnnxEncoder:
        """Return the encoder that `manifest` describes."""
        return OnnxEncoder(
            manifest,
            name=self.name,
            device=self._device(),
            options=self._options,
            sessions=self._sessions,
        )

    def recurrent(self, manifest: Manifest, decision: str) -> RecurrentHead:
        """Return the head over time that `manifest` describes."""
        return RecurrentHead(
            manifest,
            name=self.name,
            inputs=self.inputs,
            decision=decision,
            device=self._device(),
            options=self._options,
            sessions=self._sessions,
        )

    def stacker(self, manifest: Manifest) -> ModelStacker:
        """Return the stacker that `manifest` describes."""
        return ModelStacker(
            manifest,
            inputs=self.inputs,
            device=self._device(),
            options=self._options,
            sessions=self._sessions,
        )

    def head(self, manifest: Manifest, *, contribution: bool) -> OnnxHead:
        """Return the head that `manifest` describes."""
        return OnnxHead(
            manifest,
            name=self.name,
            inputs=self.inputs,
            device=self._device(),
            options=self._options,
            sessions=self._sessions,
            contribution=contribution,
        )


def _device_of(keys: Keys) -> Callable[[], Device]:
    """Return how the device is chosen: late, since stages without models need none."""
    require = keys.get("require", str, "")
    prefer = keys.texts("prefer") or PREFERRED
    options = {
        name: {key: _option(value) for key, value in given.items()}
        for name, given in keys.below("options").rest().items()
    }
    return lambda: choose_device(require, prefer=prefer, options=options)


def _option(value: object) -> str:
    """Return an option as ONNX Runtime takes it: 1 and 0 for true and false."""
    return str(int(value)) if isinstance(value, bool) else str(value)


def _model(settings: Any, parts: _Parts) -> Stage:
    keys = Keys(settings, f"stage {parts.name!r}", "model")
    manifest = read_manifest(keys.need("folder", str))
    contribution = keys.get("contribution", bool, False)
    keys.finish()
    if manifest.is_head:
        return parts.head(manifest, contribution=contribution)
    return parts.encoder(manifest)


def _chain(settings: Any, parts: _Parts) -> Stage:
    rows = Keys({"chain": settings}, f"stage {parts.name!r}").rows("chain", required=True)
    folders = [row.need("folder", str) for row in rows]
    for row in rows:
        row.finish()
    encoders = [parts.encoder(read_manifest(folder)) for folder in folders]
    return Chain(encoders, name=parts.name)


def _early(settings: Any, parts: _Parts) -> Stage:
    spec = dict(settings)
    folder = spec.pop("model", "")
    model = parts.encoder(read_manifest(folder)) if folder else None
    return EarlyHead(spec, name=parts.name, inputs=parts.inputs, rig=parts.rig, model=model)


def _late(settings: Any, parts: _Parts) -> Stage:
    spec = dict(settings)
    folder = spec.pop("model", "")
    learned = parts.stacker(read_manifest(folder)) if folder else None
    return LateHead(spec, name=parts.name, inputs=parts.inputs, learned=learned)


def _objects(settings: Any, parts: _Parts) -> Stage:
    return ObjectsHead(settings, name=parts.name, inputs=parts.inputs, rig=parts.rig)


def _over_time(settings: Any, parts: _Parts) -> Stage:
    spec = dict(settings)
    ((kind, of_head),) = spec.pop("head").items()
    folder = spec.pop("model", "")
    learned = partial(parts.recurrent, read_manifest(folder)) if folder else None
    return OverTime(spec, SPECS[kind](of_head, parts), name=parts.name, learned=learned)


def _python(settings: Any, parts: _Parts) -> Stage:
    params = dict(settings)
    path = str(params.pop("run", ""))
    made: Stage = _find_class(path)(name=parts.name, inputs=parts.inputs, **params)
    return made


def _find_class(path: str) -> Any:
    module, colon, name = path.partition(":")
    if not (module and colon and name):
        msg = f"{path!r} does not name a class: write package.module:Class"
        raise ConfigError(msg)
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        msg = f"{path!r} cannot be used as a stage: {error}"
        raise ConfigError(msg) from error


SPECS: dict[str, Callable[[Any, _Parts], Stage]] = {
    "model": _model,
    "chain": _chain,
    "early": _early,
    "late": _late,
    "objects": _objects,
    "over_time": _over_time,
    "python": _python,
}
"""Kind of stage -> its builder."""
