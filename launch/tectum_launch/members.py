"""What supervision is told and what it asks for: members, limits, deaths, orders. Plain data."""

from __future__ import annotations

from dataclasses import dataclass

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.sync.faults import Fault

__all__ = [
    "AHEAD_NS",
    "Begin",
    "Death",
    "Halt",
    "Kill",
    "Limits",
    "Member",
    "Order",
    "Release",
    "Say",
    "Spawn",
    "Terminate",
]


AHEAD_NS = 50 * NS_PER_MS
"""The run's epoch lies so far ahead of the start, so that every node can begin exactly at it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long is waited for what."""

    ready_ns: int = 60 * NS_PER_S
    """For a node to open what it needs and to meet its subscribers."""
    join_ns: int = 5 * NS_PER_S
    """For the subscribers of a node that was brought back, before it begins without them."""
    listeners_ns: int = 700 * NS_PER_MS
    """After a stop, for those that publish, before those that listen are asked."""
    terminate_ns: int = 1_200 * NS_PER_MS
    """After a stop, before SIGTERM."""
    kill_ns: int = 1_700 * NS_PER_MS
    """After a stop, before SIGKILL."""
    hang_ns: int = 3 * NS_PER_S
    """Without a heartbeat, before a node is said to hang."""
    first_restart_ns: int = 250 * NS_PER_MS
    """Before the first restart; doubled each time."""
    longest_restart_ns: int = 10 * NS_PER_S
    steady_ns: int = 30 * NS_PER_S
    """A node that has run so long starts anew with the first wait."""


@dataclass(frozen=True, slots=True)
class Member:
    """What supervision knows of a node beforehand."""

    name: str
    on_exit: str
    publishes: bool = True
    """Whether others can hear it; one that only listens is stopped last."""
    listens: bool = False
    """Whether it hears others; a source does not."""
    answers: bool = False
    """Whether it is a fusion node: when all of them have ended, so has the graph."""
    kills: tuple[Fault, ...] = ()
    """When its process is killed on purpose, from the beginning of the run."""

    @property
    def is_source(self) -> bool:
        """Return whether it publishes and hears nothing: a sensor, or a player of recordings."""
        return self.publishes and not self.listens


@dataclass(frozen=True, slots=True)
class Begin:
    """Let every node begin."""


@dataclass(frozen=True, slots=True)
class Release:
    """Let one node begin that was brought back."""

    node: str


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start the process of a node again."""

    node: str


@dataclass(frozen=True, slots=True)
class Halt:
    """Ask nodes to end."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terminate:
    """Send SIGTERM to nodes."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kill:
    """Send SIGKILL to nodes."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Say:
    """Tell the person at the terminal about a node (or the graph, where it is empty)."""

    node: str
    text: str
    level: str = "info"


Order = Begin | Release | Spawn | Halt | Terminate | Kill | Say


@dataclass(frozen=True, slots=True)
class Death:
    """The end of a process that nobody asked for."""

    node: str
    at_ns: int
    cause: str
    """`killed by SIGKILL`, `exit code 3: the last line that it said`."""
    injected: bool = False
    """Whether the faults of the run asked for it."""
