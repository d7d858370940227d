"""Where the ledger of a run is found: in a recording, in the folder of a run, or kept at its end.

A run's folder is removed when the run ends; the ledgers of the latest run are kept beside it, so
that `tectum why` can still be asked. They are replaced by those of the next run.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tectum.errors import ConfigError, DataError
from tectum.ledger.came import Came, came
from tectum.ledger.codec import row_from
from tectum.ledger.row import Row
from tectum.pipeline.events import Event
from tectum.pipeline.orders import Note
from tectum.pipeline.plan import Plan, plan_from

__all__ = ["Ledger", "keep_ledgers", "read_ledgers"]

_KEPT = ".last"
_SUFFIXES = (".ledger.old", ".ledger")
"""The older part first."""


@dataclass(slots=True)
class Ledger:
    """What one fusion node decided, in acceptance order."""

    node: str
    plan: Plan
    rows: list[Row] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    arrivals: dict[str, list[Sequence[int]]] = field(default_factory=dict)
    """As `tectum.ledger.came` has them."""

    def take(self, rows: Iterable[Any], notes: Iterable[Any]) -> None:
        """Take up rows and notes as the wire has them."""
        self.rows += [row_from(row) for row in rows]
        self.notes += [Note(**note) for note in notes]

    def take_arrivals(self, arrivals: Came) -> None:
        """Take up what came to the inputs."""
        for name, samples in arrivals.items():
            self.arrivals.setdefault(name, []).extend(samples)


def read_ledgers(where: str | None = None) -> list[Ledger]:
    """Return the ledger of each fusion node.

    Args:
        where: a recording, a ledger file, the folder or id of a run; None for the newest living
            run, else the run that ended last.

    Raises:
        DataError: there is no such recording or run, or it has no ledger.
    """
    path = Path(where).expanduser() if where else _latest()
    if path.is_file() and path.suffix == ".ledger":
        return [_from_files(path.with_suffix(""))]
    if _is_recording(path):
        return _from_log(path)
    if not path.is_dir():
        from tectum.rundir import find_run  # noqa: PLC0415 - start-up of the command line

        path = find_run(where)
    # one that is just being moved aside is there by its older part only
    nodes = {file.name.removesuffix(s) for s in _SUFFIXES for file in path.glob(f"*{s}")}
    if not nodes:
        msg = f"{path} has no ledger: no fusion node has begun there"
        raise DataError(msg)
    return [_from_files(path / node) for node in sorted(nodes)]


def _is_recording(path: Path) -> bool:
    """Return whether `path` is a log, the name of a series, or a folder with recordings."""
    from tectum.recording.belonging import files_of, recordings_in  # noqa: PLC0415 - start-up

    return bool(recordings_in(path)) if path.is_dir() else files_of(path)[0].is_file()


def keep_ledgers(folder: Path) -> None:
    """Keep the ledgers of the run in `folder`, in place of those of the run before."""
    draft, kept = folder.parent / f"{_KEPT}.{os.getpid()}", folder.parent / _KEPT
    draft.mkdir(mode=0o700)
    for suffix in _SUFFIXES:
        for file in folder.glob(f"*{suffix}"):
            shutil.copy(file, draft / file.name)
    shutil.rmtree(kept, ignore_errors=True)
    with contextlib.suppress(OSError):  # another run ended at this moment: its ledgers are kept
        draft.rename(kept)
    shutil.rmtree(draft, ignore_errors=True)


def _latest() -> Path:
    from tectum.rundir import live_runs, runs_folder  # noqa: PLC0415 - start-up

    alive = live_runs()
    if alive:
        return alive[0]
    kept = runs_folder() / _KEPT
    if kept.is_dir():
        return kept
    msg = "no run lives or has ended here; name a recording, or start a run: tectum launch GRAPH"
    raise DataError(msg)


def _from_files(stem: Path) -> Ledger:
    """Read `<stem>.ledger`, after its older part where there is one."""
    import msgpack  # noqa: PLC0415 - start-up of the command line

    ledger: Ledger | None = None
    for path, data in _parts(stem):
        entries = msgpack.Unpacker(strict_map_key=False)
        entries.feed(data)
        for entry in entries:  # a last entry that was cut is left out
            ledger = _taken(stem.name, ledger, entry, path)
    if ledger is None:
        msg = f"{stem}.ledger is empty: its fusion node ended before it began"
        raise DataError(msg)
    return ledger


def _parts(stem: Path) -> list[tuple[Path, bytes]]:
    """Return the parts of a ledger that may be written to and moved aside meanwhile."""
    older, newer = (stem.with_name(stem.name + suffix) for suffix in _SUFFIXES)
    while True:
        found = []
        with contextlib.ExitStack() as files:
            # the newer is opened first: if it is moved aside now, both are the same file
            for path in (newer, older):
                with contextlib.suppress(FileNotFoundError):
                    found.append((path, files.enter_context(path.open("rb"))))
            if len({os.fstat(file.fileno()).st_ino for _, file in found}) == len(found):
                return [(path, file.read()) for path, file in reversed(found)]


def _taken(node: str, ledger: Ledger | None, entry: object, path: Path) -> Ledger:
    if not isinstance(entry, dict) or (ledger is None and "plan" not in entry):
        msg = f"{path} is not a ledger of this version of Tectum"
        raise DataError(msg)
    if ledger is None:
        return Ledger(node, _plan(entry["plan"], path))
    ledger.take(*([entry[key]] if key in entry else [] for key in ("row", "note")))
    ledger.take_arrivals(entry.get("came", {}))
    return ledger


def _from_log(path: Path) -> list[Ledger]:
    from tectum.message import Kind  # noqa: PLC0415 - start-up of the command line
    from tectum.recording.series_reader import open_log  # noqa: PLC0415

    with open_log(path) as reader:
        ledgers: dict[str, Ledger] = {}
        for header in reader.latched.values():
            if header.fields.get("fact") == "plan":
                node = header.topic.partition("/")[0]
                ledgers[node] = Ledger(node, _plan(header.fields["plan"], path))
        kinds = (Kind.LEDGER, Kind.JOURNAL)
        topics = [name for name, topic in reader.topics.items() if topic.kind in kinds]
        for record in reader.messages(topics) if topics else ():
            header = record.message.header
            ledger = ledgers.get(header.topic.partition("/")[0])
            if ledger is not None and header.kind is Kind.JOURNAL:
                ledger.take_arrivals(came(_arrived(header.fields), ledger.plan))
            elif ledger is not None:
                ledger.take(_listed(header.fields, "rows"), _listed(header.fields, "notes"))
    if not ledgers:
        msg = f"{path} has no ledger: record the topics of the fusion node too, topics: ['*']"
        raise DataError(msg)
    return list(ledgers.values())


def _arrived(fields: Mapping[str, Any]) -> Iterator[Event]:
    """Yield the arrivals of a batch of the journal."""
    from tectum.recording.journal import event_from  # noqa: PLC0415 - start-up

    for event in _listed(fields, "events"):
        if event[0] == "a":
            yield event_from(event)


def _listed(fields: Mapping[str, Any], key: str) -> list[Any]:
    value = fields.get(key)
    return value if isinstance(value, list) else []


def _plan(document: Any, path: Path) -> Plan:
    try:
        return plan_from(document)
    except ConfigError as error:
        msg = f"{path}: {error}"
        raise DataError(msg) from error
