"""The manifest of a model: `model.yaml` beside one or more `.onnx` variants.

`read_manifest` gives what the file says, checked for form: every key known, every value of its
type. Whether the files are there, whole, and have these tensors is checked by `Session`. Keys of
`inputs` and `outputs` describe the tensors of the ONNX file; `results` names what a stage gives
after `postprocess`, and is the outputs themselves where it is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tectum.errors import ConfigError, ModelError, nearest_name
from tectum.inference.keys import Keys
from tectum.inference.stage import OutputSpec
from tectum.message import AnyArray

__all__ = [
    "FILE_NAME",
    "INPUT_KINDS",
    "ROLES",
    "InputTensor",
    "Manifest",
    "OutputTensor",
    "Shape",
    "Source",
    "StepEntry",
    "Variant",
    "read_manifest",
    "sizes_of",
]

FILE_NAME = "model.yaml"
INPUT_KINDS = (
    "image", "audio", "points", "tensor", "embedding", "scores", "mask", "age", "elapsed", "state",
    "constant",
)  # fmt: skip
ROLES = (
    "embedding", "grid", "probability", "scores", "boxes", "objects", "text", "tensor", "state",
)  # fmt: skip
DTYPES = ("uint8", "int8", "uint16", "int16", "int32", "int64", "float16", "float32", "float64",
          "bool")  # fmt: skip
ENCODINGS = ("mono8", "mono16", "rgb8", "bgr8", "32FC1")

Shape = tuple[int | str, ...]
"""Sizes; a name (`batch`, `points`) stands for a size that may differ from run to run."""


def sizes_of(shape: Shape) -> tuple[int, ...]:
    """Return `shape` with every free size taken as 1."""
    return tuple(size if isinstance(size, int) else 1 for size in shape)


@dataclass(frozen=True, slots=True)
class InputTensor:
    """One input of the ONNX file."""

    name: str
    kind: str
    """image, audio, points: a sample; embedding, mask, age: of a head; scores: of a stacker and
    of a head over time; elapsed: of the latter; state, constant: ours."""
    dtype: str
    shape: Shape
    encoding: str = ""
    """image: mono8, mono16, rgb8, bgr8, 32FC1; samples are converted to it first."""
    rate_hz: int = 0
    """audio: samples per second."""
    fields: tuple[str, ...] = ()
    """points: the field names, in the order of the columns."""
    context: int = 0
    """audio: samples of the run before that are put in front (carried as state)."""
    next: str = ""
    """state: the output that the next run gets here."""
    value: float = 0.0
    """constant: what it is fed."""


@dataclass(frozen=True, slots=True)
class OutputTensor:
    """One output of the ONNX file, or one result of the postprocessing."""

    name: str
    role: str
    dtype: str
    shape: Shape
    tensor: str
    """results: the tensor that it is; the same name unless said otherwise."""
    labels: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    """`unit`, `grid`, `columns`: what a consumer needs to read the numbers."""

    def spec(self, modality: str) -> OutputSpec:
        """Return it as a stage's output."""
        return OutputSpec(self.name, self.role, self.labels, {**self.facts, "modality": modality})

    def taken_from(self, arrays: Mapping[str, AnyArray]) -> AnyArray:
        """Return its array; without the batch axis, which only an embedding keeps for the head.

        Raises:
            ModelError: neither the file nor the postprocessing gives such a tensor.
        """
        if self.tensor not in arrays:
            known, close = ", ".join(arrays), nearest_name(self.tensor, arrays)
            msg = f"result {self.name!r} is tensor {self.tensor!r}; there are: {known}{close}"
            raise ModelError(msg)
        array = arrays[self.tensor]
        batched = len(self.shape) > 1 and self.shape[0] in ("batch", 1)
        return array[0] if batched and self.role != "embedding" else array


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file comes from that we do not ship."""

    file: str
    """Its name in the folders of models; see `tectum.inference.files`."""
    where: str
    """For a person: who made it, and how it is had."""
    url: str = ""
    """http(s): the file itself."""
    package: str = ""
    """NAME==VERSION of a Python package that ships it."""
    member: str = ""
    """Its path in the package's wheel."""
    nbytes: int = 0
    """Its size; 0: not known."""

    @property
    def fetched_from(self) -> str:
        """Return what a program gets it from, for a person; empty: it is in no such place."""
        return self.url or (f"the Python package {self.package}" if self.package else "")


