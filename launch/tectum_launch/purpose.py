"""Whether a graph still has something to do. Pure."""

from __future__ import annotations

from collections.abc import Collection

from tectum_launch.watch import Life, Watch

__all__ = ["why_over"]


def why_over(watches: Collection[Watch]) -> str:
    """Return why no answer, or no new message, can come any more; empty: one can.

    Fusion nodes end by themselves after sources that have ended, not after dead ones.
    """
    answering = [watch for watch in watches if watch.member.answers]
    sources = [watch for watch in watches if watch.member.is_source]
    publishing = [watch for watch in watches if watch.member.publishes]
    if answering and all(watch.over for watch in answering):
        return "all answers are given"
    if all(watch.over for watch in publishing):
        return "all sources have ended"
    dead = [watch for watch in sources if watch.life is Life.DEAD]
    if dead and all(watch.over for watch in sources):
        return "no source is left"
    return ""
