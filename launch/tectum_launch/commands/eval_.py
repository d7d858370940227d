"""`tectum eval`: how good graphs are on recordings, and what is left when something is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tectum_launch.commands.check import set_option
from tectum_launch.evaluation.groups import GROUPS

if TYPE_CHECKING:
    from tectum_launch.evaluation.summary import Found

__all__ = ["eval_"]

_path = click.Path(path_type=Path)


@click.command("eval", short_help="Score graphs on recordings with known truth.")
@click.argument("logs", nargs=-1, required=True, type=_path, metavar="LOG...")
@click.option("--graph", "graphs", multiple=True, required=True, metavar="GRAPH",
              help="A file or a shipped graph; several are compared.")  # fmt: skip
@set_option
@click.option(
    "--truth", default="", metavar="TOPIC|CSV",
    help="A topic of tensors named like outputs, or a table: start, end (seconds), label. "
    "Default: the topic */truth.",
)  # fmt: skip
@click.option(
    "--node",
    default="",
    help="The fusion node, or NODE/HEAD of several heads; default: the only one.",
)
@click.option("--try", "tried", multiple=True, type=click.Choice([*GROUPS, "all"]),
              help="Beside the graph as it is: fewer sensors, faults of rising strength, wrong "
              "stamps, other budgets. Default: modalities.")  # fmt: skip
@click.option("--claimed", is_flag=True, help="Models take what their manifests claim; default: "
              "what they took in the recorded run.")  # fmt: skip
@click.option("--workers", default=0, help="Processes at a time; default: one per core.")
@click.option("--json", "file", type=_path, metavar="FILE", help="Write everything as JSON.")
@click.option("--plots", type=_path, metavar="DIR", help="Write plots: score against budget, "
              "offset, and missing sensors.")  # fmt: skip
def eval_(
    logs: tuple[Path, ...],
    graphs: tuple[str, ...],
    settings: tuple[str, ...],
    truth: str,
    node: str,
    tried: tuple[str, ...],
    workers: int,
    file: Path | None,
    plots: Path | None,
    *,
    claimed: bool,
) -> None:
    """Run each GRAPH over each LOG in virtual time, and compare its answers with the truth.

    Streaming accuracy scores every moment with the answer that was there by then, so latency
    costs; offline accuracy scores each answer at the moment that it is about.
    """
    from rich.console import Console  # noqa: PLC0415 - start-up of the command line
    from rich.progress import Progress  # noqa: PLC0415

    from tectum_launch.evaluation.evaluator import Evaluation, evaluate  # noqa: PLC0415
    from tectum_launch.evaluation.summary import summary_document  # noqa: PLC0415

    groups = GROUPS if "all" in tried else tuple(dict.fromkeys(tried)) or ("modalities",)
    evaluation = Evaluation(logs, graphs, settings, truth, node, groups, claimed, workers)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("evaluating", total=None)
        found = evaluate(
            evaluation, lambda done, of: progress.update(bar, completed=done, total=of)
        )
    document = summary_document(found, [str(log) for log in logs], truth)
    if file:
        file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if plots:
        from tectum_launch.evaluation.plots import write_plots  # noqa: PLC0415 - needs OpenCV

        for path in write_plots(document, plots):
            click.echo(f"drawn: {path}", err=True)
    _print_tables(found)
    if not any(tried_of[0][1].scores.streaming for tried_of in found.values()):
        click.echo("nothing was scored: no output has the name and shape of something in the truth")


def _print_tables(found: Found) -> None:
    from rich.console import Console  # noqa: PLC0415 - start-up of the command line
    from rich.table import Table  # noqa: PLC0415

    from tectum_launch.evaluation.summary import summary_tables  # noqa: PLC0415

    console = Console(width=None if Console().is_terminal else 150)
    for title, columns, rows in summary_tables(found):
        table = Table(title=title, title_justify="left")
        for index, column in enumerate(columns):
            table.add_column(column, justify="left" if index < 2 else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
