"""The recorder: writes what is said in a graph into an MCAP log, and never holds the graph up.

It hears everything, the books included: results, ledger, journal, constant facts, and what nodes
state of their losses. What it could not record is counted in the log and said at the end. When the
disk runs full it stops recording and the graph goes on. It leaves `<node>.recording.json` in the
run's folder, for the report.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import ContractError, DataError
from tectum.node.base import Context, Node, NodeConfig
from tectum.node.fields import Duration, Size
from tectum.recording.part_note import Owner
from tectum.recording.series import LogSeries, Split
from tectum.recording.store import ImageStorage
from tectum.recording.writer import Compression, WriteOptions
from tectum.rundir import read_run
from tectum_nodes.fusion_files import ReportFile
from tectum_nodes.log_thread import LogThread, LogThreadLimits
from tectum_nodes.recorder_account import Account

__all__ = ["RecorderConfig", "RecorderNode", "SplitConfig"]

_WAIT_NS = 20 * NS_PER_MS
_MEASURE_NS = 3 * NS_PER_S
"""After so long the rate is said."""
_REPORT_NS = NS_PER_S
_LAST_WORDS = 5
"""At the end, the recorder listens until nothing has come for so many waits."""


class SplitConfig(NodeConfig):
    """When the next file begins; each has schemas, graph, rig and constant facts of its own."""

    bytes: Annotated[Size, Field(ge=100_000)] | None = None
    """A file has about so much: `1GB`."""
    every: Annotated[Duration, Field(ge=NS_PER_S)] | None = None
    """A file lasts so long: `10min`."""

    @model_validator(mode="after")
    def _says_when(self) -> SplitConfig:
        if self.bytes is None and self.every is None:
            msg = "say when: {bytes: 1GB}, {every: 10min}, or both"
            raise ValueError(msg)
        return self


class RecorderConfig(NodeConfig):
    """What is recorded, where, and how."""

    path: str = ""
    """The log; default: the graph's name and the date in the folder where the graph was started."""
    topics: tuple[str, ...] = ("*",)
    """Topics or patterns with `*`."""
    split: SplitConfig | None = None
    """When the next file begins: `drive.mcap` becomes `drive-00001.mcap`, `drive-00002.mcap` ..."""
    images: Literal["jpeg", "raw"] = "jpeg"
    """How pictures that are published raw are stored; JPEG pictures stay as they are."""
    quality: Annotated[int, Field(ge=1, le=100)] = 90
    """Of JPEG."""
    compression: Compression = "none"
    """Of everything: none, lz4, zstd; it costs the processor more than it saves on the disk."""
    flush: Annotated[Duration, Field(ge=10 * NS_PER_MS, le=10 * NS_PER_S)] = 500 * NS_PER_MS
    """A crash costs at most what came within this time."""
    overwrite: bool = False
    """Replace a log that exists (a split one: all its files), but never one of the same run."""
    min_free_mb: Annotated[int, Field(ge=0)] = 500
    """Recording stops when less than this is free on the disk."""
    queue_mb: Annotated[int, Field(ge=1)] = 256
    """What may wait to be written; what comes beyond it is left out and counted."""


