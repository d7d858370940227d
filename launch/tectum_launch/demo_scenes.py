"""What the demo's picture shows, read from its recording: the siren over time, and one view.

The view is the complete answer, in the last third of the drive, with the most road users around:
the camera image that it used, what was fused, and what was true at that moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tectum.message import Message
from tectum.recording.reader import LogReader
from tectum_launch.ledgers import Ledger

__all__ = ["Drive", "View", "read_drive"]

_TRUTH = "truth/truth"
_PICTURES = "camera/image"


@dataclass(frozen=True, slots=True)
class View:
    """One moment: what the camera saw, what was fused, what was true."""

    stamp_ns: int
    image: NDArray[np.uint8] | None
    """bgr8; None where no camera image belongs to the answer."""
    fused: NDArray[np.float64]
    """Probability of a road user per cell, forward x left."""
    true: NDArray[np.float64]


@dataclass(slots=True)
class Drive:
    """A demo as its recording tells it. Instants in ns on the graph clock."""

    ledger: Ledger
    siren: list[tuple[int, float]] = field(default_factory=list)
    """Stamp of an answer, and how probable it held a siren that approaches."""
    siren_true: list[tuple[int, bool]] = field(default_factory=list)
    view: View | None = None


@dataclass(frozen=True, slots=True)
class _Answer:
    stamp_ns: int
    complete: bool
    picture_ns: int
    """Stamp of the camera image that was used; 0 for none."""
    occupancy: NDArray[np.float64]


def read_drive(recording: Path, ledger: Ledger) -> Drive:
    """Return what the picture of a demo shows."""
    drive = Drive(ledger)
    answers: list[_Answer] = []
    truths: list[tuple[int, NDArray[np.float64]]] = []
    result = f"{ledger.node}/result"
    with LogReader(recording) as reader:
        for message in _messages(reader, [result, _TRUTH]):
            if message.header.topic == _TRUTH:
                truths.append((message.header.stamp_ns, _cells(message.array(0))))
                drive.siren_true.append((message.header.stamp_ns, bool(message.array(1)[0])))
            else:
                answers += _answers(drive, message)
        if answers and truths:
            drive.view = _view(reader, answers, truths)
    return drive


def _messages(reader: LogReader, topics: list[str]) -> Iterator[Message]:
    present = [topic for topic in topics if topic in reader.topics]
    for record in reader.messages(present) if present else ():
        if record.message.payloads:
            yield record.message


def _answers(drive: Drive, message: Message) -> Iterator[_Answer]:
    document: Any = message.header.fields.get("result", {})
    outputs = document.get("outputs", {})
    siren = _output(message, outputs, "probability")
    if siren is not None:
        drive.siren.append((document["stamp_ns"], float(siren.ravel()[0])))
    occupancy = _output(message, outputs, "grid")
    if occupancy is not None:
        complete = document["outcome"] == "complete"
        picture_ns = document["inputs"].get("camera", {}).get("stamp_ns", 0)
        yield _Answer(document["stamp_ns"], complete, picture_ns, _cells(occupancy))


def _output(message: Message, outputs: dict[str, Any], role: str) -> NDArray[Any] | None:
    """Return the first output of a role."""
    for output in outputs.values():
        if output.get("role") == role:
            return message.array(output["buffer"])
    return None


def _cells(array: NDArray[Any]) -> NDArray[np.float64]:
    stack = np.array(array, dtype=np.float64).reshape(-1, *array.shape[-2:])
    cells: NDArray[np.float64] = stack[0]
    return cells


def _view(
    reader: LogReader,
    answers: list[_Answer],
    truths: list[tuple[int, NDArray[np.float64]]],
) -> View:
    def true_at(stamp_ns: int) -> NDArray[np.float64]:
        return min(truths, key=lambda item: abs(item[0] - stamp_ns))[1]

    late = answers[len(answers) * 2 // 3 :]
    complete = [answer for answer in late if answer.complete] or late
    best = max(complete, key=lambda answer: float(true_at(answer.stamp_ns).sum()))
    image = _picture(reader, best.picture_ns) if best.picture_ns else None
    return View(best.stamp_ns, image, best.occupancy, true_at(best.stamp_ns))


def _picture(reader: LogReader, stamp_ns: int) -> NDArray[np.uint8] | None:
    for message in _messages(reader, [_PICTURES]):
        if message.header.stamp_ns == stamp_ns:
            return np.array(message.array(0), dtype=np.uint8)
    return None
