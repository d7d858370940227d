"""What a launch says in the terminal: lines of all nodes in one stream, each with its node's name.

    seconds since the launch, on the graph clock; D, W, E or C where it is no mere information
       4.67 W camera | nothing for 200 ms

Lines go to stderr, so that a command's own output can be piped. Colours only where a terminal is.
For machines they are JSON, an object a line: `graph_ns` (the graph clock), `seconds` (as above),
`node` (empty: the launcher), `level` (debug, info, warning, error, critical), `text`.
"""

from __future__ import annotations

import json

from rich.console import Console
from rich.text import Text

from tectum.clock import NS_PER_S, Clock

__all__ = ["JsonTerminal", "Terminal"]

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
        line = self._line(self._clock.now_ns(), node, level, text)
        if self._held is None:
            self._console.print(line)
        else:
            self._held.append(line)

    def _line(self, now_ns: int, node: str, level: str, text: str) -> Text:
        line = Text(f"{(now_ns - self._since_ns) / NS_PER_S:7.2f} ", style="dim")
        letter = "" if level == "info" else level[:1].upper()
        line.append(f"{letter:1} ", style=STYLES.get(level, ""))
        line.append(f"{node or 'tectum':<{self._width}} ", style=self._colours.get(node, "bold"))
        line.append("| ", style="dim")
        line.append(text, style=STYLES.get(level, ""))
        return line


class JsonTerminal(Terminal):
    """Says the same as JSON, an object a line."""

    def _line(self, now_ns: int, node: str, level: str, text: str) -> Text:
        seconds = round((now_ns - self._since_ns) / NS_PER_S, 6)
        document = {"graph_ns": now_ns, "seconds": seconds, "node": node, "level": level}
        return Text(json.dumps({**document, "text": text}, ensure_ascii=False))
