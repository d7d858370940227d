"""The pipeline: events in, orders out. The one object that decides.

Promises: one outcome per trigger, in acceptance order; every wait ends at *deadline - time still
needed*; a set that cannot improve waits zero; a dead input costs its own modality; the same events
give the same orders. Facts are taken up as they come; what time decides is decided on `Tick`,
after everything was drained. `Tick` reads like the road of a set: hush, trigger, commit, give up,
compute, emit. It does no I/O and never looks at a payload or a score.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tectum.budget.latency import LatencyModel
from tectum.budget.planner import Choice, Planner
from tectum.errors import ContractError
from tectum.ledger.digest import DecisionDigest
from tectum.ledger.row import InputRow, Outcome, Row, Status
from tectum.message import Sample, SampleRef
from tectum.pipeline.accept import accepted, requirements
from tectum.pipeline.ahead import Ahead
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
from tectum.pipeline.opened import OpenSet, open_set
from tectum.pipeline.orders import Absent, Arg, Close, Emit, Free, Note, Of, Order, Picked
from tectum.pipeline.plan import Plan
from tectum.pipeline.port import Port
from tectum.pipeline.runs import Leases, Run, Runs
from tectum.sync.base import Pick, Refusal, final_over
from tectum.sync.listening import Listening
from tectum.sync.stream import NEVER_NS, REFUSED
from tectum.sync.triggers import NO_TRIGGER, Due, next_rate, next_substitute

__all__ = ["Pipeline"]

_SILENT_REASONS = {
    Listening.SILENT: "silent",
    Listening.MUTE: "never_heard",
    Listening.ENDED: "ended",
}
_ROWS_REMEMBERED = 512


class Pipeline:
    """Synchronizer, planner, latency model and ledger of one fusion node."""

    def __init__(self, plan: Plan) -> None:
        """Begin with the first event; until then nothing is known."""
        self.plan = plan
        self.model = LatencyModel()
        self.digest = DecisionDigest()
        self.rows: deque[Row] = deque(maxlen=_ROWS_REMEMBERED)
        """The latest closed rows."""
        self._names = tuple([item.name for item in plan.inputs])
        self._ports = [
            Port(i, item, plan.stage(item.encoder) if item.encoder else None)
            for i, item in enumerate(plan.inputs)
        ]
        self._by_name = {port.plan.name: port for port in self._ports}
        self._trigger = self._by_name.get(plan.trigger)
        self._wanted = requirements(plan)
        self._leases = Leases()
        self._runs = Runs(plan.lanes, self._leases)
        self._planner = Planner(plan, self._ports, self.model, self._wanted)
        self._open: deque[OpenSet] = deque()
        self._delivering: dict[int, OpenSet] = {}
        self._orders: list[Order] = []
        self._now_ns = self._started_ns = 0
        self._next_trigger = 0
        self._last_t_ns = -NEVER_NS
        self._ahead = Ahead(self._trigger.raw if self._trigger else None)
        self._anchor_ns = 0
        self._substituting = False
        self._stopped = False
        self._dirty = False
        self._wake_ns = NEVER_NS
        self._handlers: dict[type, Callable[..., None]] = {
            Arrived: self._arrived,
            Promised: self._promised,
            Ended: self._ended,
            Missed: self._missed,
            Measured: self._measured,
            Finished: self._finished,
            Delivered: self._delivered,
            Stopped: self._stop,
            Tick: self._tick,
        }

    # -- the interface

    def feed(self, event: Event) -> list[Order]:
        """Take up one event and return the orders that follow from it, in sequence.

        Raises:
            ContractError: time went back, or the event names an unknown input, run or trigger.
        """
        now_ns = event.now_ns
        if now_ns < self._now_ns:
            msg = f"time went back by {self._now_ns - now_ns} ns at {event}"
            raise ContractError(msg)
        if not self._started_ns:
            self._started_ns = now_ns
        self._now_ns = now_ns
        orders: list[Order] = []
        self._orders = orders
        self._handlers[type(event)](event)
        return orders

    def next_wakeup_ns(self) -> int:
        """Return when a `Tick` is due at the latest, if nothing else happens before."""
        return self._now_ns if self._dirty else self._wake_ns

    @property
    def done(self) -> bool:
        """Return whether no further outcome will come: triggers ended and all were delivered."""
        return not self.waiting and (self._stopped or self._triggers_ended())

    @property
    def waiting(self) -> bool:
        """Return whether an outcome is still owed."""
        return bool(self._open or self._delivering)

    def counters(self) -> dict[str, dict[str, int]]:
        """Return per input what was counted: received, used, and each oddity and loss by name."""
        return {port.plan.name: dict(port.raw.counts) for port in self._ports}

    def listening(self) -> dict[str, tuple[str, int]]:
        """Return per input its state and when it was last heard (ns; 0 for never)."""
        return {p.plan.name: (str(p.raw.state), p.raw.heard_ns) for p in self._ports}

    # -- facts

    def _arrived(self, event: Arrived) -> None:
        now_ns, sample = event
        port = self._port(sample.ref.input)
        for t_ns in port.notice_beaten(sample):
            self._note(port, "beaten", t_ns)
        oddity = port.raw.add(now_ns, sample)
        if oddity and self._is_refused(port, sample, oddity):
            return
        if port.raw.state is not Listening.SPEAKING:
            self._hear(port, "heard")
        if port.hops is not None:
            port.hops.add(sample)
            port.raw.release_all()
            self._dirty = True
        else:
            while port.raw.overfull():
                self._release(port.raw.release_oldest())
        if port.waiting or port.ahead:
            self._dirty = True
        if port is self._trigger:
            at_ns = port.raw.at_ns(sample)
            end_ns = sample.stamp_ns - port.plan.offset_ns + sample.span_ns
            self._accept(Due(now_ns, at_ns, end_ns), substitute=False)
        elif self.plan.trigger_period_ns and not self._anchor_ns:
            self._anchor_ns = sample.stamp_ns - port.plan.offset_ns
            self._dirty = True

    def _is_refused(self, port: Port, sample: Sample, oddity: str) -> bool:
        """Note what is odd about a sample, and free what it makes useless."""
        self._note(port, oddity, sample.stamp_ns)
        if oddity in REFUSED:
            if not (self._leases.pinned(sample.ref) or port.holds(sample)):
                self._orders.append(Free(sample.ref))
            return True
        if port.hops is None:
            self._release(port.raw.dropped)
        port.raw.dropped.clear()
        if oddity == "clock_step" and port is self._trigger:
            self._last_t_ns = -NEVER_NS
        return False

    def _promised(self, event: Promised) -> None:
        port = self._port(event.input)
        port.raw.promise(event.stamp_ns)
        port.raw.heard_ns = event.now_ns
        if event.begun and port is self._trigger:
            self._ahead.announce(event.stamp_ns)
            self._dirty = True
        self._dirty = self._dirty or port.waiting > 0

    def _ended(self, event: Ended) -> None:
        self._hear(self._port(event.input), "ended")
        self._dirty = True

    def _missed(self, event: Missed) -> None:
        counts = self._port(event.input).raw.counts
        key = f"lost_{event.cause}"
        counts[key] = counts.get(key, 0) + event.missing

    def _measured(self, event: Measured) -> None:
        self.model.observe(event.stage, event.variant, event.compute_ns)

    def _finished(self, event: Finished) -> None:
        run = self._runs.all.get(event.run)
        if run is None or run.finished:
            msg = f"run {event.run} is not running, yet it is said to have finished"
            raise ContractError(msg)
        ok = event.status == "ok"
        if ok:
            self._planner.ran(run.stage)
        took_ns = event.now_ns - run.begun_ns
        if ok or took_ns > self.model.typical_ns(run.stage, run.variant):
            # A run that was ended early took at least so long.
            self.model.observe(run.stage, run.variant, took_ns)
        self._runs.hold(run)
        self._runs.finish(event.now_ns, run, ok=ok, orders=self._orders)
        self._hop_finished(run)
        for opened in self._open:
            self._tell(opened, run, ok=ok)
        self._runs.let_go(run, self._orders)
        self._dirty = True

    def _delivered(self, event: Delivered) -> None:
        opened = self._delivering.pop(event.trigger, None)
        if opened is None:
            msg = f"trigger {event.trigger} was not being delivered"
            raise ContractError(msg)
        opened.row.delivered_ns = event.now_ns
        self.rows.append(opened.row)
        self._orders.append(Close(opened.row))
        if opened.head is not None:
            self._runs.let_go(opened.head, self._orders)

    def _stop(self, event: Stopped) -> None:
        self._stopped = True
        for opened in self._open:
            self._shed(opened, "stopped")
        self._emit(event.now_ns)

    # -- what time decides

    def _tick(self, event: Tick) -> None:
        now_ns = event.now_ns
        if not self._dirty and now_ns < self._wake_ns:
            return
        self._dirty = False
        self._hush(now_ns)
        self._trigger_by_time(now_ns)
        for opened in self._open:
            if not opened.resolved:
                self._commit(now_ns, opened)
                self._give_up(now_ns, opened)
        self._compute(now_ns)
        self._encode_ahead(now_ns)
        self._emit(now_ns)
        self._wake_ns = self._next_wakeup(now_ns)

    def _hush(self, now_ns: int) -> None:
        for port in self._ports:
            if now_ns >= port.raw.silent_at_ns(self._started_ns):
                self._hear(port, "hush")

    def _trigger_by_time(self, now_ns: int) -> None:
        due = self._due(now_ns)
        while due.at_ns <= now_ns:
            self._accept(due, substitute=self._trigger is not None)
            due = self._due(now_ns)

    def _due(self, now_ns: int) -> Due:
        """Return the next trigger that time makes."""
        if self._stopped:
            return NO_TRIGGER
        if self._trigger is not None:
            if not self.plan.substitute:
                return NO_TRIGGER
            return next_substitute(self._trigger.raw, self._last_t_ns, now_ns)
        if not self._anchor_ns:
            return NO_TRIGGER
        due = next_rate(self._anchor_ns, self._last_t_ns, self.plan.trigger_period_ns)
        return NO_TRIGGER if due.t_ns > self._inputs_end_ns() else due

    def _accept(self, due: Due, *, substitute: bool) -> None:
        """Open a set for a trigger, or say at once why there is none."""
        if self._stopped or self._covered(due, substitute=substitute):
            return
        opened = open_set(
            self._next_trigger, due.t_ns, due.end_ns, self._now_ns, self.plan.budget_ns, self._names
        )
        self._next_trigger += 1
        self._open.append(opened)
        self._dirty = True
        if due.t_ns <= self._last_t_ns:
            opened.pending.clear()
            self._shed(opened, "trigger_disorder")
            return
        self._last_t_ns, self._substituting = due.t_ns, substitute
        if substitute:
            opened.flag("substituted")
        for port in self._ports:
            port.waiting += 1

    def _covered(self, due: Due, *, substitute: bool) -> bool:
        """Return whether a real trigger was already answered by its stand-in."""
        if substitute or not self._substituting or self._trigger is None:
            return False
        if due.t_ns - self._last_t_ns >= self._trigger.raw.period_ns() // 2:
            return False
        counts = self._trigger.raw.counts
        counts["covered"] = counts.get("covered", 0) + 1
        return True

    # -- commits

    def _commit(self, now_ns: int, opened: OpenSet) -> None:
        if not opened.pending:
            return
        force_at = self._planner.force_at_ns(opened)
        for index, force_ns in zip(tuple(opened.pending), force_at, strict=True):
            port = self._ports[index]
            final = not port.expected or port.alignment.final(port.stream, opened.t_ns)
            if final or now_ns >= force_ns:
                self._commit_input(now_ns, opened, port, forced=not final)
                if opened.resolved:
                    return
        if not opened.pending:
            opened.row.settled_ns = now_ns

    def _commit_input(self, now_ns: int, opened: OpenSet, port: Port, *, forced: bool) -> None:
        opened.pending.remove(port.index)
        port.waiting -= 1
        item = opened.row.inputs[port.index]
        item.committed_ns, item.forced = now_ns, forced
        best = port.alignment.best(port.stream, opened.t_ns)
        if isinstance(best, Pick):
            self._take(opened, port, item, best)
        else:
            self._refuse(opened, port, item, best)
        self._settle_ahead(opened, port)
        port.remember(opened)
        if not accepted(self._wanted, opened.possible()):
            self._shed(opened, "not_accepted")

    def _take(self, opened: OpenSet, port: Port, item: InputRow, pick: Pick) -> None:
        opened.picks[port.index] = pick
        last = pick.refs[-1]
        item.status, item.incarnation, item.seq = Status.FRESH, last.incarnation, last.seq
        item.stamp_ns, item.distance_ns = pick.at_ns, pick.distance_ns
        item.arrived_ns, item.ambiguous = pick.arrived_ns, pick.ambiguous
        if pick.run >= 0:
            self._use(opened, port, self._runs.all[pick.run])
            return
        self._leases.pin(pick.refs)
        run = self._known_run(port, pick)
        if run is not None:
            self._use(opened, port, run)

    def _known_run(self, port: Port, pick: Pick) -> Run | None:
        """Return the run that already encodes these samples, for this set to share."""
        if port.encoder is None:
            return None
        return self._runs.by_key.get((port.encoder.name, (_picked(port, pick),)))

    def _refuse(self, opened: OpenSet, port: Port, item: InputRow, refusal: Refusal) -> None:
        reason = _SILENT_REASONS.get(port.raw.state) or refusal.reason
        if item.forced and reason in ("absent", "out_of_tolerance", "gaps"):
            reason = "not_arrived"
        if port.raw.state is not Listening.SPEAKING:
            item.silent_since_ns = port.raw.heard_ns
        item.refused_seq, item.refused_distance_ns = refusal.seq, refusal.distance_ns
        item.limit_ns = refusal.limit_ns
        opened.miss(port.index, reason)
        if self._planner.cached_fits(opened, port.index):
            self._use_cached(opened, port)

    def _use(self, opened: OpenSet, port: Port, run: Run) -> None:
        """Let the set share a run of this input's encoder."""
        self._runs.hold(run)
        opened.runs[port.index] = run
        item = opened.row.inputs[port.index]
        item.variant = run.variant
        item.encode_begin_ns, item.encode_end_ns = run.begun_ns, run.ended_ns
        if port.encoder is not None and run.variant != port.encoder.variants[0]:
            opened.flag("degraded")

    def _use_cached(self, opened: OpenSet, port: Port) -> None:
        """Let the embedding of an earlier sample stand in; the reason why stays."""
        assert port.cached is not None
        item = opened.row.inputs[port.index]
        self._unuse(opened, port.index)
        item.status, item.stamp_ns = Status.CACHED, port.cached_at_ns
        item.distance_ns = port.cached_at_ns - opened.t_ns
        self._use(opened, port, port.cached)

    # -- giving up

    def _give_up(self, now_ns: int, opened: OpenSet) -> None:
        """Shed what is overdue; leave out encoders for which the head can wait no longer."""
        if opened.resolved or opened.deadline_ns >= NEVER_NS:
            return
        if now_ns > self._patience_ns(opened):
            self._blame(now_ns, opened)
            self._shed(opened, "overrun" if opened.head else "no_time")
        elif self._head_is_due(now_ns, opened):
            self._leave_out_unfinished(opened)

    def _patience_ns(self, opened: OpenSet) -> int:
        """Return until when an answer is of use: a late one, where wanted, for one more budget."""
        more_ns = self.plan.budget_ns if self.plan.late == "deliver" else 0
        return opened.deadline_ns + more_ns

    def _head_is_due(self, now_ns: int, opened: OpenSet) -> bool:
        waits = not opened.pending and opened.head is None
        return waits and now_ns >= self._planner.head_by_ns(opened)

    def _leave_out_unfinished(self, opened: OpenSet) -> None:
        for index, port in enumerate(self._ports):
            run = opened.runs[index]
            waiting = run is not None and not run.finished
            if not waiting and index not in self._planner.unstarted(opened):
                continue
            self._lose(opened, port, "encoder_late")
            if opened.resolved:
                return

    def _lose(self, opened: OpenSet, port: Port, reason: str) -> None:
        """Go on without an input, with its cached embedding, or not at all."""
        opened.row.blame = opened.row.blame or port.plan.encoder or port.plan.name
        opened.miss(port.index, reason)
        self._unuse(opened, port.index)
        self._unpin(opened, port.index)
        if self._planner.cached_fits(opened, port.index):
            self._use_cached(opened, port)
        elif not accepted(self._wanted, opened.possible()):
            self._shed(opened, "not_accepted")

    def _blame(self, now_ns: int, opened: OpenSet) -> None:
        """Name the stage that a set still waits for when its time is over."""
        if opened.row.blame:
            return
        late = [
            self._ports[i].plan.encoder
            for i, run in enumerate(opened.runs)
            if run is not None and (not run.finished or run.ended_ns >= now_ns)
        ]
        todo = [self._ports[i].plan.encoder for i in self._planner.unstarted(opened)]
        opened.row.blame = (late + todo + [self.plan.head])[0]

    def _shed(self, opened: OpenSet, reason: str) -> None:
        if opened.resolved:
            return
        for index in opened.pending:
            self._ports[index].waiting -= 1
        opened.pending.clear()
        opened.row.outcome, opened.row.reason = Outcome.SHED, reason
        opened.resolved = True
        for index in range(len(self._ports)):
            self._unuse(opened, index)
        if opened.head is not None and not opened.head.finished:
            self._runs.cancel(self._now_ns, opened.head, self._orders)

    # -- computing

    def _compute(self, now_ns: int) -> None:
        free_at = self._runs.free_at(now_ns, NEVER_NS)
        for port in self._ports:
            if port.hops is not None:
                self._start_hop(now_ns, port, free_at)
        for opened in self._open:
            if not opened.resolved:
                self._advance(now_ns, opened, free_at)

    def _advance(self, now_ns: int, opened: OpenSet, free_at: list[int]) -> None:
        """Start what this set needs next, if it still fits."""
        if opened.head is not None or (opened.pending and self.plan.eager == "off"):
            return
        if opened.pending:
            choice = self._planner.eager(now_ns, opened, free_at)
            if not choice.fits:
                return
        else:
            choice = self._planner.choose(now_ns, opened, free_at)
            if not choice.fits:
                self._planner.deny(opened)
                self._blame(now_ns, opened)
                self._shed(opened, "no_time")
                return
            self._apply(opened, choice)
        if opened.resolved:
            return
        self._start_encoders(now_ns, opened, choice)
        if self._ready(opened):
            self._start_head(now_ns, opened, choice)

    def _apply(self, opened: OpenSet, choice: Choice) -> None:
        """Carry out what the planner gave up."""
        for index in choice.cached:
            opened.miss(index, "left_out")
            self._unpin(opened, index)
            self._use_cached(opened, self._ports[index])
        if choice.left_out:
            self._planner.deny(opened)
        for index in choice.left_out:
            self._lose(opened, self._ports[index], "left_out")

    def _start_encoders(self, now_ns: int, opened: OpenSet, choice: Choice) -> None:
        todo = self._planner.unstarted(opened)
        todo.sort(key=lambda i: -self._planner.encode_ns(self._ports[i], choice.variants[i]))
        for index, lane in zip(todo, self._runs.free_lanes(), strict=False):
            port, pick = self._ports[index], opened.picks[index]
            assert port.encoder is not None
            assert pick is not None
            level = choice.variants[index]
            variant = port.encoder.variants[level]
            expected_ns = self._planner.encode_ns(port, level)
            run = self._runs.start(
                now_ns,
                lane,
                port.encoder.name,
                variant,
                (_picked(port, pick),),
                expected_ns,
                self._orders,
            )
            self._share(port, run)

    def _share(self, port: Port, run: Run) -> None:
        """Let every open set that picked these samples use the run."""
        for opened in self._open:
            pick = opened.picks[port.index]
            if opened.resolved or pick is None or opened.runs[port.index] is not None:
                continue
            if run.args == (_picked(port, pick),):
                self._use(opened, port, run)

    def _ready(self, opened: OpenSet) -> bool:
        if opened.pending or self._planner.unstarted(opened):
            return False
        return all(run is None or run.finished for run in opened.runs)

    def _start_head(self, now_ns: int, opened: OpenSet, choice: Choice) -> None:
        lanes = self._runs.free_lanes()
        if not lanes:
            return
        stage = self.plan.stage(self.plan.head)
        variant = stage.variants[choice.head_variant]
        expected_ns = self._planner.head_ns(choice.head_variant)
        args = self._head_args(opened)
        run = self._runs.start(
            now_ns, lanes[0], stage.name, variant, args, expected_ns, self._orders
        )
        self._runs.hold(run)
        opened.head = run
        opened.row.head_begin_ns, opened.row.head_variant = now_ns, variant
        if choice.head_variant:
            opened.flag("degraded")

    def _head_args(self, opened: OpenSet) -> tuple[Arg, ...]:
        args: list[Arg] = []
        for port, item in zip(self._ports, opened.row.inputs, strict=True):
            run, pick = opened.runs[port.index], opened.picks[port.index]
            if item.status is Status.MISSING:
                args.append(Absent(port.plan.name))
            elif run is not None:
                args.append(Of(port.plan.name, run.id))
            elif pick is not None:
                args.append(_picked(port, pick))
        return tuple(args)

    def _tell(self, opened: OpenSet, run: Run, *, ok: bool) -> None:
        """Tell an open set that a run has ended."""
        if opened.resolved:
            return
        if opened.head is run:
            self._head_finished(opened, run, ok=ok)
            return
        for index, used in enumerate(opened.runs):
            if used is not run:
                continue
            if ok:
                opened.row.inputs[index].encode_end_ns = run.ended_ns
                self._cache(self._ports[index], opened.row.inputs[index], run)
            else:
                self._lose(opened, self._ports[index], "encoder_failed")

    def _head_finished(self, opened: OpenSet, run: Run, *, ok: bool) -> None:
        opened.row.head_end_ns = run.ended_ns
        if not ok:
            self._shed(opened, "head_failed")
            return
        if run.ended_ns > self._patience_ns(opened):
            self._blame(run.ended_ns, opened)
            self._shed(opened, "overrun")
            return
        opened.settle_outcome()
        opened.answer, opened.resolved = run.id, True

    def _cache(self, port: Port, item: InputRow, run: Run) -> None:
        """Keep the newest embedding of an input that may stand in for later ones."""
        if not port.plan.cache_ns or item.status is not Status.FRESH or port.cached is run:
            return
        if port.cached is not None:
            if item.stamp_ns < port.cached_at_ns:
                return
            self._runs.let_go(port.cached, self._orders)
        self._runs.hold(run)
        port.cached, port.cached_at_ns = run, item.stamp_ns

    # -- encoding before the trigger is there

    def _encode_ahead(self, now_ns: int) -> None:
        """Encode, on idle lanes, what will belong to the next trigger whenever it comes."""
        if self.plan.eager == "off" or self._trigger is None or self._stopped:
            return
        interval = self._ahead.interval(self._last_t_ns)
        for port in self._ports:
            port.ahead = False
            if port is self._trigger or port.encoder is None or port.hops is not None:
                continue
            if interval is None or port.index in self._ahead.runs:
                continue
            port.ahead = not self._start_ahead(now_ns, port, *interval)

    def _start_ahead(self, now_ns: int, port: Port, lo_ns: int, hi_ns: int) -> bool:
        """Start encoding ahead for one input; return whether there is nothing left to do."""
        lanes = self._runs.free_lanes()
        guess = self.plan.eager == "guess"
        if not lanes or not (guess or final_over(port.alignment, port.stream, lo_ns, hi_ns)):
            return False
        pick = port.alignment.best(port.stream, (lo_ns + hi_ns) // 2)
        if not isinstance(pick, Pick) or self._known_run(port, pick) is not None:
            return False
        assert port.encoder is not None
        level = self._planner.level(port.encoder.name)
        run = self._runs.start(
            now_ns,
            lanes[0],
            port.encoder.name,
            port.encoder.variants[level],
            (_picked(port, pick),),
            self._planner.encode_ns(port, level),
            self._orders,
        )
        self._runs.hold(run)
        self._ahead.runs[port.index] = (run, lo_ns)
        return True

    def _settle_ahead(self, opened: OpenSet, port: Port) -> None:
        """Let go of what was encoded ahead for this trigger, whether it was right or not."""
        run, from_ns = self._ahead.runs.get(port.index, (None, 0))
        if run is None or opened.t_ns < from_ns:
            return
        del self._ahead.runs[port.index]
        fate = "ahead_used" if opened.runs[port.index] is run else "ahead_wasted"
        port.raw.counts[fate] = port.raw.counts.get(fate, 0) + 1
        self._runs.let_go(run, self._orders)
        if run.holders == 0 and not run.finished:
            self._runs.cancel(self._now_ns, run, self._orders)

    # -- encoders that run on every sample

    def _start_hop(self, now_ns: int, port: Port, free_at: list[int]) -> None:
        lanes = self._runs.free_lanes()
        if port.hop_run is not None or not lanes or port.hops is None or port.encoder is None:
            return
        hop = port.hops.take()
        if hop is not None:
            if hop.fresh:
                self._drop_state(port)
            args = (Picked(port.plan.name, hop.refs, hop.begin, hop.length),)
            variant = port.encoder.variants[self._planner.level(port.encoder.name)]
            expected_ns = self.model.typical_ns(port.encoder.name, variant)
            state = port.hop_state.id if port.hop_state and port.encoder.stateful else -1
            run = self._runs.start(
                now_ns,
                lanes[0],
                port.encoder.name,
                variant,
                args,
                expected_ns,
                self._orders,
                state,
            )
            self._runs.hold(run)
            port.hop_run, port.hop = run, hop
            free_at[lanes[0]] = now_ns + expected_ns
        for ref in port.hops.released:
            self._leases.release(ref, self._orders)
        port.hops.released.clear()

    def _hop_finished(self, run: Run) -> None:
        for port in self._ports:
            if port.hop_run is not run or port.hops is None or port.hop is None:
                continue
            port.hop_run = None
            self._drop_state(port)
            if not run.ok:
                port.hops.restart()
                self._runs.let_go(run, self._orders)
                return
            port.hop_state = run
            if port.stream.add(self._now_ns, port.hop.sample(), run.id) in REFUSED:
                return
            self._runs.hold(run)
            self._release(port.stream.dropped)
            port.stream.dropped.clear()
            while port.stream.overfull():
                self._release(port.stream.release_oldest())

    def _drop_state(self, port: Port) -> None:
        if port.hop_state is not None:
            self._runs.let_go(port.hop_state, self._orders)
            port.hop_state = None

    # -- emitting

    def _emit(self, now_ns: int) -> None:
        emitted = False
        while self._open and self._open[0].resolved:
            opened = self._open.popleft()
            self._look_at_the_clock(now_ns, opened)
            opened.row.emitted_ns = now_ns
            self.digest.add(opened.row)
            self._delivering[opened.row.trigger] = opened
            self._orders.append(Emit(opened.row, opened.answer))
            for port in self._ports:
                if opened.answer is not None and port.plan.name in opened.present():
                    port.raw.counts["used"] += 1
                self._unuse(opened, port.index)
                self._unpin(opened, port.index)
            emitted = True
        if emitted:
            self._let_go_of_the_past()

    def _look_at_the_clock(self, now_ns: int, opened: OpenSet) -> None:
        """An answer may have been held up by the set before it: flag or shed what is late now."""
        if opened.answer is None or now_ns <= opened.deadline_ns:
            return
        if now_ns <= self._patience_ns(opened):
            opened.flag("late")
            return
        opened.answer = None
        opened.row.outcome, opened.row.reason = Outcome.SHED, "overrun"

    def _let_go_of_the_past(self) -> None:
        """Free the samples that no open or later trigger can pick."""
        t_ns = self._open[0].t_ns if self._open else self._last_t_ns
        for port in self._ports:
            self._release(port.stream.release_before(t_ns - port.alignment.reach_ns()))

    def _next_wakeup(self, now_ns: int) -> int:
        wake_ns = self._due(now_ns).at_ns
        for port in self._ports:
            wake_ns = min(wake_ns, port.raw.silent_at_ns(self._started_ns))
        for opened in self._open:
            if not opened.resolved and opened.deadline_ns < NEVER_NS:
                wake_ns = min(wake_ns, self._wake_for(now_ns, opened))
        return wake_ns

    def _wake_for(self, now_ns: int, opened: OpenSet) -> int:
        """Return when time alone changes something for this set."""
        instants = [self._patience_ns(opened) + 1, *self._planner.force_at_ns(opened)]
        if opened.head is None:
            instants.append(self._planner.head_by_ns(opened))
        return min((instant for instant in instants if instant > now_ns), default=NEVER_NS)

    # -- small parts

    def _port(self, name: str) -> Port:
        port = self._by_name.get(name)
        if port is None:
            msg = f"'{name}' is no input of '{self.plan.name}' (inputs: {', '.join(self._names)})"
            raise ContractError(msg)
        return port

    def _hear(self, port: Port, fact: str) -> None:
        change = port.raw.hear(fact)
        if change:
            self._dirty = True
            self._note(port, change, port.raw.heard_ns)

    def _note(self, port: Port, change: str, detail_ns: int) -> None:
        self._orders.append(Note(self._now_ns, port.plan.name, change, detail_ns))

    def _triggers_ended(self) -> bool:
        if self._trigger is not None:
            return self._trigger.raw.state is Listening.ENDED
        ended = all(port.raw.state is Listening.ENDED for port in self._ports)
        return ended and self._due(self._now_ns) is NO_TRIGGER

    def _inputs_end_ns(self) -> int:
        """Return the end of the last capture once every input has ended."""
        if any(port.raw.state is not Listening.ENDED for port in self._ports):
            return NEVER_NS
        return max((port.raw.ends[-1] for port in self._ports if port.raw.ends), default=0)

    def _release(self, freed: list[SampleRef | int]) -> None:
        for what in freed:
            if isinstance(what, int):
                self._runs.let_go(self._runs.all[what], self._orders)
            else:
                self._leases.release(what, self._orders)

    def _unuse(self, opened: OpenSet, index: int) -> None:
        run = opened.runs[index]
        if run is None:
            return
        opened.runs[index] = None
        self._runs.let_go(run, self._orders)
        if run.holders == 0 and not run.finished:
            self._runs.cancel(self._now_ns, run, self._orders)

    def _unpin(self, opened: OpenSet, index: int) -> None:
        pick = opened.picks[index]
        if pick is None:
            return
        opened.picks[index] = None
        if pick.run < 0:
            self._leases.unpin(pick.refs, self._orders)


def _picked(port: Port, pick: Pick) -> Picked:
    return Picked(port.plan.name, pick.refs, pick.begin, pick.length)
