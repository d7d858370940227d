"""What a launch says in the terminal: lines of all nodes in one stream, each with its node's name.

Lines go to stderr, so that a command's own output can be piped. Colours only where a terminal is.
"""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from tectum.clock import NS_PER_S, Clock

__all__ = ["Terminal"]

COLOURS = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan", "bright_magenta")
STYLES = {"warning": "yellow", "error": "bold red", "critical": "bold red", "debug": "dim"}


class Terminal:
    """Prints lines of nodes; `say` is what a `Supervisor` calls."""

    def __init__(
        self, nodes: tuple[str, ...], clock: Clock, console: Console | None = None
    ) -> None:
        """Begin to count seconds now."""
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._clock, self._since_ns = clock, clock.now_ns()
        self._width = max((len(name) for name in nodes), default=0)
        self._colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(nodes)}
        self._held: list[Text] | None = None

    def hold(self) -> None:
        """Keep lines back from now on: the terminal is lent to a console."""
        self._held = []

    def release(self) -> None:
        """Print what was held back, and every further line at once."""
        held, self._held = self._held or [], None
        for line in held:
            self._console.print(line)

    def say(self, node: str, level: str, text: str) -> None:
        """Print one line of `node`; an empty name is the launcher itself."""
        seconds = (self._clock.now_ns() - self._since_ns) / NS_PER_S
        line = Text(f"{seconds:7.2f} ", style="dim")
        line.append(f"{node or 'tectum':<{self._width}} ", style=self._colours.get(node, "bold"))
        line.append("| ", style="dim")
        line.append(text, style=STYLES.get(level, ""))
        if self._held is None:
            self._console.print(line)
        else:
            self._held.append(line)
