"""Lanes: one job at a time each, every run comes back, nothing a job raises escapes."""

import threading

import pytest

from tectum.clock import NS_PER_S
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

    def take(self, count, calls=None):
        for _ in range(count if calls is None else calls):
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


def test_a_lane_goes_on_by_itself_with_what_was_ordered_behind(bench):
    begin, order = threading.Event(), []
    bench.lanes.start(1, 0, lambda stopper: (begin.wait(WAIT_S), order.append(1)))
    bench.lanes.start(2, 0, lambda stopper: order.append(2))
    bench.lanes.start(3, 0, lambda stopper: order.append(3))
    assert bench.lanes.take() == []
    begin.set()
    assert [done.run for done in bench.take(3, calls=1)] == [1, 2, 3]
    assert order == [1, 2, 3]


def test_a_job_that_fails_is_told_at_once_although_its_lane_goes_on(bench):
    begin, end = threading.Event(), threading.Event()
    bench.lanes.start(1, 0, lambda stopper: begin.wait(WAIT_S) and 1 / 0)
    bench.lanes.start(2, 0, lambda stopper: end.wait(WAIT_S))
    begin.set()
    assert [done.status for done in bench.take(1)] == ["failed"]
    end.set()
    bench.take(1)


def test_a_run_waits_for_what_it_takes_on_whatever_lane(bench):
    begin, there = [threading.Event(), threading.Event()], []
    for lane in (0, 1):
        bench.lanes.start(lane, lane, lambda stopper, lane=lane: begin[lane].wait(WAIT_S))
    bench.lanes.start(2, 0, lambda stopper: there.append(sorted(ended)), takes=(0, 1))
    begin[0].set()
    ended = [done.run for done in bench.take(1)]
    assert not there
    begin[1].set()
    ended += [done.run for done in bench.take(2, calls=2)]
    assert there
    assert ended == [0, 1, 2]


def test_a_run_withdrawn_before_its_turn_sees_that_it_is_stopped(bench):
    begin, seen = threading.Event(), []
    bench.lanes.start(1, 0, lambda stopper: begin.wait(WAIT_S))
    bench.lanes.start(2, 0, lambda stopper: seen.append(stopper.stopped))
    bench.lanes.cancel(2)
    begin.set()
    assert [done.run for done in bench.take(2, calls=1)] == [1, 2]
    assert seen == [True]


def test_who_lets_lanes_begin_comes_back_when_they_have(bench):
    begin, begun = threading.Event(), threading.Event()
    bench.lanes.start(1, 0, lambda stopper: (begun.set(), begin.wait(WAIT_S)))
    bench.lanes.let_begin(WAIT_S * NS_PER_S)
    assert begun.wait(WAIT_S)
    bench.lanes.start(2, 0, lambda stopper: None)
    bench.lanes.let_begin(WAIT_S * NS_PER_S)  # it waits behind the other: nobody to wait for
    begin.set()
    bench.take(2, calls=1)


def test_a_lane_that_does_not_begin_is_not_waited_for_for_ever(bench):
    begin = threading.Event()
    bench.lanes.start(1, 0, lambda stopper: begin.wait(WAIT_S))
    bench.lanes.let_begin(0)
    begin.set()
    bench.take(1)
    bench.lanes.let_begin(0)


def test_a_lane_that_was_roused_runs_nothing_but_what_it_is_given(bench):
    begin = threading.Event()
    bench.lanes.rouse(0)
    bench.lanes.rouse(0)
    bench.lanes.start(1, 0, lambda stopper: begin.wait(WAIT_S))
    bench.lanes.rouse(0)
    bench.lanes.start(2, 0, lambda stopper: 2)
    begin.set()
    assert [(done.run, done.status) for done in bench.take(2, calls=1)] == [(1, "ok"), (2, "ok")]
    bench.lanes.rouse(1)
    assert bench.lanes.take() == []


def test_there_is_no_lane_beyond_the_last(bench):
    with pytest.raises(ContractError, match="lane 2, but there are only 2 lanes"):
        bench.lanes.start(2, 2, lambda stopper: None)


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
