from __future__ import annotations

import numpy as np
import pytest

from tectum.fusion.contribution import contributions


def _sum(present: dict[str, float]) -> dict[str, np.ndarray]:
    return {"total": np.array([sum(present.values()), 1.0])}


def test_each_input_is_told_the_change_that_its_absence_makes() -> None:
    present = {"camera": 4.0, "lidar": 1.0, "siren": 0.0}
    shares = contributions(_sum(present), present, _sum)
    assert shares["total"] == pytest.approx({"camera": 2.0, "lidar": 0.5, "siren": 0.0})


def test_an_output_that_vanishes_with_its_only_input_gets_no_share() -> None:
    present = {"camera": 4.0}
    shares = contributions(_sum(present), present, lambda some: {} if not some else _sum(some))
    assert shares == {"total": {}}
