"""Why nothing has come from a topic of ROS 2, in a sentence with the way out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tectum.errors import nearest_name

__all__ = ["unheard_words"]


def unheard_words(
    wanted: Mapping[str, str],
    publishers: Mapping[str, Sequence[str]],
    known: Mapping[str, Sequence[str]],
) -> Iterator[str]:
    """Yield a sentence per topic from which nothing has come.

    Args:
        wanted: topic -> the type that the graph names.
        publishers: unheard topic -> the type of each of its publishers.
        known: every topic of ROS 2 -> its types.
    """
    for topic, offered in publishers.items():
        if topic not in wanted:
            continue
        if not offered:
            others = {name: types for name, types in known.items() if name not in wanted}
            like = [name for name, types in others.items() if wanted[topic] in types]
            there = f"; of its type there are {', '.join(like)}" if like else ""
            hint = nearest_name(topic, like) or there
            yield (
                f"nobody publishes {topic} in ROS 2 yet{hint}; "
                "if somebody should, compare ROS_DOMAIN_ID and RMW_IMPLEMENTATION"
            )
        elif wanted[topic] not in offered:
            theirs = ", ".join(sorted(set(offered)))
            yield f"{topic} is published as {theirs}, not as {wanted[topic]}: name that type"
        else:
            yield (
                f"nothing has come from {topic}, which is published: "
                "a publisher that is slow, or one of best effort where `reliable` is asked for"
            )
