"""Runs and lanes: what is being computed, what was computed and is still of use, and for whom.

A run may be ordered behind others on its lane, or ahead of what it takes: it begins when they have
ended (`tectum.pipeline.line`). A run is kept as long as it has holders (open sets, a cache, a
derived stream, a state chain); when the last one lets go, it is freed. Samples are pinned likewise.
Nothing here decides what to run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tectum.message import SampleRef
from tectum.pipeline.line import Line
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
    """0: it still waits for its lane, or for what it takes."""
    expected_ns: int
    """Predicted duration; 0 where unknown."""
    ends_ns: int
    """When it is expected to end."""
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
    """All runs that are ordered, running or still held, and the lanes they run on."""

    __slots__ = ("_free", "_line", "_next", "all", "by_key", "leases")

    def __init__(self, lanes: int, leases: Leases) -> None:
        """Begin with `lanes` free lanes."""
        self._line = Line(lanes)
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
        """Order a run on `lane`, behind what is there; its samples are pinned meanwhile."""
        begins_ns = self.last(lane).ends_ns if self._line.on(lane) else now_ns
        takes = []
        for arg in args:
            if isinstance(arg, Picked):
                self.leases.pin(arg.refs)
            elif isinstance(arg, Of):
                other = self.all[arg.run]
                self.hold(other)
                if not other.finished:
                    takes.append(other.id)
                    begins_ns = max(begins_ns, other.ends_ns)
        ends_ns = max(now_ns, begins_ns) + expected_ns
        run = Run(self._next, stage, variant, lane, args, 0, expected_ns, ends_ns)
        self._next += 1
        if self._line.add(run.id, lane, takes):
            run.begun_ns = now_ns
        if lane in self._free:
            self._free.remove(lane)
        self.all[run.id] = run
        self.by_key[stage, args] = run
        orders.append(Start(run.id, lane, stage, variant, args, state, stamp_ns))
        return run

    def last(self, lane: int) -> Run:
        """Return the run that was ordered last of those that have not ended on a lane."""
        return self.all[self._line.on(lane)[-1]]

    def finish(self, ended_ns: int, run: Run, *, ok: bool, orders: list[Order]) -> list[Run]:
        """Free the lane and the samples; the result stays while it is held.

        Returns:
            The runs that begin with this end.
        """
        run.finished, run.ok, run.ended_ns = True, ok, ended_ns
        begun = [self.all[number] for number in self._line.end(run.id)]
        for other in begun:
            other.begun_ns, other.ends_ns = ended_ns, ended_ns + other.expected_ns
        if not self._line.on(run.lane):
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
        return begun

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
        """Return the lanes on which nothing runs, nor will.

        First the one whose run ended last: its thread is awake, and what it gave is at hand there.
        """
        return self._free[::-1]

    @property
    def idle(self) -> bool:
        """Return whether nothing runs on any lane."""
        return len(self._free) == self._line.lanes

    def is_idle(self, lane: int) -> bool:
        """Return whether nothing was ordered for a lane that has not ended."""
        return not self._line.on(lane)

    def free_at(self, now_ns: int, never_ns: int) -> list[int]:
        """Return per lane when it is expected free.

        A run that has overstayed has its lane written off until it returns.
        """
        return [self._free_at(now_ns, never_ns, lane) for lane in range(self._line.lanes)]

    def _free_at(self, now_ns: int, never_ns: int, lane: int) -> int:
        at_ns = now_ns
        for number in self._line.on(lane):
            run = self.all[number]
            if run.begun_ns:
                at_ns = _ends_ns(now_ns, never_ns, run)
            elif not run.cancelled_ns:
                at_ns = max(at_ns + run.expected_ns, run.ends_ns)
        return min(at_ns, never_ns)

    def _forget(self, run: Run, orders: list[Order]) -> None:
        del self.all[run.id]
        if self.by_key.get((run.stage, run.args)) is run:
            del self.by_key[run.stage, run.args]
        orders.append(Free(run.id))


def _ends_ns(now_ns: int, never_ns: int, run: Run) -> int:
    """Return when a run that has begun is expected to end."""
    if run.cancelled_ns:
        overstayed = now_ns - run.cancelled_ns > _CANCEL_TAKES_NS
        return never_ns if overstayed else now_ns
    if run.expected_ns and now_ns - run.begun_ns > max(_OVERSTAY * run.expected_ns, _HICCUP_NS):
        return never_ns
    return max(now_ns, run.ends_ns)
