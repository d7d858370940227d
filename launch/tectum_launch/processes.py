"""Nodes that share a process share their fate: what they say of it must agree."""

from __future__ import annotations

from collections.abc import Iterable

from tectum_launch.document import Document
from tectum_launch.draft import Draft

__all__ = ["check_processes"]


def check_processes(document: Document, drafts: Iterable[Draft]) -> None:
    """Report nodes of one process whose `on_exit` or `env` contradict each other."""
    first: dict[str, Draft] = {}
    for draft in drafts:
        if draft.entry is None:
            continue
        other = first.setdefault(draft.entry.process or draft.name, draft)
        if other is not draft:
            _compare(document, other, draft)


def _compare(document: Document, first: Draft, draft: Draft) -> None:
    assert first.entry is not None, "the first of a process has an entry"
    assert draft.entry is not None, "so has every other"
    path = ("nodes", draft.name)
    together = f"{draft.name!r} shares a process with {first.name!r}"
    mine, theirs = (
        item.entry.on_exit or item.node.on_exit for item in (draft, first) if item.entry
    )
    if mine != theirs:
        message = (
            f"{together}, whose end means {theirs!r} for the graph, not {mine!r}: "
            f"write on_exit: {theirs}, or another process"
        )
        document.report((*path, "on_exit"), message, value=mine)
    for key, value in draft.entry.env.items():
        if first.entry.env.get(key, value) != value:
            message = f"{together}, where {key} is {first.entry.env[key]!r}"
            document.report((*path, "env", key), message, value=value)
