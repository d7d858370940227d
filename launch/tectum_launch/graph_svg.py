"""A compiled graph as a picture: sources on the left, what hears them to the right. Pure.

Columns are by the longest way from a source; within a column a node stands as near as it can to
those it hears (the barycentre rule of Sugiyama, Tagawa and Toda, 1981). Light and dark follow the
viewer's setting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

from tectum.ledger.words import duration_words
from tectum_launch.graph import Graph, GraphNode, Topic
from tectum_launch.graph_words import align_words, heads_words, model_words, node_kind, topic_words

__all__ = ["graph_svg"]

_WIDTH, _GAP, _LINE, _PAD = 270, 190, 19, 14
_SPACE = 34
_LETTER = 6.4
_STYLE = """
svg { font: 13px system-ui, sans-serif; background: #fff }
rect { fill: #f6f8fa; stroke: #d0d7de } .fusion { fill: #eef4ff; stroke: #5b8def }
text { fill: #24292f } .small { fill: #57606a; font-size: 11.5px } .title { font-weight: 600 }
path { fill: none; stroke: #8c959f; stroke-width: 1.4 } .tip { fill: #8c959f; stroke: none }
@media (prefers-color-scheme: dark) {
 svg { background: #0d1117 } rect { fill: #161b22; stroke: #30363d }
 .fusion { fill: #12213a; stroke: #5b8def } text { fill: #e6edf3 } .small { fill: #9198a1 }
}
"""


@dataclass(frozen=True, slots=True)
class _Box:
    node: GraphNode
    lines: tuple[str, ...]
    x: float
    y: float

    @property
    def height(self) -> float:
        return _height(self.lines)


def graph_svg(graph: Graph) -> str:
    """Return `graph` as the text of an SVG file."""
    boxes = _placed(graph)
    width = max((box.x + _WIDTH for box in boxes.values()), default=0) + _SPACE
    height = max((box.y + box.height for box in boxes.values()), default=0) + _SPACE
    budget = f", budget {duration_words(graph.budget_ns)}" if graph.budget_ns else ""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>',
        _text(_SPACE, 26, f"{graph.name}{budget}", "title"),
        *_arrows(graph, boxes),
        *(part for box in boxes.values() for part in _drawn(box)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _placed(graph: Graph) -> dict[str, _Box]:
    sources = {
        node.name: sorted({topic.partition("/")[0] for topic in node.subscribes} - {node.name})
        for node in graph.nodes
    }
    columns: dict[int, list[GraphNode]] = {}
    for node in graph.nodes:
        columns.setdefault(_depth(node.name, sources), []).append(node)
    tallest = max(_column_height(nodes) for nodes in columns.values())
    boxes: dict[str, _Box] = {}
    for column, nodes in sorted(columns.items()):
        order = {node.name: index for index, node in enumerate(nodes)}
        nodes.sort(key=lambda node: _barycentre(sources[node.name], boxes, order[node.name]))
        y = 46 + (tallest - _column_height(nodes)) / 2
        for node in nodes:
            lines = tuple(_lines(node))
            boxes[node.name] = _Box(node, lines, _SPACE + column * (_WIDTH + _GAP), y)
            y += _height(lines) + _SPACE
    return boxes


def _depth(name: str, sources: Mapping[str, list[str]]) -> int:
    """Return the longest way from a source; compiled graphs have no circles."""
    return max((1 + _depth(other, sources) for other in sources.get(name, ())), default=0)


def _barycentre(sources: list[str], boxes: Mapping[str, _Box], otherwise: float) -> float:
    ys = [boxes[name].y + boxes[name].height / 2 for name in sources if name in boxes]
    return sum(ys) / len(ys) if ys else otherwise


def _column_height(nodes: list[GraphNode]) -> float:
    return sum(_height(tuple(_lines(node))) + _SPACE for node in nodes) - _SPACE


def _height(lines: tuple[str, ...]) -> float:
    return _PAD + _LINE * (1 + len(lines))


def _lines(node: GraphNode) -> Iterator[str]:
    if node.fusion is None:
        return
    part = node.fusion
    for item in part.plan.inputs:
        yield f"{item.name}: {align_words(item.align)}{'' if item.required else ' (optional)'}"
        models = model_words(part, item.encoder)
        if models:
            yield f"    {models}"
    yield from heads_words(part)


def _drawn(box: _Box) -> Iterator[str]:
    kind = ' class="fusion"' if box.node.fusion else ""
    yield (
        f'<rect{kind} x="{box.x:.0f}" y="{box.y:.0f}" width="{_WIDTH}" '
        f'height="{box.height:.0f}" rx="8"/>'
    )
    x, y = box.x + _PAD, box.y + _LINE + 2
    yield _text(x, y, box.node.name, "title")
    taken = len(box.node.name) * (_LETTER + 1.9) + 10
    yield _text(x + taken, y, _cut(node_kind(box.node), _WIDTH - _PAD * 2 - taken), "small")
    for index, line in enumerate(box.lines):
        yield _text(x, y + _LINE * (index + 1), _cut(line, _WIDTH - _PAD * 2), "small")


def _arrows(graph: Graph, boxes: Mapping[str, _Box]) -> Iterator[str]:
    topics = {topic.name: topic for topic in graph.topics}
    for node in graph.nodes:
        wanted = [topics[name] for name in node.subscribes if name in topics]
        heard: dict[str, list[Topic]] = {}
        for topic in wanted:
            heard.setdefault(topic.node, []).append(topic)
        step = boxes[node.name].height / (len(heard) + 1)
        order = sorted(heard, key=lambda name: boxes[name].y)
        for index, source in enumerate(order):
            yield from _arrow(boxes[source], boxes[node.name], step * (index + 1), heard[source])


def _arrow(source: _Box, target: _Box, down: float, topics: list[Topic]) -> Iterator[str]:
    begin_x, begin_y = source.x + _WIDTH, source.y + source.height / 2
    end_x, end_y = target.x - 2, target.y + down
    bend = (end_x - begin_x) / 2
    yield (
        f'<path marker-end="url(#tip)" d="M{begin_x:.0f} {begin_y:.0f}C{begin_x + bend:.0f} '
        f'{begin_y:.0f} {end_x - bend:.0f} {end_y:.0f} {end_x:.0f} {end_y:.0f}"/>'
    )
    names = ", ".join(topic.name.partition("/")[2] for topic in topics)
    pace = topic_words(topics[0]) if len(topics) == 1 else ""
    words = _cut(f"{names}, {pace}" if pace else names, _GAP - 16)
    yield _text(begin_x + 8, begin_y - 6 if end_y >= begin_y else begin_y + 15, words, "small")


def _text(x: float, y: float, text: str, kind: str) -> str:
    return (
        f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}" xml:space="preserve">{escape(text)}</text>'
    )


def _cut(text: str, width: float) -> str:
    most = int(width / _LETTER)
    return text if len(text) <= most else f"{text[: most - 1]}…"
