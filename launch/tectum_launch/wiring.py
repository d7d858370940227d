"""Wiring: who publishes each topic, who hears it, at which pace; and what of that cannot be.

Refused: a topic that nobody publishes, one that two nodes publish, nodes that wait for each other
in a circle. A node that is wrong by itself is left out without further findings about its topics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from tectum.clock import NS_PER_S
from tectum.transport.topics import matched
from tectum_launch.document import Document
from tectum_launch.draft import Draft
from tectum_launch.findings import KeyPath, allowed_names
from tectum_launch.graph import Topic

__all__ = ["Wiring", "wire"]


@dataclass(slots=True)
class Wiring:
    """The topics of a graph and their hearers."""

    topics: dict[str, Topic] = field(default_factory=dict)
    hears: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Node -> topics that it subscribes to, patterns resolved."""

    def published_by(self, node: str) -> tuple[Topic, ...]:
        """Return the topics of one node."""
        return tuple(topic for topic in self.topics.values() if topic.node == node)


def wire(document: Document, drafts: Iterable[Draft], broken: Iterable[str] = ()) -> Wiring:
    """Return the wiring of `drafts`; `broken` names nodes that could not be drafted."""
    drafts = tuple(drafts)
    wiring = Wiring()
    for draft in drafts:
        _publish(document, wiring, draft)
    broken = tuple(broken)
    names = (*(draft.name for draft in drafts), *broken)
    matcher = _Matcher(document, wiring, tuple(f"{name}/" for name in broken), names)
    for draft in drafts:
        heard = [topic for want in draft.wants for topic in matcher.topics(draft.name, *want)]
        wiring.hears[draft.name] = tuple(dict.fromkeys(heard))
    _refuse_circles(document, wiring, drafts)
    _pace(wiring, {draft.name: draft for draft in drafts})
    return wiring


def _publish(document: Document, wiring: Wiring, draft: Draft) -> None:
    for name, kind in draft.outputs.items():
        other = wiring.topics.get(name)
        if other:
            message = f"{other.node!r} and {draft.name!r} both publish {name}: leave one out"
            document.report(("nodes", draft.name), message, key=True, value=name)
            continue
        period_ns, nbytes = draft.periods_ns.get(name, 0), draft.nbytes.get(name, 0)
        wiring.topics[name] = Topic(name, kind, draft.name, period_ns, nbytes)


@dataclass(frozen=True, slots=True)
class _Matcher:
    """Finds the topics that a node's subscription means."""

    document: Document
    wiring: Wiring
    unknown: tuple[str, ...]
    """Beginnings of topics about which nothing is known."""
    names: tuple[str, ...]
    """Of all nodes."""

    def topics(self, node: str, pattern: str, path: KeyPath) -> list[str]:
        """Return the topics that `pattern` means for `node`, in the order of the graph."""
        known = self.wiring.topics
        if "*" not in pattern:
            if pattern in known or self._is_housekeeping(pattern):
                return [pattern]
            if not pattern.startswith(self.unknown):
                message = f"no node publishes {pattern!r}{allowed_names(pattern, known)}"
                self.document.report(path, message, value=pattern)
            return []
        others = {name: topic.kind.value for name, topic in known.items() if topic.node != node}
        found = matched(pattern, others)
        if not found and not self.unknown:
            message = f"{pattern!r} matches no topic{allowed_names(pattern, known)}"
            self.document.report(path, message, value=pattern, level="warning")
        return found

    def _is_housekeeping(self, topic: str) -> bool:
        """Return whether every node has this topic: `camera/@health`, `camera/@statement`."""
        node, _, output = topic.partition("/")
        return output.startswith("@") and node in self.names


def _refuse_circles(document: Document, wiring: Wiring, drafts: tuple[Draft, ...]) -> None:
    """Report each circle of nodes once, at the first of its nodes in the file."""
    sources = {
        draft.name: [
            wiring.topics[topic].node
            for topic in wiring.hears[draft.name]
            if topic in wiring.topics and draft.node.derives
        ]
        for draft in drafts
    }
    done: set[str] = set()
    for draft in drafts:
        circle = _circle(draft.name, sources, [], done)
        if circle:
            done.update(circle)
            message = f"these nodes wait for each other: {' -> '.join(reversed(circle))}"
            document.report(_first_want(draft, wiring, circle), message)


def _first_want(draft: Draft, wiring: Wiring, circle: list[str]) -> KeyPath:
    """Return where `draft` first subscribes to a node of the circle."""
    for pattern, path in draft.wants:
        topic = wiring.topics.get(pattern)
        if topic is None or topic.node in circle:
            return path
    return ("nodes", draft.name)


def _circle(
    node: str, sources: Mapping[str, list[str]], trail: list[str], done: set[str]
) -> list[str]:
    """Return the nodes of a circle that goes through the first node of `trail`, or nothing."""
    if trail and node == trail[0]:
        return [*trail, node]
    if node in trail or node in done:
        return []
    for source in sources.get(node, []):
        found = _circle(source, sources, [*trail, node], done)
        if found:
            return found
    return []


def _pace(wiring: Wiring, drafts: Mapping[str, Draft]) -> None:
    """Give the topics of fusion nodes the period of their triggers."""
    for name, topic in wiring.topics.items():
        period_ns = topic.period_ns or _trigger_period_ns(wiring, drafts, topic.node, ())
        wiring.topics[name] = replace(topic, period_ns=period_ns)


def _trigger_period_ns(
    wiring: Wiring, drafts: Mapping[str, Draft], node: str, trail: tuple[str, ...]
) -> int:
    pieces = drafts[node].fusion
    fusion = pieces.config if pieces else None
    if fusion is None or node in trail:
        return 0
    if fusion.trigger.rate:
        return round(NS_PER_S / fusion.trigger.rate)
    config = fusion.inputs.get(fusion.trigger.input or "")
    topic = wiring.topics.get(config.topic) if config else None
    if topic is None:
        return 0
    known = (config.period if config else 0) or topic.period_ns
    return known or _trigger_period_ns(wiring, drafts, topic.node, (*trail, node))
