"""Verify: the journal alone gives the decisions again; a change in it or in the rows is named."""

from dataclasses import replace

import pytest

from tectum.pipeline.events import Arrived, Delivered, Ended, Tick
from tectum.pipeline.verify import verify


@pytest.fixture
def recorded(scene):
    """A run of one second: its plan and what was recorded of it."""
    return scene.plan, scene.run(scene.heard(1000, dead="camera", since_ms=500))


def test_the_journal_gives_the_same_digest_and_rows(recorded) -> None:
    plan, run = recorded
    found = verify(plan, run.journal, run.digest, run.rows)
    assert found.ok
    assert (found.digest, found.rows, found.events) == (run.digest, 10, len(run.journal))


def test_the_journal_alone_is_enough(recorded) -> None:
    plan, run = recorded
    assert verify(plan, run.journal).digest == run.digest


def test_a_stamp_that_was_changed_is_caught_at_the_row_it_bears_on(recorded) -> None:
    plan, run = recorded
    journal = list(run.journal)
    index = next(
        i
        for i, e in enumerate(journal)
        if isinstance(e, Arrived) and e.sample.ref.seq == 6 and e.sample.ref.input == "lidar"
    )
    sample = journal[index].sample
    journal[index] = journal[index]._replace(sample=sample._replace(stamp_ns=sample.stamp_ns + 1))
    found = verify(plan, journal, run.digest, run.rows)
    assert not found.ok
    assert found.event > index
    assert found.row == 6 or "cannot follow what came before" in found.difference


def test_an_event_that_was_cut_out_is_caught(recorded) -> None:
    plan, run = recorded
    for index in range(0, len(run.journal), 7):
        if isinstance(run.journal[index], (Tick, Ended)):
            continue  # a tick among others, or an end after the last set, may decide nothing
        journal = run.journal[:index] + run.journal[index + 1 :]
        event = run.journal[index]
        found = verify(plan, journal, run.digest, run.rows)
        bears = not isinstance(event, Arrived) or event.sample.ref.input == "lidar"
        assert found.ok is False or not bears, event


def test_events_that_cannot_follow_each_other_are_named(recorded) -> None:
    plan, run = recorded
    index = next(i for i, e in enumerate(run.journal) if isinstance(e, Delivered))
    journal = [*run.journal[: index + 1], run.journal[index]]
    found = verify(plan, journal, run.digest)
    assert found.event == index + 1
    assert "was not being delivered" in found.difference


def test_a_recorded_row_that_was_changed_is_named_with_its_field(recorded) -> None:
    plan, run = recorded
    rows = list(run.rows)
    camera = replace(rows[3].inputs[0], distance_ns=5)
    rows[3] = replace(rows[3], inputs=(camera, *rows[3].inputs[1:]))
    found = verify(plan, run.journal, run.digest, rows)
    assert found.row == 3
    assert "camera.distance_ns was recorded as 5 and comes out as" in found.difference


def test_rows_that_are_missing_at_the_end_are_counted(recorded) -> None:
    plan, run = recorded
    found = verify(plan, run.journal[:-40], run.digest, run.rows)
    assert "10 rows were recorded and" in found.difference


def test_a_log_cut_short_of_its_last_rows_still_verifies(recorded) -> None:
    plan, run = recorded
    assert verify(plan, run.journal, None, run.rows[:-2]).ok


def test_another_plan_gives_another_digest(recorded) -> None:
    plan, run = recorded
    narrow = replace(plan.inputs[0], align=replace(plan.inputs[0].align, before_ns=1, after_ns=1))
    other = replace(plan, inputs=(narrow, *plan.inputs[1:]))
    found = verify(other, run.journal, run.digest)
    assert not found.ok
