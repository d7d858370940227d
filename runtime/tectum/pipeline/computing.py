"""Computing: starts encoders and the head of open sets on free lanes, and takes their ends up.

Open sets are served by earliest deadline. Before a set's work is started the planner says in which
variants it fits; what has to be given up for that is given up here. Results are shared between
sets by stage and samples.
"""

from __future__ import annotations

from tectum.budget.planner import Choice
from tectum.ledger.row import Status
from tectum.pipeline.books import Books
from tectum.pipeline.losing import Losing
from tectum.pipeline.opened import OpenSet
from tectum.pipeline.orders import Absent, Arg, Of, Picked
from tectum.pipeline.port import Port
from tectum.pipeline.runs import Run

__all__ = ["Computing"]


class Computing:
    """Runs encoders and heads."""

    __slots__ = ("_books", "_losing")

    def __init__(self, books: Books, losing: Losing) -> None:
        """Compute nothing yet."""
        self._books, self._losing = books, losing

    def advance(self, opened: OpenSet, free_at: list[int]) -> None:
        """Start what this set needs next, if it still fits; takes lanes from `free_at`."""
        waits = bool(opened.pending)
        if opened.head is not None or (waits and self._books.plan.eager == "off"):
            return
        now_ns, planner = self._books.now_ns, self._books.planner
        choose = planner.eager if waits else planner.choose
        choice = choose(now_ns, opened, free_at)
        if choice is None:
            if not waits:
                self._shed(now_ns, opened)
            return
        self._apply(opened, choice)
        if opened.resolved:
            return
        self._start_encoders(opened, choice)
        if self._ready(opened):
            self._start_head(opened, choice)

    def finished(self, opened: OpenSet, run: Run, *, ok: bool) -> None:
        """Tell an open set that a run that it uses has ended."""
        if opened.head is run:
            self._head_finished(opened, run, ok=ok)
            return
        index = opened.runs.index(run)
        if ok:
            opened.row.inputs[index].encode_end_ns = run.ended_ns
        else:
            self._losing.lose(opened, self._books.ports[index], "encoder_failed")

    def keep(self, run: Run) -> None:
        """Keep the embedding that a run gave, for sets to come, where an open set uses it."""
        if not run.ok:
            return
        for opened in self._books.open:
            if run in opened.runs:
                index = opened.runs.index(run)
                self._books.keep(self._books.ports[index], opened.row.inputs[index], run)

    # -- parts

    def _shed(self, now_ns: int, opened: OpenSet) -> None:
        planner = self._books.planner
        planner.deny(planner.todo(opened))
        self._losing.blame(now_ns, opened)
        self._losing.shed(opened, "no_time")

    def _apply(self, opened: OpenSet, choice: Choice) -> None:
        """Carry out what the planner gave up."""
        for index in choice.cached:
            opened.miss(index, "left_out")
            self._books.unpin(opened, index)
            self._books.use_cached(opened, self._books.ports[index])
        if choice.left_out:
            self._books.planner.deny(self._books.planner.todo(opened))
        for index in choice.left_out:
            self._losing.lose(opened, self._books.ports[index], "left_out")

    def _start_encoders(self, opened: OpenSet, choice: Choice) -> None:
        """Start the encoders that are still to do, the longest first."""
        planner = self._books.planner
        todo, lanes = planner.unstarted(opened), self._books.runs.free_lanes()
        if len(todo) > 1:
            todo.sort(key=lambda i: -planner.encode_ns(i, choice.variants[i]))
        for index, lane in zip(todo, lanes, strict=False):
            port, arg = self._books.ports[index], opened.args[index]
            assert port.encoder is not None
            assert arg is not None
            run = self._books.start(lane, port, port.encoder, choice.variants[index], arg)
            self._share(port, arg, run)

    def _share(self, port: Port, arg: Picked, run: Run) -> None:
        """Let every open set that picked these samples use the run."""
        index = port.index
        for opened in self._books.open:
            if not opened.resolved and opened.runs[index] is None and opened.args[index] == arg:
                self._books.use(opened, port, run)

    def _ready(self, opened: OpenSet) -> bool:
        """Return whether everything that the head takes is there."""
        if opened.pending or self._books.planner.unstarted(opened):
            return False
        return all(run is None or run.finished for run in opened.runs)

    def _start_head(self, opened: OpenSet, choice: Choice) -> None:
        books = self._books
        lanes = books.runs.free_lanes()
        if not lanes:
            return
        stage = books.plan.stage(books.plan.head)
        variant = stage.variants[choice.head_variant]
        expected_ns = books.planner.head_ns(choice.head_variant)
        args = self._head_args(opened)
        run = books.runs.start(
            books.now_ns, lanes[0], stage.name, variant, args, expected_ns, books.orders,
            stamp_ns=opened.t_ns,
        )  # fmt: skip
        books.runs.hold(run)
        opened.head = run
        opened.row.head_begin_ns, opened.row.head_variant = books.now_ns, variant
        if choice.head_variant:
            opened.flag("degraded")

    def _head_args(self, opened: OpenSet) -> tuple[Arg, ...]:
        args: list[Arg] = []
        for port, item in zip(self._books.ports, opened.row.inputs, strict=True):
            run, arg = opened.runs[port.index], opened.args[port.index]
            if item.status is Status.MISSING:
                args.append(Absent(port.plan.name))
            elif run is not None:
                args.append(Of(port.plan.name, run.id))
            elif arg is not None:
                args.append(arg)
        return tuple(args)

    def _head_finished(self, opened: OpenSet, run: Run, *, ok: bool) -> None:
        opened.row.head_end_ns = run.ended_ns
        if not ok:
            self._losing.shed(opened, "head_failed")
        elif run.ended_ns > self._books.patience_ns(opened):
            self._losing.blame(run.ended_ns, opened)
            self._losing.shed(opened, "overrun")
        else:
            opened.settle_outcome()
            opened.answer, opened.resolved = run.id, True
