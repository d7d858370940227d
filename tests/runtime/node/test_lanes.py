"""Lanes: one job at a time each, every run comes back, nothing a job raises escapes."""

import threading

import pytest

from tectum.errors import ContractError
from tectum.inference.stage import Cancelled
from tectum.node.lanes import Lanes
from tectum.testing import FakeClock

WAIT_S = 10


class Bench:
    """Lanes with a clock that jobs advance, and a way to wait for what ends."""

    def __init__(self, count):
        self.clock = FakeClock(1000)
        self._ended = threading.Semaphore(0)
        self.lanes = Lanes(count, self.clock, on_done=self._ended.release)

    def take(self, count):
        for _ in range(count):
            assert self._ended.acquire(timeout=WAIT_S)
        done = self.lanes.take()
        assert len(done) == count
        return done


@pytest.fixture
def bench():
    bench = Bench(2)
    yield bench
    bench.lanes.close()


def test_a_run_comes_back_with_its_value_and_its_times(bench):
    def job(stopper):
        assert not stopper.stopped
        bench.clock.advance(7)
        return "value"

    bench.lanes.start(5, 0, job)
    (done,) = bench.take(1)
    assert (done.run, done.status, done.value, done.error) == (5, "ok", "value", None)
    assert (done.begun_ns, done.ended_ns) == (1000, 1007)
    assert bench.lanes.take() == []


@pytest.mark.parametrize("error", [ValueError("odd"), SystemExit(3), KeyboardInterrupt()])
def test_what_a_job_raises_is_its_outcome_and_the_lane_goes_on(bench, error):
    def job(stopper):
        raise error

    bench.lanes.start(1, 0, job)
    (done,) = bench.take(1)
    assert (done.status, done.value, done.error) == ("failed", None, error)
    bench.lanes.start(2, 0, lambda stopper: 3)
    assert bench.take(1)[0].value == 3


def test_a_cancelled_run_learns_of_it_and_still_comes_back(bench):
    stopped = threading.Event()

    def job(stopper):
        stopper.on_stop(stopped.set)
        assert stopped.wait(WAIT_S)
        assert stopper.stopped
        raise Cancelled

    bench.lanes.start(1, 0, job)
    bench.lanes.cancel(1)
    (done,) = bench.take(1)
    assert (done.status, done.error) == ("cancelled", None)


def test_an_action_registered_after_the_cancelling_is_called_at_once(bench):
    begin, seen = threading.Event(), []

    def job(stopper):
        assert begin.wait(WAIT_S)
        stopper.on_stop(lambda: seen.append("stopped"))
        return seen[0]

    bench.lanes.start(1, 0, job)
    bench.lanes.cancel(1)
    begin.set()
    assert bench.take(1)[0].value == "stopped"


def test_a_cancelled_run_that_finishes_all_the_same_is_ok(bench):
    begin = threading.Event()
    bench.lanes.start(1, 0, lambda stopper: begin.wait(WAIT_S))
    bench.lanes.cancel(1)
    begin.set()
    assert bench.take(1)[0].status == "ok"
    bench.lanes.cancel(1)
    bench.lanes.cancel(99)


def test_lanes_work_side_by_side(bench):
    meeting = threading.Barrier(2)
    for lane in (0, 1):
        bench.lanes.start(lane, lane, lambda stopper: meeting.wait(WAIT_S))
    assert {done.status for done in bench.take(2)} == {"ok"}


def test_a_lane_takes_no_second_run_before_the_first_was_taken_back(bench):
    bench.lanes.start(1, 0, lambda stopper: None)
    with pytest.raises(ContractError, match="lane 0, whose run has not been taken back"):
        bench.lanes.start(2, 0, lambda stopper: None)
    with pytest.raises(ContractError, match="lane 2, but there are only 2 lanes"):
        bench.lanes.start(2, 2, lambda stopper: None)
    bench.take(1)
    bench.lanes.start(2, 0, lambda stopper: None)
    bench.take(1)


def test_closing_cancels_what_runs_and_ends_the_threads():
    bench = Bench(3)
    stopped = threading.Event()

    def job(stopper):
        stopper.on_stop(stopped.set)
        assert stopped.wait(WAIT_S)

    bench.lanes.start(1, 2, job)
    bench.lanes.close()
    assert stopped.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lane")]
    bench.lanes.close()
