"""Recovery is from the end of a fault to the first good outcome of those that stay good."""

from tectum.clock import NS_PER_MS as MS
from tectum.ledger.recovery import Recovery
from tectum.ledger.row import Outcome, Row
from tectum.sync.faults import Fault

MARKS = {"C": Outcome.COMPLETE, "p": Outcome.PARTIAL, ".": Outcome.SHED}


def watched(line, faults, *, step_ms=100):
    """Feed a row per mark, the first at 100 ms, and return what is said of recovery."""
    recovery = Recovery(faults)
    for index, mark in enumerate(line, 1):
        at_ns = index * step_ms * MS
        recovery.add(Row(index, at_ns, MARKS[mark], delivered_ns=at_ns))
    return recovery.document()


def drop(since_ms, lasting_ms, every_ms=0):
    return {"drop": Fault("drop", "camera", since_ms * MS, lasting_ms * MS, every_ms * MS)}


def test_it_counts_from_the_end_of_the_fault_to_the_first_complete_answer():
    # fault                        ....      it ends at 700
    found = watched("CCCpp.ppp" + "C" * 15, drop(350, 350))["drop"]
    assert found["ended"] == 1
    assert found["complete_ms"] == 300.0
    assert found["answer_ms"] == 0.0
    assert found["waiting_ms"] == {"complete": 0.0, "answer": 0.0}


def test_good_outcomes_that_do_not_stay_are_no_recovery():
    found = watched("CCCCCCCCpCCp" + "C" * 15, drop(350, 350))["drop"]
    assert found["complete_ms"] == 600.0


def test_a_kill_takes_effect_after_its_instant():
    kill = {"kill": Fault("kill", "lidar", 300 * MS, 0)}
    found = watched("CCCCC......" + "C" * 15, kill)["kill"]
    assert found["complete_ms"] == 900.0


def test_who_never_recovers_waits_until_the_end():
    found = watched("CCCppppppppppp", drop(350, 350))["drop"]
    assert found["waiting_ms"] == {"complete": 700.0, "answer": 0.0}


def test_of_several_the_longest_counts_and_the_next_fault_ends_the_proof():
    # begins at 300, 1100, 1900: each lasts 200; recovered at 700, 1400 and 2200
    found = watched("CCppppCCCCppp" + "CCCCC" + "ppp" + "C" * 5, drop(300, 200, 800))["drop"]
    assert found["ended"] == 3
    assert found["complete_ms"] == 200.0
    assert found["waiting_ms"]["complete"] == 0.0


def test_a_fault_that_has_not_ended_is_not_spoken_of():
    assert watched("CCppp", drop(300, 5000)) == {}
    assert watched("CCppp", {"drop": Fault("drop", "camera", 300 * MS)}) == {}


def test_what_a_stop_sheds_undoes_no_recovery():
    recovery = Recovery(drop(0, 100))
    recovery.add(Row(0, 0, Outcome.COMPLETE, delivered_ns=200 * MS))
    recovery.add(Row(1, 0, Outcome.SHED, reason="stopped", delivered_ns=300 * MS))
    assert recovery.document()["drop"]["waiting_ms"]["complete"] == 0.0
