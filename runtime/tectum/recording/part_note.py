"""What a file says of itself: which file of a recording it is, and who has written it.

The metadata record `tectum/part` of the file; those of older versions lack `life`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tectum.errors import DataError
from tectum.recording.scan import opened, scanned

__all__ = ["PART", "Owner", "PartNote", "part_note"]

PART = "tectum/part"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who records: a run, and the node in it. Nobody in particular: both empty."""

    run: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True)
class PartNote:
    """What one file says."""

    number: int
    """Of the file, from 1."""
    life: int
    """Of the recorder, from 1: how often it had been started."""
    owner: Owner

    @classmethod
    def of(cls, metadata: Mapping[str, Mapping[str, str]]) -> PartNote | None:
        """Return what the metadata of a file say; None: nothing."""
        facts = metadata.get(PART, {})
        number, life = facts.get("part", ""), facts.get("life", "1")
        if not (number.isdecimal() and life.isdecimal()):
            return None
        owner = Owner(facts.get("run", ""), facts.get("node", ""))
        return cls(int(number), int(life), owner)

    def facts(self, name: str) -> dict[str, str]:
        """Return the same as metadata, of a file of the recording called `name`."""
        return {
            "part": str(self.number),
            "life": str(self.life),
            "of": name,
            "run": self.owner.run,
            "node": self.owner.node,
        }


def part_note(path: Path) -> PartNote | None:
    """Return what the file at `path` says of itself; None: it says nothing, or is no log."""
    try:
        with opened(path) as file:
            return PartNote.of({item.name: item.metadata for item in scanned(file).metadata})
    except DataError:
        return None
