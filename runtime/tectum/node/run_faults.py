"""The faults of a run, as `run.json` has them: a list of records, one per fault and node struck.

A record is `{"name": ..., "node": ..., "fault": {...}}`: what people call it, the node whose input
or whose process is struck, and the fields of a `tectum.sync.faults.Fault`. Its time counts from the
run's epoch; what these functions return is on the graph clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tectum.sync.faults import KINDS, NODE_KINDS, Fault

__all__ = ["all_faults", "input_faults", "node_faults", "stall_ns"]


def input_faults(run: Mapping[str, Any], node: str, epoch_ns: int) -> list[Fault]:
    """Return the faults of the inputs of a fusion node."""
    return [fault for fault in _of(run, node, epoch_ns) if fault.kind in KINDS]


def node_faults(run: Mapping[str, Any], node: str, epoch_ns: int) -> list[Fault]:
    """Return the faults of a node itself."""
    return [fault for fault in _of(run, node, epoch_ns) if fault.kind in NODE_KINDS]


def all_faults(run: Mapping[str, Any], epoch_ns: int) -> dict[str, Fault]:
    """Return every fault of a run by its name."""
    return {
        str(record["name"]): Fault(**record["fault"]).moved(epoch_ns)
        for record in run.get("faults", ())
    }


def stall_ns(faults: list[Fault], now_ns: int) -> int:
    """Return for how long the loop of a node is to do nothing now: it hangs, or it is slow."""
    longest_ns = 0
    for fault in faults:
        begun_ns = fault.begun_ns(now_ns)
        if begun_ns >= 0 and fault.kind == "hang":
            longest_ns = max(longest_ns, begun_ns + fault.lasting_ns - now_ns)
        elif begun_ns >= 0 and fault.kind == "slow":
            longest_ns = max(longest_ns, fault.amount_ns)
    return longest_ns


def _of(run: Mapping[str, Any], node: str, epoch_ns: int) -> list[Fault]:
    return [
        Fault(**record["fault"]).moved(epoch_ns)
        for record in run.get("faults", ())
        if record["node"] == node
    ]
