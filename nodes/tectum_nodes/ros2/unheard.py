"""Why nothing has come from a topic of ROS 2, in a sentence with the way out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tectum.errors import nearest_name
from tectum_nodes.ros2.config import FromRos
from tectum_nodes.ros2.incoming import Aside

__all__ = ["Asked", "unheard_words"]

Asked = FromRos | Aside

_MORE = {"reliability": "reliable", "durability": "transient_local"}
"""Who asks for this hears nobody who offers less."""


def unheard_words(
    wanted: Mapping[str, Asked],
    publishers: Mapping[str, Sequence[Mapping[str, str]]],
    known: Mapping[str, Sequence[str]],
) -> Iterator[str]:
    """Yield a sentence per topic from which nothing has come.

    Args:
        wanted: topic -> what the graph asks for.
        publishers: unheard topic -> `type`, `reliability` and `durability` of each publisher.
        known: every topic of ROS 2 -> its types.
    """
    for topic, offers in publishers.items():
        asked = wanted.get(topic)
        if asked is None:
            continue
        fitting = [offer for offer in offers if offer["type"] == asked.type]
        if not offers:
            yield _nobody(topic, asked.type, wanted, known)
        elif not fitting:
            theirs = ", ".join(sorted({offer["type"] for offer in offers}))
            yield f"{topic} is published as {theirs}, not as {asked.type}: name that type"
        else:
            less = [key for key, more in _MORE.items() if _lacks(asked, fitting, key, more)]
            slow = f"nothing has come from {topic}, which is published: its publisher may be slow"
            yield _deaf(topic, fitting[0], less) if less else slow


def _nobody(
    topic: str, wanted: str, ours: Mapping[str, Asked], known: Mapping[str, Sequence[str]]
) -> str:
    like = [name for name, types in known.items() if name not in ours and wanted in types]
    there = f"; of its type there are {', '.join(like)}" if like else ""
    hint = nearest_name(topic, like) or there
    return (
        f"nobody publishes {topic} in ROS 2 yet{hint}; "
        "if somebody should, compare ROS_DOMAIN_ID and RMW_IMPLEMENTATION"
    )


def _lacks(asked: Asked, offers: Sequence[Mapping[str, str]], key: str, more: str) -> bool:
    """Return whether nobody offers what is asked for."""
    wants = getattr(asked.qos, key) == more
    return wants and all(offer[key] != more for offer in offers)


def _deaf(topic: str, offer: Mapping[str, str], less: Sequence[str]) -> str:
    theirs = ", ".join(offer[key] for key in less)
    asked = ", ".join(_MORE[key] for key in less)
    fix = ", ".join(f"{key}: {offer[key]}" for key in less)
    return (
        f"{topic} is published {theirs} and asked for {asked}, so nothing is heard: "
        f"write qos: {{{fix}}}"
    )
