from __future__ import annotations

from collections.abc import Sequence

import pytest

from tectum.errors import ConfigError
from tectum.inference import postprocess, preprocess
from tectum.inference.manifest import StepEntry
from tectum.inference.steps import read_steps


def _scale(value: float, *, by: float, names: Sequence[str] = (), sure: bool = False) -> float:
    return value * by * (len(names) + 1) * (2 if sure else 1)


TABLE = {"scale": _scale}


def _read(name: str, **params: object):
    (step,) = read_steps([StepEntry(name, params, f"preprocess[0].{name}")], TABLE, "m.yaml")
    return step


def test_a_step_is_called_with_its_settings() -> None:
    assert _read("scale", by=3)(2.0) == 6.0
    assert _read("scale", by=0.5, names=["a", "b"], sure=True)(2.0) == 6.0


WRONG = [
    ("scael", {}, r"m\.yaml: preprocess\[0\]\.scael: unknown step 'scael'; there are: scale; did "
     "you mean 'scale'"),
    ("scale", {}, r"preprocess\[0\]\.scale\.by is missing: scale needs it"),
    ("scale", {"by": 1, "nmaes": []}, r"nmaes: unknown setting .*takes: by, names, sure; did you"),
    ("scale", {"by": "1"}, r"scale\.by: '1' is not of type float"),
    ("scale", {"by": True}, r"scale\.by: True is not of type float"),
    ("scale", {"by": 1, "names": [1]}, r"scale\.names: \[1\] is not of type"),
    ("scale", {"by": 1, "sure": 1}, r"scale\.sure: 1 is not of type bool"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "params", "message"), WRONG)
def test_what_is_wrong_is_named(name: str, params: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _read(name, **params)


@pytest.mark.parametrize("table", [preprocess.STEPS, postprocess.STEPS], ids=["pre", "post"])
def test_every_step_of_the_tables_says_what_it_does(table: dict[str, object]) -> None:
    assert all(step.__doc__ for step in table.values())
