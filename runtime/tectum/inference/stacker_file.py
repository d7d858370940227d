"""A learned stacker from its JSON file, as `tectum.fusion.stacker.Stacker.document` gives it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tectum.errors import ConfigError
from tectum.fusion.stacker import Stacker, stacker_from
from tectum.inference.late_parts import Combination
from tectum.inference.stage import Stopper
from tectum.message import AnyArray

__all__ = ["FileStacker", "read_stacker"]


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


class FileStacker:
    """A stacker of scores; it knows nothing of their ages."""

    def __init__(self, path: str) -> None:
        """Read the file; raises what `read_stacker` raises."""
        self._path, self._stacker = path, read_stacker(path)

    def check(self, item: Combination) -> None:
        """Refuse inputs that it does not know, and other than scores of as many labels."""
        stacker, spec = self._stacker, item.spec
        unknown = [name for name in item.parts if name not in stacker.weights]
        if unknown or item.kind != "scores" or len(spec.labels) not in {0, len(stacker.bias)}:
            msg = (
                f"{self._path}: learned to combine {len(stacker.bias)} scores of "
                f"{', '.join(stacker.weights)}; {spec.name!r} is {spec.role} of "
                f"{', '.join(item.parts)} with {len(spec.labels)} labels"
            )
            raise ConfigError(msg)

    def fuse(
        self,
        decisions: Mapping[str, AnyArray],
        ages_ns: Mapping[str, int],
        variant: str,
        stopper: Stopper,
    ) -> AnyArray:
        """Return (k,) scores."""
        del ages_ns, variant, stopper
        return self._stacker.fuse(decisions).astype(np.float32)
