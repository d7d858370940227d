"""The shell around a pipeline: it carries out orders on lanes and decides nothing.

It starts runs with what orders refer to (`tectum.node.holdings`), takes completions back, and hands
results, rows and the journal to a `Sink`. It owns no socket: the fusion node feeds it from sockets,
an embedding program from its calls. What others wait for goes first: runs are started and
results delivered; the journal of what was taken up and the rows that came of it follow.

What an idle lane begins with is made ready here while that lane wakes up, and what it goes on with
while it computes: so between two runs it has nothing to do but begin. Work on a sample (decoding,
resizing) is the lane's.

Whoever holds `turn_lock` has the turn. That is the loop, and for a moment the thread of a lane
whose run has just ended: it takes the run back, finds out what comes next where that was not
ordered before, and goes on with it, which saves two hand-overs between threads for each run. The
loop does the papers, and whatever time decides.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from tectum.clock import Clock
from tectum.errors import ContractError
from tectum.inference.stage import Job, Prepares, Stage, StageOutput, Stopper
from tectum.ledger.row import Row
from tectum.message import Message, sample_of
from tectum.node.holdings import Holdings
from tectum.node.lanes import Done
from tectum.node.together import Ready, jobs_of
from tectum.pipeline.events import (
    Arrived,
    Delivered,
    Ended,
    Event,
    Finished,
    Measured,
    Missed,
    Promised,
    Stopped,
    Tick,
)
from tectum.pipeline.orders import (
    Cancel,
    Close,
    Emit,
    Free,
    Note,
    Of,
    Order,
    Start,
)
from tectum.pipeline.pipeline import Pipeline
from tectum.pipeline.plan import Plan

__all__ = ["Executor", "Failure", "Shell", "Sink"]

REST_NS = 300_000
"""For so long the loop leaves the interpreter to lanes that were given runs, so that they begin."""
PAPERS_NS = 20_000_000
"""Papers and what lies ahead wait for that, but no longer than so."""


class Executor(Protocol):
    """Lanes: see `tectum.node.lanes.Lanes`."""

    def start(
        self, run: int, lane: int, job: Callable[[Stopper], object], takes: Iterable[int] = ()
    ) -> bool:
        """Run `job` on `lane`, after what was given to it before and after the runs in `takes`.

        Returns whether it begins at once.
        """
        ...

    def rouse(self, lane: int) -> None:
        """Have a lane awake, where it is idle, when it is given a run in a moment."""
        ...

    def let_begin(self, timeout_ns: int) -> None:
        """Wait a moment for lanes to begin what they were given since the last call."""
        ...

    def cancel(self, run: int) -> None:
        """End a run early if possible."""
        ...

    def take(self) -> list[Done]:
        """Return the runs that have ended since the last call."""
        ...


class Sink(Protocol):
    """Where results, rows and the journal go."""

    def deliver(self, row: Row, answer: StageOutput | None) -> None:
        """Send the outcome of one trigger; returning means sent. Whoever has the turn calls it."""
        ...

    def close_row(self, row: Row) -> None:
        """Write a final row to the ledger."""
        ...

    def note(self, note: Note) -> None:
        """Say that something about an input has changed."""
        ...

    def journal(self, events: list[Event]) -> None:
        """Write events to the journal."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that raised."""

    stage: str
    variant: str
    error: BaseException


