"""Time for tests of threads: it goes on only when all of them rest, so a busy machine costs none.

The threads are real, and so is their order at one instant, which the machine chooses. How long
something takes is not: a thread that computes takes no time, one that rests exactly what it asked
for. Work that is handed from thread to thread is counted from before it is given until after it was
taken, so that no time goes by while it is on its way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from tectum.inference.stage import Stopper
from tectum.node.lanes import Done, Job, Lanes
from tectum.pipeline.line import Line

__all__ = ["PatientClock", "PatientLanes"]


class PatientClock:
    """A graph clock whose time goes on when nobody works. The thread that makes it works."""

    def __init__(self, now_ns: int = 1_000_000_000_000) -> None:
        """Start at `now_ns`."""
        self._now_ns = now_ns
        self._changed = threading.Condition()
        self._working = 1
        self._resting: dict[int, int] = {}
        """Thread -> until when."""
        self._woken: set[int] = set()
        """Threads whose next rest is over before it begins."""
        self._released = False

    def now_ns(self) -> int:
        """Return the present instant."""
        return self._now_ns

    def sleep_until_ns(self, instant_ns: int) -> None:
        """Rest until an instant, or until `wake`."""
        me = threading.get_ident()
        with self._changed:
            if me in self._woken or instant_ns <= self._now_ns or self._released:
                self._woken.discard(me)
                return
            self._resting[me] = instant_ns
            self._leave()
            while me in self._resting:
                self._changed.wait()

    def wake(self, thread: int) -> None:
        """End the rest of a thread, the next one where it does not rest."""
        with self._changed:
            if thread in self._resting:
                self._rouse(thread)
            else:
                self._woken.add(thread)

    def enter(self, count: int = 1) -> None:
        """Take it that so many more threads work, or are about to."""
        with self._changed:
            self._working += count

    def leave(self) -> None:
        """Take it that one fewer works; it may wait for something else than time."""
        with self._changed:
            self._leave()

    def release(self) -> None:
        """End all rests, now and from now on."""
        with self._changed:
            self._released = True
            for thread in tuple(self._resting):
                self._rouse(thread)

    def _leave(self) -> None:
        self._working -= 1
        if not self._working and self._resting:
            self._now_ns = max(self._now_ns, min(self._resting.values()))
            for thread, until_ns in tuple(self._resting.items()):
                if until_ns <= self._now_ns:
                    self._rouse(thread)

    def _rouse(self, thread: int) -> None:
        del self._resting[thread]
        self._working += 1
        self._changed.notify_all()


class PatientLanes:
    """Real lanes on a patient clock. Satisfies `tectum.node.shell.Executor`."""

    def __init__(self, count: int, clock: PatientClock, *, on_done: Callable[[], None]) -> None:
        """Make `count` lanes; arguments as for `Lanes`."""
        self._clock, self._on_done = clock, on_done
        self._line, self._lock = Line(count), threading.Lock()
        self._ending: set[int] = set()
        """Threads of lanes that have ended a run and still count as working."""
        self._lanes = Lanes(count, clock, on_done=self._done)

    def start(self, run: int, lane: int, job: Job, takes: Iterable[int] = ()) -> bool:
        """Run `job`; see `Lanes.start`."""
        takes = tuple(takes)

        def counted(stopper: Stopper) -> object:
            self._settle()
            try:
                return job(stopper)
            finally:
                with self._lock:
                    self._ending.add(threading.get_ident())
                    self._clock.enter(len(self._line.end(run)))

        with self._lock:
            if self._line.add(run, lane, takes):
                self._clock.enter()
        return self._lanes.start(run, lane, counted, takes)

    def rouse(self, lane: int) -> None:
        """Have a lane awake; no time goes by."""
        self._lanes.rouse(lane)

    def let_begin(self, timeout_ns: int) -> None:
        """Wait for lanes to begin, of the machine's time; none goes by on this clock."""
        self._lanes.let_begin(timeout_ns)

    def cancel(self, run: int) -> None:
        """End a run early if possible."""
        self._lanes.cancel(run)

    def take(self) -> list[Done]:
        """Return the runs that have ended since the last call."""
        return self._lanes.take()

    def close(self) -> None:
        """Cancel what runs, let no time go by any more, and end the threads."""
        self._clock.release()
        self._lanes.close()

    def _done(self) -> None:
        self._on_done()
        self._settle()

    def _settle(self) -> None:
        """Take it that this thread is done with the run that it has ended, where it has."""
        me = threading.get_ident()
        if me in self._ending:
            self._ending.discard(me)
            self._clock.leave()
