"""A shell in virtual time: real answers, computed at once, that come when a table says.

The caller is the clock: it pushes messages at their instants and advances. Decisions are those of
`tectum.pipeline.simulate` with the same arrivals and durations, so the digest is too; a slow
machine slows the caller and changes no decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from tectum.inference.stage import Cancelled, Stage, Stopper
from tectum.node.lanes import Done
from tectum.node.shell import Failure, Shell, Sink
from tectum.pipeline.events import Event
from tectum.pipeline.line import Line
from tectum.pipeline.orders import Start
from tectum.pipeline.plan import Plan
from tectum.pipeline.simulate import Durations

__all__ = ["VirtualClock", "VirtualShell"]


class VirtualClock:
    """A graph clock that stands where it was set."""

    def __init__(self) -> None:
        """Stand at the beginning of time."""
        self._now_ns = 0

    def now_ns(self) -> int:
        """Return the instant that was set."""
        return self._now_ns

    def sleep_until_ns(self, instant_ns: int) -> None:
        """Go to an instant, unless it has passed."""
        self._now_ns = max(self._now_ns, instant_ns)


class VirtualShell(Shell):
    """A shell whose runs take what `durations` says; a negative duration is a failure."""

    def __init__(
        self,
        plan: Plan,
        stages: Mapping[str, Stage],
        durations: Durations,
        sink: Sink,
        on_failure: Callable[[Failure], None],
    ) -> None:
        """Begin with the first instant that is pushed."""
        self.clock = VirtualClock()
        self._durations = durations
        self._virtual = _VirtualLanes(self.clock, plan.lanes)
        super().__init__(plan, stages, self._virtual, self.clock, sink, on_failure)

    def advance(self, now_ns: int) -> None:
        """Let everything happen that happens before `now_ns`, and be there."""
        while (instant_ns := self._next_instant()) < now_ns:
            self.clock.sleep_until_ns(instant_ns)
            self.turn()
        self.clock.sleep_until_ns(now_ns)

    def take(self, event: Event) -> None:
        """Take up an event that is no message, at its instant: a promise, a gap, an end."""
        self._feed(event)

    def settle(self) -> None:
        """Let everything happen until no outcome is owed."""
        while self.pipeline.waiting:
            self.clock.sleep_until_ns(self._next_instant())
            self.turn()

    def _next_instant(self) -> int:
        return min(self.pipeline.next_wakeup_ns(), self._virtual.next_end_ns())

    def _start(self, order: Start) -> None:
        self._virtual.expect(order.run, self._durations(order))
        super()._start(order)


class _VirtualLanes:
    """Runs a job when its turn has come, and hands it back when its time is over."""

    def __init__(self, clock: VirtualClock, lanes: int) -> None:
        self._clock, self._line = clock, Line(lanes)
        self._takes: dict[int, int] = {}
        self._jobs: dict[int, Callable[[Stopper], object]] = {}
        """Of runs that have not begun."""
        self._withdrawn: set[int] = set()
        self._running: dict[int, Done] = {}

    def expect(self, run: int, took_ns: int) -> None:
        self._takes[run] = took_ns

    def start(
        self, run: int, lane: int, job: Callable[[Stopper], object], takes: Iterable[int] = ()
    ) -> bool:
        self._jobs[run] = job
        begins = self._line.add(run, lane, takes)
        if begins:
            self._begin(run)
        return begins

    def rouse(self, lane: int) -> None:
        pass

    def let_begin(self, timeout_ns: int) -> None:
        pass

    def cancel(self, run: int) -> None:
        if run in self._jobs:
            self._withdrawn.add(run)
        elif run in self._running:
            now_ns = self._clock.now_ns()
            self._running[run] = Done(run, "cancelled", None, None, now_ns, now_ns)

    def take(self) -> list[Done]:
        now_ns, taken = self._clock.now_ns(), list[Done]()
        while due := [done for done in self._running.values() if done.ended_ns <= now_ns]:
            for done in sorted(due, key=lambda done: (done.ended_ns, done.run)):
                del self._running[done.run]
                taken.append(done)
                for run in self._line.end(done.run):
                    self._begin(run)
        return taken

    def next_end_ns(self) -> int:
        return min((done.ended_ns for done in self._running.values()), default=1 << 62)

    def _begin(self, run: int) -> None:
        job, took_ns, now_ns = self._jobs.pop(run), self._takes.pop(run), self._clock.now_ns()
        value, error = (None, Cancelled()) if run in self._withdrawn else _carry_out(job)
        self._withdrawn.discard(run)
        if isinstance(error, Cancelled):
            self._running[run] = Done(run, "cancelled", None, None, now_ns, now_ns)
            return
        status = "ok" if took_ns >= 0 and error is None else "failed"
        self._running[run] = Done(run, status, value, error, now_ns, now_ns + abs(took_ns))


class _Unstopped:
    stopped = False

    def on_stop(self, action: Callable[[], None]) -> None:
        del action


def _carry_out(job: Callable[[Stopper], object]) -> tuple[object, BaseException | None]:
    try:
        return job(_Unstopped()), None
    except Cancelled as error:
        return None, error
    except Exception as error:
        return None, error
