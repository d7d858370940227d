"""What supervision asks of its supervisor. Plain data."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Begin", "Halt", "Kill", "Order", "Release", "Say", "Spawn", "Terminate"]


@dataclass(frozen=True, slots=True)
class Begin:
    """Let every node begin."""


@dataclass(frozen=True, slots=True)
class Release:
    """Let one node begin that was brought back."""

    node: str


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start the process of a node again."""

    node: str


@dataclass(frozen=True, slots=True)
class Halt:
    """Ask nodes to end."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terminate:
    """Send SIGTERM to nodes."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kill:
    """Send SIGKILL to nodes."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Say:
    """Tell the person at the terminal about a node (or the graph, where it is empty)."""

    node: str
    text: str
    level: str = "info"


Order = Begin | Release | Spawn | Halt | Terminate | Kill | Say
