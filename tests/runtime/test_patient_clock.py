"""A patient clock goes on only when all threads rest, whatever the machine does meanwhile."""

import threading
from collections.abc import Callable

import pytest

from tectum.inference.stage import Stopper
from tectum.testing.patient import PatientClock, PatientLanes

START_NS = 1_000


def worked() -> None:
    """Keep the machine busy for a moment."""
    sum(number * number for number in range(20_000))


def test_one_thread_alone_never_waits() -> None:
    clock = PatientClock(START_NS)
    clock.sleep_until_ns(START_NS + 10**15)
    clock.sleep_until_ns(START_NS)
    assert clock.now_ns() == START_NS + 10**15


def test_threads_rest_exactly_as_long_as_they_asked_however_long_others_compute() -> None:
    clock = PatientClock(START_NS)
    seen: list[tuple[int, str]] = []

    def sleeper(name: str, step_ns: int) -> Callable[[], None]:
        def run() -> None:
            for _ in range(20):
                clock.sleep_until_ns(clock.now_ns() + step_ns)
                worked()
                seen.append((clock.now_ns() - START_NS, name))
            clock.leave()

        return run

    threads = [threading.Thread(target=sleeper(name, step)) for name, step in (("a", 7), ("b", 11))]
    clock.enter(2)
    for thread in threads:
        thread.start()
    clock.leave()  # this thread waits for threads, not for time
    for thread in threads:
        thread.join(20)
    due = [(7 * n, "a") for n in range(1, 21)] + [(11 * n, "b") for n in range(1, 21)]
    assert sorted(seen) == sorted(due)
    assert [at for at, _ in seen] == sorted(at for at, _ in seen)


def test_a_rest_ends_early_when_the_thread_is_woken_also_before_it_begins() -> None:
    clock, me = PatientClock(START_NS), threading.get_ident()
    clock.wake(me)
    clock.sleep_until_ns(START_NS + 50)
    assert clock.now_ns() == START_NS

    def waker() -> None:
        clock.sleep_until_ns(START_NS + 20)
        clock.wake(me)
        clock.leave()

    clock.enter()
    thread = threading.Thread(target=waker)
    thread.start()
    clock.sleep_until_ns(START_NS + 50)
    assert clock.now_ns() == START_NS + 20
    thread.join(20)


@pytest.mark.parametrize("repeat", range(5))
def test_runs_on_lanes_take_their_time_and_no_other(repeat: int) -> None:
    clock, loop = PatientClock(START_NS), threading.get_ident()
    lanes = PatientLanes(2, clock, on_done=lambda: clock.wake(loop))

    def job(takes_ns: int) -> Callable[[Stopper], object]:
        def run(stopper: Stopper) -> object:
            worked()
            clock.sleep_until_ns(clock.now_ns() + takes_ns)
            worked()
            return takes_ns

        return run

    lanes.start(0, 0, job(10))
    lanes.start(1, 1, job(25))
    lanes.start(2, 0, job(5), takes=[0, 1])  # waits for both
    lanes.start(3, 1, job(100))
    lanes.start(4, 0, job(1), takes=[2])
    done = []
    while len(done) < 5:
        clock.sleep_until_ns(START_NS + 10**9)
        done += [(item.run, item.begun_ns - START_NS, item.ended_ns - START_NS)
                 for item in lanes.take()]  # fmt: skip
    lanes.close()
    assert sorted(done) == [(0, 0, 10), (1, 0, 25), (2, 25, 30), (3, 25, 125), (4, 30, 31)]
    assert clock.now_ns() == START_NS + 125


def test_closing_lanes_ends_rests_that_would_never_end() -> None:
    clock = PatientClock(START_NS)
    lanes = PatientLanes(1, clock, on_done=lambda: None)

    def job(stopper: Stopper) -> object:
        clock.sleep_until_ns(START_NS + 10**15)
        return None

    lanes.start(0, 0, job)
    lanes.close()
    assert [item.run for item in lanes.take()] == [0]
    assert clock.now_ns() == START_NS
