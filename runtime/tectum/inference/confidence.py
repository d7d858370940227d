"""How sure a decision has a right to be: calibrated by a temperature, fading with its age.

Keys `temperature` (input -> T, above 0) and `half_life` (input -> time; `*` stands for
those that are not named). What neither concerns passes through as the same array.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tectum.fusion.calibration import tempered
from tectum.fusion.fading import faded
from tectum.inference.keys import Keys
from tectum.message import AnyArray

__all__ = ["Confidence"]


class Confidence:
    """Temperatures and half lives, by input."""

    def __init__(self, keys: Keys, inputs: Sequence[str]) -> None:
        """Take `temperature` and `half_life` from `keys`.

        Raises:
            ConfigError: an input is unknown, or a number is not above 0.
        """
        self._temperature = _temperatures(keys.below("temperature"), inputs)
        lives = keys.below("half_life")
        others_ns = lives.duration_ns("*", 0)
        self._half_life_ns = {name: lives.duration_ns(name, 0) or others_ns for name in inputs}
        lives.finish()

    def of(self, name: str, decision: AnyArray, age_ns: int, kind: str) -> AnyArray:
        """Return the decision of an input as sure as its temperature and its age allow."""
        temperature, half_life = self._temperature[name], self._half_life_ns[name]
        if temperature == 1.0 and (not half_life or age_ns <= 0):
            return decision
        calm = decision.astype(np.float64)
        if temperature != 1.0:
            calm = tempered(calm, temperature, kind)
        return faded(calm, age_ns, half_life, kind).astype(np.float32)


def _temperatures(keys: Keys, inputs: Sequence[str]) -> dict[str, float]:
    values = {name: keys.get(name, float, 1.0) for name in inputs}
    keys.finish()
    for name, value in values.items():
        if value <= 0:
            raise keys.error(value, name, "above 0")
    return values
