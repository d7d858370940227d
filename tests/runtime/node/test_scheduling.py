"""Cores and priority of a process: set where permitted, one line where not."""

import os
import subprocess
import sys

import pytest

from tectum.node.scheduling import Scheduling, apply_scheduling, scheduling_from

AFTER = """
import os
from tectum.node.scheduling import Scheduling, apply_scheduling
before = os.sched_getaffinity(0)
for line in apply_scheduling({wanted}):
    print(line)
print(sorted(os.sched_getaffinity(0)), os.getpriority(os.PRIO_PROCESS, 0))
"""


def applied(wanted: str) -> list[str]:
    """Return what a process says and has after it was asked for `wanted`."""
    command = [sys.executable, "-c", AFTER.format(wanted=wanted)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.realtime
def test_a_process_is_pinned_and_made_nicer():
    core = min(os.sched_getaffinity(0))
    nice = min(19, os.getpriority(os.PRIO_PROCESS, 0) + 3)
    assert applied(f"Scheduling(cpu=({core},), nice={nice})") == [f"[{core}] {nice}"]


@pytest.mark.realtime
def test_a_core_that_is_not_there_is_said_and_changes_nothing():
    here = sorted(os.sched_getaffinity(0))
    said, state = applied("Scheduling(cpu=(4000,))")
    assert said == "cpu: [4000] cannot be had (Invalid argument): it runs anywhere"
    assert state.startswith(f"{here} ")


@pytest.mark.realtime
def test_cores_that_are_there_are_taken_and_the_others_named():
    here = sorted(os.sched_getaffinity(0))
    said, state = applied(f"Scheduling(cpu=({here[0]}, 4000))")
    assert said == f"cpu: [4000] is not among the cores it may use, {here}"
    assert state.startswith(f"[{here[0]}] ")


def test_what_is_not_permitted_is_one_line(monkeypatch):
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "setpriority", refused)
    monkeypatch.setattr(os, "sched_setscheduler", refused)
    assert list(apply_scheduling(Scheduling(nice=-5, realtime=10))) == [
        "nice: -5 is not permitted here (Operation not permitted): it stays as it is",
        "realtime: 10 is not permitted here (Operation not permitted): it runs like any other",
    ]


def test_it_is_written_into_a_run_and_read_from_it():
    wanted = Scheduling((2, 3), -5, 10)
    assert scheduling_from(wanted.document()) == wanted
    assert Scheduling().document() == {}
    assert scheduling_from({}) == Scheduling()
