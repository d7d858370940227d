"""When recorded data begins: one instant for all nodes of a run that play something back.

A camera and a lidar of one recording are two nodes, and must lay their frames on one time line.
The first of them to start writes the instant into the run's directory, the others read it there,
also after a restart: a node that comes late goes on where the recording then is.
"""

from __future__ import annotations

import contextlib
import os

from tectum.clock import NS_PER_MS
from tectum.node.base import Context

__all__ = ["playback_begin_ns"]

FILE_NAME = "playback_begin"
_LEAD_NS = 50 * NS_PER_MS
"""Time for the first captures to be read."""


def playback_begin_ns(context: Context) -> int:
    """Return the instant, on the graph clock, at which recordings begin in this run.

    That is the run's epoch where it has not passed, else soon after the first node asks.
    """
    now_ns = context.clock.now_ns()
    if now_ns <= context.epoch_ns:
        return context.epoch_ns
    path = context.folder / FILE_NAME
    draft = path.with_name(f".{FILE_NAME}.{context.name}.{os.getpid()}")
    draft.write_text(str(now_ns + _LEAD_NS))
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)  # whole or not at all, and only for the first
    draft.unlink()
    return int(path.read_text())
