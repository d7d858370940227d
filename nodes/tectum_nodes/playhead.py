"""Where a recording is while it is played: paused, stepped, sought, faster or slower. Pure.

A `Playhead` lays the time of a log on the clock of a run. The run's time never goes back: after a
pause, a seek or another lap the same recorded instant is due later than it would have been, and
stamps move by as much, so that what is played is always as old as it was when it was recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

__all__ = ["Playhead", "Shift"]


@dataclass(frozen=True, slots=True)
class Shift:
    """Lays recorded times on the clock of the run, between two changes."""

    log_ns: int
    """This recorded instant ..."""
    run_ns: int
    """... is this one of the run."""
    speed: Fraction
    moved_ns: int = 0
    """By how much recorded time the present lies behind where it would be without any change."""

    def instant(self, time_ns: int) -> int:
        """Return when something is due, or was captured, in this run."""
        return self.run_ns + round((time_ns - self.log_ns) / self.speed)

    def duration(self, duration_ns: int) -> int:
        """Return how long something takes in this run."""
        return round(duration_ns / self.speed)


class Playhead:
    """A recording from `begin_ns` to `end_ns` (log time), played on the clock of a run."""

    def __init__(self, begin_ns: int, end_ns: int, run_ns: int, speed: Fraction) -> None:
        """Begin to play at `run_ns` of the run."""
        self.begin_ns, self.end_ns = begin_ns, end_ns
        self.paused = False
        self._paused_at_ns = begin_ns
        """Log time at which it stands while it is paused."""
        self._pause_at_ns: int | None = None
        """Log time before which a step ends."""
        self.shift = Shift(begin_ns, run_ns, speed)

    @property
    def speed(self) -> Fraction:
        """Return how many times faster than recorded it is played."""
        return self.shift.speed

    def position_ns(self, now_ns: int) -> int:
        """Return the log time that is being played at `now_ns`."""
        if self.paused:
            return self._paused_at_ns
        shift = self.shift
        at_ns = shift.log_ns + round((now_ns - shift.run_ns) * shift.speed)
        return min(max(at_ns, self.begin_ns), self.end_ns)

    def due_ns(self, log_ns: int) -> int | None:
        """Return when what was recorded at `log_ns` is due in the run; None: not while it pauses.

        A step that ends before it pauses the recording.
        """
        if self._pause_at_ns is not None and log_ns >= self._pause_at_ns:
            self.paused, self._paused_at_ns, self._pause_at_ns = True, self._pause_at_ns, None
        return None if self.paused else self.shift.instant(log_ns)

    def pause(self, now_ns: int) -> None:
        """Stand still from now on."""
        self._paused_at_ns = self.position_ns(now_ns)
        self.paused, self._pause_at_ns = True, None

    def resume(self, now_ns: int) -> None:
        """Go on from where it stands."""
        if self.paused:
            self._lay(self._paused_at_ns, now_ns, self.speed)
        self.paused, self._pause_at_ns = False, None

    def step(self, now_ns: int, by_ns: int) -> None:
        """Play so much of the recording, at its pace, and pause."""
        at_ns = self.position_ns(now_ns)
        self.resume(now_ns)
        self._pause_at_ns = at_ns + by_ns

    def lap(self, pause_ns: int) -> None:
        """Begin again, so much recorded time after the end."""
        run_ns = self.shift.instant(self.end_ns + pause_ns)
        self._lay(self.begin_ns, run_ns, self.speed)

    def seek(self, now_ns: int, to_ns: int, *, lead_ns: int = 0) -> int:
        """Go to the log time `to_ns`, due after `lead_ns` of recorded time; return where that is.

        It is within the recording. A pause stays one.
        """
        to_ns = min(max(to_ns, self.begin_ns), self.end_ns)
        self._pause_at_ns = None
        if self.paused:
            self._paused_at_ns = to_ns
        else:
            self._lay(to_ns, now_ns + self.shift.duration(lead_ns), self.speed)
        return to_ns

    def set_speed(self, now_ns: int, speed: Fraction) -> None:
        """Play faster or slower from now on."""
        self._lay(self.position_ns(now_ns), now_ns, speed)

    def _lay(self, log_ns: int, run_ns: int, speed: Fraction) -> None:
        """Let the log time `log_ns` be `run_ns`, which is not before what was played."""
        before = self.shift
        behind_ns = round((run_ns - before.instant(log_ns)) * before.speed)
        self.shift = Shift(log_ns, run_ns, speed, before.moved_ns + behind_ns)
