"""Whether the tensors of a model's file are those that its manifest lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tectum.errors import ModelError
from tectum.inference.manifest import InputTensor, Manifest, OutputTensor

__all__ = ["DTYPES", "check_tensors"]

DTYPES = {
    "tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64",
    "tensor(uint8)": "uint8", "tensor(int8)": "int8", "tensor(uint16)": "uint16",
    "tensor(int16)": "int16", "tensor(int32)": "int32", "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}  # fmt: skip
"""What ONNX Runtime calls a type -> what NumPy and manifests call it."""


def check_tensors(manifest: Manifest, session: Any, path: str) -> None:
    """Refuse a file whose inputs or outputs are not those of the manifest.

    Args:
        manifest: of the model.
        session: ONNX Runtime's, of the file at `path`.
        path: for errors.

    Raises:
        ModelError: a tensor is missing, not listed, or of another type or shape.
    """
    for what, entries, found in (
        ("input", manifest.inputs, session.get_inputs()),
        ("output", manifest.outputs, session.get_outputs()),
    ):
        by_name = {tensor.name: tensor for tensor in found}
        names = {entry.name for entry in entries}
        if what == "input" and set(by_name) - names:
            unlisted = ", ".join(sorted(set(by_name) - names))
            msg = f"{path} wants an input that {manifest.place} does not list: {unlisted}"
            raise ModelError(msg)
        for entry in entries:
            _check_tensor(what, entry, by_name, f"{path}, but {manifest.place}")


def _check_tensor(
    what: str, entry: InputTensor | OutputTensor, found: Mapping[str, Any], where: str
) -> None:
    if entry.name not in found:
        msg = f"there is no {what} {entry.name!r} (only {', '.join(found)}) in {where} lists it"
        raise ModelError(msg)
    tensor = found[entry.name]
    dtype, shape = DTYPES.get(tensor.type, tensor.type), tensor.shape
    if dtype != entry.dtype or not _agree(shape, entry.shape):
        msg = (
            f"{what} {entry.name!r} is {dtype} {list(shape)} in {where} says "
            f"{entry.dtype} {list(entry.shape)}"
        )
        raise ModelError(msg)


def _agree(found: list[int | str | None], stated: tuple[int | str, ...]) -> bool:
    """Return whether two shapes may be one: a free size of the file takes what is stated."""
    if len(found) != len(stated):
        return False
    return all(not isinstance(a, int) or a == b for a, b in zip(found, stated, strict=True))
