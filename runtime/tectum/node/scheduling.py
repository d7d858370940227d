"""Where and how urgently a node's process runs: cores, niceness, real-time priority. Best effort.

What is not permitted is said in one line and left as it is (sched(7), setpriority(2)).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Scheduling", "apply_scheduling", "scheduling_from"]


@dataclass(frozen=True, slots=True)
class Scheduling:
    """What is asked for a process."""

    cpu: tuple[int, ...] = ()
    """Cores; empty: any."""
    nice: int | None = None
    """-20 (urgent) to 19 (whenever nobody else wants to)."""
    realtime: int = 0
    """Priority in SCHED_FIFO, 1 to 99: before everything that is not; 0: no."""

    def document(self) -> dict[str, Any]:
        """Return it as plain data, without what is not asked for."""
        return {key: value for key, value in asdict(self).items() if value not in ((), None, 0)}


def scheduling_from(document: Mapping[str, Any]) -> Scheduling:
    """Return what `Scheduling.document` gave."""
    return Scheduling(
        tuple(document.get("cpu", ())), document.get("nice"), document.get("realtime", 0)
    )


def apply_scheduling(wanted: Scheduling) -> Iterator[str]:
    """Set it for this process and its coming threads; yield a sentence for what cannot be."""
    if wanted.cpu:
        yield from _pin(wanted.cpu)
    if wanted.nice is not None:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, wanted.nice)
        except (OSError, AttributeError) as error:
            yield f"nice: {wanted.nice} is not permitted here ({_why(error)}): it stays as it is"
    if wanted.realtime:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(wanted.realtime))
        except (OSError, AttributeError) as error:
            asked = f"realtime: {wanted.realtime}"
            yield f"{asked} is not permitted here ({_why(error)}): it runs like any other"


def _pin(cpu: tuple[int, ...]) -> Iterator[str]:
    try:
        here = os.sched_getaffinity(0)
        os.sched_setaffinity(0, here.intersection(cpu) or cpu)
    except (OSError, AttributeError) as error:
        yield f"cpu: {list(cpu)} cannot be had ({_why(error)}): it runs anywhere"
        return
    missing = sorted(set(cpu) - here)
    if missing:
        yield f"cpu: {missing} is not among the cores it may use, {sorted(here)}"


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or "not on this system"
