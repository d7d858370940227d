"""What a report says of the lives of nodes: who died, who hung, who came back and how soon."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tectum.clock import NS_PER_S
from tectum_launch.members import Death
from tectum_launch.supervision import Supervision

__all__ = ["lives_document", "lives_text"]

_MOST_LINES = 6
"""Deaths that are told one by one; of more, each node's are told together."""


def lives_document(supervision: Supervision) -> dict[str, Any]:
    """Return the keys `deaths`, `hangs`, `restarts` of a report."""
    return {
        "deaths": [_death(death) for death in supervision.deaths],
        "hangs": [
            {"node": hang.node, "at_s": _s(hang.at_ns), "lasting_s": _s(hang.lasting_ns)}
            for hang in supervision.hangs
        ],
        "restarts": supervision.restarts,
    }


def lives_text(report: Mapping[str, Any]) -> list[str]:
    """Return the same for a person, line by line."""
    deaths = report["deaths"]
    if len(deaths) <= _MOST_LINES:
        lines = [_death_text(report, death) for death in deaths]
    else:
        nodes = defaultdict(list)
        for death in deaths:
            nodes[death["node"]].append(death)
        lines = [_deaths_text(name, ends) for name, ends in nodes.items()]
    return lines + [
        f"{hang['node']} hung {hang['lasting_s']:.1f} s, {hang['at_s']:.1f} s after the start"
        for hang in report["hangs"][:_MOST_LINES]
    ]


def _death(death: Death) -> dict[str, Any]:
    recovery_ns = death.recovery_ns
    return {
        "node": death.node,
        "at_s": _s(death.at_ns),
        "cause": death.cause,
        "injected": death.injected,
        "recovery_s": None if recovery_ns < 0 else _s(recovery_ns),
    }


def _death_text(report: Mapping[str, Any], death: Mapping[str, Any]) -> str:
    name, recovery_s = death["node"], death["recovery_s"]
    after = "the graph went on without it"
    if recovery_s is not None:
        after = f"it was restarted, and spoke again after {recovery_s:.2f} s"
    elif report["restarts"].get(name):
        after = "it was restarted"
    if report["failure"].startswith(f"{name} "):
        after = "the graph was stopped"
    return f"{name} died {death['at_s']:.1f} s after the start: {death['cause']}; {after}"


def _deaths_text(name: str, deaths: Sequence[Mapping[str, Any]]) -> str:
    back = [death["recovery_s"] for death in deaths if death["recovery_s"] is not None]
    causes = ", ".join(dict.fromkeys(death["cause"].partition(":")[0] for death in deaths))
    after = f", spoke again after {max(back):.2f} s at most" if back else ""
    return f"{name} died {len(deaths)} times ({causes}), came back {len(back)} times{after}"


def _s(duration_ns: int) -> float:
    return round(duration_ns / NS_PER_S, 3)
