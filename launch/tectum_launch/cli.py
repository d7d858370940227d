"""The command line: `tectum COMMAND`. Each command is a file in `commands/`.

Start-up stays light: commands import what they need when they run. An error that Tectum raises on
purpose becomes one clear line on stderr, never a traceback; the exit code is 2 where nothing was
started because a graph, option or environment is wrong, else 1.
"""

from __future__ import annotations

import logging
from typing import Any

import click

from tectum import __version__
from tectum.errors import ConfigError, TectumError
from tectum_launch.commands.check import check
from tectum_launch.commands.demo import demo
from tectum_launch.commands.doctor import doctor
from tectum_launch.commands.eval_ import eval_
from tectum_launch.commands.graph import graph
from tectum_launch.commands.import_ import import_
from tectum_launch.commands.keys import keys
from tectum_launch.commands.launch import launch
from tectum_launch.commands.log import log
from tectum_launch.commands.models import models
from tectum_launch.commands.new import new
from tectum_launch.commands.nodes import nodes
from tectum_launch.commands.playback import playback
from tectum_launch.commands.record import record
from tectum_launch.commands.replay import replay
from tectum_launch.commands.schema import schema
from tectum_launch.commands.topics import echo, hz, topics
from tectum_launch.commands.trace import trace
from tectum_launch.commands.view import view
from tectum_launch.commands.why import why

__all__ = ["main"]


class TectumGroup(click.Group):
    """A group that says errors in one line and lists commands in the order of use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which they were added."""
        del ctx
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; end with its error's line and exit code."""
        try:
            return super().invoke(ctx)
        except TectumError as error:
            for line in str(error).splitlines():
                click.echo(f"tectum: {line}", err=True)
            ctx.exit(2 if isinstance(error, ConfigError) else 1)


@click.group(cls=TectumGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tectum")
def main() -> None:
    """Streaming real-time sensor fusion: aligned and on time, with a reason where it is not."""
    logging.basicConfig(format="tectum: %(message)s", level=logging.WARNING)


COMMANDS = (
    demo, doctor, new, launch, check, graph, topics, echo, hz, record, replay, playback, view, why,
    trace, eval_, log, import_, models, nodes, keys, schema,
)  # fmt: skip
for command in COMMANDS:
    main.add_command(command)
