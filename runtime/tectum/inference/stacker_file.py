"""A learned stacker from its JSON file, as `tectum.fusion.stacker.Stacker.document` gives it."""

from __future__ import annotations

import json
from pathlib import Path

from tectum.errors import ConfigError
from tectum.fusion.stacker import Stacker, stacker_from

__all__ = ["read_stacker"]


def read_stacker(path: str | Path) -> Stacker:
    """Return the stacker in a file.

    Raises:
        ConfigError: it cannot be read, or is no stacker.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path}: not a stacker's file: {error}"
        raise ConfigError(msg) from error
    return stacker_from(document, str(path))
