"""What supervision knows of nodes: members, limits, rules, and how they were lost. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.sync.faults import Fault

__all__ = ["AHEAD_NS", "Death", "Hang", "HangRule", "Limits", "Member", "RestartRule"]

AHEAD_NS = 50 * NS_PER_MS
"""The run's epoch lies so far ahead of the start, so that every node can begin exactly at it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long is waited for what."""

    ready_ns: int = 60 * NS_PER_S
    """For a node to open what it needs and to meet its subscribers."""
    join_ns: int = NS_PER_S
    """For the subscribers of a node that was brought back, before it begins without them."""
    close_ns: int = 60 * NS_PER_S
    """For a node that has ended by itself to give back what it used."""
    listeners_ns: int = 700 * NS_PER_MS
    """After a stop, for those that publish, before those that listen are asked."""
    terminate_ns: int = 1_200 * NS_PER_MS
    """After a stop, before SIGTERM."""
    kill_ns: int = 1_700 * NS_PER_MS
    """After a stop, before SIGKILL."""
    hang_terminate_ns: int = 150 * NS_PER_MS
    """After a node that hangs was asked to end, before SIGTERM."""
    hang_kill_ns: int = 250 * NS_PER_MS
    """After a node that hangs was asked to end, before SIGKILL."""
    frozen_ns: int = 700 * NS_PER_MS
    """Stopped (SIGSTOP), before a node is killed that opens or closes, and owes no sign of life."""
    lapse_ns: int = 250 * NS_PER_MS
    """A launcher that did not look for so long was asleep itself: nobody hangs for it."""


@dataclass(frozen=True, slots=True)
class RestartRule:
    """How a node is brought back."""

    first_ns: int = 100 * NS_PER_MS
    """Before the first restart; doubled each time."""
    longest_ns: int = 10 * NS_PER_S
    steady_ns: int = 10 * NS_PER_S
    """A node that has run so long starts anew with the first wait."""
    most: int = 10
    """Restarts within `within_ns`, before it is given up; 0: it never is."""
    within_ns: int = 300 * NS_PER_S


@dataclass(frozen=True, slots=True)
class HangRule:
    """What becomes of a node whose loop gives no sign of life."""

    after_ns: int = 700 * NS_PER_MS
    """Without a sign of life, before it is said to hang; 0: it never is."""
    ends: bool = False
    """Whether it is ended then; else it is only said."""


@dataclass(frozen=True, slots=True)
class Member:
    """What supervision knows of a node beforehand."""

    name: str
    on_exit: str
    publishes: bool = True
    """Whether others can hear its process; one that only listens is stopped last."""
    listens: bool = False
    """Whether it hears others; a source does not."""
    answers: bool = False
    """Whether it is a fusion node: when all of them have ended, so has the graph."""
    faults: tuple[Fault, ...] = ()
    """What happens to its process on purpose (kill, hang, slow), from the beginning of the run."""
    process: str = ""
    """Which nodes share its process; empty: none."""
    silent: bool = False
    """Whether it has nothing to say: it is back when it runs."""
    restart: RestartRule = field(default_factory=RestartRule)
    hang: HangRule = field(default_factory=HangRule)

    @property
    def is_source(self) -> bool:
        """Return whether it publishes and hears nothing: a sensor, or a player of recordings."""
        return self.publishes and not self.listens

    @property
    def kills(self) -> tuple[Fault, ...]:
        """Return when its process is killed on purpose."""
        return tuple(fault for fault in self.faults if fault.kind == "kill")


@dataclass(slots=True)
class Death:
    """The end of a process that nobody asked for. Times from the beginning of the run."""

    node: str
    at_ns: int
    cause: str
    """`killed by SIGKILL`, `exit code 3: the last line that it said`, `hung: ...`."""
    injected: bool = False
    """Whether the faults of the run asked for it."""
    lost_ns: int | None = None
    """When it was lost: of a node that hung its last sign of life, perhaps before the beginning;
    None: when it died."""
    recovered_ns: int = -1
    """When the node spoke again; -1: it has not."""

    @property
    def recovery_ns(self) -> int:
        """Return how long nothing was heard of it; -1: it has not come back."""
        lost_ns = self.at_ns if self.lost_ns is None else self.lost_ns
        return -1 if self.recovered_ns < 0 else self.recovered_ns - lost_ns


@dataclass(frozen=True, slots=True)
class Hang:
    """A silence of a node that passed by itself. Times from the beginning of the run."""

    node: str
    at_ns: int
    """Its last sign of life before."""
    lasting_ns: int