@dataclass(frozen=True, slots=True)
class Variant:
    """One `.onnx` file of the model."""

    name: str
    file: str = ""
    """Beside the manifest; empty where `source` says where it comes from."""
    sha256: str = ""
    """Hex digest of the file, or its first 16 digits; empty: not checked."""
    source: Source | None = None
    quality: Mapping[str, float] = field(default_factory=dict)
    latency_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepEntry:
    """A step of `preprocess` or `postprocess` as written: `resize: {width: 320, height: 192}`."""

    name: str
    params: Mapping[str, Any]
    path: str
    """Its key path, for errors."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A model as its `model.yaml` describes it."""

    folder: Path
    model: str
    version: int
    task: str
    licence: str
    modality: str
    """Encoder: what it senses. Empty for a head."""
    modalities: tuple[str, ...]
    """Head: the modalities that it fuses, in the order of its `present` mask. Else empty."""
    inputs: tuple[InputTensor, ...]
    outputs: tuple[OutputTensor, ...]
    results: tuple[OutputTensor, ...]
    variants: tuple[Variant, ...]
    """Best first."""
    preprocess: tuple[StepEntry, ...] = ()
    postprocess: tuple[StepEntry, ...] = ()
    on: str = "trigger"
    hop: int = 0
    stateful: bool = False
    training: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Return the path of the file, for errors."""
        return str(self.folder / FILE_NAME)

    @property
    def is_head(self) -> bool:
        """Return whether it fuses embeddings rather than encoding a sample."""
        return bool(self.modalities)

    @property
    def is_stacker(self) -> bool:
        """Return whether it fuses the decisions of one moment, not embeddings."""
        decides = any(tensor.kind == "scores" for tensor in self.inputs)
        return self.is_head and not self.stateful and decides

    @property
    def is_over_time(self) -> bool:
        """Return whether it is a head that carries state from moment to moment."""
        return self.is_head and self.stateful

    @property
    def variant_names(self) -> tuple[str, ...]:
        """Return what its variants are called, best first."""
        return tuple(variant.name for variant in self.variants)

    def variant(self, name: str) -> Variant:
        """Return the variant called `name`.

        Raises:
            ConfigError: there is none.
        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        names = ", ".join(self.variant_names)
        msg = f"{self.place}: {self.model} has no variant {name!r}; it has: {names}"
        raise ConfigError(msg)

    def specs(self) -> tuple[OutputSpec, ...]:
        """Return its results as the outputs of a stage."""
        return tuple(result.spec(self.modality) for result in self.results)


def read_manifest(folder: Path | str) -> Manifest:
    """Return the manifest in `folder`.

    Raises:
        ModelError: there is no such folder or file.
        ConfigError: the file is not YAML, or a key or value is wrong.
    """
    path = Path(folder) / FILE_NAME
    keys = Keys(_parse(path), str(path))
    variants = tuple(_variant(row) for row in keys.rows("variants", required=True))
    outputs = tuple(_output(row) for row in keys.rows("outputs", required=True))
    results = tuple(_output(row) for row in keys.rows("results"))
    manifest = Manifest(
        folder=path.parent,
        model=keys.need("model", str),
        version=keys.need("version", int),
        task=keys.get("task", str, ""),
        licence=keys.need("licence", str),
        modality=keys.get("modality", str, ""),
        modalities=keys.texts("modalities"),
        inputs=tuple(_input(row) for row in keys.rows("inputs", required=True)),
        outputs=outputs,
        results=results or outputs,
        variants=variants,
        preprocess=_steps(keys, "preprocess"),
        postprocess=_steps(keys, "postprocess"),
        on=keys.choice("on", ("trigger", "sample"), "trigger"),
        hop=keys.get("hop", int, 0),
        stateful=keys.get("stateful", bool, False),
        training=keys.get("training", dict, {}),
    )
    keys.finish()
    _check(manifest, keys)
    return manifest


def _parse(path: Path) -> object:
    from ruamel.yaml import YAML  # noqa: PLC0415 - start-up time of those who read no manifest
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        msg = f"there is no model in {path.parent}: {FILE_NAME} cannot be read ({error.strerror})"
        raise ModelError(msg) from error
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        msg = f"{path} is not YAML: {' '.join(str(error).split())}"
        raise ConfigError(msg) from error


def _input(row: Keys) -> InputTensor:
    kind = row.choice("kind", INPUT_KINDS)
    encoding = row.choice("encoding", ENCODINGS, "bgr8" if kind == "image" else ENCODINGS[0])
    tensor = InputTensor(
        name=row.need("name", str),
        kind=kind,
        dtype=row.choice("dtype", DTYPES),
        shape=_shape(row),
        encoding=encoding if kind == "image" else "",
        rate_hz=row.get("rate_hz", int, 0),
        fields=row.texts("fields"),
        context=row.get("context", int, 0),
        next=row.get("next", str, ""),
        value=row.get("value", float, 0.0),
    )
    row.finish()
    if kind == "audio" and tensor.rate_hz <= 0:
        raise row.error(tensor.rate_hz, "rate_hz", "the samples per second of an audio input")
    return tensor


