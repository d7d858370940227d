"""Read a small YAML file of somebody else: a calibration, the metadata of a bag."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tectum.errors import DataError

__all__ = ["read_yaml"]


def read_yaml(path: Path, name: str = "") -> Any:
    """Return what the YAML file at `path` holds; `name` stands for it in messages.

    Raises:
        DataError: it cannot be read, or is not YAML.
    """
    from ruamel.yaml import YAML  # noqa: PLC0415 - few graphs have such a file
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 - as above

    name = name or str(path)
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"{name} cannot be read: {error.strerror}"
        raise DataError(msg) from error
    except (YAMLError, UnicodeDecodeError) as error:
        msg = f"{name} is not YAML: {' '.join(str(error).split())}"
        raise DataError(msg) from error
