"""Run directories: where the processes of a run, tools and clients find each other.

`$XDG_RUNTIME_DIR/tectum/<id>`, else `<temporary folder>/tectum-<uid>/<id>`; private to its owner.
`run.json` is a map, written whole: `version` (1), `id`, `graph` (name), `started_ns` and `epoch_ns`
(graph clock), `offset_ns` (of that clock), `pid` and `pid_started` (the launcher, and the kernel's
start time of that process, so that a reused pid is not taken for it),
`nodes`: name -> {`class`, `config`, `endpoint`, `outputs`: {output: kind}, `subscribes`: [topic],
`subscribers`: [node], `pid`}, and `topics`: topic -> {`node`, `kind`}.
A run lives as long as its launcher. `reap` removes what dead ones left behind.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tectum.errors import ConfigError, DataError
from tectum.transport.pool_file import leftover_pools, remove_pools, run_of

__all__ = [
    "create_run",
    "dead_runs",
    "find_run",
    "is_alive",
    "live_runs",
    "process_started",
    "read_run",
    "reap",
    "remove_run",
    "runs_folder",
    "write_run",
]

VERSION = 1
_ID_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # none that looks like another
_log = logging.getLogger(__name__)


def runs_folder() -> Path:
    """Return the folder of all runs of this user, made if need be.

    Raises:
        ConfigError: the folder in the temporary directory belongs to someone else or is open to
            others.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK | os.X_OK):
        return _private(Path(runtime) / "tectum")
    state = f"is {runtime!r}, which cannot be written" if runtime else "is not set"
    folder = _private(_temporary_folder())
    _log.warning("XDG_RUNTIME_DIR %s: runs are kept in %s", state, folder)
    return folder


def create_run(graph: str) -> Path:
    """Return the new folder of a run of `graph`, with a `run.json` to be completed.

    Raises:
        ConfigError: no private folder can be made.
    """
    parent = runs_folder()
    run_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(6))
    draft = parent / f".{run_id}.{os.getpid()}"
    draft.mkdir(mode=0o700)
    pid = os.getpid()
    document = {"id": run_id, "graph": graph, "pid": pid, "pid_started": process_started(pid)}
    write_run(draft, {"version": VERSION, **document, "nodes": {}, "topics": {}})
    folder = parent / run_id
    draft.rename(folder)  # a run folder is never seen without its run.json
    return folder


def write_run(folder: Path, document: Mapping[str, Any]) -> None:
    """Replace `run.json` of `folder` as a whole: readers see the old one or the new one."""
    draft = folder / f".run.json.{os.getpid()}"
    draft.write_text(json.dumps(document, indent=1), encoding="utf-8")
    draft.rename(folder / "run.json")


def read_run(folder: Path) -> dict[str, Any]:
    """Return the content of `run.json`.

    Raises:
        DataError: there is none, it is not JSON, or it is of another version.
    """
    path = folder / "run.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"{folder} is not the folder of a run: {error.strerror} ({path.name})"
        raise DataError(msg) from error
    except ValueError as error:
        msg = f"{path} is not JSON: {error}"
        raise DataError(msg) from error
    if not isinstance(document, dict) or document.get("version") != VERSION:
        found = document.get("version") if isinstance(document, dict) else None
        msg = f"{path}: version {found!r}; this version of Tectum reads {VERSION}"
        raise DataError(msg)
    return document


def live_runs() -> list[Path]:
    """Return the folders of runs whose launcher is alive, newest first."""
    alive = [folder for folder in _run_folders() if is_alive(_document(folder))]
    return sorted(alive, key=lambda folder: folder.stat().st_ctime_ns, reverse=True)


def find_run(run: str | Path | None = None) -> Path:
    """Return the folder of `run` (an id, a folder, or None for the newest live one).

    Raises:
        DataError: there is no such run; the message names those that live.
    """
    if run is not None and (Path(run) / "run.json").exists():
        return Path(run)
    alive = live_runs()
    if run is None and alive:
        return alive[0]
    for folder in alive:
        if folder.name == str(run):
            return folder
    names = ", ".join(folder.name for folder in alive) or "none"
    msg = f"no run {str(run)!r} lives" if run is not None else "no run lives"
    msg = f"{msg} (living: {names}); start one with: tectum launch GRAPH"
    raise DataError(msg)


def dead_runs() -> list[Path]:
    """Return the folders of runs of which no process is left."""
    dead = [folder for folder in _run_folders() if not _in_use(_document(folder))]
    drafts = [draft for draft in _drafts() if not process_started(draft.name.rpartition(".")[2])]
    return dead + drafts


def reap() -> list[Path]:
    """Remove the folders of runs of which no process is left, and pools without a run.

    Returns:
        The folders.
    """
    dead = dead_runs()
    for folder in dead:
        remove_run(folder)
    alive = {folder.name for folder in _run_folders()}
    for run in {run_of(pool) for pool in leftover_pools()} - alive:
        remove_pools(run)
    return dead


def remove_run(folder: Path) -> None:
    """Remove the folder of a run with all that is in it, and its shared memory."""
    remove_pools(folder.name)
    shutil.rmtree(folder, ignore_errors=True)


def is_alive(document: Mapping[str, Any]) -> bool:
    """Return whether the launcher of this run is the same living process that began it."""
    started = process_started(document.get("pid"))
    return started > 0 and started == document.get("pid_started")


def process_started(pid: object) -> int:
    """Return when process `pid` began, in clock ticks since boot (proc(5), field 22); 0: gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    state, *fields = text.rpartition(")")[2].split()
    return 0 if state in "ZX" else int(fields[18])  # the name before ")" may hold anything


def _in_use(document: Mapping[str, Any]) -> bool:
    """Return whether the launcher or any node may still live; a node's pid may be a reused one."""
    nodes = document.get("nodes")
    records = nodes.values() if isinstance(nodes, dict) else ()
    pids = [record.get("pid") for record in records if isinstance(record, dict)]
    return is_alive(document) or any(process_started(pid) for pid in pids if pid)


def _document(folder: Path) -> Mapping[str, Any]:
    try:
        return read_run(folder)
    except DataError:
        return {}


def _run_folders() -> Iterator[Path]:
    for parent in _parents():
        yield from (path.parent for path in sorted(parent.glob("[!.]*/run.json")))


def _drafts() -> Iterator[Path]:
    for parent in _parents():
        yield from sorted(parent.glob(".*.*"))


def _parents() -> Iterator[Path]:
    """Yield both places, since tools may see another environment than the launcher did."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    places = [Path(runtime) / "tectum"] if runtime else []
    for place in (*places, _temporary_folder()):
        if place.is_dir() and _trouble(place) is None:
            yield place


def _temporary_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"tectum-{os.getuid()}"


def _private(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        msg = f"cannot make {folder}: {error.strerror}; set XDG_RUNTIME_DIR to a folder of yours"
        raise ConfigError(msg) from error
    trouble = _trouble(folder)
    if trouble is not None:
        msg = f"{folder} {trouble}; remove it, or set XDG_RUNTIME_DIR to a folder of yours"
        raise ConfigError(msg)
    return folder


def _trouble(folder: Path) -> str | None:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return "is not a folder"
    if status.st_uid != os.getuid():
        return f"belongs to user {status.st_uid}"
    if status.st_mode & 0o077:
        return f"is open to others (mode {stat.S_IMODE(status.st_mode):o})"
    return None
