"""The question that a click on an outcome asks: why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tectum_nodes.dashboard.board import Board
from tectum_nodes.dashboard.questions import Answer

__all__ = ["why_answer"]


def why_answer(question: Mapping[str, Any], board: Board) -> Answer:
    """Answer `{"why": NODE, "life": N, "trigger": N}`; None where it is no such question."""
    try:
        node, life, trigger = question["why"], int(question["life"]), int(question["trigger"])
    except (KeyError, TypeError, ValueError):
        return None
    text = board.why(str(node), life, trigger)
    return {"t": "why", "node": node, "life": life, "trigger": trigger, "text": text}
