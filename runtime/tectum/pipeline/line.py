"""The line before each lane: a run begins when its lane is free and what it takes is there.

A lane carries out its runs in the order in which they were ordered; a run that takes results of
others begins once these have ended, on whatever lane. Both who decides and who carries out keep
such a line, so that neither need ask the other between one run and the next.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Line"]


class Line:
    """Which of the runs that were ordered have begun."""

    __slots__ = ("_lacks", "_lanes", "_of", "_wanted_by")

    def __init__(self, lanes: int) -> None:
        """Begin with `lanes` free lanes."""
        self._lanes: list[list[int]] = [[] for _ in range(lanes)]
        self._of: dict[int, int] = {}
        """Run -> its lane, until it has ended."""
        self._lacks: dict[int, int] = {}
        """Run -> how many of those whose results it takes have not ended."""
        self._wanted_by: dict[int, list[int]] = {}

    @property
    def lanes(self) -> int:
        """Return how many there are."""
        return len(self._lanes)

    def on(self, lane: int) -> list[int]:
        """Return the runs of a lane, the one whose turn it is first."""
        return self._lanes[lane]

    def has_begun(self, run: int) -> bool:
        """Return whether a run does not wait any more; it may also have ended."""
        return run not in self._of or not self._waits(run)

    def add(self, run: int, lane: int, takes: Iterable[int] = ()) -> bool:
        """Put a run behind the others of its lane; return whether it begins at once.

        Args:
            run: its number.
            lane: where it runs.
            takes: the runs whose results it takes; those that have ended may be among them.
        """
        lacks = 0
        for other in takes:
            if other in self._of:
                self._wanted_by.setdefault(other, []).append(run)
                lacks += 1
        if lacks:
            self._lacks[run] = lacks
        queue = self._lanes[lane]
        queue.append(run)
        self._of[run] = lane
        return not self._waits(run)

    def end(self, run: int) -> list[int]:
        """Take a run that has ended, or never will begin, out; return those that begin now."""
        lane = self._of.pop(run)
        queue = self._lanes[lane]
        was_first = queue[0] == run
        queue.remove(run)
        self._lacks.pop(run, None)
        begun = []
        if was_first and queue and queue[0] not in self._lacks:
            begun.append(queue[0])
        wanted_by = self._wanted_by.pop(run, ())
        return begun + [one for one in wanted_by if one in self._lacks and self._has_all(one)]

    def _has_all(self, run: int) -> bool:
        """Count one run less that `run` waits for; return whether it begins now."""
        self._lacks[run] -= 1
        if self._lacks[run]:
            return False
        del self._lacks[run]
        return not self._waits(run)

    def _waits(self, run: int) -> bool:
        return run in self._lacks or self._lanes[self._of[run]][0] != run
