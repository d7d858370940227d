"""Supervision, the deciding part: what becomes of a graph when its nodes report, die, hang or end.

Pure: facts in with `now_ns`, orders out; `supervisor` carries them out on real processes.
A graph begins when all nodes have joined. A node that ends before that stops the launch. Later its
`on_exit` holds. A node whose loop gives no sign of life is said to hang, and ended where its rule
says so. `watch` has what is known of one node, `stopping` how a graph is stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tectum.node.control import Report, State
from tectum.units import duration_text
from tectum_launch.hanging import Ending
from tectum_launch.members import AHEAD_NS, Death, Hang, Limits, Member
from tectum_launch.orders import Begin, Kill, Order, Release, Say, Spawn
from tectum_launch.purpose import why_over
from tectum_launch.stopping import Stop
from tectum_launch.vigil import Vigil
from tectum_launch.watch import NEVER_NS, Life, Watch

__all__ = ["Supervision"]

_REPORTED = {
    State.READY: Life.READY,
    State.JOINED: Life.JOINED,
    State.RUNNING: Life.RUNNING,
    State.ENDING: Life.CLOSING,
}


@dataclass(slots=True)
class Supervision:
    """Decides for one graph."""

    members: tuple[Member, ...]
    now_ns: int
    """When the launch began."""
    duration_ns: int = 0
    """How long the graph runs from its beginning; 0: until it ends."""
    limits: Limits = field(default_factory=Limits)
    began_ns: int = 0
    """When all nodes were let go; 0: not yet."""
    answered_ns: int = 0
    """When the first answer was given; 0: not yet."""
    deaths: list[Death] = field(default_factory=list)
    hangs: list[Hang] = field(default_factory=list)
    """Silences that passed."""
    failure: str = ""
    """Why the graph could not begin, or was brought down; empty: nothing was wrong."""
    stopped_because: str = ""
    _watches: dict[str, Watch] = field(default_factory=dict)
    _stop: Stop | None = None
    _vigil: Vigil = field(init=False)

    def __post_init__(self) -> None:
        self._watches = {item.name: Watch(item, self.now_ns) for item in self.members}
        self._vigil = Vigil(self.now_ns, self.limits.lapse_ns)

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
        orders = self._heard(now_ns, watch, report)
        if report.state is State.FAILED:
            watch.error = report.error
        elif report.state is State.SPOKE:
            self._spoke(now_ns, watch)
        if report.state not in _REPORTED or self._stop or watch.gone:
            return orders
        watch.enter(_REPORTED[report.state], now_ns)
        if watch.life is Life.RUNNING and watch.member.silent:
            self._spoke(now_ns, watch)
        if watch.life is Life.JOINED and self.began_ns:
            orders.append(Release(report.node))
        elif watch.life is Life.JOINED and all(
            item.life is Life.JOINED for item in self._watches.values()
        ):
            self.began_ns = now_ns
            orders.append(Begin())
        return orders

    def frozen(self, now_ns: int, node: str, *, frozen: bool) -> list[Order]:
        """Take up whether the process of a node is stopped (SIGSTOP).

        That its loop is silent is found anyway; here it is one that need not be heard yet.
        """
        watch = self._watches[node]
        watch.frozen_ns = (watch.frozen_ns or now_ns) if frozen else 0
        lost = (
            frozen and watch.member.hang.ends and now_ns - watch.frozen_ns >= self.limits.frozen_ns
        )
        if not (lost and self.began_ns) or watch.life not in (Life.OPENING, Life.CLOSING):
            return []
        watch.frozen_ns = now_ns
        doing = duration_text(self.limits.frozen_ns)
        return [Say(node, f"is stopped (SIGSTOP) since {doing}", "error"), Kill((node,))]

    def exited(self, now_ns: int, node: str, cause: str, *, clean: bool) -> list[Order]:
        """Take up the end of a process: `clean` where it ended with code 0."""
        watch = self._watches[node]
        asked, ending = self._stop is not None, watch.ending
        watch.enter(Life.ENDED if asked or (clean and not ending) else Life.DEAD, now_ns)
        cause = watch.error or cause
        if asked:
            return self.tick(now_ns)
        if not self.began_ns:
            return self._fail(now_ns, node, f"{node} could not start: {cause}")
        if ending:
            return self._died(now_ns, watch, ending.cause(node), ending)
        if clean:
            return self._ended(now_ns, watch)
        return self._died(now_ns, watch, f"{cause}, as its faults ask" if watch.killed else cause)

    def stop(self, now_ns: int, because: str) -> list[Order]:
        """Stop the graph; asked a second time, at once."""
        if self._stop:
            alive = self.alive()
            return [Kill(alive)] if alive else []
        self._stop = Stop(now_ns, self.limits)
        self.stopped_because = because
        return self.tick(now_ns)

    def tick(self, now_ns: int) -> list[Order]:
        """Decide what time alone decides. To be called at least every `limits.lapse_ns`."""
        if self._stop:
            return self._stop.due(now_ns, self._alive(publishing=True), self._alive())
        if self.duration_ns and self.began_ns and now_ns >= self.began_ns + self.duration_ns:
            return self.stop(now_ns, f"{duration_text(self.duration_ns)} are over")
        self._vigil.look(now_ns)
        orders: list[Order] = []
        for watch in self._watches.values():
            orders += self._late(now_ns, watch)
            if self.began_ns:
                orders += self._hung(now_ns, watch)
                orders += self._struck(now_ns, watch)
        return orders

    def next_wakeup_ns(self) -> int:
        """Return when `tick` should be called at the latest."""
        if self._stop:
            step_ns = self._stop.next_ns()
            return NEVER_NS if step_ns is None else step_ns
        times = [NEVER_NS]
        if self.duration_ns and self.began_ns:
            times.append(self.began_ns + self.duration_ns)
        for watch in self._watches.values():
            times.append(watch.wakeup_ns(self.began_ns, self.limits))
            if self.began_ns:
                times.append(self._vigil.due_ns(self._vigil.ticked_ns, watch))
        return min(times)

    def _any(self, life: Life) -> bool:
        return any(watch.life is life for watch in self._watches.values())

    def _alive(self, *, publishing: bool = False) -> list[str]:
        """Return the nodes that have a process and publish, or only listen."""
        watches = self._watches.items()
        return [name for name, w in watches if not w.gone and w.member.publishes is publishing]

    def _mates(self, watch: Watch) -> Iterator[Watch]:
        """Yield the nodes that share a process with `watch`, and itself."""
        process = watch.member.process
        for other in self._watches.values():
            if other is watch or (process and other.member.process == process):
                yield other

    def _fail(self, now_ns: int, node: str, sentence: str) -> list[Order]:
        self.failure = sentence
        return [Say(node, sentence, "error"), *self.stop(now_ns, sentence)]

    def _heard(self, now_ns: int, watch: Watch, report: Report) -> list[Order]:
        """Take up a sign of life; of a node that was said to hang, say that too."""
        lasting_ns = self._vigil.heard(now_ns, watch, report)
        if not lasting_ns:
            return []
        since_ns = now_ns - lasting_ns - self.began_ns
        self.hangs.append(Hang(watch.member.name, since_ns, lasting_ns))
        text = f"answers again, after {duration_text(lasting_ns)}"
        return [Say(watch.member.name, text, "warning")]

    def _spoke(self, now_ns: int, watch: Watch) -> None:
        """Take up that a node says something for the first time in its present life."""
        if watch.member.answers and not self.answered_ns:
            self.answered_ns = now_ns
        for death in watch.lost:
            death.recovered_ns = now_ns - self.began_ns
        watch.lost.clear()

    def _ended(self, now_ns: int, watch: Watch) -> list[Order]:
        member = watch.member
        orders: list[Order] = [Say(member.name, "has ended")]
        if member.on_exit == "stop" and not member.answers:
            return [*orders, *self.stop(now_ns, f"{member.name} has ended")]
        return [*orders, *self._nothing_left(now_ns)]

    def _died(
        self, now_ns: int, watch: Watch, cause: str, ending: Ending | None = None
    ) -> list[Order]:
        """Note a death, and decide by the node's `on_exit`."""
        name, policy = watch.member.name, watch.member.on_exit
        injected = ending.injected if ending else watch.killed
        lost_ns = ending.lost_ns if ending and ending.node == name else now_ns
        death = Death(
            name, now_ns - self.began_ns, cause, injected, lost_ns=lost_ns - self.began_ns
        )
        self.deaths.append(death)
        watch.killed = False
        if policy == "stop":
            return self._fail(now_ns, name, f"{name} died: {cause}")
        if policy == "restart":
            watch.lost.append(death)
            return self._restart(now_ns, watch, cause)
        text = f"died: {cause}; the graph goes on without it"
        return [Say(name, text, "error"), *self._nothing_left(now_ns)]

    def _restart(self, now_ns: int, watch: Watch, cause: str) -> list[Order]:
        """Bring a node back after a while, or give it up."""
        name, rule = watch.member.name, watch.member.restart
        wait_ns = watch.backoff.wait_ns(now_ns, watch.since_ns)
        if wait_ns is not None:
            watch.enter(Life.WAITING, now_ns)
            watch.restart_at_ns = now_ns + wait_ns
            text = f"died: {cause}; it is restarted in {duration_text(wait_ns)}"
            return [Say(name, text, "error")]
        often = f"after {rule.most} restarts within {duration_text(rule.within_ns)}"
        if watch.member.answers:
            return self._fail(now_ns, name, f"{name} died: {cause}; it is given up {often}")
        text = f"died: {cause}; it is given up {often}, and the graph goes on without it"
        return [Say(name, text, "error"), *self._nothing_left(now_ns)]

    def _nothing_left(self, now_ns: int) -> list[Order]:
        because = why_over(self._watches.values())
        return self.stop(now_ns, because) if because else []

    def _late(self, now_ns: int, watch: Watch) -> list[Order]:
        """Decide what a node is late with: to be restarted, to open, to join, to close."""
        name, limits = watch.member.name, self.limits
        if watch.life is Life.WAITING and now_ns >= watch.restart_at_ns:
            watch.begin_again(now_ns)
            return [Say(name, f"restarts ({watch.restarts})"), Spawn(name)]
        here_ns = now_ns - watch.life_ns
        if self.began_ns and watch.life is Life.READY and here_ns >= limits.join_ns:
            watch.enter(Life.JOINED, now_ns)
            limit = duration_text(limits.join_ns)
            text = f"begins without some of its subscribers: they did not join within {limit}"
            return [Say(name, text, "warning"), Release(name)]
        waited_ns = now_ns - watch.since_ns
        if watch.life in (Life.OPENING, Life.READY) and waited_ns >= limits.ready_ns:
            return self._never_ready(now_ns, watch)
        if watch.life is Life.CLOSING and here_ns >= limits.close_ns:
            watch.life_ns = now_ns
            text = f"did not close within {duration_text(limits.close_ns)}"
            return [Say(name, text, "error"), Kill((name,))]
        return []

    def _never_ready(self, now_ns: int, watch: Watch) -> list[Order]:
        name, limit = watch.member.name, duration_text(self.limits.ready_ns)
        what = "open" if watch.life is Life.OPENING else "meet its subscribers"
        if self.began_ns:
            watch.since_ns = now_ns  # killed for its slowness, it is restarted like any other
            return [Say(name, f"did not {what} within {limit}", "error"), Kill((name,))]
        return self._fail(now_ns, name, f"{name} could not start: it did not {what} within {limit}")

    def _hung(self, now_ns: int, watch: Watch) -> list[Order]:
        """Say that a node hangs, and end its process where its rule says so, step by step."""
        name, ending = watch.member.name, watch.ending
        if ending:
            return ending.due(now_ns) if ending.node == name and not watch.gone else []
        if now_ns < self._vigil.due_ns(now_ns, watch):
            return []
        watch.hanging = True
        quiet = duration_text(now_ns - watch.heard_ns)
        if not watch.member.hang.ends:
            return [Say(name, f"hangs: no sign of life for {quiet}", "warning")]
        injected = watch.struck(now_ns - self.began_ns)
        frozen = bool(watch.frozen_ns)
        ending = Ending(name, now_ns, watch.heard_ns, injected, self.limits, frozen)
        for mate in self._mates(watch):
            mate.ending = ending
        text = f"hangs: no sign of life for {quiet}; it is ended"
        return [Say(name, text, "error"), *ending.due(now_ns)]

    def _struck(self, now_ns: int, watch: Watch) -> list[Order]:
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
