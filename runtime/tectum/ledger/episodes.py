"""Stretches of triggers that suffered from one cause.

Failures of one input for one reason belong together while fewer than ten triggers lie between
them. A silence takes in its edges: the triggers that were lost before it was noticed, and those
whose window still had a hole after it. Rows that were shed for time or by the head, and rows that
carry a flag, form stretches of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tectum.ledger.remedy import TIME_REASONS
from tectum.ledger.row import InputRow, Row, Status
from tectum.pipeline.orders import Note
from tectum.pipeline.plan import InputPlan, Plan

__all__ = ["Episode", "find_episodes"]

_TOGETHER = 10
"""Failures with at most so many good triggers between them have one cause."""
_EDGES = ("absent", "gaps", "not_arrived", "out_of_tolerance", "too_old")
"""What a silence looks like before it is noticed, and until what it tore is mended."""
_HEARD = ("revived", "first_heard")
_FLAGS = ("degraded", "late")


@dataclass(slots=True)
class Episode:
    """Some triggers and the one cause that they suffered from."""

    cause: str
    """A code of `INPUT_REASONS` or `ROW_REASONS`, or a flag."""
    input: str = ""
    """The input that it is about; empty where it is about the whole set."""
    rows: list[Row] = field(default_factory=list)
    items: list[InputRow] = field(default_factory=list)
    """Of `rows`, the rows of `input`."""
    first: int = 0
    last: int = 0
    """Indices, in the stretch, of the first and last row."""
    heard_again_ns: int = 0
    """When a silence ended; 0 where it is not known to have."""
    filling_since_ns: int = 0
    """When the input was first heard, where its window was still filling; else 0."""
    mended_after: int = 0
    """How many of the rows came after the input was heard again."""

    @property
    def between(self) -> int:
        """Return how many triggers there were from the first to the last."""
        return self.last - self.first + 1

    def add(self, index: int, row: Row, item: InputRow | None) -> None:
        """Take one more row in."""
        if not self.rows:
            self.first = index
        self.last = index
        self.rows.append(row)
        if item is not None:
            self.items.append(item)


def find_episodes(rows: Sequence[Row], plan: Plan, notes: Sequence[Note] = ()) -> list[Episode]:
    """Return the episodes of a stretch of rows in the order in which they began."""
    found: list[Episode] = []
    for index, item in enumerate(plan.inputs):
        found += _of_input(rows, index, item, [note for note in notes if note.input == item.name])
    shed = [_own_reason(row) for row in rows]
    found += _grouped((i, row, None, cause) for i, (row, cause) in _with_cause(rows, shed))
    for flag in _FLAGS:
        flagged = [flag if flag in row.flags else "" for row in rows]
        found += _grouped((i, row, None, cause) for i, (row, cause) in _with_cause(rows, flagged))
    return sorted(found, key=lambda episode: episode.first)


_Failure = tuple[int, Row, InputRow | None, str]


def _with_cause(
    rows: Sequence[Row], causes: Sequence[str]
) -> Iterable[tuple[int, tuple[Row, str]]]:
    return ((i, pair) for i, pair in enumerate(zip(rows, causes, strict=True)) if pair[1])


def _own_reason(row: Row) -> str:
    """Return why the row was shed, where that is not told by its inputs."""
    told = row.reason == "complete" or row.reason.startswith("input_")
    return "" if told or row.reason == "not_accepted" else row.reason


def _grouped(failures: Iterable[_Failure], name: str = "") -> list[Episode]:
    """Join failures of one cause that lie close together."""
    found: list[Episode] = []
    latest: dict[str, Episode] = {}
    for index, row, item, cause in failures:
        episode = latest.get(cause)
        if episode is None or index - episode.last > _TOGETHER:
            episode = latest[cause] = Episode(cause, name)
            found.append(episode)
        episode.add(index, row, item)
    return found


def _of_input(
    rows: Sequence[Row], position: int, plan: InputPlan, notes: Sequence[Note]
) -> list[Episode]:
    items = [row.inputs[position] for row in rows]
    heard = [note.now_ns for note in notes if note.change in _HEARD]
    causes = [_cause(row, item) for row, item in zip(rows, items, strict=True)]
    _take_in_before(rows, items, causes)
    mending = _take_in_after(rows, causes, heard, _reach_ns(plan))
    first_ns = min((note.now_ns for note in notes if note.change == "first_heard"), default=0)
    filling = _take_in_filling(rows, causes, first_ns, plan.align.duration_ns)
    found = _grouped(
        (
            (i, row, item, cause)
            for i, (row, item, cause) in enumerate(zip(rows, items, causes, strict=True))
            if cause
        ),
        plan.name,
    )
    for episode in found:
        if episode.cause in ("silent", "never_heard"):
            _tell_the_end(episode, heard, mending)
        if episode.cause == "gaps" and episode.rows[-1].trigger in filling:
            episode.filling_since_ns = first_ns
    return found


def _cause(row: Row, item: InputRow) -> str:
    """Return why the input was not fresh; nothing where the row's own reason tells it."""
    if item.status is Status.FRESH or (item.reason in TIME_REASONS and _own_reason(row)):
        return ""
    return item.reason


def _take_in_before(rows: Sequence[Row], items: Sequence[InputRow], causes: list[str]) -> None:
    """Count triggers after the last sound, but before the silence was noticed, to the silence."""
    cause, since_ns = "", 0
    for i in range(len(rows) - 1, -1, -1):
        if causes[i] in ("silent", "never_heard"):
            cause, since_ns = causes[i], items[i].silent_since_ns
        elif cause and causes[i] in _EDGES and rows[i].stamp_ns >= since_ns:
            causes[i] = cause
        else:
            cause = ""


def _take_in_after(
    rows: Sequence[Row], causes: list[str], heard: Sequence[int], reach_ns: int
) -> set[int]:
    """Count triggers whose reach still touched a silence to it; return their numbers."""
    mending: set[int] = set()
    for i in range(1, len(rows)):
        if causes[i - 1] != "silent" or causes[i] not in _EDGES:
            continue
        begin_ns = rows[i].stamp_ns - reach_ns
        if any(begin_ns <= instant_ns <= rows[i].emitted_ns for instant_ns in heard):
            causes[i] = "silent"
            mending.add(rows[i].trigger)
    return mending


def _take_in_filling(
    rows: Sequence[Row], causes: list[str], first_ns: int, duration_ns: int
) -> set[int]:
    """Tell windows that reach back before the first sound as gaps; return their triggers."""
    filling: set[int] = set()
    for i, row in enumerate(rows if duration_ns else ()):
        if causes[i] in ("absent", "gaps") and row.stamp_ns - duration_ns <= first_ns:
            causes[i] = "gaps"
            filling.add(row.trigger)
    return filling


def _tell_the_end(episode: Episode, heard: Sequence[int], mending: set[int]) -> None:
    during = [row for row in episode.rows if row.trigger not in mending]
    episode.mended_after = len(episode.rows) - len(during)
    last_ns = max((row.accepted_ns for row in during), default=0)
    episode.heard_again_ns = min((ns for ns in heard if ns >= last_ns), default=0)


def _reach_ns(plan: InputPlan) -> int:
    """Return how far before its trigger an input's sample may lie."""
    align = plan.align
    return align.duration_ns or align.before_ns + align.after_ns