def _output(row: Keys) -> OutputTensor:
    name = row.need("name", str)
    facts: dict[str, Any] = {}
    for key, kind in (("unit", str), ("grid", dict), ("columns", list), ("threshold", float)):
        value = row.get(key, kind, kind())
        if value:
            facts[key] = value
    output = OutputTensor(
        name=name,
        role=row.choice("role", ROLES),
        dtype=row.choice("dtype", DTYPES),
        shape=_shape(row),
        tensor=row.get("tensor", str, name),
        labels=row.texts("labels"),
        facts=facts,
    )
    row.finish()
    return output


def _shape(row: Keys) -> Shape:
    sizes = row.need("shape", list)
    for size in sizes:
        if not isinstance(size, (int, str)) or isinstance(size, bool):
            raise row.error(sizes, "shape", "a list of sizes (numbers) and names such as batch")
    return tuple(sizes)


def _variant(row: Keys) -> Variant:
    source = row.get("source", dict, {})
    variant = Variant(
        name=row.need("name", str),
        file="" if source else row.need("file", str),
        sha256=row.get("sha256", str, "").lower(),
        source=_source(Keys(source, row.place, row.at("source"))) if source else None,
        quality=_numbers(row.below("quality")),
        latency_ms=_numbers(row.below("latency_ms")),
    )
    row.finish()
    if variant.sha256 and not _is_digest(variant.sha256):
        raise row.error(variant.sha256, "sha256", "64 hex digits, or the first 16 of them")
    if variant.source and variant.source.fetched_from and len(variant.sha256) < 64:
        raise row.error(variant.sha256, "sha256", "all 64 hex digits, which a fetched file needs")
    return variant


def _source(keys: Keys) -> Source:
    source = Source(
        file=keys.need("file", str),
        where=keys.need("where", str),
        url=keys.get("url", str, ""),
        package=keys.get("package", str, ""),
        member=keys.get("member", str, ""),
        nbytes=keys.get("bytes", int, 0),
    )
    keys.finish()
    if not _NAME.fullmatch(source.file):
        raise keys.error(source.file, "file", "a file's name without its folder")
    if source.url and not source.url.startswith(("https://", "http://")):
        raise keys.error(source.url, "url", "an address that begins with https:// or http://")
    if source.package and not _PINNED.fullmatch(source.package):
        raise keys.error(source.package, "package", "NAME==VERSION, as in silero-vad==6.2.3")
    if bool(source.package) != bool(source.member) or (source.package and source.url):
        what = "a path in the wheel of `package`: the two go together, and without `url`"
        raise keys.error(source.member, "member", what)
    if source.fetched_from and source.nbytes <= 0:
        raise keys.error(source.nbytes, "bytes", "the size of what is fetched, above 0")
    return source


_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.+!_-]*")


def _is_digest(text: str) -> bool:
    return len(text) in {16, 64} and all(digit in "0123456789abcdef" for digit in text)


def _numbers(keys: Keys) -> dict[str, float]:
    document = keys.rest()
    for key, value in document.items():
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise keys.error(value, key, "a number")
    return {key: float(value) for key, value in document.items()}


def _steps(keys: Keys, key: str) -> tuple[StepEntry, ...]:
    entries = []
    for row in keys.rows(key):
        items = list(row.rest().items())
        if len(items) != 1 or not isinstance(items[0][1], Mapping | None):
            raise row.error(dict(items), "", "one step with its settings, {resize: {width: 320}}")
        name, params = items[0]
        entries.append(StepEntry(name, params or {}, row.at(name)))
    return tuple(entries)


def _check(manifest: Manifest, keys: Keys) -> None:
    """Refuse what is well-formed key by key but not as a whole."""
    if bool(manifest.modality) == bool(manifest.modalities):
        msg = (
            f"{keys.place}: modality: {manifest.modality!r}, modalities: "
            f"{list(manifest.modalities)}: give one of the two: an encoder has a modality, a head "
            "lists those that it fuses"
        )
        raise ConfigError(msg)
    if not manifest.variants:
        raise keys.error([], "variants", "a list with at least one variant")
    names = [tensor.name for tensor in manifest.inputs]
    outputs = [output.name for output in manifest.outputs]
    for index, tensor in enumerate(manifest.inputs):
        if tensor.kind == "state" and tensor.next not in outputs:
            what = f"one of the outputs ({', '.join(outputs)})"
            raise keys.error(tensor.next, f"inputs[{index}].next", what)
    for modality in manifest.modalities:
        if modality not in names:
            what = f"the name of an input ({', '.join(names)})"
            raise keys.error(modality, "modalities", what)
    carries = any(tensor.kind == "state" or tensor.context for tensor in manifest.inputs)
    if manifest.stateful != carries:
        what = "what the inputs say: a model with an input of kind state, or with context, is"
        raise keys.error(manifest.stateful, "stateful", f"{what} stateful, others are not")
    if manifest.stateful and not manifest.is_head and manifest.on != "sample":
        raise keys.error(manifest.on, "on", "sample: a stateful model takes its input in order")
