"""Supervision, the deciding part: what becomes of a graph when its nodes report, die or end.

Pure: facts in with `now_ns`, orders out; `supervisor` carries them out on real processes.
A graph begins when all nodes have joined. A node that ends before that stops the launch. Later its
`on_exit` holds. Stopping takes at most two seconds: first those that publish are asked, then those
that only listen (so that a recorder hears the last word), then SIGTERM, then SIGKILL.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tectum.node.control import Report, State
from tectum.units import duration_text
from tectum_launch.members import (
    AHEAD_NS,
    Begin,
    Death,
    Halt,
    Kill,
    Limits,
    Member,
    Order,
    Release,
    Say,
    Spawn,
    Terminate,
)

__all__ = ["Life", "Supervision"]

NEVER_NS = 2**63 - 1


class Life(StrEnum):
    """Where a node stands."""

    OPENING = "opening"
    READY = "ready"
    JOINED = "joined"
    RUNNING = "running"
    WAITING = "waiting to be restarted"
    ENDED = "ended"
    DEAD = "dead"


_REPORTED = {State.READY: Life.READY, State.JOINED: Life.JOINED, State.RUNNING: Life.RUNNING}


@dataclass(slots=True)
class _Watch:
    """One node under supervision."""

    member: Member
    since_ns: int
    life: Life = Life.OPENING
    ready_ns: int = 0
    """When it last was ready."""
    heard_ns: int = 0
    hanging: bool = False
    error: str = ""
    restarts: int = 0
    in_a_row: int = 0
    restart_at_ns: int = NEVER_NS
    kill_from_ns: int = 0
    """Kills on purpose that were due before are over, from the beginning of the run."""
    killed: bool = False
    """It is being killed on purpose."""

    def kill_due_ns(self) -> int:
        """Return when it is to be killed next, from the beginning of the run."""
        return min([fault.begins_ns(self.kill_from_ns) for fault in self.member.kills])

    @property
    def gone(self) -> bool:
        """Return whether it has no process."""
        return self.over or self.life is Life.WAITING

    @property
    def over(self) -> bool:
        """Return whether it will not come back."""
        return self.life in (Life.ENDED, Life.DEAD)


@dataclass(slots=True)
class _Stop:
    """A graph that is being stopped."""

    at_ns: int
    step: int = 0


@dataclass(slots=True)
class Supervision:
    """Decides for one graph."""

    members: tuple[Member, ...]
    now_ns: int
    duration_ns: int = 0
    """How long the graph runs from its beginning; 0: until it ends."""
    limits: Limits = field(default_factory=Limits)
    began_ns: int = 0
    """When all nodes were let go; 0: not yet."""
    deaths: list[Death] = field(default_factory=list)
    failure: str = ""
    """Why the graph could not begin, or was brought down; empty: nothing was wrong."""
    stopped_because: str = ""
    _watches: dict[str, _Watch] = field(default_factory=dict)
    _stop: _Stop | None = None

    def __post_init__(self) -> None:
        self._watches = {item.name: _Watch(item, self.now_ns) for item in self.members}

    @property
    def done(self) -> bool:
        """Return whether every process has ended and none will be started."""
        return all(watch.gone for watch in self._watches.values()) and (
            self._stop is not None or not self._any(Life.WAITING)
        )

    @property
    def stopped_ns(self) -> int:
        """Return when the graph began to be stopped; 0: not yet."""
        return self._stop.at_ns if self._stop else 0

    @property
    def exit_code(self) -> int:
        """Return 0 where nothing failed and no node died, but those that faults were to kill."""
        return 1 if self.failure or any(not death.injected for death in self.deaths) else 0

    @property
    def restarts(self) -> dict[str, int]:
        """Return how often each node was brought back, where it was."""
        return {name: watch.restarts for name, watch in self._watches.items() if watch.restarts}

    def alive(self) -> tuple[str, ...]:
        """Return the nodes that have a process."""
        return tuple(name for name, watch in self._watches.items() if not watch.gone)

    def reported(self, now_ns: int, report: Report) -> list[Order]:
        """Take up what a node says of itself."""
        watch = self._watches[report.node]
        watch.heard_ns = now_ns
        if report.state is State.FAILED:
            watch.error = report.error
        orders: list[Order] = []
        if watch.hanging:
            watch.hanging = False
            orders.append(Say(report.node, "answers again", "warning"))
        if report.state not in _REPORTED or self._stop or watch.gone:
            return orders
        watch.life = _REPORTED[report.state]
        if watch.life is Life.READY:
            watch.ready_ns = now_ns
        if watch.life is Life.JOINED and self.began_ns:
            orders.append(Release(report.node))
        elif watch.life is Life.JOINED and all(
            item.life is Life.JOINED for item in self._watches.values()
        ):
            self.began_ns = now_ns
            orders.append(Begin())
        return orders

    def exited(self, now_ns: int, node: str, cause: str, *, clean: bool) -> list[Order]:
        """Take up the end of a process: `clean` where it ended with code 0."""
        watch = self._watches[node]
        asked = self._stop is not None
        watch.life = Life.ENDED if clean or asked else Life.DEAD
        cause = watch.error or cause
        if asked:
            return self.tick(now_ns)
        if not self.began_ns:
            return self._fail(now_ns, node, f"{node} could not start: {cause}")
        if clean:
            return self._ended(now_ns, watch)
        cause = f"{cause}, as its faults ask" if watch.killed else cause
        self.deaths.append(Death(node, now_ns - self.began_ns, cause, watch.killed))
        watch.killed = False
        return self._died(now_ns, watch, cause)

    def stop(self, now_ns: int, because: str) -> list[Order]:
        """Stop the graph; asked a second time, at once."""
        if self._stop:
            alive = self.alive()
            return [Kill(alive)] if alive else []
        self._stop = _Stop(now_ns)
        self.stopped_because = because
        return self.tick(now_ns)

    def tick(self, now_ns: int) -> list[Order]:
        """Decide what time alone decides."""
        if self._stop:
            return self._stopping(now_ns, self._stop)
        if self.duration_ns and self.began_ns and now_ns >= self.began_ns + self.duration_ns:
            return self.stop(now_ns, f"{duration_text(self.duration_ns)} are over")
        orders: list[Order] = []
        for watch in self._watches.values():
            orders += self._late(now_ns, watch)
            if watch.member.kills and self.began_ns:
                orders += self._struck(now_ns, watch)
        return orders

    def next_wakeup_ns(self) -> int:
        """Return when `tick` should be called at the latest."""
        if self._stop:
            limits = self.limits
            waits = {1: limits.listeners_ns, 2: limits.terminate_ns, 3: limits.kill_ns}
            wait_ns = waits.get(self._stop.step)
            return NEVER_NS if wait_ns is None else self._stop.at_ns + wait_ns
        times = [NEVER_NS]
        if self.duration_ns and self.began_ns:
            times.append(self.began_ns + self.duration_ns)
        for watch in self._watches.values():
            times.append(watch.restart_at_ns)
            if watch.member.kills and self.began_ns:
                times.append(self.began_ns + AHEAD_NS + watch.kill_due_ns())
            if watch.life is Life.READY and self.began_ns:
                times.append(watch.ready_ns + self.limits.join_ns)
            if watch.life in (Life.OPENING, Life.READY):
                times.append(watch.since_ns + self.limits.ready_ns)
            elif watch.life is Life.RUNNING and not watch.hanging:
                times.append(watch.heard_ns + self.limits.hang_ns)
        return min(times)

    def _any(self, life: Life) -> bool:
        return any(watch.life is life for watch in self._watches.values())

    def _fail(self, now_ns: int, node: str, sentence: str) -> list[Order]:
        self.failure = sentence
        return [Say(node, sentence, "error"), *self.stop(now_ns, sentence)]

    def _ended(self, now_ns: int, watch: _Watch) -> list[Order]:
        member = watch.member
        orders: list[Order] = [Say(member.name, "has ended")]
        if member.on_exit == "stop" and not member.answers:
            return [*orders, *self.stop(now_ns, f"{member.name} has ended")]
        return [*orders, *self._nothing_left(now_ns)]

    def _died(self, now_ns: int, watch: _Watch, cause: str) -> list[Order]:
        name, policy = watch.member.name, watch.member.on_exit
        if policy == "stop":
            return self._fail(now_ns, name, f"{name} died: {cause}")
        if policy == "restart":
            wait_ns = self._restart_wait_ns(now_ns, watch)
            watch.life, watch.restart_at_ns = Life.WAITING, now_ns + wait_ns
            text = f"died: {cause}; it is restarted in {duration_text(wait_ns)}"
            return [Say(name, text, "error")]
        text = f"died: {cause}; the graph goes on without it"
        return [Say(name, text, "error"), *self._nothing_left(now_ns)]

    def _restart_wait_ns(self, now_ns: int, watch: _Watch) -> int:
        limits = self.limits
        if now_ns - watch.since_ns >= limits.steady_ns:
            watch.in_a_row = 0
        wait_ns = limits.first_restart_ns << min(watch.in_a_row, 16)
        watch.in_a_row += 1
        return min(wait_ns, limits.longest_restart_ns)

    def _nothing_left(self, now_ns: int) -> list[Order]:
        """Stop the graph where no answer, or no new message, can come any more.

        Fusion nodes end by themselves after sources that have ended, not after dead ones.
        """
        watches = self._watches.values()
        answering = [watch for watch in watches if watch.member.answers]
        sources = [watch for watch in watches if watch.member.is_source]
        publishing = [watch for watch in watches if watch.member.publishes]
        if answering and all(watch.over for watch in answering):
            return self.stop(now_ns, "all answers are given")
        if all(watch.over for watch in publishing):
            return self.stop(now_ns, "all sources have ended")
        dead = [watch for watch in sources if watch.life is Life.DEAD]
        if dead and all(watch.over for watch in sources):
            return self.stop(now_ns, "no source is left")
        return []

    def _late(self, now_ns: int, watch: _Watch) -> list[Order]:
        name = watch.member.name
        if watch.life is Life.WAITING and now_ns >= watch.restart_at_ns:
            watch.life, watch.since_ns, watch.restart_at_ns = Life.OPENING, now_ns, NEVER_NS
            watch.restarts, watch.error = watch.restarts + 1, ""
            return [Say(name, f"restarts ({watch.restarts})"), Spawn(name)]
        if self._waits_in_vain(now_ns, watch):
            watch.life = Life.JOINED
            limit = duration_text(self.limits.join_ns)
            text = f"begins without some of its subscribers: they did not join within {limit}"
            return [Say(name, text, "warning"), Release(name)]
        waited_ns = now_ns - watch.since_ns
        if watch.life in (Life.OPENING, Life.READY) and waited_ns >= self.limits.ready_ns:
            return self._never_ready(now_ns, watch)
        quiet_ns = now_ns - watch.heard_ns
        if watch.life is Life.RUNNING and not watch.hanging and quiet_ns >= self.limits.hang_ns:
            watch.hanging = True
            return [Say(name, f"hangs: no sign of life for {duration_text(quiet_ns)}", "warning")]
        return []

    def _struck(self, now_ns: int, watch: _Watch) -> list[Order]:
        """Kill a node on purpose; one that has no process then is left in peace."""
        since_ns = now_ns - self.began_ns - AHEAD_NS
        if watch.kill_due_ns() > since_ns:
            return []
        watch.kill_from_ns = since_ns + 1
        if watch.gone:
            return []
        watch.killed = True
        name = watch.member.name
        return [Say(name, "is killed, as its faults ask", "warning"), Kill((name,))]

    def _waits_in_vain(self, now_ns: int, watch: _Watch) -> bool:
        """Return whether a node that was brought back waits for subscribers that may be dead."""
        ready = self.began_ns and watch.life is Life.READY
        return bool(ready) and now_ns >= watch.ready_ns + self.limits.join_ns

    def _never_ready(self, now_ns: int, watch: _Watch) -> list[Order]:
        name, limit = watch.member.name, duration_text(self.limits.ready_ns)
        what = "open" if watch.life is Life.OPENING else "meet its subscribers"
        if self.began_ns:
            watch.since_ns = now_ns  # killed for its slowness, it is restarted like any other
            return [Say(name, f"did not {what} within {limit}", "error"), Kill((name,))]
        return self._fail(now_ns, name, f"{name} could not start: it did not {what} within {limit}")

    def _stopping(self, now_ns: int, stop: _Stop) -> list[Order]:
        """Return the next steps of a stop that are due."""
        orders: list[Order] = []
        since_ns, limits = now_ns - stop.at_ns, self.limits
        alive = self._alive_by_kind()
        if stop.step == 0:
            stop.step = 1
            if alive[True]:
                orders.append(Halt(alive[True]))
        if stop.step == 1 and (not alive[True] or since_ns >= limits.listeners_ns):
            stop.step = 2
            if alive[False]:
                orders.append(Halt(alive[False]))
        everyone = alive[True] + alive[False]
        if stop.step == 2 and since_ns >= limits.terminate_ns:
            stop.step = 3
            orders += [Terminate(everyone)] if everyone else []
        if stop.step == 3 and since_ns >= limits.kill_ns:
            stop.step = 4
            orders += [Kill(everyone)] if everyone else []
        return orders

    def _alive_by_kind(self) -> dict[bool, tuple[str, ...]]:
        """Return the nodes that have a process: those that publish, those that only listen."""
        return {
            kind: tuple(
                name
                for name, watch in self._watches.items()
                if not watch.gone and watch.member.publishes is kind
            )
            for kind in (True, False)
        }
