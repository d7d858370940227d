"""What the soak observes: outcomes heard on the topics, and processes seen in /proc."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from tectum.message import Kind
from tectum.rundir import read_run
from tectum.transport.base import Received

__all__ = ["LEDGER", "TRIGGER", "Gap", "Heard", "Life", "Sample", "below", "pools_of", "sample"]

TRIGGER, LEDGER = "lidar/points", "perception/ledger"


class Gap(NamedTuple):
    """The time between two neighbouring outcomes, and what the later one was."""

    lasting_ns: int
    begin_ns: int
    reason: str
    blame: str


@dataclass
class Life:
    """What was heard of one life of the fusion node."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def gaps(self) -> Iterator[Gap]:
        """Yield what lies between neighbouring outcomes."""
        for earlier, later in pairwise(self.rows):
            begin_ns, end_ns = (
                row.get("delivered_ns") or row["emitted_ns"] for row in (earlier, later)
            )
            yield Gap(end_ns - begin_ns, begin_ns, later.get("reason", ""), later.get("blame", ""))

    def missing(self) -> int:
        """Return how many numbers of triggers have no row."""
        numbers = [row.get("trigger", 0) for row in self.rows]
        return numbers[-1] - numbers[0] + 1 - len(set(numbers)) if numbers else 0


@dataclass
class Heard:
    """What the observer heard: each sweep, and the rows of each life of the fusion node."""

    stamps_ns: list[int] = field(default_factory=list)
    lives: dict[int, Life] = field(default_factory=dict)
    lost: int = 0
    """Messages that the observer missed itself."""

    def take(self, received: Received) -> None:
        """Take up a message, or a hole."""
        if received.gap is not None:
            self.lost += received.gap.missing
        message = received.message
        if message is None:
            return
        header = message.header
        if header.topic == TRIGGER and header.kind is Kind.POINTS:
            self.stamps_ns.append(header.stamp_ns)
        elif header.kind is Kind.LEDGER:
            life = self.lives.setdefault(header.incarnation, Life())
            life.rows += [dict(row) for row in header.fields["rows"]]  # type: ignore[union-attr, arg-type]
        message.release()

    def unaccounted(self) -> list[int]:
        """Return the stamps of sweeps that came while a fusion node lived, and have no outcome."""
        found: list[int] = []
        for life in self.lives.values():
            known = {row["stamp_ns"] for row in life.rows}
            first, last = min(known, default=0), max(known, default=0)
            found += [s for s in self.stamps_ns if first <= s <= last and s not in known]
        return found


@dataclass(frozen=True)
class Sample:
    """What launcher, nursery and nodes have together."""

    at_ns: int
    memory: int
    """Bytes, each shared page divided among those that share it (PSS)."""
    descriptors: int
    pools: int
    """Files of this run in /dev/shm."""
    processes: int
    by_process: dict[str, int]
    """The memory of each, by the name of its node; of the others by what they are."""


def below(launcher: int) -> set[int]:
    """Return a process and all that descend from it."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found: set[int] = set()
    more = {launcher}
    while more:
        found |= more
        more = {child for child, parent in parents.items() if parent in more} - found
    return found


def pools_of(run: str) -> list[Path]:
    """Return the shared memory of a run."""
    return list(Path("/dev/shm").glob(f"tectum-{run}-*"))


def sample(launcher: int, run: Path, now_ns: int) -> Sample:
    """Look at all processes of a launch."""
    names = {node["pid"]: name for name, node in read_run(run)["nodes"].items()}
    names[launcher] = "launcher"
    by_process: dict[str, int] = {}
    descriptors = 0
    pids = below(launcher)
    for pid in pids:
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            name = names.get(pid, "nursery")
            own = int(text.partition("\nPss:")[2].split()[0]) * 1024
            by_process[name] = by_process.get(name, 0) + own
            descriptors += len(os.listdir(f"/proc/{pid}/fd"))
    memory = sum(by_process.values())
    return Sample(now_ns, memory, descriptors, len(pools_of(run.name)), len(pids), by_process)
