"""The shell around a pipeline: it carries out orders on lanes and decides nothing.

It keeps what orders refer to (messages by sample, outputs by run), starts runs, takes completions
back, and hands results, rows and the journal to a `Sink`. It owns no socket: the fusion node feeds
it from the wire, an embedding program from its own calls. For one thread, the loop's. The journal
of what was taken up is handed out before the orders that follow from it are carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from tectum.clock import Clock
from tectum.errors import ContractError
from tectum.inference.blend import blended
from tectum.inference.stage import Cut, Stage, StageArg, StageOutput, Stopper
from tectum.ledger.row import Row
from tectum.message import Message, SampleRef, sample_of
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
    Absent,
    Arg,
    Cancel,
    Close,
    Emit,
    Free,
    Note,
    Of,
    Order,
    Picked,
    Start,
)
from tectum.pipeline.pipeline import Pipeline
from tectum.pipeline.plan import Plan

__all__ = ["Executor", "Failure", "Shell", "Sink"]


class Executor(Protocol):
    """Lanes: see `tectum.node.lanes.Lanes`."""

    def start(self, run: int, lane: int, job: Callable[[Stopper], object]) -> None:
        """Run `job` on `lane`."""
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
        """Send the outcome of one trigger; returning means sent."""
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
        self._stages = stages
        self._lanes = lanes
        self._clock = clock
        self._sink = sink
        self._on_failure = on_failure
        self._messages: dict[SampleRef, Message] = {}
        self._outputs: dict[int, StageOutput] = {}
        self._running: dict[int, Start] = {}
        self._ready: list[Ready] = []
        """Runs ordered in a row, not started yet: some may share a batch."""
        self._fresh: list[Event] = []

    # -- facts in

    def measure(self, repeats: int = 3) -> dict[str, int]:
        """Warm up every variant of every stage and seed the latency model; return medians in ns."""
        medians = {}
        for stage in self._stages.values():
            for variant in stage.variants:
                medians[f"{stage.name}/{variant}"] = self._measure(stage, variant, repeats)
        return medians

    def push(self, input_name: str, message: Message) -> None:
        """Take up a message that reached an input."""
        sample = sample_of(message.header, input_name)
        self._messages[sample.ref] = message
        self._feed(Arrived(self._clock.now_ns(), sample))

    def promise(self, input_name: str, stamp_ns: int, *, begun: bool) -> None:
        """Take up that nothing before `stamp_ns` follows on an input."""
        self._feed(Promised(self._clock.now_ns(), input_name, stamp_ns, begun))

    def end(self, input_name: str) -> None:
        """Take up that an input's source has ended."""
        self._feed(Ended(self._clock.now_ns(), input_name))

    def miss(
        self, input_name: str, incarnation: int, first_seq: int, missing: int, cause: str
    ) -> None:
        """Take up that messages never came."""
        now_ns = self._clock.now_ns()
        self._feed(Missed(now_ns, input_name, incarnation, first_seq, missing, cause))

    def turn(self) -> int:
        """Take completions back, let time decide, carry out; return when to turn again (ns)."""
        for done in self._lanes.take():
            self._take_back(done)
        self._feed(Tick(self._clock.now_ns()))
        self._hand_out_journal()
        return self.pipeline.next_wakeup_ns()

    def stop(self) -> None:
        """Give every open trigger its outcome now."""
        self._feed(Stopped(self._clock.now_ns()))
        self._hand_out_journal()

    # -- orders out

    def _feed(self, event: Event) -> None:
        self._fresh.append(event)
        for order in self.pipeline.feed(event):
            self._carry_out(order)
        self._start_ready()

    def _carry_out(self, order: Order) -> None:
        if isinstance(order, Start):
            self._start(order)
            return
        self._start_ready()
        if isinstance(order, Free):
            self._free(order.what)
        elif isinstance(order, Emit):
            self._emit(order)
        elif isinstance(order, Close):
            self._sink.close_row(order.row)
        elif isinstance(order, Cancel):
            self._lanes.cancel(order.run)
        else:
            self._sink.note(order)

    def _start(self, order: Start) -> None:
        self._running[order.run] = order
        stage = self._stages[order.stage]
        args = {arg.input: self._resolve(arg, order.stamp_ns) for arg in order.args}
        state = self._outputs[order.state].state if order.state >= 0 else None

        def blend() -> dict[str, StageArg]:
            return {
                name: blended(arg) if isinstance(arg, Cut) else arg for name, arg in args.items()
            }

        self._ready.append(Ready(order.run, order.lane, stage, order.variant, blend, state))

    def _start_ready(self) -> None:
        if self._ready:
            runs, self._ready = self._ready, []
            self._hand_out_journal()
            for run, job in jobs_of(runs):
                self._lanes.start(run.run, run.lane, job)

    def _resolve(self, arg: Arg, trigger_ns: int) -> StageArg:
        if isinstance(arg, Absent):
            return None
        if isinstance(arg, Of):
            output = self._outputs[arg.run]
            captured_ns = output.stamp_ns - self.pipeline.plan.input(arg.input).offset_ns
            return replace(output, age_ns=trigger_ns - captured_ns)
        return self._cut(arg)

    def _newest_ns(self, start: Start) -> int:
        """Return the stamp of the newest sample that a run takes; the trigger's for the head."""
        refs = [ref for arg in start.args if isinstance(arg, Picked) for ref in arg.refs]
        return max((self._messages[ref].header.stamp_ns for ref in refs), default=start.stamp_ns)

    def _cut(self, arg: Picked) -> Cut:
        messages = tuple([self._messages[ref] for ref in arg.refs])
        return Cut(messages, arg.begin, arg.length, arg.weight_ppm)

    def _take_back(self, done: Done) -> None:
        start = self._running.pop(done.run)
        if done.status == "ok":
            if not isinstance(done.value, StageOutput):
                msg = f"stage '{start.stage}' returned {type(done.value)}, not a StageOutput"
                raise ContractError(msg)
            self._outputs[done.run] = replace(done.value, stamp_ns=self._newest_ns(start))
        elif done.status == "failed" and done.error is not None:
            self._on_failure(Failure(start.stage, start.variant, done.error))
        compute_ns = done.ended_ns - done.begun_ns
        self._feed(Finished(self._clock.now_ns(), done.run, done.status, compute_ns))

    def _emit(self, order: Emit) -> None:
        self._hand_out_journal()
        answer = self._outputs[order.answer] if order.answer is not None else None
        self._sink.deliver(order.row, answer)
        self._feed(Delivered(self._clock.now_ns(), order.row.trigger))

    def _free(self, what: SampleRef | int) -> None:
        if isinstance(what, int):
            output = self._outputs.pop(what, None)
            if output is not None:
                output.release()
            return
        message = self._messages.pop(what, None)
        if message is not None:
            message.release()

    def _hand_out_journal(self) -> None:
        if self._fresh:
            events, self._fresh = self._fresh, []
            self._sink.journal(events)

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
