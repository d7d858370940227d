"""Where a model's file is, and whether it is the one that the manifest means.

Files that we ship lie beside their manifest. Other people's are searched by name in the folders of
$TECTUM_MODELS, then in the user's folder of models, where `tectum models pull` puts them
($XDG_DATA_HOME/tectum/models), then in $TECTUM_DATA/models. Nothing is downloaded here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from tectum.errors import ModelError
from tectum.inference.manifest import Manifest, Variant

__all__ = ["check_hash", "find_file", "search_path", "users_folder"]


def find_file(
    manifest: Manifest, variant: Variant, environ: Mapping[str, str] = os.environ
) -> Path:
    """Return the path of the variant's `.onnx` file.

    Raises:
        ModelError: it is in none of the places.
    """
    if variant.source is None:
        return _beside(manifest, variant)
    folders = search_path(environ)
    for folder in folders:
        path = folder / variant.source.file
        if path.is_file():
            return path
    looked = ", ".join(str(folder) for folder in folders)
    pull = f"Run `tectum models pull {manifest.model}`, or get" * bool(variant.source.fetched_from)
    msg = (
        f"{manifest.model} needs {variant.source.file}, which Tectum does not ship. "
        f"{pull or 'Get'} it from {variant.source.where} and name its folder in TECTUM_MODELS, or "
        f"set TECTUM_DATA to a folder with models/{variant.source.file}; looked in {looked}"
    )
    raise ModelError(msg)


def check_hash(manifest: Manifest, variant: Variant, path: Path) -> str:
    """Return the SHA-256 of the file, hex.

    Raises:
        ModelError: it is not what the manifest says, or the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        msg = f"{path}: the model file cannot be read: {error.strerror}"
        raise ModelError(msg) from error
    if not found.startswith(variant.sha256):
        msg = (
            f"{path} ({path.stat().st_size} bytes) has SHA-256 {found[:16]}..., but "
            f"{manifest.place} says {variant.sha256[:16]}...: it is truncated, damaged or another "
            f"version; {_way_out(manifest, variant)}"
        )
        raise ModelError(msg)
    return found


def _beside(manifest: Manifest, variant: Variant) -> Path:
    path = manifest.folder / variant.file
    if not path.is_file():
        msg = (
            f"{path} is missing: {manifest.place} names it for variant {variant.name!r}; "
            f"{_way_out(manifest, variant)}"
        )
        raise ModelError(msg)
    return path


def search_path(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Return the folders in which other people's files are searched, in this order."""
    named = [Path(part) for part in environ.get("TECTUM_MODELS", "").split(os.pathsep) if part]
    data = environ.get("TECTUM_DATA", "")
    recorded = [Path(data) / "models"] if data else []
    return [*named, users_folder(environ), *recorded]


def users_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder in which this user's pulled models are."""
    home = environ.get("XDG_DATA_HOME", "")
    base = Path(home) if home else Path(environ.get("HOME") or Path.home()) / ".local" / "share"
    return base / "tectum" / "models"


def _way_out(manifest: Manifest, variant: Variant) -> str:
    if variant.source is None:
        return "install Tectum again, or export the model anew and correct its manifest"
    if variant.source.fetched_from:
        return f"remove it and run `tectum models pull {manifest.model}`"
    return f"get {variant.source.file} again from {variant.source.where}"
