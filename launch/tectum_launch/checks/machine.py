"""What is known of the machine that a graph is to run on: cores, memory, shared memory."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tectum.transport.pool_file import SHARED_MEMORY, pools_are_possible

__all__ = ["Machine", "this_machine"]

_MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine; what is 0 is not known."""

    cores: int
    memory_bytes: int = 0
    """Main memory that can still be had."""
    shared_bytes: int = 0
    """What is free in the file system of shared memory."""


def this_machine() -> Machine:
    """Return the one that this process runs on."""
    shared = shutil.disk_usage(SHARED_MEMORY).free if pools_are_possible() else 0
    return Machine(len(os.sched_getaffinity(0)), _available_bytes(), shared)


def _available_bytes() -> int:
    """Return proc(5)'s estimate of what programs can have without swapping."""
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else 0
