"""What a late head asks of something that learned how to combine decisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tectum.inference.late_parts import Combination
from tectum.inference.stage import Stopper
from tectum.message import AnyArray

__all__ = ["Stacking"]


class Stacking(Protocol):
    """A learned stacker: from its JSON file, or a model."""

    def check(self, item: Combination) -> None:
        """Refuse what it has not learned to combine.

        Raises:
            ConfigError: an input, the kind of decisions, or their labels are not what it knows.
        """
        ...

    def fuse(
        self,
        decisions: Mapping[str, AnyArray],
        ages_ns: Mapping[str, int],
        variant: str,
        stopper: Stopper,
    ) -> AnyArray:
        """Return what the inputs decide together; those that are missing are left out."""
        ...
