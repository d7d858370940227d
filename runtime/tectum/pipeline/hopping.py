"""Encoders that run on every sample: keeps them fed, one run at a time, and streams their outputs.

Each output becomes a sample of the input's derived stream, which its alignment looks at; the state
is carried from run to run and dropped at gaps and failures.
"""

from __future__ import annotations

from tectum.pipeline.books import Books
from tectum.pipeline.orders import Picked
from tectum.pipeline.port import Port
from tectum.pipeline.runs import Run
from tectum.sync.stream import REFUSED

__all__ = ["Hopping"]


class Hopping:
    """Runs `on: sample` encoders."""

    __slots__ = ("_books", "_ports")

    def __init__(self, books: Books) -> None:
        """Run nothing yet."""
        self._books = books
        self._ports = [port for port in books.ports if port.hops is not None]

    def advance(self, port: Port, free_at: list[int]) -> None:
        """Start the next hop of an input, if it has come whole and a lane is free."""
        books, lanes = self._books, self._books.runs.free_lanes()
        if port.hop_run is not None or not lanes or port.hops is None or port.encoder is None:
            return
        hop = port.hops.take()
        if hop is not None:
            if hop.fresh:
                self._drop_state(port)
            level = books.planner.level(port.encoder.name)
            arg = Picked(port.plan.name, hop.refs, hop.begin, hop.length)
            run = books.start(lanes[0], port, port.encoder, level, arg)
            books.runs.hold(run)
            port.hop_run, port.hop = run, hop
            free_at[lanes[0]] = books.now_ns + run.expected_ns
        books.leases.release(port.hops.released, books.orders)
        port.hops.released.clear()

    def finished(self, run: Run) -> None:
        """Take the output of a hop into the derived stream of its input."""
        for port in self._ports:
            if port.hop_run is run and port.hops is not None:
                port.hop_run = None
                self._drop_state(port)
                if run.ok:
                    self._stream(port, run)
                else:
                    port.hops.restart()
                    self._books.runs.let_go(run, self._books.orders)

    def _stream(self, port: Port, run: Run) -> None:
        books, stream = self._books, port.stream
        port.hop_state = run
        assert port.hop is not None
        if stream.add(books.now_ns, port.hop.sample(), run.id) in REFUSED:
            return
        books.runs.hold(run)
        books.release(stream.dropped)
        stream.dropped.clear()
        while stream.overfull():
            books.release(stream.release_oldest())

    def _drop_state(self, port: Port) -> None:
        if port.hop_state is not None:
            self._books.runs.let_go(port.hop_state, self._books.orders)
            port.hop_state = None
