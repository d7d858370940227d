"""The audit catches what it is for: each broken rule of a shell's bookkeeping."""

import pytest

from tectum.ledger.row import Row
from tectum.message import Sample, SampleRef
from tectum.pipeline.events import Arrived, Finished
from tectum.pipeline.orders import Cancel, Emit, Free, Of, Picked, Start
from tectum.testing.audit import Audit

REF = SampleRef("camera", 1, 0)
USE = (Picked("camera", (REF,)),)


@pytest.fixture
def shell(scene):
    audit = Audit(scene.plan)
    audit.event(Arrived(1, Sample(REF, 1)))
    return audit


def test_a_sample_freed_twice(shell) -> None:
    shell.order(Free(REF))
    with pytest.raises(AssertionError, match="freed twice"):
        shell.order(Free(REF))


def test_a_sample_freed_in_use(shell) -> None:
    shell.order(Start(0, 0, "eye", "default", USE))
    with pytest.raises(AssertionError, match="in use"):
        shell.order(Free(REF))


def test_a_sample_used_after_it_was_freed(shell) -> None:
    shell.order(Free(REF))
    with pytest.raises(AssertionError, match="uses what was freed"):
        shell.order(Start(0, 0, "eye", "default", USE))


def test_a_run_that_ends_before_its_turn(shell) -> None:
    shell.order(Start(0, 0, "eye", "default", USE))
    shell.order(Start(1, 0, "eye", "default", USE))
    with pytest.raises(AssertionError, match="run 1 has not begun"):
        shell.event(Finished(2, 1, "ok", 1))


def test_a_run_withdrawn_before_its_turn_is_none(shell) -> None:
    shell.order(Start(0, 0, "eye", "default", USE))
    shell.order(Start(1, 0, "eye", "default", USE))
    shell.order(Cancel(1))
    shell.event(Finished(2, 1, "cancelled", 0))
    shell.event(Finished(3, 0, "ok", 1))
    assert shell.results == {0: "ok", 1: "cancelled"}


def test_a_run_that_ends_before_what_it_takes_is_there(shell) -> None:
    shell.order(Start(0, 0, "eye", "default", USE))
    shell.order(Start(1, 1, "head", "default", (Of("camera", 0),)))
    with pytest.raises(AssertionError, match="run 1 has not begun"):
        shell.event(Finished(2, 1, "ok", 1))


def test_a_run_that_took_what_was_not_given(shell) -> None:
    shell.order(Start(0, 0, "eye", "default", USE))
    shell.order(Start(1, 1, "head", "default", (Of("camera", 0),)))
    shell.event(Finished(2, 0, "failed", 1))
    with pytest.raises(AssertionError, match="took what 0 did not give"):
        shell.event(Finished(3, 1, "ok", 1))


def test_a_result_of_a_run_that_failed(shell) -> None:
    shell.order(Start(0, 0, "eye", "default", USE))
    shell.event(Finished(2, 0, "failed", 1))
    with pytest.raises(AssertionError, match="gives nothing"):
        shell.order(Start(1, 0, "head", "default", (Of("camera", 0),)))


def test_a_run_freed_while_it_runs(shell) -> None:
    shell.order(Start(0, 0, "eye", "default", USE))
    with pytest.raises(AssertionError, match="freed while it runs"):
        shell.order(Free(0))


def test_a_trigger_answered_out_of_turn(shell) -> None:
    with pytest.raises(AssertionError, match="out of turn"):
        shell.order(Emit(Row(1, 1), None))


def test_a_cancel_of_what_does_not_run(shell) -> None:
    with pytest.raises(AssertionError, match="not running"):
        shell.order(Cancel(3))
