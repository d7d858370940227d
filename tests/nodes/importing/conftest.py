"""A source read whole, and a log of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tectum.message import Message
from tectum.recording.reader import LogReader
from tectum_nodes.importing.copying import Imported, import_log
from tectum_nodes.importing.formats import opened_source
from tectum_nodes.importing.naming import chosen_topics


class Log(NamedTuple):
    """What an import made."""

    path: Path
    report: Imported
    rig: dict[str, Any] | None
    records: list[tuple[int, Message]]
    signs: list[tuple[int, Message]]

    def of(self, topic: str) -> list[Message]:
        return [message for _, message in self.records if message.header.topic == topic]


@pytest.fixture
def imported(tmp_path: Path) -> Callable[..., Log]:
    """Import a path with settings of its format; `topics` as on the command line."""

    def run(path: Path, *, topics: tuple[str, ...] = (), **settings: object) -> Log:
        target = tmp_path / f"{path.name}-imported.mcap"
        _, source = opened_source(path, "", settings)
        report = import_log(source, chosen_topics(source.streams(), topics), target)
        with LogReader(target) as reader:
            records, signs = list(reader.messages()), list(reader.signs())
            assert reader.finished
            assert reader.complaints == ()
            assert set(reader.skipped) <= {"foxglove.CameraCalibration", "foxglove.FrameTransforms"}
            return Log(target, report, reader.rig, records, signs)

    return run
