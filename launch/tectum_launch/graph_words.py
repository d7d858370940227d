"""A compiled graph in words: its nodes, topics, alignments, models and parameters. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tectum.clock import NS_PER_S
from tectum.ledger.words import counted, duration_words, listed
from tectum.pipeline.plan import AlignPlan, HeadPlan, InputPlan, Plan, Requirement
from tectum.units import size_text
from tectum_launch.graph import FusionPart, Graph, GraphNode, Topic
from tectum_launch.parameters import Parameter
from tectum_launch.registry import SHIPPED

__all__ = [
    "align_words",
    "graph_text",
    "head_words",
    "heads_words",
    "input_words",
    "model_words",
    "node_kind",
    "topic_words",
]

_NAMES = {target: name for name, target in SHIPPED.items()}


def graph_text(graph: Graph, parameters: Iterable[Parameter] = ()) -> str:
    """Return the whole graph for a terminal."""
    budget = f", budget {duration_words(graph.budget_ns)}" if graph.budget_ns else ""
    lines = [f"{graph.name}: {counted(len(graph.nodes), 'node')}{budget}", ""]
    width = max((len(node.name) for node in graph.nodes), default=0)
    for node in graph.nodes:
        first, *rest = _node_lines(graph, node)
        lines.append(f"{node.name:<{width}}  {first}")
        lines += [f"{'':<{width}}  {line}" for line in rest]
    known = list(parameters)
    if known:
        lines += ["", "parameters (--set NAME=VALUE)"]
        lines += [f"  {_parameter(parameter)}" for parameter in known]
    return "\n".join(lines)


def node_kind(node: GraphNode) -> str:
    """Return what `node` runs, by its registered name where it has one."""
    return _NAMES.get(node.target, node.target)


def topic_words(topic: Topic) -> str:
    """Return pace and size of a topic, as far as the configuration tells: `30 Hz, 184 kB`."""
    rate = f"{NS_PER_S / topic.period_ns:.4g} Hz" if topic.period_ns else ""
    size = size_text(topic.nbytes) if topic.nbytes else ""
    return ", ".join(filter(None, (rate, size)))


def align_words(align: AlignPlan) -> str:
    """Return an alignment as a person reads it: `nearest within 40 ms`."""
    before, after = duration_words(align.before_ns), duration_words(align.after_ns)
    if align.rule == "nearest":
        within = f"within {before}"
        return f"nearest {within if before == after else f'{before} before to {after} after'}"
    if align.rule == "latest":
        return f"latest, at most {duration_words(align.max_age_ns)} old"
    if align.rule == "window":
        return f"window of {duration_words(align.duration_ns)}"
    return f"interpolated within {before}" if align.rule == "interpolate" else align.rule


def input_words(item: InputPlan, part: FusionPart) -> str:
    """Return how an input is taken: `nearest within 40 ms -> driving/camera`."""
    models = model_words(part, item.encoder)
    optional = "" if item.required else ", optional"
    return f"{align_words(item.align)}{f' -> {models}' if models else ''}{optional}"


def model_words(part: FusionPart, stage: str) -> str:
    """Return the models of a stage; empty: it has none of its own."""
    found = part.stages.get(stage)
    return " -> ".join(manifest.model for manifest in found.manifests) if found else ""


def heads_words(part: FusionPart) -> list[str]:
    """Return what each head is: `late fusion: mean`, or of several `warning: ..., budget 40 ms`."""
    heads = part.plan.heads
    if not heads:
        return [head_words(part, part.plan.head)]
    return [
        f"{head.name}: {head_words(part, head.stage)}{_own_words(head, part)}" for head in heads
    ]


def _own_words(head: HeadPlan, part: FusionPart) -> str:
    some = len(head.inputs) < len(part.plan.inputs)
    inputs = f" of {listed(head.inputs)}" if some else ""
    budget = f", budget {duration_words(head.budget_ns)}" if head.budget_ns else ""
    return f"{inputs}{budget}"


def head_words(part: FusionPart, name: str) -> str:
    """Return what makes the answer: `intermediate driving/head`, `late product`."""
    stage = part.stages[name]
    models = model_words(part, name)
    kind, settings = next(iter(stage.spec.items()))
    if kind == "late":
        return f"late fusion: {settings['rule']}"
    if kind == "python":
        return str(settings["run"])
    names = {"model": "intermediate fusion", "early": "early fusion", "objects": "objects"}
    return f"{names.get(kind, kind)}{f': {models}' if models else ''}"


def _node_lines(graph: Graph, node: GraphNode) -> Iterator[str]:
    aside = [f"on {node.host}"] if node.host and len(graph.hosts.addresses) > 1 else []
    aside += [f"in process {node.process}"] if node.process != node.name else []
    aside += [f"on exit {node.on_exit}"]
    yield f"{node_kind(node)} ({', '.join(aside)})"
    if node.fusion:
        yield from _fusion_lines(node.fusion)
    elif node.subscribes:
        yield f"<- {listed(node.subscribes)}"
    for topic in node.publishes:
        pace = topic_words(topic)
        hearers = [other.name for other in graph.nodes if topic.name in other.subscribes]
        heard = f", heard by {listed(hearers)}" if hearers else ""
        yield f"-> {topic.name}: {topic.kind}{f', {pace}' if pace else ''}{heard}"


def _fusion_lines(part: FusionPart) -> Iterator[str]:
    plan = part.plan
    budget = duration_words(plan.budget_ns) if plan.budget_ns else "none"
    yield f"trigger {_trigger_words(plan)}, budget {budget}, {counted(plan.lanes, 'lane')}"
    width = max(len(item.name) for item in plan.inputs)
    for item in plan.inputs:
        yield f"<- {item.name:<{width}}  {item.topic}  {input_words(item, part)}"
    if plan.accept:
        yield f"accepts {' | '.join(_requirement_words(each) for each in plan.accept)}"
    for words in heads_words(part):
        yield f"head{' ' if plan.heads else ': '}{words}"


def _trigger_words(plan: Plan) -> str:
    if plan.trigger:
        return listed((plan.trigger, *plan.also_trigger), "or")
    return f"every {duration_words(plan.trigger_period_ns)}"


def _requirement_words(requirement: Requirement) -> str:
    words = []
    for group, count in requirement:
        names = ", ".join(group)
        words.append(names if len(group) == count else f"{count} of {names}")
    return " + ".join(words)


def _parameter(parameter: Parameter) -> str:
    value = "(must be given)" if parameter.default is None else f"{parameter.default}"
    meaning = f"  {parameter.description}" if parameter.description else ""
    return f"{parameter.name}: {value}{meaning}"
