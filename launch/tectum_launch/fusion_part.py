"""The compiled part of a fusion node: names checked, models found, the plan made.

Takes nodes that are right by themselves and already wired; what is wrong becomes a finding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tectum.errors import TectumError
from tectum_launch.document import Document
from tectum_launch.findings import KeyPath, allowed_names
from tectum_launch.fusion_pieces import FusionPieces
from tectum_launch.fusion_plan import FusionSource, fusion_plan
from tectum_launch.fusion_schema import FusionConfig
from tectum_launch.graph import FusionPart, Topic
from tectum_launch.schema import GraphConfig
from tectum_launch.stages import ResolvedStage, resolve_encoder, resolve_head
from tectum_launch.wiring import Wiring

__all__ = ["FusionCompiler"]


@dataclass(frozen=True, slots=True)
class FusionCompiler:
    """Compiles the fusion nodes of one graph."""

    document: Document
    wiring: Wiring
    graph: GraphConfig | None
    """None where the top level of the file is wrong."""
    cores: int

    def part(self, node: str, pieces: FusionPieces) -> FusionPart | None:
        """Return the part of the fusion node `node`, or None where findings say why not."""
        path: KeyPath = ("nodes", node)
        for name in (pieces.trigger, *pieces.also_trigger):
            if name and name not in pieces.inputs:
                self._unknown((*path, "trigger"), "input", name, pieces.inputs)
        encoders = self._encoders(path, pieces)
        head = self._head(path, pieces)
        topics = {
            name: self.wiring.topics[topic]
            for name, topic in pieces.topics.items()
            if topic in self.wiring.topics
        }
        self._check_kinds(path, encoders, topics)
        config = pieces.config
        if config is None:
            return None
        self._check_names(path, config)
        budget_ns = self._budget_ns(path, config)
        if head is None or budget_ns is None or len(topics) < len(config.inputs):
            return None
        source = FusionSource(node, config, budget_ns, topics, encoders, head, self.cores)
        stages = {stage.plan.name: stage for stage in (*encoders.values(), head)}
        return FusionPart(fusion_plan(source), stages, config.device.model_dump(mode="json"))

    def _budget_ns(self, path: KeyPath, config: FusionConfig) -> int | None:
        budget = config.budget
        if budget is None and self.graph:
            budget = self.graph.budget
            if budget is None:
                message = "no budget: write `budget: 100ms` here or at the top, or `budget: none`"
                self.document.report((*path, "budget"), message)
        return budget

    def _check_names(self, path: KeyPath, config: FusionConfig) -> None:
        """Report names of inputs and groups that do not exist."""
        inputs = tuple(config.inputs)
        for group, members in config.groups.items():
            for index, member in enumerate(members):
                if member not in config.inputs:
                    self._unknown((*path, "groups", group, index), "input", member, inputs)
        known = (*inputs, *config.groups)
        for index, combination in enumerate(config.accept):
            for name, count in combination.at_least.items():
                members = config.groups.get(name, (name,))
                if name not in known:
                    self._unknown((*path, "accept", index), "input or group", name, known)
                elif count > len(members):
                    message = f"at_least {count} of {name!r}, which has {len(members)}"
                    self.document.report((*path, "accept", index), message, value=count)
        weights = config.head.late.weights if config.head.late else {}
        for name in weights:
            if name not in config.inputs:
                self._unknown((*path, "head", "late", "weights", name), "input", name, inputs)

    def _unknown(self, path: KeyPath, what: str, name: str, known: tuple[str, ...]) -> None:
        message = f"no {what} is called {name!r}{allowed_names(name, known)}"
        self.document.report(path, message, value=name)

    def _encoders(self, path: KeyPath, pieces: FusionPieces) -> dict[str, ResolvedStage]:
        found = {}
        for name, encoder in pieces.encoders.items():
            folder = self.document.folder_at((*path, "inputs", name, "encoder"))
            try:
                found[name] = resolve_encoder(f"encode_{name}", encoder, name, folder)
            except TectumError as error:
                self.document.report((*path, "inputs", name, "encoder"), f"{error}")
        return found

    def _head(self, path: KeyPath, pieces: FusionPieces) -> ResolvedStage | None:
        if pieces.head is None:
            return None
        try:
            return resolve_head("head", pieces.head, self.document.folder_at((*path, "head")))
        except TectumError as error:
            self.document.report((*path, "head"), f"{error}")
            return None

    def _check_kinds(
        self, path: KeyPath, encoders: Mapping[str, ResolvedStage], topics: Mapping[str, Topic]
    ) -> None:
        """Report encoders that take another kind of sample than their topic carries."""
        for name, encoder in encoders.items():
            topic = topics.get(name)
            if topic and encoder.takes and topic.kind.value not in encoder.takes:
                message = (
                    f"{encoder.manifests[0].model} takes {', '.join(encoder.takes)}, but "
                    f"{topic.name} carries {topic.kind.value}"
                )
                self.document.report((*path, "inputs", name, "encoder"), message)
