"""docs/sensors.md says what each sensor node really is: its stamp, its clock, all its keys."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tectum.node.base import SensorNode
from tectum_launch.reference import node_reference
from tectum_launch.registry import SHIPPED, load_node

PAGE = (Path(__file__).parents[2] / "docs" / "sensors.md").read_text(encoding="utf-8")
SENSORS = sorted(run for run in SHIPPED if issubclass(load_node(run), SensorNode))
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def test_every_sensor_node_has_its_section_and_no_other() -> None:
    assert sorted(set(SECTIONS) - {"What"}) == SENSORS


@pytest.mark.parametrize("run", SENSORS)
def test_a_section_tells_stamp_clock_absence_and_probe(run: str) -> None:
    for word in ("Stamp", "Clock", "Absent", "Probe"):
        assert f"\n- **{word}.** " in SECTIONS[run], f"{run} does not say: {word}"
    assert f"tectum nodes probe {run}" in SECTIONS[run]


@pytest.mark.parametrize("run", SENSORS)
def test_a_section_names_the_outputs_and_every_key_as_it_is(run: str) -> None:
    reference = node_reference(run)
    for output in reference.node.outputs:
        assert f"`{output}`" in SECTIONS[run]
    table = [line for line in SECTIONS[run].splitlines() if line.startswith("| ")][2:]
    assert table == reference.rows()
