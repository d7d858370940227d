"""The graphs that come with Tectum, found by name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from tectum.errors import ConfigError
from tectum_launch.findings import allowed_names

__all__ = ["find_graph", "shipped_graphs"]


def shipped_graphs() -> dict[str, Path]:
    """Return the graphs that come with Tectum, by name."""
    folder = Path(str(files("tectum_launch") / "graphs"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_graph(name: str) -> Path:
    """Return the file of a shipped graph, or `name` itself where it is a path.

    Raises:
        ConfigError: it is neither.
    """
    shipped = shipped_graphs()
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if name in shipped:
        return shipped[name]
    msg = f"there is no graph file {name!r}, nor a shipped graph of that name"
    raise ConfigError(msg + allowed_names(name, shipped))
