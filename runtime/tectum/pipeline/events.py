"""Events: all that a pipeline ever learns. Their sequence is the journal.

Every event carries `now_ns`, the instant at which the pipeline took it up; it never goes back.
Deadlines, silence and rate triggers act on `Tick` only, after everything else was drained, so the
journal alone decides what the pipeline did. Events are plain tuples of integers and strings.
"""

from __future__ import annotations

from typing import NamedTuple

from tectum.message import Sample

__all__ = [
    "Arrived",
    "Delivered",
    "Ended",
    "Event",
    "Finished",
    "Measured",
    "Missed",
    "Promised",
    "Stopped",
    "Tick",
]


class Arrived(NamedTuple):
    """A message reached an input."""

    now_ns: int
    sample: Sample


class Promised(NamedTuple):
    """The publisher of `input` says: nothing with a stamp before `stamp_ns` follows."""

    now_ns: int
    input: str
    stamp_ns: int
    begun: bool = False
    """A capture with exactly this stamp has started."""


class Ended(NamedTuple):
    """The source of `input` has ended by itself; nothing follows and nothing is wrong."""

    now_ns: int
    input: str


class Missed(NamedTuple):
    """`missing` messages from `first_seq` on never reached `input`; `cause` is who claims them."""

    now_ns: int
    input: str
    incarnation: int
    first_seq: int
    missing: int
    cause: str


class Measured(NamedTuple):
    """A stage was timed in warm-up, or is assumed to take this long; seeds the latency model."""

    now_ns: int
    stage: str
    variant: str
    compute_ns: int


class Finished(NamedTuple):
    """A run has ended and its lane is free. `status`: ok, failed, cancelled."""

    now_ns: int
    run: int
    status: str
    compute_ns: int
    ended_ns: int = 0
    """When it ended, which may be a while before it is taken up: a lane that has more to do goes on
    first. 0: just now."""


class Delivered(NamedTuple):
    """The send of the result of `trigger` has returned."""

    now_ns: int
    trigger: int
    head: str = ""
    """Which of several heads gave it."""


class Stopped(NamedTuple):
    """The graph is being stopped: every open trigger gets its outcome now."""

    now_ns: int


class Tick(NamedTuple):
    """Everything that had come by `now_ns` was fed: decide what time alone decides."""

    now_ns: int


Event = Arrived | Promised | Ended | Missed | Measured | Finished | Delivered | Stopped | Tick
