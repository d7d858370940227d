"""Which files belong to one recording: those of a split one, and those of a recorder's lives.

Parts of a split recording are known by their names. What is called like a further life of a
recorder (`drive-2.mcap`) may be anybody's: it belongs to `drive.mcap` where both say that they were
written by the same node of the same run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from tectum.errors import DataError
from tectum.recording.gap import Gap
from tectum.recording.names import life_path, lives_named, part_path, parts_of, without_number
from tectum.recording.part_note import PartNote, part_note
from tectum.recording.reader import LogReader

__all__ = ["files_of", "gaps_between", "missing_files", "recordings_in"]


def files_of(path: Path) -> list[Path]:
    """Return the files of the recording `path` in their order; itself where there are none."""
    if not path.exists():
        return list(parts_of(path)) or [path]
    return [path, *_further_lives(path)]


def missing_files(path: Path) -> list[str]:
    """Return in sentences which files of the recording `path` are missing, or cannot be read."""
    if not path.exists():
        return [_is_missing(part_path(path, n)) for n in _left_out(parts_of(path).values())]
    numbers = [1, *_further_lives(path).values()]
    between = [life_path(path, number) for number in _left_out(numbers)]
    absent = [_is_missing(file) for file in between if not file.exists()]
    return absent + [text for file in between if file.exists() for text in _unreadable(file)]


def gaps_between(parts: Sequence[LogReader]) -> tuple[Gap, ...]:
    """Return the times between the lives of the recorder that has written `parts`."""
    found: list[Gap] = []
    last_ns = 0
    for before, after in pairwise(parts):
        last_ns = max(last_ns, before.span_ns[1])
        notes = [PartNote.of(part.metadata) for part in (before, after)]
        if len({note.life for note in notes if note}) > 1:
            found.append(Gap(after.path.name, last_ns, after.span_ns[0]))
    return tuple(found)


def recordings_in(folder: Path) -> list[Path]:
    """Return the names of the recordings in a folder: of several files once."""
    files = sorted(folder.glob("*.mcap"))
    names = {_recording_of(file): None for file in files}
    return list(names)


def _recording_of(file: Path) -> Path:
    """Return the name of the recording that `file` belongs to."""
    whole = without_number(file)
    if whole is None:
        return file
    if not whole.exists():
        return whole if file in parts_of(whole) and _is_split(whole) else file
    return whole if file in _further_lives(whole) else file


def _is_split(path: Path) -> bool:
    """Return whether a file says that it is a part of `path`: a name may end in a time of day."""
    notes = ((part_note(file), number) for file, number in parts_of(path).items())
    return any(note is not None and note.number == number for note, number in notes)


def _further_lives(path: Path) -> dict[Path, int]:
    """Return the files that the recorder of `path` has written when it was started again."""
    named = lives_named(path)
    first = part_note(path) if named else None
    if first is None or not first.owner.run:
        return {}
    notes = {file: part_note(file) for file in named}
    return {file: named[file] for file, note in notes.items() if note and note.owner == first.owner}


def _left_out(numbers: Iterable[int]) -> list[int]:
    """Return the numbers from 1 that are missing before the last."""
    there = set(numbers)
    return sorted(set(range(1, max(there, default=0))) - there)


def _is_missing(file: Path) -> str:
    return f"{file.name} is missing"


def _unreadable(file: Path) -> Iterator[str]:
    """Yield why `file` cannot be read, where it cannot."""
    try:
        LogReader(file).close()
    except DataError as error:
        yield str(error)
