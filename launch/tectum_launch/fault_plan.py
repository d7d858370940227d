"""The faults of a run, planned: whom each strikes is known, and what must hold all the same.

From `faults:` and `assert:` of a graph, or of a file of their own, each key of which stands in the
place of the graph's. Plain data; nothing is struck here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tectum.node.run_faults import node_faults
from tectum.sync.faults import NODE_KINDS, Fault
from tectum.sync.stream import NEVER_NS
from tectum.units import duration_text
from tectum_launch.document import Document, read_document
from tectum_launch.faults_schema import AssertConfig, FaultConfig, FaultsConfig
from tectum_launch.findings import KeyPath, allowed_names
from tectum_launch.parameters import fill_parameters
from tectum_launch.shipped import find_faults
from tectum_launch.validation import validated

__all__ = ["FaultPlan", "fault_text", "plan_faults", "read_faults"]


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """What goes wrong on purpose in a run, and what must hold."""

    records: tuple[Mapping[str, Any], ...] = ()
    """As `tectum.node.run_faults` reads them from `run.json`."""
    checks: AssertConfig | None = None
    checked_in: Document | None = None
    """Where `assert:` stands, for sentences about it."""

    def of_nodes(self, nodes: Iterable[str]) -> tuple[Fault, ...]:
        """Return what happens to `nodes` themselves, from the beginning of the run."""
        run = {"faults": self.records}
        return tuple(fault for node in nodes for fault in node_faults(run, node, 0))

    @property
    def live_only(self) -> tuple[str, ...]:
        """Return the names of those that need living nodes or payloads: no simulation has them."""
        kinds = (*NODE_KINDS, "corrupt")
        return tuple(item["name"] for item in self.records if item["fault"]["kind"] in kinds)


def plan_faults(
    document: Document,
    faults: Sequence[FaultConfig],
    checks: AssertConfig | None,
    inputs: Mapping[str, Sequence[str]],
    nodes: Iterable[str],
) -> FaultPlan:
    """Return the plan of the faults in `document`; whom nobody knows becomes a finding.

    Args:
        document: where they stand, at its top level.
        faults: in the order of the file.
        checks: what must hold.
        inputs: fusion node -> its inputs.
        nodes: of the graph.
    """
    records: list[dict[str, Any]] = []
    names: dict[str, int] = {}
    for index, config in enumerate(faults):
        path: KeyPath = ("faults", index)
        if config.fault in NODE_KINDS:
            struck = _node(document, path, config, tuple(nodes))
        else:
            struck = _inputs(document, path, config, inputs)
        for node, input_name in struck:
            name = f"{config.fault} {'of' if config.node else 'on'} {input_name}"
            names[name] = names.get(name, 0) + 1
            if names[name] > 1:
                name = f"{name} ({names[name]})"
            fault = dataclasses.asdict(_fault(config, input_name))
            records.append({"name": name, "node": node, "fault": fault})
    if checks and not inputs:
        message = "there is no fusion node whose answers could be judged"
        document.report(("assert",), message, key=True)
    return FaultPlan(tuple(records), checks, document)


def read_faults(
    name: str,
    inputs: Mapping[str, Sequence[str]],
    nodes: Iterable[str],
    own: FaultPlan | None = None,
) -> FaultPlan:
    """Return the plan in the file called `name` (a path, or a shipped one).

    Args:
        name: of the file.
        inputs: fusion node -> its inputs.
        nodes: of the graph.
        own: what the graph has itself; a key of the file stands in its place.

    Raises:
        ConfigError: there is no such file.
        GraphError: something in it is wrong; all findings at once.
    """
    document, own = read_document(find_faults(name)), own or FaultPlan()
    fill_parameters(document)
    config = validated(document, (), FaultsConfig, document.tree)
    document.raise_errors()
    assert config is not None, "an invalid file has findings"
    found = plan_faults(document, config.faults or (), config.checks, inputs, nodes)
    document.raise_errors()
    return FaultPlan(
        records=own.records if config.faults is None else found.records,
        checks=own.checks if config.checks is None else found.checks,
        checked_in=own.checked_in if config.checks is None else document,
    )


def _fault(config: FaultConfig, name: str) -> Fault:
    lasting_ns = 0 if config.fault == "kill" else config.lasting or NEVER_NS
    return Fault(
        kind=config.fault,
        input=name,
        since_ns=config.at,
        lasting_ns=lasting_ns,
        every_ns=config.every or 0,
        permille=round(1000 * (1.0 if config.share is None else config.share)),
        amount_ns=config.by or 0,
        ppm=config.ppm or 0,
        seed=config.seed,
    )


def _node(
    document: Document, path: KeyPath, config: FaultConfig, nodes: Sequence[str]
) -> list[tuple[str, str]]:
    name = config.node or ""
    if name in nodes:
        return [(name, name)]
    message = f"the graph has no node {name!r}{allowed_names(name, nodes)}"
    document.report((*path, "node"), message, value=name)
    return []


def _inputs(
    document: Document, path: KeyPath, config: FaultConfig, inputs: Mapping[str, Sequence[str]]
) -> list[tuple[str, str]]:
    """Return (fusion node, input) of each that is struck."""
    wanted = config.input or ""
    node, dot, name = wanted.rpartition(".")
    found = [
        (fusion, item)
        for fusion, items in inputs.items()
        for item in items
        if item == name and (fusion == node or not dot)
    ]
    if not found:
        known = [item for items in inputs.values() for item in items]
        message = f"no fusion node has an input {wanted!r}{allowed_names(wanted, known)}"
        document.report((*path, "input"), message, value=wanted)
    return found


def fault_text(record: Mapping[str, Any]) -> str:
    """Return a fault for a person: `drop on camera, 4.00 s to 6.00 s after the beginning`."""
    fault = Fault(**record["fault"])
    text = f"{record['name']} from {duration_text(fault.since_ns)}"
    if 0 < fault.lasting_ns < NEVER_NS:
        text += f" for {duration_text(fault.lasting_ns)}"
    return f"{text}, every {duration_text(fault.every_ns)}" if fault.every_ns else text
