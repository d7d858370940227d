"""Changes of a model's folder: measured latencies, another variant, a first manifest.

What a person wrote in `model.yaml` stays as it is, comments and order included. A manifest that
this module leaves behind is one that `read_manifest` takes and whose file loads.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tectum.errors import ConfigError, DataError
from tectum.inference.manifest import FILE_NAME, read_manifest
from tectum.inference.session import Session
from tectum_launch.model_draft import DraftOf, draft_text

__all__ = ["add_model", "add_variant", "write_latencies"]


def write_latencies(folder: Path, measured: Mapping[str, Mapping[str, float]]) -> None:
    """Put latencies into the manifest in `folder`.

    Args:
        folder: of the model.
        measured: variant -> device -> ms; devices that are not named keep what they have.

    Raises:
        DataError: the manifest cannot be written.
    """
    yaml, document = _load(folder)
    for row in document["variants"]:
        if row["name"] in measured:
            row.setdefault("latency_ms", {}).update(measured[row["name"]])
    _dump(yaml, document, folder)


def add_model(file: Path, folder: Path, wanted: DraftOf) -> None:
    """Make `folder` with a copy of `file` and a first manifest, drawn from its tensors.

    Raises:
        ModelError: the file is not a model that ONNX Runtime loads.
        ConfigError: the folder has a manifest already.
        DataError: the folder cannot be written.
    """
    if (folder / FILE_NAME).exists():
        msg = f"{folder} has a {FILE_NAME} already: name another folder with --into, or --variant"
        raise ConfigError(msg)
    text = draft_text(file, wanted, _digest(file))
    _copy(file, folder)
    _write(folder / FILE_NAME, text)
    _check(folder, wanted.variant)


def add_variant(file: Path, folder: Path, variant: str) -> None:
    """Add `file` to the model in `folder`, as its last and cheapest variant.

    Raises:
        ConfigError: the model has a variant of that name.
        ModelError: the file's tensors are not those of the manifest.
        DataError: the folder cannot be written.
    """
    manifest = read_manifest(folder)
    if variant in [known.name for known in manifest.variants]:
        msg = f"{manifest.model} has a variant {variant!r} already: give this one another name"
        raise ConfigError(msg)
    before = (folder / FILE_NAME).read_text(encoding="utf-8")
    yaml, document = _load(folder)
    name = _copy(file, folder)
    document["variants"].append({"name": variant, "file": name, "sha256": _digest(file)})
    _dump(yaml, document, folder)
    try:
        _check(folder, variant)
    except Exception:
        _write(folder / FILE_NAME, before)
        raise


def _check(folder: Path, variant: str) -> None:
    Session(read_manifest(folder), variant).close()


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        msg = f"{file} cannot be read: {error.strerror}"
        raise DataError(msg) from error


def _copy(file: Path, folder: Path) -> str:
    """Copy the file beside the manifest, unless it is there; return its name."""
    target = folder / file.name
    if target.exists() and not target.samefile(file):
        msg = f"{target} is another file: rename {file.name}"
        raise ConfigError(msg)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copyfile(file, target)
    except OSError as error:
        msg = f"{folder} cannot be written: {error.strerror}"
        raise DataError(msg) from error
    return file.name


def _load(folder: Path) -> tuple[Any, Any]:
    from ruamel.yaml import YAML  # noqa: PLC0415 - start-up of the command line

    yaml = YAML()
    yaml.width = 100
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml, yaml.load((folder / FILE_NAME).read_text(encoding="utf-8"))


def _dump(yaml: Any, document: Any, folder: Path) -> None:
    from io import StringIO  # noqa: PLC0415 - start-up of the command line

    stream = StringIO()
    yaml.dump(document, stream)
    _write(folder / FILE_NAME, stream.getvalue())


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror}"
        raise DataError(msg) from error