class Shell:
    """Runs one fusion node's pipeline for real."""

    def __init__(
        self,
        plan: Plan,
        stages: Mapping[str, Stage],
        lanes: Executor,
        clock: Clock,
        sink: Sink,
        on_failure: Callable[[Failure], None],
    ) -> None:
        """Take the parts; `stages` has one per `plan.stages`, warmed up with `measure`."""
        self.pipeline = Pipeline(plan)
        self.turn_lock = threading.RLock()
        """To be held by a loop that touches what `deliver` touches."""
        self._accident: BaseException | None = None
        """What a turn in a lane's thread raised: for the loop to raise."""
        self._stopped = False
        self._stages = stages
        self._prepares = {n: s.prepared for n, s in stages.items() if isinstance(s, Prepares)}
        self._lanes = lanes
        self._clock = clock
        self._sink = sink
        self._on_failure = on_failure
        self._holdings = Holdings(plan)
        self._running: dict[int, Start] = {}
        self._begun = False
        """A run was given to a lane that was idle, in this turn."""
        self._ready: list[Ready] = []
        """Runs ordered in a row, not started yet, that may share a batch."""
        self._fresh: list[Event] = []
        """Taken up in this turn; for the journal."""
        self._papers: list[Close | Note] = []
        """For the ledger, after the journal."""

    # -- facts in

    def measure(self, repeats: int = 3) -> dict[str, int]:
        """Warm up every variant of every stage and seed the latency model; return medians in ns."""
        medians = {}
        for stage in self._stages.values():
            for variant in stage.variants:
                medians[f"{stage.name}/{variant}"] = self._measure(stage, variant, repeats)
        return medians

    def push(self, input_name: str, message: Message) -> None:
        """Take up a message that reached an input.

        Where that is all it takes to begin a run, this waits for a moment until it has begun.
        """
        sample = sample_of(message.header, input_name)
        with self.turn_lock:
            self._holdings.take_up(sample.ref, message)
            self._feed(Arrived(self._clock.now_ns(), sample))
            if self._begun:
                self._begun = False
                self._lanes.let_begin(REST_NS)

    def promise(self, input_name: str, stamp_ns: int, *, begun: bool) -> None:
        """Take up that nothing before `stamp_ns` follows on an input."""
        with self.turn_lock:
            self._feed(Promised(self._clock.now_ns(), input_name, stamp_ns, begun))

    def end(self, input_name: str) -> None:
        """Take up that an input's source has ended."""
        with self.turn_lock:
            self._feed(Ended(self._clock.now_ns(), input_name))

    def miss(
        self, input_name: str, incarnation: int, first_seq: int, missing: int, cause: str
    ) -> None:
        """Take up that messages never came."""
        with self.turn_lock:
            now_ns = self._clock.now_ns()
            self._feed(Missed(now_ns, input_name, incarnation, first_seq, missing, cause))

    def turn(self) -> int:
        """Take completions back, let time decide, carry out; return when to turn again (ns).

        When idle lanes were given runs that is soon: they come first, then papers and the rest; or
        when there is need, where every lane is busy and all that follows was ordered.

        Raises:
            ContractError: a stage gave what it must not.
            Exception: the sink raised, in this turn or in one of a lane's.
        """
        with self.turn_lock:
            if self._accident is not None:
                raise self._accident
            self._take_all_back()
            self._begun = False
            self._feed(Tick(self._clock.now_ns()))
            now_ns = self._clock.now_ns()
            papers_ns = self._fresh[0].now_ns + PAPERS_NS
            if self._begun and now_ns < papers_ns:
                return max(now_ns + REST_NS, min(self.pipeline.foreseen_ns, papers_ns))
            self._hand_out_papers()
            return self.pipeline.next_wakeup_ns()

    def run_ended(self) -> bool:
        """Take a turn in the thread of a lane whose run has ended, unless somebody has it.

        Returns:
            Whether the loop has something to do: papers, what was not taken back, another time to
            wake. Not where all that follows was ordered before, and nothing had to be decided.
        """
        if not self.turn_lock.acquire(blocking=False):
            return True
        try:
            if self._stopped or self._accident is not None:
                return True
            self._take_all_back()
            if not self.pipeline.pressing:
                return False
            self._feed(Tick(self._clock.now_ns()))
        except BaseException as error:
            self._accident = error
        finally:
            self.turn_lock.release()
        return True

    def stop(self) -> None:
        """Give every open trigger its outcome now."""
        with self.turn_lock:
            self._stopped = True
            self._feed(Stopped(self._clock.now_ns()))
            self._hand_out_papers()

    # -- orders out

    def _take_all_back(self) -> None:
        for done in self._lanes.take():
            self._take_back(done)

    def _feed(self, event: Event) -> None:
        self._fresh.append(event)
        for order in self.pipeline.feed(event):
            if isinstance(order, Start):
                self._start(order)
            else:
                self._carry_out(order)
        if self._ready:
            self._start_ready()

    def _carry_out(self, order: Order) -> None:
        if self._ready:
            self._start_ready()
        if isinstance(order, Free):
            self._holdings.free(order.what)
        elif isinstance(order, Emit):
            self._emit(order)
        elif isinstance(order, Cancel):
            self._lanes.cancel(order.run)
        else:
            assert isinstance(order, (Close, Note))
            self._papers.append(order)

    def _start(self, order: Start) -> None:
        self._running[order.run] = order
        self._holdings.expect(order)
        stage = self._stages[order.stage]
        job = self._prepared(order) if order.state < 0 else None
        if job is None:
            state = self._holdings.state_of(order.state) if order.state >= 0 else None
            args = partial(self._holdings.args_of, order)
            run = Ready(order.run, order.lane, stage, order.variant, args, state)
            if run.key() is not None:
                self._ready.append(run)
                return
            job = run.alone
        if self._ready:
            self._start_ready()
        self._hand_over(order.run, order.lane, job)

    def _prepared(self, order: Start) -> Job | None:
        """Return a run of which only the computing is left; None where a lane is to see to it."""
        prepared = self._prepares.get(order.stage)
        if prepared is None:
            return None
        self._lanes.rouse(order.lane)
        try:
            return prepared(order.variant, self._holdings.args_of(order))
        except Exception:
            return None  # it will fail in the lane, and there it is the run that failed

    def _start_ready(self) -> None:
        runs, self._ready = self._ready, []
        for run, job in jobs_of(runs):
            self._hand_over(run.run, run.lane, job)

    def _hand_over(self, run: int, lane: int, job: Callable[[Stopper], object]) -> None:
        """Give a job to its lane, so that what it gives is there for the runs that wait for it."""

        def keep(stopper: Stopper) -> object:
            output = job(stopper)
            if isinstance(output, StageOutput):
                self._holdings.keep(run, output)
            return output

        takes = [arg.run for arg in self._running[run].args if isinstance(arg, Of)]
        self._begun |= self._lanes.start(run, lane, keep, takes)

    def _take_back(self, done: Done) -> None:
        start = self._running.pop(done.run)
        if done.status == "ok":
            if not isinstance(done.value, StageOutput):
                msg = f"stage '{start.stage}' returned {type(done.value)}, not a StageOutput"
                raise ContractError(msg)
        elif done.status == "failed" and done.error is not None:
            self._on_failure(Failure(start.stage, start.variant, done.error))
        compute_ns = done.ended_ns - done.begun_ns
        now_ns = self._clock.now_ns()
        self._feed(Finished(now_ns, done.run, done.status, compute_ns, done.ended_ns))

    def _emit(self, order: Emit) -> None:
        answer = None if order.answer is None else self._holdings.answer(order.answer)
        self._sink.deliver(order.row, answer)
        self._feed(Delivered(self._clock.now_ns(), order.row.trigger, order.row.head))

    def _hand_out_papers(self) -> None:
        if self._fresh:
            events, self._fresh = self._fresh, []
            self._sink.journal(events)
        if self._papers:
            papers, self._papers = self._papers, []
            for paper in papers:
                if isinstance(paper, Close):
                    self._sink.close_row(paper.row)
                else:
                    self._sink.note(paper)

    def _measure(self, stage: Stage, variant: str, repeats: int) -> int:
        stage.warm_up(variant)
        took = []
        for _ in range(repeats):
            begun_ns = self._clock.now_ns()
            stage.warm_up(variant)
            now_ns = self._clock.now_ns()
            took.append(now_ns - begun_ns)
            self._feed(Measured(now_ns, stage.name, variant, now_ns - begun_ns))
        return sorted(took)[len(took) // 2]
