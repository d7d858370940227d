"""docs/results.md says of results, rows, reasons and reports what the code does."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from tectum.inference.stage import OutputSpec, StageOutput
from tectum.ledger.reasons import INPUT_REASONS, ROW_REASONS
from tectum.ledger.row import InputRow, Outcome, Row, Status
from tectum.ledger.tally import PHASES, Tally
from tectum.node.result import result_document
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan

DOCUMENT = (Path(__file__).parents[3] / "docs" / "results.md").read_text(encoding="utf-8")
EXAMPLE = json.loads(re.search(r"```json\n(.*?)```", DOCUMENT, re.DOTALL).group(1))  # type: ignore[union-attr]


def section(title: str) -> str:
    return DOCUMENT.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_the_example_has_the_keys_of_a_result_in_their_order() -> None:
    fresh = InputRow("lidar", Status.FRESH)
    missing = InputRow("camera", Status.MISSING, "silent")
    row = Row(
        25, 1, Outcome.PARTIAL, "input_silent", inputs=(missing, fresh), settled_ns=1, head_end_ns=1
    )
    fresh.encode_end_ns = 1
    spec = OutputSpec("siren", "probability")
    answer = StageOutput({"siren": np.zeros(1, np.float32)}, {"present": ["lidar"]})
    document = result_document("perception", row, answer, (spec,), valid_until_ns=0, models={})
    assert list(document) == list(EXAMPLE)
    assert document["schema"] == EXAMPLE["schema"]
    for name, status in (("camera", "missing"), ("lidar", "fresh")):
        assert EXAMPLE["inputs"][name]["status"] == status
        assert list(document["inputs"][name]) == list(EXAMPLE["inputs"][name])  # type: ignore[index, call-overload]
    assert document["outputs"]["siren"].keys() <= EXAMPLE["outputs"]["siren"].keys()  # type: ignore[index, call-overload, union-attr]
    assert document["phases_ms"].keys() == EXAMPLE["phases_ms"].keys()  # type: ignore[union-attr]


@pytest.mark.parametrize("key", EXAMPLE.keys() - {"schema", "node"})
def test_every_key_of_a_result_is_explained(key: str) -> None:
    assert re.search(rf"^\| [^|]*`{key}`", section("A result"), re.MULTILINE)


@pytest.mark.parametrize("code", INPUT_REASONS)
def test_every_reason_of_an_input_is_explained(code: str) -> None:
    assert f"| `{code}` |" in section("Reasons")


@pytest.mark.parametrize("code", [code for code in ROW_REASONS if not code.startswith("input_")])
def test_every_reason_of_a_row_is_explained(code: str) -> None:
    assert f"| `{code}` |" in section("Reasons")


@pytest.mark.parametrize("name", sorted({f.name for kind in (Row, InputRow) for f in fields(kind)}))
def test_every_field_of_a_row_is_explained(name: str) -> None:
    assert f"`{name}`" in section("The ledger")


@pytest.mark.parametrize("phase", PHASES)
def test_every_phase_is_explained(phase: str) -> None:
    assert f"| `{phase}` |" in section("Phases")


def test_every_key_of_a_report_is_explained() -> None:
    item = InputPlan("lidar", "lidar/points", AlignPlan("exact"))
    plan = Plan("p", (item,), (StagePlan("head"),), "head", trigger="lidar")
    report = Tally(plan).document(counters={}, digest="", unexplained=0)
    text = section("The report")
    for key in (*report, *report["inputs"]["lidar"]):
        assert f"`{key}`" in text, key
