"""The compiled part of a fusion node: names checked, models found, the plan made.

Takes nodes that are right by themselves and already wired; what is wrong becomes a finding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tectum.errors import TectumError
from tectum_launch.document import Document
from tectum_launch.findings import KeyPath, allowed_names
from tectum_launch.fusion_names import FusionNames
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

    def part(self, node: str, pieces: FusionPieces, cores: int) -> FusionPart | None:
        """Return the part of the fusion node `node`, or None where findings say why not.

        Its process may run on `cores` cores.
        """
        path: KeyPath = ("nodes", node)
        for name in (pieces.trigger, *pieces.also_trigger):
            if name and name not in pieces.inputs:
                self._unknown((*path, "trigger"), "input", name, pieces.inputs)
        encoders = self._encoders(path, pieces)
        heads = self._heads(path, pieces)
        topics = {
            name: self.wiring.topics[topic]
            for name, topic in pieces.topics.items()
            if topic in self.wiring.topics
        }
        self._check_kinds(path, encoders, topics)
        config = pieces.config
        if config is None:
            return None
        FusionNames(self.document, path, config).check()
        budgets_ns = self._budgets_ns(path, config)
        whole = len(heads) == len(config.heads or ("",)) and len(topics) == len(config.inputs)
        if not whole or not budgets_ns:
            return None
        source = FusionSource(node, config, budgets_ns, topics, encoders, heads, cores)
        stages = {stage.plan.name: stage for stage in (*encoders.values(), *heads.values())}
        return FusionPart(fusion_plan(source), stages, config.device.model_dump(mode="json"))

    def _budgets_ns(self, path: KeyPath, config: FusionConfig) -> dict[str, int]:
        """Return the budget of each head; nothing where findings say what is wrong."""
        common = config.budget
        if common is None and self.graph:
            common = self.graph.budget
        heads = config.heads or {}
        own = {name: head.budget for name, head in heads.items()} or {"": None}
        budgets = {name: common if budget is None else budget for name, budget in own.items()}
        found = {name: budget for name, budget in budgets.items() if budget is not None}
        if len(found) < len(budgets):
            if self.graph:
                message = "no budget: write `budget: 100ms` here or at the top, or `budget: none`"
                self.document.report((*path, "budget"), message)
            return {}
        if 0 in found.values() and any(found.values()):
            endless = next(name for name, budget in found.items() if not budget)
            where: KeyPath = ("heads", endless, "budget") if own[endless] == 0 else ("budget",)
            message = (
                f"head {endless!r} has no budget, others have one: a set is picked once, for all "
                "heads; give each of them a budget, or none"
            )
            self.document.report((*path, *where), message)
            return {}
        return found

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

    def _heads(self, path: KeyPath, pieces: FusionPieces) -> dict[str, ResolvedStage]:
        found = {}
        for name, head in pieces.heads.items():
            where: KeyPath = (*path, "heads", name) if name else (*path, "head")
            stage = f"head_{name}" if name else "head"
            try:
                found[name] = resolve_head(stage, head, self.document.folder_at(where))
            except TectumError as error:
                self.document.report(where, f"{error}")
        return found

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
