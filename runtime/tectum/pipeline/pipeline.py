"""The pipeline: events in, orders out. The one object that decides.

Promises: one outcome per trigger and head, in acceptance order; every wait ends at *deadline - time
still needed*; a set that cannot improve waits zero; a dead input costs its own modality; the same
events give the same orders. Facts are taken up as they come; what time decides is decided on
`Tick`, after everything was drained. `Tick` reads like the road of a set: hush, trigger, commit,
give up, compute, emit, look ahead. It does no I/O and never looks at a payload or a score.

What somebody waits for comes first: an answer is emitted when its head has ended, and a tick's
orders are handed out before the pipeline tidies up (learns from the runs that have ended, keeps and
frees, finds out when time matters next). That is done when the next wake-up is asked for, at the
latest before the next event that is not the end of a run, which looks at nothing of it; so what is
decided depends on the events alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tectum.errors import ContractError
from tectum.ledger.digest import DecisionDigest
from tectum.ledger.row import Row
from tectum.message import Sample
from tectum.pipeline.ahead import Ahead
from tectum.pipeline.beginning import Beginning
from tectum.pipeline.books import Books
from tectum.pipeline.committing import Committing
from tectum.pipeline.computing import Computing
from tectum.pipeline.emitting import Emitting
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
from tectum.pipeline.hopping import Hopping
from tectum.pipeline.losing import Losing
from tectum.pipeline.opened import OpenSet
from tectum.pipeline.orders import Free, Order
from tectum.pipeline.plan import Plan
from tectum.pipeline.port import Port
from tectum.pipeline.runs import Run
from tectum.pipeline.triggering import Triggering
from tectum.pipeline.waking import Waking
from tectum.sync.listening import Listening
from tectum.sync.stream import NEVER_NS, REFUSED

__all__ = ["Pipeline"]


class Pipeline:
    """Synchronizer, planner, latency model and ledger of one fusion node."""

    def __init__(self, plan: Plan, digest: DecisionDigest | None = None) -> None:
        """Begin with the first event; until then nothing is known."""
        self.plan = plan
        self.digest = DecisionDigest() if digest is None else digest
        self._books = books = Books(plan)
        self._losing = Losing(books)
        self._triggering = Triggering(books, self._losing)
        self._ahead = Ahead(books)
        self._committing = Committing(books, self._losing, self._ahead)
        self._computing = Computing(books, self._losing)
        self._beginning = Beginning(books, self._computing)
        self._hopping = Hopping(books)
        self._emitting = Emitting(books, self._triggering, self.digest)
        self._waking = Waking(books, self._triggering)
        self._lessons: list[tuple[Run, int]] = []
        """Runs to learn from, still held, and how long they took."""
        self._tidy = True
        self._later: list[Order] = []
        """What tidying up orders: handed out with the next event."""
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
        now_ns, books = event.now_ns, self._books
        if now_ns < books.now_ns:
            msg = f"time went back by {books.now_ns - now_ns} ns at {event}"
            raise ContractError(msg)
        if not books.started_ns:
            books.started_ns, books.dirty = now_ns, True
        if not self._tidy and type(event) is not Finished:
            self._tidy_up()
        books.now_ns = now_ns
        orders, self._later = self._later, []
        books.orders = orders
        self._handlers[type(event)](event)
        return orders

    def next_wakeup_ns(self) -> int:
        """Return when a `Tick` is due at the latest, if nothing else happens before."""
        if not self._tidy:
            self._tidy_up()
        return self._books.now_ns if self._books.dirty else self._waking.wake_ns

    @property
    def pressing(self) -> bool:
        """Return whether something is to be decided at the next `Tick`, whenever that comes."""
        return self._books.dirty

    @property
    def foreseen_ns(self) -> int:
        """Return until when nothing is left to decide unless something comes, which ends count as.

        Every lane is busy, and what follows was ordered for the only set there is; else 0.
        """
        books = self._books
        if len(books.open) != 1 or books.runs.free_lanes():
            return 0
        opened = books.open[0]
        if opened.head is None:
            return 0
        due = self._triggering.due(books.now_ns)
        return min(opened.review_ns(), due.at_ns, self._waking.quiet_ns)

    @property
    def rows(self) -> deque[Row]:
        """Return the latest closed rows."""
        return self._emitting.rows

    @property
    def done(self) -> bool:
        """Return whether no further outcome will come: triggers ended and all were delivered."""
        return not self.waiting and (self._books.stopped or self._triggering.ended())

    @property
    def waiting(self) -> bool:
        """Return whether an outcome is still owed."""
        return bool(self._books.open) or self._emitting.waiting

    def counters(self) -> dict[str, dict[str, int]]:
        """Return per input what was counted: received, used, and each oddity and loss by name."""
        return {port.plan.name: dict(port.raw.counts) for port in self._books.ports}

    def listening(self) -> dict[str, tuple[str, int]]:
        """Return per input its state and when it was last heard (ns; 0 for never)."""
        streams = {port.plan.name: port.raw for port in self._books.ports}
        return {name: (str(stream.state), stream.heard_ns) for name, stream in streams.items()}

    # -- facts

    def _arrived(self, event: Arrived) -> None:
        now_ns, sample = event
        books = self._books
        port = books.port(sample.ref.input)
        stream = port.raw
        oddity = stream.add(now_ns, sample)
        if oddity and self._is_refused(port, sample, oddity):
            return
        if stream.added_ns < port.beatable_ns:
            for t_ns in port.notice_beaten(sample):
                books.note(port, "beaten", t_ns)
        if stream.state is not Listening.SPEAKING:
            books.hear(port, "heard")
        if port.hops is not None:
            port.hops.add(sample)
            if port.hops.skipped:
                port.raw.counts["skipped"] = port.hops.skipped
            port.raw.release_all()
            books.dirty = True
        else:
            while stream.overfull():
                books.release(stream.release_oldest())
        if port.waiting or port.ahead:
            books.dirty = True
        if port.asks:
            self._triggering.heard(port, sample)
            self._beginning.heard(port, sample)

    def _is_refused(self, port: Port, sample: Sample, oddity: str) -> bool:
        """Note what is odd about a sample, and free what it makes useless."""
        books = self._books
        if not port.raw.told:
            books.note(port, oddity, sample.stamp_ns)
        if oddity in REFUSED:
            if not (books.leases.pinned(sample.ref) or port.holds(sample)):
                books.orders.append(Free(sample.ref))
            return True
        if port.hops is None:
            books.release(port.raw.dropped)
        port.raw.dropped.clear()
        if oddity == "clock_step":
            self._triggering.clock_stepped(port)
            books.forget_cached(port)
        return False

    def _promised(self, event: Promised) -> None:
        port = self._books.port(event.input)
        port.raw.promise(event.stamp_ns)
        port.raw.heard_ns = event.now_ns
        if event.begun and port is self._books.trigger:
            self._ahead.announce(event.stamp_ns)
        if port.waiting:
            self._books.dirty = True

    def _ended(self, event: Ended) -> None:
        self._books.hear(self._books.port(event.input), "ended")
        self._books.dirty = True

    def _missed(self, event: Missed) -> None:
        counts = self._books.port(event.input).raw.counts
        key = f"lost_{event.cause}"
        counts[key] = counts.get(key, 0) + event.missing

    def _measured(self, event: Measured) -> None:
        self._books.model.observe(event.stage, event.variant, event.compute_ns)
        self._tidy = False

    def _finished(self, event: Finished) -> None:
        books = self._books
        run = books.runs.all.get(event.run)
        if run is None or run.finished:
            msg = f"run {event.run} is not running, yet it is said to have finished"
            raise ContractError(msg)
        ok = event.status == "ok"
        ended_ns = event.ended_ns or event.now_ns
        if run.begun_ns:
            books.runs.hold(run)
            self._lessons.append((run, ended_ns - run.begun_ns))
        begun = books.runs.finish(ended_ns, run, ok=ok, orders=books.orders)
        self._hopping.finished(run)
        if not ok:
            self._ahead.drop(run)
        foreseen = ok and not books.runs.is_idle(run.lane)  # all that follows was ordered before
        users = [item for item in books.open if item.head is run or run in item.runs]
        for opened in users:
            if opened.pending:
                self._committing.commit_encoded(event.now_ns, opened, run)
            if not opened.resolved:
                self._computing.finished(opened, run, ok=ok)
            foreseen = foreseen and opened.head is not None and not opened.resolved
        if begun:
            self._computing.begun(begun)
        self._tidy = False
        if not (foreseen and users):
            books.dirty = True
            self._emitting.emit(event.now_ns)

    def _delivered(self, event: Delivered) -> None:
        self._emitting.delivered(event.now_ns, event.trigger, event.head)

    def _stop(self, event: Stopped) -> None:
        self._books.stopped = True
        for opened in self._books.open:
            self._losing.shed(opened, "stopped")
        self._ahead.drop()
        self._emitting.emit(event.now_ns)

    # -- what time decides

    def _tick(self, event: Tick) -> None:
        now_ns, books = event.now_ns, self._books
        if not books.dirty and now_ns < self._waking.wake_ns:
            return
        books.dirty = self._tidy = False
        if now_ns >= self._waking.quiet_ns:
            self._hush(now_ns)
        self._triggering.by_time(now_ns)
        for opened in books.open:
            if opened.pending:
                self._committing.commit(now_ns, opened)
            if now_ns >= opened.due_ns:
                self._losing.by_time(now_ns, opened)
        self._compute(now_ns)
        self._emitting.emit(now_ns)
        books.dirty = bool(books.orders)
        for opened in self._by_deadline()[:1]:
            if opened.begun or not books.orders:
                self._computing.order_ahead(opened)
        if not books.dirty:  # else first things first: what lies ahead is the next tick's affair
            self._ahead.advance(self._triggering.last_ns)

    def _hush(self, now_ns: int) -> None:
        """Call silent who is."""
        books = self._books
        for port in books.ports:
            if now_ns >= port.raw.silent_at_ns(books.started_ns):
                books.hear(port, "hush")

    def _compute(self, now_ns: int) -> None:
        sets = self._by_deadline()
        for opened in sets:
            self._computing.review(now_ns, opened, urgent=opened is sets[0])
        free_at = self._books.runs.free_at(now_ns, NEVER_NS)
        for port in self._books.ports:
            if port.hops is not None:
                self._hopping.advance(port, free_at)
        for opened in sets:
            self._computing.advance(opened, free_at)

    def _by_deadline(self) -> list[OpenSet]:
        """Return the sets that want an answer, the most urgent first: captures differ in length."""
        opened = [item for item in self._books.open if not item.resolved]
        return sorted(opened, key=lambda item: item.deadline_ns) if len(opened) > 1 else opened

    # -- tidying up

    def _tidy_up(self) -> None:
        """Do what nobody waits for, as of the last event."""
        books = self._books
        self._tidy, books.orders = True, self._later
        self._computing.keep()
        for run, took_ns in self._lessons:
            books.planner.observe(run, took_ns, ok=run.ok)
            books.runs.let_go(run, books.orders)
        self._lessons.clear()
        books.usable_ns = books.planner.usable_ns()
        self._beginning.look()
        self._waking.look()
