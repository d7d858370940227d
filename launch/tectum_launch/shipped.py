"""The graphs that come with Tectum, and the faults to try them with, found by name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from tectum.errors import ConfigError
from tectum_launch.findings import allowed_names

__all__ = ["find_faults", "find_graph", "shipped_faults", "shipped_graphs"]


def shipped_graphs() -> dict[str, Path]:
    """Return the graphs that come with Tectum, by name."""
    return _shipped("graphs")


def shipped_faults() -> dict[str, Path]:
    """Return the files of faults that come with Tectum, by the name of the graph they are for."""
    return _shipped("graphs/faults")


def find_graph(name: str) -> Path:
    """Return the file of a shipped graph, or `name` itself where it is a path.

    Raises:
        ConfigError: it is neither.
    """
    return _found(name, shipped_graphs(), "graph")


def find_faults(name: str) -> Path:
    """Return the shipped file of faults called `name`, or `name` itself where it is a path.

    Raises:
        ConfigError: it is neither.
    """
    return _found(name, shipped_faults(), "faults")


def _shipped(folder: str) -> dict[str, Path]:
    path = Path(str(files("tectum_launch") / folder))
    return {file.stem: file for file in sorted(path.glob("*.yaml"))}


def _found(name: str, shipped: dict[str, Path], what: str) -> Path:
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if name in shipped:
        return shipped[name]
    msg = f"there is no {what} file {name!r}, nor a shipped {what} of that name"
    raise ConfigError(msg + allowed_names(name, shipped))
