"""One node under supervision: where it stands, since when, and until when that is fine. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tectum_launch.backoff import Backoff
from tectum_launch.hanging import Ending
from tectum_launch.members import AHEAD_NS, Death, Limits, Member

__all__ = ["NEVER_NS", "Life", "Watch"]

NEVER_NS = 2**63 - 1


class Life(StrEnum):
    """Where a node stands."""

    OPENING = "opening"
    READY = "ready"
    JOINED = "joined"
    RUNNING = "running"
    CLOSING = "closing"
    WAITING = "waiting to be restarted"
    ENDED = "ended"
    DEAD = "dead"


_BEATING = (Life.READY, Life.JOINED, Life.RUNNING)
"""Where the loop is to give signs of life; opening and closing may take long."""


@dataclass(slots=True)
class Watch:
    """One node under supervision."""

    member: Member
    since_ns: int
    """When its process was started."""
    life: Life = Life.OPENING
    life_ns: int = 0
    """When it came to where it stands."""
    heard_ns: int = 0
    frozen_ns: int = 0
    """Since when its process is stopped (SIGSTOP); 0: it is not."""
    busy_until_ns: int = 0
    """Until when it has said that it will be silent."""
    hanging: bool = False
    """Whether it was said to hang, and has not answered since."""
    ending: Ending | None = None
    """Its process is being ended, for a node of it hangs."""
    error: str = ""
    restarts: int = 0
    restart_at_ns: int = NEVER_NS
    lost: list[Death] = field(default_factory=list)
    """Deaths since which it has not spoken."""
    kill_from_ns: int = 0
    """Kills on purpose that were due before are over, from the beginning of the run."""
    killed: bool = False
    """It is being killed on purpose."""
    backoff: Backoff = field(init=False)

    def __post_init__(self) -> None:
        """Begin with no restarts."""
        self.backoff = Backoff(self.member.restart)

    @property
    def gone(self) -> bool:
        """Return whether it has no process."""
        return self.over or self.life is Life.WAITING

    @property
    def over(self) -> bool:
        """Return whether it will not come back."""
        return self.life in (Life.ENDED, Life.DEAD)

    def enter(self, life: Life, now_ns: int) -> None:
        """Stand at `life` from now on."""
        self.life, self.life_ns = life, now_ns

    def begin_again(self, now_ns: int) -> None:
        """Have a new process."""
        self.enter(Life.OPENING, now_ns)
        self.since_ns, self.restart_at_ns = now_ns, NEVER_NS
        self.restarts, self.error = self.restarts + 1, ""
        self.heard_ns = self.busy_until_ns = self.frozen_ns = 0
        self.hanging, self.ending = False, None

    @property
    def beats(self) -> bool:
        """Return whether its loop is to give signs of life."""
        return self.life in _BEATING

    def kill_due_ns(self) -> int:
        """Return when it is to be killed next, from the beginning of the run."""
        kills = self.member.kills
        return min((fault.begins_ns(self.kill_from_ns) for fault in kills), default=NEVER_NS)

    def struck(self, since_ns: int) -> bool:
        """Return whether its faults make it hang, or slow, so long after the beginning."""
        faults = self.member.faults
        return any(f.kind != "kill" and f.strikes_at(since_ns - AHEAD_NS) for f in faults)

    def wakeup_ns(self, began_ns: int, limits: Limits) -> int:
        """Return when time alone will decide something about it, but for a hang."""
        times = [self.restart_at_ns]
        if began_ns and (due_ns := self.kill_due_ns()) < NEVER_NS:
            times.append(began_ns + AHEAD_NS + due_ns)
        if self.ending and (step_ns := self.ending.next_ns()) is not None:
            times.append(step_ns)
        if self.life is Life.READY and began_ns:
            times.append(self.life_ns + limits.join_ns)
        if self.life in (Life.OPENING, Life.READY):
            times.append(self.since_ns + limits.ready_ns)
        elif self.life is Life.CLOSING:
            times.append(self.life_ns + limits.close_ns)
        return min(times)
