"""Beginning: the trigger's own sample is encoded as it comes, before the rest is decided.

It will be the pick of its input. Deciding what goes with it, and in which order, takes longer than
handing a run over; so where nothing else is going on, there is time to spare, and the lane of this
encoder would be done last anyway, that lane begins at once. No pick is committed here: all that is
decided with the next tick, as ever.

Whoever begins before everything was drained must know that nothing more urgent can be among it: the
input has a rhythm, so its captures end in the order in which they come.
"""

from __future__ import annotations

from collections import Counter

from tectum.message import Sample
from tectum.pipeline.books import Books
from tectum.pipeline.computing import Computing
from tectum.pipeline.orders import Picked
from tectum.pipeline.port import Port
from tectum.sync.nearest import Nearest

__all__ = ["Beginning"]


class Beginning:
    """Begins the run of a set just opened that all others can wait for."""

    __slots__ = ("_books", "_computing", "_first", "_may", "_shared")

    def __init__(self, books: Books, computing: Computing) -> None:
        """Begin nothing until it was looked what comes first."""
        self._books, self._computing = books, computing
        self._may = len(books.heads) == 1 and books.plan.eager != "off"
        models = Counter(stage.model for stage in books.plan.stages if stage.model)
        self._shared = {model for model, count in models.items() if count > 1}
        """Models of several encoders, whose runs may share a batch: they begin together."""
        self._first: dict[int, int] = {}
        """The inputs that ask and whose encoders come first -> the longest capture that is sure to
        end before the next one does."""

    def look(self) -> None:
        """Find out, where nothing is going on and nobody waits for it, what comes first."""
        books = self._books
        if not self._may or books.open:
            return
        self._first.clear()
        for index in books.planner.first():
            port = books.ports[index]
            shortest_ns = port.raw.cadence.shortest_ns
            if port.encoder is not None and port.encoder.model in self._shared:
                continue
            if port.asks and shortest_ns and isinstance(port.alignment, Nearest):
                self._first[index] = shortest_ns + port.raw.samples[-1].span_ns

    def heard(self, port: Port, sample: Sample) -> None:
        """Begin with the sample of `port` that has just opened a set, where that comes first."""
        books, longest_ns = self._books, self._first.get(port.index, -1)
        if sample.span_ns > longest_ns or len(books.open) != 1 or not books.runs.idle:
            return
        opened, now_ns = books.open[0], books.now_ns
        takes_ns = opened.by.budget_ns - books.usable_ns
        if port.index not in opened.pending or opened.deadline_ns - now_ns < 2 * takes_ns:
            return
        self._computing.begin(opened, port, Picked(port.plan.name, (sample.ref,)))
