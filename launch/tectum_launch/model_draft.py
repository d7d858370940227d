"""A first manifest, drawn from the tensors of an ONNX file.

Names, types and shapes are the file's own; what they mean is a guess that the manifest marks for a
person to check. The guess is right for the common cases: a picture, a cloud of points, a sound, an
embedding, a fusion head.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tectum.errors import ModelError
from tectum.inference.tensors import DTYPES

__all__ = ["DraftOf", "draft_text"]

_LEAST_SOUND = 400
"""Samples: fewer in a row are a vector, not a sound."""


@dataclass(frozen=True, slots=True)
class DraftOf:
    """What the file itself does not say."""

    model: str
    modality: str
    licence: str
    variant: str


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    dtype: str
    shape: tuple[int | str, ...]


def draft_text(file: Path, wanted: DraftOf, sha256: str) -> str:
    """Return the text of a `model.yaml` for `file`.

    Raises:
        ModelError: ONNX Runtime cannot load it, or it has a tensor of a type that has no name.
    """
    inputs, outputs = _tensors(file)
    return "\n".join([*_lines(file.name, wanted, sha256, inputs, outputs), ""])


def _tensors(file: Path) -> tuple[list[_Tensor], list[_Tensor]]:
    import onnxruntime  # noqa: PLC0415 - heavy

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            str(file), settings, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        msg = f"{file} cannot be loaded: {first}"
        raise ModelError(msg) from error
    return [_tensor(t, file) for t in session.get_inputs()], [
        _tensor(t, file) for t in session.get_outputs()
    ]


def _tensor(found: Any, file: Path) -> _Tensor:
    if found.type not in DTYPES:
        msg = f"{file}: {found.name!r} is {found.type}; Tectum takes {', '.join(DTYPES.values())}"
        raise ModelError(msg)
    shape = [
        size if isinstance(size, int) else size or f"size{axis}"
        for axis, size in enumerate(found.shape)
    ]
    if shape and isinstance(shape[0], str):
        shape[0] = "batch"
    return _Tensor(found.name, DTYPES[found.type], tuple(shape))


def _lines(
    file: str, wanted: DraftOf, sha256: str, inputs: list[_Tensor], outputs: list[_Tensor]
) -> Iterator[str]:
    yield "# Drawn from the file's tensors: check the lines marked (?). Keys: docs/models.md"
    yield f"model: {_text(wanted.model)}"
    yield "version: 1"
    yield _modality(wanted, inputs)
    yield f"licence: {_text(wanted.licence)}"
    yield "inputs:"
    for tensor in inputs:
        guess, facts = (_kind_of_head(tensor), "") if _is_head(inputs) else _kind(tensor)
        yield f"  - {{name: {_text(tensor.name)}, kind: {guess}, {_form(tensor)}{facts}}}  # (?)"
    yield "outputs:"
    for tensor in outputs:
        yield f"  - {{name: {_text(tensor.name)}, role: {_role(tensor)}, {_form(tensor)}}}  # (?)"
    steps = list(_steps(inputs))
    if steps:
        yield "preprocess:  # (?)"
        yield from steps
    yield "variants:"
    yield f"  - {{name: {_text(wanted.variant)}, file: {_text(file)}, sha256: {sha256}}}"


def _is_head(inputs: list[_Tensor]) -> bool:
    """Return whether it takes several vectors, or a mask or ages, as a fusion head does."""
    vectors = all(len(tensor.shape) == 2 for tensor in inputs)
    return len(inputs) > 1 and (vectors or any(map(_of_modalities, inputs)))


def _modality(wanted: DraftOf, inputs: list[_Tensor]) -> str:
    if not _is_head(inputs):
        return f"modality: {_text(wanted.modality)}"
    names = [_text(tensor.name) for tensor in inputs if _kind_of_head(tensor) == "embedding"]
    return f"modalities: [{', '.join(names)}]  # (?)"


def _kind_of_head(tensor: _Tensor) -> str:
    return _of_modalities(tensor) or "embedding"


def _of_modalities(tensor: _Tensor) -> str:
    """Return `mask` or `age` for what looks like one number per modality, else an empty text."""
    words = re.findall(r"[a-z]+", tensor.name.lower())
    if len(tensor.shape) != 2 or tensor.dtype not in ("float32", "float16", "bool"):
        return ""
    if any(word in ("mask", "masks", "present", "presence") for word in words):
        return "mask"
    return "age" if any(word in ("age", "ages") for word in words) else ""


def _text(value: str) -> str:
    """Return `value` as YAML takes it, whatever is in it: JSON's texts are YAML's too."""
    return value if value.replace("_", "a").replace("/", "a").isalpha() else json.dumps(value)


def _form(tensor: _Tensor) -> str:
    sizes = ", ".join(_text(size) if isinstance(size, str) else str(size) for size in tensor.shape)
    return f"dtype: {tensor.dtype}, shape: [{sizes}]"


def _kind(tensor: _Tensor) -> tuple[str, str]:
    """Return what feeds an input, and the keys that its kind needs."""
    if _layout(tensor):
        mono = tensor.shape[-1 if _layout(tensor) == "hwc" else -3] == 1
        return "image", ", encoding: mono8" if mono else ", encoding: rgb8"
    last = tensor.shape[-1] if tensor.shape else 0
    if isinstance(last, int) and last >= _LEAST_SOUND and len(tensor.shape) == 2:
        return "audio", ", rate_hz: 16000"
    if isinstance(last, int) and 3 <= last <= 8 and len(tensor.shape) in (2, 3):
        free = [size for size in tensor.shape[:-1] if isinstance(size, str) and size != "batch"]
        if free or len(tensor.shape) == 3:
            return "points", f", fields: [{', '.join('xyzirtab'[:last])}]"
    return "tensor", ""


def _layout(tensor: _Tensor) -> str:
    """Return `hwc` or `chw` for what looks like a picture, else an empty text."""
    if len(tensor.shape) != 4:
        return ""
    if tensor.shape[-1] in (1, 3):
        return "hwc"
    return "chw" if tensor.shape[1] in (1, 3) else ""


def _role(tensor: _Tensor) -> str:
    name = tensor.name.lower()
    for role, words in (
        ("embedding", ("embed", "feature", "code", "latent")),
        ("scores", ("score", "logit", "prediction", "class")),
        ("probability", ("prob",)),
    ):
        if any(word in name for word in words):
            return role
    return "tensor"


def _steps(inputs: list[_Tensor]) -> Iterator[str]:
    """Yield the preprocessing that a picture needs to get its size, type and layout."""
    for tensor in [] if _is_head(inputs) else inputs:
        layout = _layout(tensor)
        if _kind(tensor)[0] == "audio" and tensor.dtype != "int16":
            yield "  - pcm: {}"
        if not layout:
            continue
        height, width = tensor.shape[1:3] if layout == "hwc" else tensor.shape[2:4]
        if isinstance(height, int) and isinstance(width, int):
            yield f"  - resize: {{width: {width}, height: {height}}}"
        if tensor.dtype != "uint8":
            yield "  - normalise: {mean: 0.0, std: 255.0}"
        if "mono8" in _kind(tensor)[1]:
            yield "  - layout: {order: hw->hwc}"
        if layout == "chw":
            yield "  - layout: {order: hwc->chw}"
