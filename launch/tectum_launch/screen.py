"""Who has the terminal: the launcher, or a console node of the graph to which it is lent.

While a console draws, lines of the nodes are held back, since two writers would spoil each other's
picture; they are printed when the terminal comes back. Without a terminal (a pipe, a CI job, the
simplest of terminals) nothing is lent, and the console says lines like every other node.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tectum_launch.graph import Graph
from tectum_launch.registry import SHIPPED
from tectum_launch.terminal import Terminal

__all__ = ["lent_terminal"]

TERMINAL = "TECTUM_TERMINAL"
"""As in `tectum_nodes.console`."""
_SHOW_CURSOR = "\x1b[?25h"
"""A console that was killed cannot give the cursor back."""


@contextmanager
def lent_terminal(graph: Graph, terminal: Terminal) -> Iterator[None]:
    """Lend the terminal to the console of `graph`, where it has one and there is a terminal."""
    path = _path() if any(node.target == SHIPPED["console"] for node in graph.nodes) else ""
    if not path:
        yield
        return
    os.environ[TERMINAL] = path
    terminal.hold()
    try:
        yield
    finally:
        del os.environ[TERMINAL]
        sys.stderr.write(_SHOW_CURSOR)
        sys.stderr.flush()
        terminal.release()


def _path() -> str:
    """Return the path of the terminal on stderr; empty where there is none that can be drawn on."""
    if os.environ.get("TERM", "dumb") == "dumb" or not sys.stderr.isatty():
        return ""
    try:
        return os.ttyname(sys.stderr.fileno())
    except OSError:
        return ""
