"""A commented start for a graph or a node of one's own, that works as it stands."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from tectum.errors import ConfigError

__all__ = ["new_graph", "new_node"]

_MODULE = re.compile(r"[a-z_][a-z0-9_]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def new_graph(path: Path) -> list[Path]:
    """Write a graph to `path`; return what was written.

    Raises:
        ConfigError: the name is no name of a graph, or there is such a file.
    """
    target = path if path.suffix in (".yaml", ".yml") else path.with_name(f"{path.name}.yaml")
    if not _NAME.fullmatch(target.stem):
        msg = f"{target.stem!r} cannot be the name of a graph: letters, digits, `_` and `-`"
        raise ConfigError(msg)
    return _written({target: "graph.yaml.txt"}, name=target.stem, file=str(target))


def new_node(path: Path) -> list[Path]:
    """Write a sensor node to `path` and its test beside it; return what was written.

    Raises:
        ConfigError: the name is no name of a module, or there is such a file.
    """
    target = path if path.suffix == ".py" else path.with_name(f"{path.name}.py")
    module = target.stem
    if not _MODULE.fullmatch(module):
        msg = f"{module!r} cannot be the name of a module: small letters, digits and `_`"
        raise ConfigError(msg)
    title = "".join(part.capitalize() for part in module.split("_"))
    texts = {target: "node.py.txt", target.with_name(f"test_{module}.py"): "test_node.py.txt"}
    return _written(texts, name=module, module=module, title=title)


def _written(texts: dict[Path, str], **names: str) -> list[Path]:
    there = [str(path) for path in texts if path.exists()]
    if there:
        msg = f"{', '.join(there)} exists: choose another name"
        raise ConfigError(msg)
    for path, template in texts.items():
        text = (files("tectum_launch") / "templates" / template).read_text(encoding="utf-8")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.format(**names), encoding="utf-8")
        except OSError as error:
            msg = f"{path} cannot be written: {error.strerror}"
            raise ConfigError(msg) from error
    return list(texts)
