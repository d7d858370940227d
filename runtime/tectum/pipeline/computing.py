"""Computing: starts encoders and the head of open sets on free lanes, and takes their ends up.

Open sets are served by earliest deadline, those of several heads of one trigger too. Before a set's
work is started the planner says in which variants it fits; what has to be given up for that is
given up here. Results are shared between sets by stage and samples.

The most urgent set, when it is settled and there is time to be wrong, has all its work ordered as
soon as what can begin was: what finds no free lane behind its own runs, the head behind its
encoders, so that no lane waits for a decision between two of them. What has not begun when the
prediction no longer holds, or when a more urgent set has come, is withdrawn and decided anew.
"""

from __future__ import annotations

from tectum.budget.planner import Choice
from tectum.ledger.row import InputRow, Status
from tectum.pipeline.books import Books
from tectum.pipeline.losing import Losing
from tectum.pipeline.opened import OpenSet
from tectum.pipeline.orders import Absent, Arg, Of, Picked
from tectum.pipeline.port import Port
from tectum.pipeline.runs import Run

__all__ = ["Computing"]


class Computing:
    """Runs encoders and heads."""

    __slots__ = ("_books", "_fresh", "_losing")

    def __init__(self, books: Books, losing: Losing) -> None:
        """Compute nothing yet."""
        self._books, self._losing = books, losing
        self._fresh: list[tuple[Port, InputRow, Run]] = []
        """What runs of open sets have just given, and for which input of which set."""

    def advance(self, opened: OpenSet, free_at: list[int]) -> None:
        """Start what this set needs next, if it still fits; takes lanes from `free_at`."""
        waits = bool(opened.pending)
        if opened.head is not None or (waits and self._books.plan.eager == "off"):
            return
        now_ns, planner = self._books.now_ns, self._books.planner
        choose = planner.eager if waits else planner.choose
        choice = choose(now_ns, opened, free_at)
        if choice is None:
            if not (waits or planner.may_wait(now_ns, opened, free_at)):
                self._shed(now_ns, opened)
            return
        self._apply(opened, choice)
        if opened.resolved:
            return
        self._start_encoders(opened, choice)
        lanes = self._books.runs.free_lanes()
        if lanes and self._ready(opened):
            self._start_head(opened, choice, lanes[0])
        opened.choice = choice if opened.ample and not waits else None

    def begin(self, opened: OpenSet, port: Port, arg: Picked) -> None:
        """Start the encoder of what will be picked of one input on a free lane, before the rest."""
        assert port.encoder is not None
        books = self._books
        level = books.planner.level(port.encoder.name)
        run = books.start(books.runs.free_lanes()[0], port, port.encoder, level, arg)
        books.use(opened, port, run)
        opened.begun = True

    def order_ahead(self, opened: OpenSet) -> None:
        """Order what found no free lane behind what this set runs, and the head behind all of it.

        For the most urgent set. An encoder goes to the lane that is done first, the head to the one
        that is done last.
        """
        if opened.choice is None or opened.head is not None or opened.resolved:
            return
        if not self._still_ample(opened, opened.choice):
            return
        for index in self._todo(opened, opened.choice):
            lanes = self._own_lanes(opened)
            if not lanes:
                return
            self._start_encoder(opened, index, lanes[0], opened.choice)
        lanes = self._own_lanes(opened)
        if lanes:
            self._start_head(opened, opened.choice, lanes[-1])

    def review(self, now_ns: int, opened: OpenSet, *, urgent: bool) -> None:
        """Withdraw what was ordered at once and has not begun, where that no longer holds."""
        if opened.head is None or opened.head.begun_ns:
            return
        if not urgent or now_ns >= opened.review_ns():
            self._withdraw(opened)

    def begun(self, runs: list[Run]) -> None:
        """Tell the open sets that runs that they use have begun."""
        for opened in self._books.open:
            for run in runs if not opened.resolved else ():
                if opened.head is run:
                    opened.row.head_begin_ns = run.begun_ns
                elif run in opened.runs:
                    opened.items[opened.runs.index(run)].encode_begin_ns = run.begun_ns

    def finished(self, opened: OpenSet, run: Run, *, ok: bool) -> None:
        """Tell an open set that a run that it uses has ended."""
        if opened.head is run:
            self._head_finished(opened, run, ok=ok)
            return
        index = opened.runs.index(run)
        if ok:
            item = opened.items[index]
            item.encode_end_ns = run.ended_ns
            self._fresh.append((self._books.ports[index], item, run))
        else:
            self._take_head_back(opened)
            self._losing.lose(opened, self._books.ports[index], "encoder_failed")

    def keep(self) -> None:
        """Keep the embeddings that runs of open sets gave, for sets to come."""
        for port, item, run in self._fresh:
            self._books.keep(port, item, run)
        self._fresh.clear()

    # -- parts

    def _withdraw(self, opened: OpenSet) -> None:
        """Take back the runs of a set that have not begun; what is shared stays ordered."""
        self._take_head_back(opened)
        for index, run in enumerate(opened.runs):
            if run is None or run.begun_ns or (opened.siblings and run.holders > 1):
                continue  # what a sibling waits for stays where it was ordered
            self._books.unuse(opened, index)

    def _take_head_back(self, opened: OpenSet) -> None:
        """Withdraw the head where it was ordered ahead of what it takes."""
        if opened.head is not None:
            self._books.give_up(opened.head)
            opened.head, row = None, opened.row
            row.head_begin_ns, row.head_variant = 0, ""

    def _shed(self, now_ns: int, opened: OpenSet) -> None:
        planner = self._books.planner
        self._losing.blame(now_ns, opened)
        planner.deny(planner.todo(opened))
        self._losing.shed(opened, "no_time")

    def _apply(self, opened: OpenSet, choice: Choice) -> None:
        """Carry out what the planner gave up."""
        for index in choice.cached:
            opened.miss(index, "left_out")
            self._books.unpin(opened, index)
            self._books.use_cached(opened, self._books.ports[index])
        if choice.left_out:
            self._losing.blame(self._books.now_ns, opened)
            self._books.planner.deny(self._books.planner.todo(opened))
        for index in choice.left_out:
            self._losing.lose(opened, self._books.ports[index], "left_out")

    def _start_encoders(self, opened: OpenSet, choice: Choice) -> None:
        """Start the encoders that are still to do on free lanes, the longest of them.

        Where more are left, the shortest is the first to begin: its lane will go on with those.
        """
        todo = self._todo(opened, choice)
        begin = list(zip(todo, self._books.runs.free_lanes(), strict=False))
        for index, lane in begin[::-1] if len(todo) > len(begin) else begin:
            self._start_encoder(opened, index, lane, choice)

    def _todo(self, opened: OpenSet, choice: Choice) -> list[int]:
        planner = self._books.planner
        todo = planner.unstarted(opened)
        if len(todo) > 1:
            todo.sort(key=lambda i: -planner.encode_ns(i, choice.variants[i]))
        return todo

    def _own_lanes(self, opened: OpenSet) -> list[int]:
        """Return the lanes that do nothing after a run of this set, the one done first first.

        A run that should have ended is nothing to order behind.
        """
        books = self._books
        runs = [run for run in opened.runs if run is not None and not run.finished]
        on_time = [run for run in runs if run.ends_ns >= books.now_ns]
        last = [run for run in on_time if books.runs.last(run.lane) is run]
        last.sort(key=lambda run: run.ends_ns)
        return [run.lane for run in last]

    def _start_encoder(self, opened: OpenSet, index: int, lane: int, choice: Choice) -> None:
        port, arg = self._books.ports[index], opened.args[index]
        assert port.encoder is not None
        assert arg is not None
        run = self._books.start(lane, port, port.encoder, choice.variants[index], arg)
        self._share(port, arg, run)

    def _still_ample(self, opened: OpenSet, choice: Choice) -> bool:
        """Return whether there is time to be wrong by half with all behind what this set runs.

        The choice had reckoned with every lane, and with the variants of what it was to start.
        """
        books, now_ns = self._books, self._books.now_ns
        ends_ns = [books.runs.last(lane).ends_ns for lane in self._own_lanes(opened)]
        for index in self._todo(opened, choice) if ends_ns else ():
            ends_ns[0] += books.planner.encode_ns(index, choice.variants[index])
            ends_ns.sort()
        running = [run.ends_ns for run in opened.runs if run is not None and not run.finished]
        takes_ns = max([now_ns, *ends_ns, *running]) - now_ns
        takes_ns += books.planner.head_ns(opened, choice.head_variant)
        return 2 * (opened.deadline_ns - now_ns) >= 3 * takes_ns

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

    def _start_head(self, opened: OpenSet, choice: Choice, lane: int) -> None:
        books = self._books
        stage = opened.by.stage
        variant = stage.variants[choice.head_variant]
        expected_ns = books.planner.head_ns(opened, choice.head_variant)
        args = self._head_args(opened)
        run = books.runs.start(
            books.now_ns, lane, stage.name, variant, args, expected_ns, books.orders,
            stamp_ns=opened.t_ns,
        )  # fmt: skip
        books.runs.hold(run)
        opened.head = run
        opened.row.head_begin_ns, opened.row.head_variant = run.begun_ns, variant
        if choice.head_variant:
            books.degrade(opened)

    def _head_args(self, opened: OpenSet) -> tuple[Arg, ...]:
        args: list[Arg] = []
        for index, item in zip(opened.by.reads, opened.row.inputs, strict=True):
            run, arg = opened.runs[index], opened.args[index]
            if item.status is Status.MISSING:
                args.append(Absent(item.name))
            elif run is not None:
                args.append(Of(item.name, run.id))
            elif arg is not None:
                args.append(arg)
        return tuple(args)

    def _head_finished(self, opened: OpenSet, run: Run, *, ok: bool) -> None:
        opened.row.head_end_ns = run.ended_ns
        if not ok:
            self._losing.shed(opened, "head_failed")
        elif self._books.now_ns > self._books.patience_ns(opened):
            self._losing.blame(self._books.now_ns, opened)
            self._losing.shed(opened, "overrun")
        else:
            opened.settle_outcome()
            opened.answer, opened.resolved = run.id, True
