"""`tectum check`: prove a graph's wiring, models and timing without starting it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tectum_launch.checks.costs import Costs
    from tectum_launch.findings import Finding
    from tectum_launch.graph import Graph

__all__ = ["check", "set_option"]

_file = click.Path(dir_okay=False, path_type=Path)

set_option = click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE",
    help="Put a value into the graph: nodes.camera.rate=15Hz. May be repeated.",
)  # fmt: skip


@click.command(short_help="Prove a graph before it is started.")
@click.argument("graph")
@set_option
@click.option("--assume", type=_file, metavar="FILE", help="What runs and transport cost, measured "
              "elsewhere; default: what the models' manifests claim.")  # fmt: skip
@click.option("--measure", is_flag=True, help="Measure both on this machine, now.")
@click.option("--save", type=_file, metavar="FILE", help="Write what was measured, to be assumed.")
@click.option("--cores", type=click.IntRange(1), help="Of another machine, whose memory is "
              "not known; default: this machine.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Findings as JSON on stdout.")
@click.pass_context
def check(
    ctx: click.Context,
    graph: str,
    settings: tuple[str, ...],
    assume: Path | None,
    save: Path | None,
    cores: int | None,
    *,
    measure: bool,
    as_json: bool,
) -> None:
    """Prove the wiring, the models and the timing of GRAPH without starting anything.

    GRAPH is a file, or the name of a shipped graph. Exit code 2 where there are errors.
    """
    if (assume and measure) or (save and not measure):
        msg = "--save belongs to --measure; --assume and --measure exclude each other"
        raise click.UsageError(msg)
    from tectum_launch.checks import (  # noqa: PLC0415 - start-up of the command line
        Machine,
        check_graph,
        this_machine,
    )
    from tectum_launch.compile import load_graph  # noqa: PLC0415
    from tectum_launch.findings import GraphError  # noqa: PLC0415

    compiled: Graph | None = None
    try:
        compiled = load_graph(graph, settings, cores=cores)
        costs = _costs(compiled, assume, save, measure=measure)
        machine = Machine(cores) if cores else this_machine()
        findings: Sequence[Finding] = check_graph(
            compiled, thorough=True, costs=costs, machine=machine
        )
    except GraphError as error:
        findings, costs = error.findings, {}
    errors = sum(finding.level == "error" for finding in findings)
    if as_json:
        click.echo(json.dumps(_document(graph, findings, errors), indent=1, default=str))
    else:
        _print(graph, compiled, findings, errors)
        source = f"by {assume}" if assume else "measured here" if measure else "by the manifests"
        for line in _timing(compiled, costs, source) if compiled else ():
            click.echo(line)
    ctx.exit(2 if errors else 0)


def _document(graph: str, findings: Sequence[Finding], errors: int) -> dict[str, Any]:
    return {
        "graph": graph,
        "errors": errors,
        "warnings": len(findings) - errors,
        "findings": [finding.document() for finding in findings],
    }


def _print(graph: str, compiled: Graph | None, findings: Sequence[Finding], errors: int) -> None:
    for finding in findings:
        click.echo(f"{finding.level}: {finding.text}", err=finding.level == "error")
    warnings = len(findings) - errors
    counts = f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"
    if compiled is None:
        click.echo(f"{graph}: {counts}")
        return
    topics = len(list(compiled.topics))
    click.echo(f"{graph}: {len(compiled.nodes)} nodes, {topics} topics: {counts}")


def _costs(compiled: Graph, assume: Path | None, save: Path | None, *, measure: bool) -> Costs:
    from tectum_launch.checks.costs import costs_text, read_costs  # noqa: PLC0415 - start-up

    if assume:
        return read_costs(assume, compiled)
    if not measure:
        return {}
    from tectum_launch.checks.measuring import measured_costs  # noqa: PLC0415 - loads the models

    costs = measured_costs(compiled)
    if save:
        save.write_text(costs_text(costs), encoding="utf-8")
    return costs


def _timing(compiled: Graph, costs: Costs, source: str) -> list[str]:
    """Return, per fusion node, what a complete set costs against its budget."""
    from tectum.units import duration_text  # noqa: PLC0415
    from tectum_launch.checks import fusions_of  # noqa: PLC0415
    from tectum_launch.checks.timing import needed_ns  # noqa: PLC0415

    lines = []
    views = [seen for fusion in fusions_of(compiled, costs) for seen in fusion.by_head]
    for fusion in views:
        name = f"{fusion.name}/{fusion.head}" if fusion.head else fusion.name
        ways = max(fusion.costs.transport.values(), default=0)
        before = f", {duration_text(ways)} on its way" if ways else ""
        budget_ns = fusion.plan.budget_ns
        of = f"of {duration_text(budget_ns)}" if budget_ns else "and has no budget"
        cost = duration_text(needed_ns(fusion))
        lines.append(
            f"{name}: a complete set takes {cost} {of} after its last sample{before}, "
            f"{source}, on {fusion.plan.lanes} lane{'s' * (fusion.plan.lanes != 1)}"
        )
    return lines
