"""Lanes: places where one computation runs at a time, each a thread.

A lane carries out its runs in the order in which they were given; a run that takes results of
others begins when these have ended, at once and in the thread that ended the last of them where
that is its lane (`tectum.pipeline.line`).

`start`, `cancel`, `take` and `close` are for one thread at a time; jobs run in the lanes' threads.
What a job raises is its outcome, not an accident: `Cancelled` becomes `cancelled`, anything else
`failed`. `on_done` is called from the lane's thread after a job, unless it went well and the lane
goes on with one that was given to it before: it may take the run back and start the next one, with
which the lane then goes on, and it wakes the loop.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import NamedTuple

from tectum.clock import NS_PER_S, Clock
from tectum.errors import ContractError
from tectum.inference.stage import Cancelled, Stopper
from tectum.pipeline.line import Line

__all__ = ["Done", "Job", "Lanes"]

Job = Callable[[Stopper], object]
CLOSE_GRACE_S = 0.5
"""How long `close` waits for a job that does not heed its cancelling."""


class Done(NamedTuple):
    """A run that has ended. Times on the graph clock."""

    run: int
    status: str
    """ok, failed, cancelled."""
    value: object
    """What the job returned; None unless ok."""
    error: BaseException | None
    """What it raised; None unless failed."""
    begun_ns: int
    ended_ns: int


class Lanes:
    """A fixed number of lanes."""

    def __init__(self, count: int, clock: Clock, *, on_done: Callable[[], None]) -> None:
        """Make `count` lanes; call `on_done()` when one has nothing more to do."""
        self._clock = clock
        self._on_done = on_done
        self._done: deque[Done] = deque()
        self._runs: dict[int, _RunStopper] = {}
        self._line = Line(count)
        self._line_lock = threading.Lock()
        self._beginning: deque[threading.Lock] = deque(maxlen=count)
        """Of the last runs handed to idle lanes: held until the lane has taken it up."""
        self._ordered: dict[int, _Item] = {}
        """Runs that have not begun."""
        self._lane_of: dict[int, int] = {}
        self._jobs: list[SimpleQueue[_Item | None]] = []
        self._threads: list[threading.Thread] = []
        for lane in range(count):
            jobs: SimpleQueue[_Item | None] = SimpleQueue()
            thread = threading.Thread(
                target=self._work, args=(jobs,), name=f"lane {lane}", daemon=True
            )
            self._jobs.append(jobs)
            self._threads.append(thread)
            thread.start()

    def start(self, run: int, lane: int, job: Job, takes: Iterable[int] = ()) -> bool:
        """Run `job` on `lane`, after what it was given before and after the runs in `takes`.

        Returns:
            Whether it begins at once.

        Raises:
            ContractError: there is no such lane.
        """
        if not 0 <= lane < len(self._jobs):
            msg = f"run {run} is for lane {lane}, but there are only {len(self._jobs)} lanes"
            raise ContractError(msg)
        stopper = self._runs[run] = _RunStopper()
        with self._line_lock:
            begins = self._line.add(run, lane, takes)
            if not begins:
                self._ordered[run], self._lane_of[run] = (run, job, stopper, None), lane
        if begins:
            begun = threading.Lock()
            begun.acquire()
            self._beginning.append(begun)
            self._jobs[lane].put((run, job, stopper, begun))
        return begins

    def rouse(self, lane: int) -> None:
        """Have a lane awake, where it is idle, when it is given a run in a moment."""
        if not self._line.on(lane):
            self._jobs[lane].put(_ROUSED)

    def let_begin(self, timeout_ns: int) -> None:
        """Leave the interpreter to lanes that were given runs while idle, until they have it.

        No longer than `timeout_ns` for each that was started since the last call.
        """
        while self._beginning:
            self._beginning.popleft().acquire(timeout=timeout_ns / NS_PER_S)

    def cancel(self, run: int) -> None:
        """Ask a run to end early; it still comes back from `take`. Ended runs are passed over."""
        stopper = self._runs.get(run)
        if stopper is not None:
            stopper.stop()

    def take(self) -> list[Done]:
        """Return the runs that have ended since the last call, in the order of their ends."""
        results = [self._done.popleft() for _ in range(len(self._done))]
        for done in results:
            del self._runs[done.run]
        return results

    def close(self) -> None:
        """Cancel what runs and end the threads; further calls do nothing."""
        for run in tuple(self._runs):
            self.cancel(run)
        for jobs in self._jobs:
            jobs.put(None)
        for thread in self._threads:
            thread.join(CLOSE_GRACE_S)
        self._threads = []

    def _work(self, jobs: SimpleQueue[_Item | None]) -> None:
        while (item := jobs.get()) is not None:
            if item is _ROUSED:
                continue
            run, job, stopper, begun = item
            if begun is not None:
                begun.release()
            done = self._carry_out(run, job, stopper)
            self._done.append(done)
            goes_on = self._begin_others(run, jobs)
            if not goes_on or done.status != "ok":
                self._on_done()

    def _begin_others(self, ended: int, jobs: SimpleQueue[_Item | None]) -> bool:
        """Begin the runs that waited for one; return whether one of them is in `jobs`."""
        goes_on = False
        with self._line_lock:
            for run in self._line.end(ended):
                its_jobs = self._jobs[self._lane_of.pop(run)]
                its_jobs.put(self._ordered.pop(run))
                goes_on |= its_jobs is jobs
        return goes_on

    def _carry_out(self, run: int, job: Job, stopper: _RunStopper) -> Done:
        begun_ns = self._clock.now_ns()
        status: str = "ok"
        value: object = None
        error: BaseException | None = None
        try:
            value = job(stopper)
        except Cancelled:
            status = "cancelled"
        except BaseException as raised:  # the outcome of a job, whatever it is
            status, error = "failed", raised
        return Done(run, status, value, error, begun_ns, self._clock.now_ns())


class _RunStopper:
    """How one run learns that it should end. Satisfies `tectum.inference.stage.Stopper`."""

    __slots__ = ("_actions", "_stopped")

    _lock = threading.Lock()
    """One for all: held for moments, and made for none."""

    def __init__(self) -> None:
        self._actions: list[Callable[[], None]] = []
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Return whether the run was cancelled."""
        return self._stopped

    def on_stop(self, action: Callable[[], None]) -> None:
        """Call `action()` when the run is cancelled; at once where it was already."""
        with self._lock:
            if not self._stopped:
                self._actions.append(action)
                return
        action()

    def stop(self) -> None:
        """Cancel the run; further calls do nothing."""
        with self._lock:
            actions, self._actions = self._actions, []
            self._stopped = True
        for action in actions:
            action()


_Item = tuple[int, Job, _RunStopper, "threading.Lock | None"]
"""The last: what to release when it begins, where somebody waits for that."""
_ROUSED: _Item = (-1, lambda stopper: None, _RunStopper(), None)
"""No run: what wakes a lane that is about to be given one."""
