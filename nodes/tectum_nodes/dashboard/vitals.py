"""How topics and processes are: rates, silence, losses; CPU and memory. Explicit time, plain data.

A topic is silent when nothing has come for four of its usual periods and at least half a second.
CPU and memory are read from the process table (Linux); elsewhere they are left out.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.transport.inbox import MISSING_CAUSES

__all__ = ["Processes", "TopicVitals"]

_RATE_OVER_NS = 3 * NS_PER_S
_LEAST_SILENCE_NS = 500 * NS_PER_MS
_TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class TopicVitals:
    """One topic as the dashboard hears it."""

    def __init__(self, kind: str, node: str) -> None:
        """Have heard nothing yet."""
        self.kind, self.node = kind, node
        self.heard_ns = 0
        self.stamp_ns = 0
        self.ended = False
        self._usual_ns = 0
        self._count = 0
        self._counts: deque[tuple[int, int]] = deque()

    @property
    def count(self) -> int:
        """Return how many messages were heard."""
        return self._count

    def hear(self, now_ns: int, stamp_ns: int) -> None:
        """Take up a message."""
        if self.heard_ns:
            gap_ns = now_ns - self.heard_ns
            learned_ns = min(gap_ns, self._silence_ns) - self._usual_ns
            self._usual_ns += learned_ns // 16 if self._usual_ns else gap_ns
        self._count += 1
        self.heard_ns, self.stamp_ns, self.ended = now_ns, stamp_ns, False

    def rate_hz(self, now_ns: int) -> float:
        """Return the messages per second over the latest seconds; call it every so often."""
        self._counts.append((now_ns, self._count))
        while len(self._counts) > 2 and self._counts[1][0] <= now_ns - _RATE_OVER_NS:
            self._counts.popleft()
        (begin_ns, before), (end_ns, after) = self._counts[0], self._counts[-1]
        return (after - before) * NS_PER_S / (end_ns - begin_ns) if end_ns > begin_ns else 0.0

    def document(self, now_ns: int, counters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the topic for the page; `counters` are the subscriber's."""
        rate_hz = self.rate_hz(now_ns)
        lost = {cause: counters[cause] for cause in MISSING_CAUSES if counters.get(cause)}
        named = counters.get("lost")
        return {
            "kind": self.kind,
            "node": self.node,
            "rate_hz": round(rate_hz, 1),
            "heard_ns": self.heard_ns,
            "stamp_ns": self.stamp_ns,
            "ended": self.ended,
            "silent": self.is_silent(now_ns),
            "lost": {**lost, **(named if isinstance(named, Mapping) else {})},
        }

    def is_silent(self, now_ns: int) -> bool:
        """Return whether nothing has come for longer than is usual."""
        if not self.heard_ns or self.ended:
            return False
        return now_ns - self.heard_ns > self._silence_ns

    @property
    def _silence_ns(self) -> int:
        return max(_LEAST_SILENCE_NS, 4 * self._usual_ns)


class Processes:
    """CPU and memory of the processes of a run."""

    def __init__(self) -> None:
        """Know no process yet."""
        self._before: dict[int, tuple[int, float]] = {}

    def document(self, now_ns: int, pids: Mapping[str, int]) -> dict[str, Any]:
        """Return per node: process id, CPU in percent of one core since the last call, memory.

        `cpu_s` are the seconds of CPU since the process began.
        """
        found: dict[str, Any] = {}
        for node, pid in pids.items():
            used_s, resident = _usage(pid)
            if used_s is None:
                found[node] = {"pid": pid, "cpu": None, "memory_mb": None}
                continue
            then_ns, before_s = self._before.get(pid, (now_ns, used_s))
            elapsed_s = (now_ns - then_ns) / NS_PER_S
            cpu = (used_s - before_s) / elapsed_s * 100 if elapsed_s > 0 else 0.0
            self._before[pid] = (now_ns, used_s)
            found[node] = {
                "pid": pid,
                "cpu": round(cpu, 1),
                "cpu_s": used_s,
                "memory_mb": round(resident / 1e6),
            }
        self._before = {pid: self._before[pid] for pid in pids.values() if pid in self._before}
        return found


def _usage(pid: int) -> tuple[float | None, int]:
    """Return seconds of CPU and bytes resident; None for a process that is gone (proc(5))."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None, 0
    state, *numbers = fields.rpartition(")")[2].split()
    if state in "ZX":
        return None, 0
    ticks = int(numbers[10]) + int(numbers[11])
    return ticks / _TICKS_PER_S, int(numbers[20]) * os.sysconf("SC_PAGE_SIZE")
