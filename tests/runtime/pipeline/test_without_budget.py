"""Without a budget nothing is shed for time, whatever hangs: offline work takes its time."""

from __future__ import annotations

import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.pipeline.orders import Start


@pytest.mark.parametrize("stage", ["eye", "shape", "ear", "head"])
@pytest.mark.parametrize("lanes", [1, 2])
def test_a_run_that_hangs_makes_sets_wait_and_sheds_none(scene, stage: str, lanes: int) -> None:
    # Far beyond what was measured: its lane is written off until it returns.
    scene.set(budget_ns=0, lanes=lanes)

    def durations(start: Start) -> int:
        hangs = start.stage == stage and start.run % 5 == 0
        return 3_000 * MS if hangs else scene.takes[start.stage]

    rows = scene.run(durations=durations).rows
    assert len(rows) >= 28
    assert {row.reason for row in rows if row.outcome == "shed"} == set()


def test_nothing_is_given_up_for_time_either(scene) -> None:
    scene.set(budget_ns=0, lanes=1).stage("eye", variants=("large", "small"))
    scene.takes["eye"] = 400 * MS
    rows = scene.run().rows
    assert {item.reason for row in rows for item in row.inputs} <= {"", "absent", "gaps", "ended"}
    assert {flag for row in rows for flag in row.flags} == set()
