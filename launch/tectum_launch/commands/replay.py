"""`tectum replay`: a recording again, to verify, to simulate or to play."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from tectum_launch.commands.check import set_option
from tectum_launch.commands.launch import (
    duration_option,
    faults_option,
    parse_duration,
    playing,
    playing_options,
)

__all__ = ["replay"]

_file = click.Path(dir_okay=False, path_type=Path)


@click.command(short_help="Verify, simulate or play a recording.")
@click.argument("log", type=click.Path(path_type=Path))
@click.argument("graph", required=False)
@click.option(
    "--mode", type=click.Choice(["verify", "simulate", "play"]), default="verify",
    help="verify: the recorded decisions come out again; simulate: decide anew, on the recorded "
    "arrivals and durations; play: publish to live nodes, at the pace of the clock.",
)  # fmt: skip
@set_option
@click.option(
    "--cost", "costs", multiple=True, metavar="STAGE=TIME",
    help="simulate: how long a stage takes, instead of what was recorded. May be repeated.",
)  # fmt: skip
@faults_option
@click.option(
    "--against", metavar="OTHER", default="",
    help="What if: simulate OTHER too, a graph, and show what it decides otherwise.",
)  # fmt: skip
@click.option(
    "--against-set", "against_settings", multiple=True, metavar="KEY=VALUE",
    help="Put a value into OTHER; without --against, OTHER is GRAPH and this. May be repeated.",
)  # fmt: skip
@click.option(
    "--against-cost", "against_costs", multiple=True, metavar="STAGE=TIME",
    help="How long a stage takes in OTHER. May be repeated.",
)  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="--against: every trigger that differs.")
@playing_options
@duration_option
@click.option("--report", type=_file, metavar="FILE", help="Write the report as JSON.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON on stdout.")
@click.pass_context
def replay(
    ctx: click.Context,
    log: Path,
    graph: str | None,
    mode: str,
    settings: tuple[str, ...],
    costs: tuple[str, ...],
    faults: str,
    against: str,
    against_settings: tuple[str, ...],
    against_costs: tuple[str, ...],
    rate: float | None,
    start: str | None,
    end: str | None,
    duration: str | None,
    report: Path | None,
    *,
    loop: bool,
    paused: bool,
    everything: bool,
    as_json: bool,
) -> None:
    """Run LOG again: a file, the name of a series of files, or a folder with one recording.

    GRAPH is the graph to simulate or play it through; default: the one that was recorded.
    With --against or --against-set both graphs are simulated and their decisions compared.
    """
    compares = bool(against or against_settings or against_costs)
    if compares and mode != "simulate":
        if ctx.get_parameter_source("mode") is not ParameterSource.DEFAULT:
            msg = f"--against simulates both graphs: leave out --mode {mode}"
            raise click.UsageError(msg)
        mode = "simulate"
    if mode == "verify" and faults:
        msg = f"--faults {faults}: what was decided cannot be changed; use --mode simulate or play"
        raise click.UsageError(msg)
    played = playing(rate=rate, start=start, end=end, loop=loop, paused=paused)
    allowed = {"play": set(played), "simulate": set() if compares else {"rate"}}
    refused = [key for key in played if key not in allowed.get(mode, ())]
    if refused:
        msg = f"--{refused[0]} says how a recording is played: use it with --mode play"
        raise click.UsageError(msg)
    if compares:
        other = _Asked(against or graph, against_settings, against_costs)
        if not against:
            other = _Asked(graph, (*settings, *against_settings), (*costs, *against_costs))
        asked = _Asked(graph, settings, costs)
        text, document, code = _compare(log, asked, other, faults, everything=everything)
    elif mode == "verify":
        text, document, code = _verify(log)
    elif mode == "simulate":
        text, document, code = _simulate(log, graph, settings, costs, faults, rate)
    else:
        text, document, code = _play(log, graph, settings, played, duration, faults)
    if report:
        report.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    click.echo(json.dumps(document, indent=1) if as_json else text)
    ctx.exit(code)


def _verify(log: Path) -> tuple[str, dict[str, Any], int]:
    from tectum.recording.replay import verify_log  # noqa: PLC0415 - start-up of the command line
    from tectum_launch.replay import life_document, life_text  # noqa: PLC0415

    report = verify_log(log)
    document = {
        "mode": "verify",
        "log": str(log),
        "ok": report.ok,
        "complaints": list(report.complaints),
        "fusion": [life_document(life) for life in report.lives],
    }
    text = "\n".join([*map(life_text, report.lives), *(f"! {text}" for text in report.complaints)])
    return text, document, 0 if report.ok else 1


def _simulate(
    log: Path,
    name: str | None,
    settings: tuple[str, ...],
    costs: tuple[str, ...],
    faults: str,
    rate: float | None,
) -> tuple[str, dict[str, Any], int]:
    from tectum_launch.assertions import judge  # noqa: PLC0415 - start-up of the command line
    from tectum_launch.compile import load_graph  # noqa: PLC0415
    from tectum_launch.fault_plan import FaultPlan  # noqa: PLC0415
    from tectum_launch.replay import parse_costs, recorded_faults, simulated  # noqa: PLC0415
    from tectum_launch.report import assertion_lines, fusion_text, merged_fusion  # noqa: PLC0415

    durations = parse_costs(costs)
    graph, plan = load_graph(name, settings, faults=faults) if name else None, FaultPlan()
    if graph is not None:
        plan = graph.faults
    elif faults:
        plan = recorded_faults(log, faults)
    simulations = simulated(log, graph, durations, plan, rate=rate)
    fusion = {name: found.report for name, found in simulations.items()}
    verdicts = judge(plan, fusion, list(fusion))
    assertions = [verdict.document() for verdict in verdicts]
    document = {
        "mode": "simulate",
        "log": str(log),
        **merged_fusion(fusion),
        "fusion": fusion,
        "faults": [dict(record) for record in plan.records],
        "assertions": assertions,
    }
    lines = [line for name, found in fusion.items() for line in fusion_text(name, found)]
    digests = [f"{name}: digest {found['decisions_sha256']}" for name, found in fusion.items()]
    left = (
        [f"left out, as nothing lives here: {', '.join(plan.live_only)}"] if plan.live_only else []
    )
    doubts = [f"! {text}" for item in simulations.values() for text in item.doubts()]
    text = "\n".join([*lines, *digests, *doubts, *left, *assertion_lines(assertions)])
    return text, document, 0 if all(verdict.ok for verdict in verdicts) else 1


class _Asked(NamedTuple):
    """One side of a comparison, as the command line has it."""

    graph: str | None
    settings: tuple[str, ...]
    costs: tuple[str, ...]

    def title(self, log: Path) -> str:
        graph = self.graph or f"the plan in {log}"
        return ", ".join([graph, *self.settings, *(f"cost {cost}" for cost in self.costs)])


def _compare(
    log: Path, asked: _Asked, other: _Asked, faults: str, *, everything: bool
) -> tuple[str, dict[str, Any], int]:
    from tectum_launch.compile import load_graph  # noqa: PLC0415 - start-up of the command line
    from tectum_launch.fault_plan import FaultPlan  # noqa: PLC0415
    from tectum_launch.replay import parse_costs, recorded_faults  # noqa: PLC0415
    from tectum_launch.session import recorded_graph  # noqa: PLC0415
    from tectum_launch.what_if import Side, what_if  # noqa: PLC0415
    from tectum_launch.what_if_text import what_if_text  # noqa: PLC0415

    sides = []
    for item in (asked, other):
        name = item.graph or (recorded_graph(log) if item.settings else None)
        graph = load_graph(name, item.settings, faults=faults) if name else None
        plan = graph.faults if graph else recorded_faults(log, faults) if faults else FaultPlan()
        title = item._replace(graph=name).title(log)
        sides.append(Side(title, graph, parse_costs(item.costs), plan))
    found = what_if(log, *sides)
    return what_if_text(found, everything=everything), found.document(), 0


def _play(
    log: Path,
    graph: str | None,
    settings: tuple[str, ...],
    played: dict[str, Any],
    duration: str | None,
    faults: str,
) -> tuple[str, dict[str, Any], int]:
    from tectum_launch.report import report_text  # noqa: PLC0415 - start-up of the command line
    from tectum_launch.session import Session, recorded_graph, run_session  # noqa: PLC0415

    session = Session(
        graph or recorded_graph(log),
        settings,
        duration_ns=parse_duration(duration),
        replay=str(log),
        playing=played,
        faults=faults,
    )
    launched = run_session(session)
    return report_text(launched.report), launched.report, launched.exit_code
