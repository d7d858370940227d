"""Where models really run, in sentences: what a node says once, when they are loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tectum.inference.device import PREFERRED, device_named, why_not
from tectum.inference.session import Session
from tectum.inference.stage import Stage

__all__ = ["placement_lines"]


def placement_lines(stages: Iterable[Stage], device: Mapping[str, Any]) -> list[str]:
    """Return a line about the device, and one about each model that is only partly on it.

    Args:
        stages: loaded, not closed.
        device: settings of the graph: `prefer` tells what was tried before the CPU.
    """
    sessions = list(_sessions(stages))
    if not sessions:
        return []
    chosen = sessions[0].device
    if not chosen.is_gpu:
        return [f"models run on the CPU{_why_no_gpu(device.get('prefer') or PREFERRED)}"]
    lines = [f"models run on {chosen.name}"]
    for session in sessions:
        placed = session.placement()
        if set(placed) - {chosen.providers[0]}:
            told = ", ".join(f"{count} nodes on {name}" for name, count in placed.items())
            lines.append(f"{session.manifest.model} ({session.variant}): {told}")
    return lines


def _sessions(stages: Iterable[Stage]) -> Iterator[Session]:
    seen: set[int] = set()
    for stage in stages:
        for session in getattr(stage, "sessions", {}).values():
            if id(session) not in seen:
                seen.add(id(session))
                yield session


def _why_no_gpu(prefer: Iterable[str]) -> str:
    wanted = [device_named(name) for name in prefer]
    reasons = [f"{device.name}: {why_not(device)}" for device in wanted if device.is_gpu]
    return f" ({'; '.join(reasons)})" if reasons else ""