class RecorderNode(Node):
    """Records a graph."""

    Config: ClassVar[type[NodeConfig]] = RecorderConfig
    config: RecorderConfig

    @classmethod
    def topics_of(cls, config: RecorderConfig) -> tuple[str, ...]:
        """Return the topics or patterns that are recorded."""
        return config.topics

    def __init__(self, config: Any) -> None:
        """Open nothing yet."""
        super().__init__(config)
        self._series: LogSeries | None = None
        self._thread: LogThread | None = None
        self._gaps: Counter[str] = Counter()
        self._gap_facts: dict[str, str] = {"gaps": ""}
        self._said_rate = False
        self._said_stop = False
        self._report_ns = 0

    def open(self, context: Context) -> None:
        """Create the log and join the publishers.

        Raises:
            DataError: the log exists, cannot be written, or the disk is too full.
        """
        path = _log_path(self.config, context)
        free = _free_bytes(path)
        if free < self.config.min_free_mb * 1_000_000:
            msg = (
                f"only {free / 1e6:.0f} MB are free for {path}: make room, or lower "
                f"min_free_mb ({self.config.min_free_mb})"
            )
            raise DataError(msg)
        owner = Owner(str(context.run.get("id", "")), context.name)
        self._series = LogSeries(path, _options(self.config), _split(self.config), owner)
        self._report = ReportFile(context.folder / f"{context.name}.recording.json")
        self._subscriber = context.subscribe(_all_topics(self.config, context))
        context.log.info("records into %s (%.0f GB free)", self._series.path, free / 1e9)

    def run(self, context: Context) -> None:
        """Record until the graph stops, and then what is still on its way."""
        self._began_ns = context.clock.now_ns()
        self._start_writing(context)
        while not context.stopping:
            self._subscriber.wait(_WAIT_NS)
            self._drain(context)
            context.serve(context.clock.now_ns())
            self._say(context)
        self._hear_last_words(context)
        self._finish(context)

    def close(self) -> None:
        """Finish the log, also after a failure."""
        if self._thread is not None:
            self._thread.close()
        elif self._series is not None:
            self._series.close()

    def _start_writing(self, context: Context) -> None:
        """Begin with what the run is; its epoch is known only now that it runs."""
        series = self._series
        if series is None:
            msg = "the recorder was not opened"
            raise ContractError(msg)
        series.write_run(_run_document(context), self._began_ns)
        queue_bytes = self.config.queue_mb * 1024 * 1024
        limits = LogThreadLimits(queue_bytes, self.config.min_free_mb * 1_000_000)
        self._thread = LogThread(series, context.clock, limits, lambda: self._gap_facts)

    def _hear_last_words(self, context: Context) -> None:
        """Take what is still on its way: those who publish have ended before."""
        quiet, waits = 0, 0
        while quiet < _LAST_WORDS and waits < 4 * _LAST_WORDS:
            self._subscriber.wait(_WAIT_NS)
            quiet = 0 if self._drain(context) else quiet + 1
            waits += 1

    def _drain(self, context: Context) -> int:
        """Hand over what has come; return how much that was."""
        received = self._subscriber.drain()
        now_ns = context.clock.now_ns()
        for item in received:
            if item.gap is not None:
                self._gaps[item.gap.topic] += item.gap.missing
                self._gap_facts = {"gaps": str(dict(self._gaps))}
            if item.message is not None and self._thread is not None:
                self._thread.put(item.message, now_ns)
        return len(received)

    def _say(self, context: Context) -> None:
        """Say the rate once, and once that recording has stopped."""
        thread, now_ns = self._thread, context.clock.now_ns()
        if thread is None:
            return
        if thread.stopped and not self._said_stop:
            self._said_stop = True
            context.log.error("recording has stopped, the graph goes on: %s", thread.stopped)
        if now_ns >= self._report_ns:
            self._report_ns = now_ns + _REPORT_NS
            self._account(thread)
        if not self._said_rate and now_ns - self._began_ns >= _MEASURE_NS:
            self._said_rate = True
            self._say_rate(context, thread, now_ns - self._began_ns)

    def _say_rate(self, context: Context, thread: LogThread, lasted_ns: int) -> None:
        rate = thread.written_bytes / (lasted_ns / NS_PER_S)
        try:
            free = _free_bytes(Path(thread.files[-1]))
        except DataError:
            return  # the folder is gone, which the thread notices
        room = max(0, free - self.config.min_free_mb * 1_000_000)
        text = "%.1f MB/s: the disk is full in %.0f minutes"
        context.log.info(text, rate / 1e6, room / max(rate, 1.0) / 60)

    def _account(self, thread: LogThread) -> Account:
        """Return what has come of the recording so far, and leave it for the report."""
        account = Account.of(thread, self._gaps, self._subscriber.counters())
        with suppress(OSError):  # a recorder that has joined a run may outlive its folder
            self._report.write(account.document())
        return account

    def _finish(self, context: Context) -> None:
        thread = self._thread
        if thread is None:
            return
        thread.close()
        account = self._account(thread)
        say = context.log.info if account.clean else context.log.warning
        say("%s", account.sentence())


def _log_path(config: RecorderConfig, context: Context) -> Path:
    """Return where to record: by the begin of the run, so that a further life goes on beside."""
    if config.path:
        return Path(config.path).expanduser()
    begun_ns = int(context.run.get("started_ns", context.clock.now_ns()))
    date = datetime.fromtimestamp(begun_ns / NS_PER_S, tz=UTC)
    name = str(context.run.get("graph") or "graph")
    return Path(f"{name}-{date:%Y%m%d-%H%M%S}.mcap").absolute()


def _run_document(context: Context) -> Mapping[str, Any]:
    """Return `run.json` as it is now; a run in memory has no file."""
    try:
        return read_run(context.folder)
    except DataError:
        return context.run


def _free_bytes(path: Path) -> int:
    try:
        return shutil.disk_usage(path.parent).free
    except FileNotFoundError:
        msg = f"{path} cannot be written: the folder {path.parent} does not exist; create it first"
        raise DataError(msg) from None


def _options(config: RecorderConfig) -> WriteOptions:
    return WriteOptions(
        images=ImageStorage(config.images, config.quality),
        compression=config.compression,
        flush_ns=config.flush,
        overwrite=config.overwrite,
    )


def _split(config: RecorderConfig) -> Split:
    chosen = config.split
    return Split(chosen.bytes or 0, chosen.every or 0) if chosen is not None else Split()


def _all_topics(config: RecorderConfig, context: Context) -> tuple[str, ...]:
    """Return the topics, and where everything is recorded, what other nodes state of losses."""
    if "*" not in config.topics:
        return config.topics
    nodes = [name for name in context.run.get("nodes", ()) if name != context.name]
    return (*config.topics, *(f"{name}/@statement" for name in nodes))
