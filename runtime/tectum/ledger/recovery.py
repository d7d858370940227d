"""Recovery: how long after the end of a fault the answers are whole again, in constant memory.

Recovered is who stays so: from the first good outcome of a row of good ones that lasts `STEADY_NS`,
or until the next fault begins, or to the end of the run. `complete` counts complete outcomes as
good, `answer` every one that is not shed. A fault that never ends asks for no recovery.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tectum.ledger.row import Outcome, Row
from tectum.sync.faults import Fault
from tectum.sync.stream import NEVER_NS

__all__ = ["GOALS", "Recovery"]

GOALS = ("complete", "answer")
STEADY_NS = 1_000_000_000
_NS_PER_MS = 1_000_000


@dataclass(slots=True)
class _Wait:
    """One end of a fault, and since when outcomes are good again; 0: they are not."""

    fault: str
    end_ns: int
    since_ns: int = 0


class Recovery:
    """Watches the closed rows of one fusion node."""

    def __init__(self, faults: Mapping[str, Fault], now_ns: int = 0) -> None:
        """Wait for the ends of `faults` from `now_ns` on; their names are for people."""
        self._faults = faults
        self._ends = {name: fault.ends_ns(now_ns) for name, fault in faults.items()}
        self._begins = {name: fault.begins_ns(now_ns) for name, fault in faults.items()}
        self._waits: dict[str, list[_Wait]] = {goal: [] for goal in GOALS}
        self._longest = {name: dict.fromkeys(GOALS, 0) for name in faults}
        self._ended = dict.fromkeys(faults, 0)
        self._now_ns = 0

    def add(self, row: Row) -> None:
        """Take up a closed row; rows come in acceptance order."""
        now_ns = max(self._now_ns, row.delivered_ns or row.emitted_ns)
        if now_ns <= 0 or row.reason == "stopped":
            return
        self._now_ns = now_ns
        self._settle_before_faults(now_ns)
        self._open(now_ns)
        good = {
            "complete": row.outcome is Outcome.COMPLETE,
            "answer": row.outcome is not Outcome.SHED,
        }
        for goal in GOALS:
            self._see(goal, now_ns, good=good[goal])

    def document(self) -> dict[str, dict[str, Any]]:
        """Return per fault how often it `ended`, and per goal the longest recovery.

        `complete_ms`, `answer_ms`: the longest so far. `waiting_ms`: per goal, how long has been
        waited in vain for one that has not come; 0: for none.
        """
        found = {}
        for name, ended in self._ended.items():
            if not ended:
                continue
            entry: dict[str, Any] = {"ended": ended, "waiting_ms": {}}
            for goal in GOALS:
                longest_ns, waiting_ns = self._longest[name][goal], 0
                for wait in self._waits[goal]:
                    if wait.fault == name and wait.since_ns:
                        longest_ns = max(longest_ns, wait.since_ns - wait.end_ns)
                    elif wait.fault == name:
                        waiting_ns = max(waiting_ns, self._now_ns - wait.end_ns)
                entry[f"{goal}_ms"] = round(longest_ns / _NS_PER_MS, 3)
                entry["waiting_ms"][goal] = round(waiting_ns / _NS_PER_MS, 3)
            found[name] = entry
        return found

    def _open(self, now_ns: int) -> None:
        """Begin to wait for recovery from what has ended."""
        for name, fault in self._faults.items():
            while self._ends[name] <= now_ns:
                end_ns = self._ends[name]
                for goal in GOALS:
                    self._waits[goal].append(_Wait(name, end_ns))
                self._ended[name] += 1
                self._ends[name] = fault.ends_ns(end_ns + 1) if fault.every_ns else NEVER_NS

    def _settle_before_faults(self, now_ns: int) -> None:
        """Take what is good so far for recovered, where a further fault begins."""
        begun = False
        for name, fault in self._faults.items():
            if self._begins[name] <= now_ns:
                begun = True
                self._begins[name] = fault.begins_ns(now_ns + 1)
        if begun:
            for goal in GOALS:
                self._close(goal, NEVER_NS)

    def _see(self, goal: str, now_ns: int, *, good: bool) -> None:
        for wait in self._waits[goal]:
            if not good:
                wait.since_ns = 0
            elif not wait.since_ns:
                wait.since_ns = max(now_ns, wait.end_ns)
        self._close(goal, now_ns - STEADY_NS)

    def _close(self, goal: str, by_ns: int) -> None:
        """Note those that have been good since `by_ns` at the latest as recovered."""
        still = []
        for wait in self._waits[goal]:
            since_ns = wait.since_ns
            if since_ns and since_ns <= by_ns:
                longest = self._longest[wait.fault]
                longest[goal] = max(longest[goal], since_ns - wait.end_ns)
            else:
                still.append(wait)
        self._waits[goal] = still
