"""What nodes say of their process must mean something, and agree where they share one."""

from __future__ import annotations

from collections.abc import Iterable

from tectum_launch.document import Document
from tectum_launch.draft import Draft

__all__ = ["check_processes"]


def check_processes(document: Document, drafts: Iterable[Draft]) -> None:
    """Report `restart` of nodes that are not restarted, and what contradicts in one process."""
    first: dict[str, Draft] = {}
    for draft in drafts:
        if draft.entry is None:
            continue
        if draft.entry.restart and draft.on_exit != "restart":
            message = (
                f"{draft.name!r} is never restarted, for its on_exit is {draft.on_exit!r}: "
                "write on_exit: restart, or leave this out"
            )
            document.report(("nodes", draft.name, "restart"), message, key=True)
        other = first.setdefault(draft.entry.process or draft.name, draft)
        if other is not draft:
            _compare(document, other, draft)


def _compare(document: Document, first: Draft, draft: Draft) -> None:
    assert first.entry is not None, "the first of a process has an entry"
    assert draft.entry is not None, "so has every other"
    path = ("nodes", draft.name)
    together = f"{draft.name!r} shares a process with {first.name!r}"
    mine, theirs = draft.on_exit, first.on_exit
    if mine != theirs:
        message = (
            f"{together}, whose end means {theirs!r} for the graph, not {mine!r}: "
            f"write on_exit: {theirs}, or another process"
        )
        document.report((*path, "on_exit"), message, value=mine)
    for key in ("cpu", "nice", "realtime"):
        value, other = getattr(draft.entry, key), getattr(first.entry, key)
        if None not in (value, other) and value != other:
            message = f"{together}, whose {key} is {_plain(other)}, not {_plain(value)}"
            document.report((*path, key), message, value=_plain(value))
    for key, value in draft.entry.env.items():
        if first.entry.env.get(key, value) != value:
            message = f"{together}, where {key} is {first.entry.env[key]!r}"
            document.report((*path, "env", key), message, value=value)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
