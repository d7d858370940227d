"""Tolerances must reach over the jitter of a period, too."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("align", "key", "would_do"),
    [
        ("{nearest: {tolerance: 55ms}}", "nearest", "tolerance: 60ms"),
        ("{latest: {max_age: 110ms}}", "latest.max_age", "max_age: 120ms"),
        ("{interpolate: {reach: 110ms}}", "interpolate.reach", "reach: 120ms"),
    ],
)
def test_a_rule_that_reaches_over_the_period_but_not_its_jitter_is_told(
    found, align: str, key: str, would_do: str
) -> None:
    long = ("budget: 100ms", "budget: 200ms")
    assert found(long, ("align: exact", f"align: {align}")) == []
    (text,) = found(long, ("align: exact", f"jitter: 20ms, align: {align}"))
    assert text.startswith(
        f"nodes.perception.inputs.thermal.align.{key}: thermal/image comes every 100.0 ms, give "
        "or take 20.0 ms, but"
    )
    assert text.endswith(f"{would_do} would do")
    right = align.replace("55ms", "60ms").replace("110ms", "120ms")
    assert found(long, ("align: exact", f"jitter: 20ms, align: {right}")) == []


def test_silence_must_be_longer_than_two_periods_and_the_jitter(found) -> None:
    assert found(("align: exact", "align: exact, silent_after: 200ms")) == []
    assert found(("align: exact", "align: exact, jitter: 20ms, silent_after: 200ms")) == [
        "nodes.perception.inputs.thermal.silent_after: thermal/image comes every 100.0 ms, give "
        "or take 20.0 ms: one late sample would count as silence; silent_after: 220ms would do"
    ]
