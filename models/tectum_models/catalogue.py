"""The models that come with Tectum, by name: `driving/camera`, `third_party/silero`.

A model is a folder with a `model.yaml`; its name is its path below this package. Nothing is read
or loaded here. A path to a folder of one's own is as good as a name.
"""

from __future__ import annotations

from pathlib import Path

from tectum.errors import ConfigError, nearest_name

__all__ = ["find", "names"]

MANIFEST = "model.yaml"
_SHIPPED = Path(__file__).parent


def names() -> list[str]:
    """Return the names of all shipped models, sorted."""
    return sorted(path.parent.relative_to(_SHIPPED).as_posix() for path in _manifests())


def find(name: str) -> Path:
    """Return the folder of a model.

    Args:
        name: Of a shipped model, or the path of a folder with a `model.yaml`.

    Raises:
        ConfigError: There is no such model; the message gives the nearest name.
    """
    known = names()
    if name in known:
        return _SHIPPED / name
    folder = Path(name).expanduser()
    if (folder / MANIFEST).is_file():
        return folder.resolve()
    if folder.is_dir():
        msg = f"model {name!r}: the folder has no {MANIFEST}; a model is a folder with one"
        raise ConfigError(msg)
    msg = (
        f"model {name!r} is neither a shipped model nor a folder with a {MANIFEST}"
        f"{nearest_name(name, known)} (shipped: {', '.join(known)})"
    )
    raise ConfigError(msg)


def _manifests() -> list[Path]:
    return list(_SHIPPED.glob(f"*/*/{MANIFEST}"))
