"""Runs and lanes: what is being computed, what was computed and is still of use, and for whom.

A run is kept as long as it has holders (open sets, a cache, a derived stream, a state chain); when
the last one lets go, it is freed. Samples are pinned likewise. Nothing here decides what to run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tectum.message import SampleRef
from tectum.pipeline.orders import Arg, Cancel, Free, Of, Order, Picked, Start

__all__ = ["Leases", "Run", "Runs"]

_OVERSTAY = 4
"""A run that takes this many times its prediction has its lane written off."""
_HICCUP_NS = 20_000_000
"""But not before: a thread that waits for its turn so long is no run that hangs."""
_CANCEL_TAKES_NS = 50_000_000
"""So has one that was cancelled this long ago; most end at their next operator, within 2 ms."""


@dataclass(slots=True, eq=False)
class Run:
    """One computation of one stage."""

    id: int
    stage: str
    variant: str
    lane: int
    args: tuple[Arg, ...]
    begun_ns: int
    expected_ns: int
    """Predicted duration; 0 where unknown."""
    holders: int = 0
    finished: bool = False
    ok: bool = False
    cancelled_ns: int = 0
    """When its early end was ordered; 0: it was not."""
    ended_ns: int = 0


class Leases:
    """Which samples are in use. A released sample is freed once nobody pins it."""

    __slots__ = ("_pins", "_released")

    def __init__(self) -> None:
        """Begin with nothing pinned."""
        self._pins: dict[SampleRef, int] = {}
        self._released: set[SampleRef] = set()

    def pinned(self, ref: SampleRef) -> bool:
        """Return whether `ref` is in use."""
        return ref in self._pins

    def pin(self, refs: tuple[SampleRef, ...]) -> None:
        """Keep `refs` until `unpin`."""
        for ref in refs:
            self._pins[ref] = self._pins.get(ref, 0) + 1

    def unpin(self, refs: tuple[SampleRef, ...], orders: list[Order]) -> None:
        """Undo one `pin`; order to free what was released meanwhile."""
        for ref in refs:
            left = self._pins[ref] - 1
            if left:
                self._pins[ref] = left
                continue
            del self._pins[ref]
            if ref in self._released:
                self._released.discard(ref)
                orders.append(Free(ref))

    def release(self, refs: Iterable[SampleRef], orders: list[Order]) -> None:
        """The stream lets go of `refs`: order to free each now or when it is unpinned."""
        for ref in refs:
            if ref in self._pins:
                self._released.add(ref)
            else:
                orders.append(Free(ref))


class Runs:
    """All runs that are running or still held, and the lanes they run on."""

    __slots__ = ("_free", "_next", "all", "by_key", "lanes", "leases")

    def __init__(self, lanes: int, leases: Leases) -> None:
        """Begin with `lanes` free lanes."""
        self.lanes: list[Run | None] = [None] * lanes
        self._free = list(reversed(range(lanes)))
        """Lanes on which nothing runs, the one to take next last."""
        self.leases = leases
        self.all: dict[int, Run] = {}
        self.by_key: dict[tuple[str, tuple[Arg, ...]], Run] = {}
        self._next = 0

    def start(
        self,
        now_ns: int,
        lane: int,
        stage: str,
        variant: str,
        args: tuple[Arg, ...],
        expected_ns: int,
        orders: list[Order],
        state: int = -1,
        stamp_ns: int = 0,
    ) -> Run:
        """Take `lane` and order the run; its samples are pinned until it finishes."""
        run = Run(self._next, stage, variant, lane, args, now_ns, expected_ns)
        self._next += 1
        self.all[run.id] = run
        self.by_key[stage, args] = run
        self.lanes[lane] = run
        self._free.remove(lane)
        for arg in args:
            if isinstance(arg, Picked):
                self.leases.pin(arg.refs)
            elif isinstance(arg, Of):
                self.hold(self.all[arg.run])
        orders.append(Start(run.id, lane, stage, variant, args, state, stamp_ns))
        return run

    def finish(self, now_ns: int, run: Run, *, ok: bool, orders: list[Order]) -> None:
        """Free the lane and the samples; the result stays while it is held."""
        run.finished, run.ok, run.ended_ns = True, ok, now_ns
        self.lanes[run.lane] = None
        self._free.append(run.lane)
        for arg in run.args:
            if isinstance(arg, Picked):
                self.leases.unpin(arg.refs, orders)
            elif isinstance(arg, Of):
                self.let_go(self.all[arg.run], orders)
        if not ok and self.by_key.get((run.stage, run.args)) is run:
            del self.by_key[run.stage, run.args]
        if run.holders == 0:
            self._forget(run, orders)

    def cancel(self, now_ns: int, run: Run, orders: list[Order]) -> None:
        """Order an early end, once; nobody new may share the run."""
        if not run.cancelled_ns:
            run.cancelled_ns = now_ns
            if self.by_key.get((run.stage, run.args)) is run:
                del self.by_key[run.stage, run.args]
            orders.append(Cancel(run.id))

    def hold(self, run: Run) -> None:
        """Count one more holder."""
        run.holders += 1

    def let_go(self, run: Run, orders: list[Order]) -> None:
        """Count one holder less; free the result when it was the last and the run has ended."""
        run.holders -= 1
        if run.holders == 0 and run.finished:
            self._forget(run, orders)

    def free_lanes(self) -> list[int]:
        """Return the lanes on which nothing runs.

        First the one whose run ended last: its thread is awake, and what it gave is at hand there.
        """
        return self._free[::-1]

    def free_at(self, now_ns: int, never_ns: int) -> list[int]:
        """Return per lane when it is expected free.

        A run that has overstayed has its lane written off until it returns.
        """
        return [now_ns if run is None else _free_at(now_ns, never_ns, run) for run in self.lanes]

    def _forget(self, run: Run, orders: list[Order]) -> None:
        del self.all[run.id]
        if self.by_key.get((run.stage, run.args)) is run:
            del self.by_key[run.stage, run.args]
        orders.append(Free(run.id))


def _free_at(now_ns: int, never_ns: int, run: Run) -> int:
    if run.cancelled_ns:
        overstayed = now_ns - run.cancelled_ns > _CANCEL_TAKES_NS
        return never_ns if overstayed else now_ns
    if run.expected_ns and now_ns - run.begun_ns > max(_OVERSTAY * run.expected_ns, _HICCUP_NS):
        return never_ns
    return max(now_ns, run.begun_ns + run.expected_ns)
