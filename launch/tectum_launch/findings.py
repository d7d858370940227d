"""Findings: what is wrong, or doubtful, in a description; collected, never raised one by one.

A finding names the place (file, line, column), the key path, the value found, what is allowed and
the nearest known name. A `GraphError` carries all findings of a description at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tectum.errors import ConfigError, nearest_name

__all__ = ["Finding", "GraphError", "KeyPath", "Place", "allowed_names", "path_text"]

KeyPath = tuple[str | int, ...]
"""Where a value sits in a description: `("nodes", "camera", "rate")`; list items by number."""


def path_text(path: KeyPath) -> str:
    """Return `path` as people write it: `nodes.recorder.topics[1]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def allowed_names(wrong: object, known: Iterable[str]) -> str:
    """Return `"; allowed: a, b; did you mean 'a'?"`, with a long list cut short."""
    names = list(known)
    shown = ", ".join(names[:16]) + (", ..." if len(names) > 16 else "")
    return f"; allowed: {shown or 'nothing'}{nearest_name(str(wrong), names)}"


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file, lines and columns from 1; line 0: the source has no lines."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """Return `file:line:column`."""
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong (`error`) or doubtful (`warning`) in a description."""

    place: Place
    path: KeyPath
    message: str
    value: Any = None
    level: str = "error"

    @property
    def text(self) -> str:
        """Return the one line that a person reads."""
        key = path_text(self.path)
        return f"{self.place}: {key}: {self.message}" if key else f"{self.place}: {self.message}"

    def document(self) -> dict[str, Any]:
        """Return the finding as plain data for `--json`."""
        return {
            "level": self.level,
            "file": self.place.source,
            "line": self.place.line,
            "column": self.place.column,
            "key": path_text(self.path),
            "value": self.value,
            "message": self.message,
        }


@dataclass(eq=False)
class GraphError(ConfigError):
    """A description with at least one error in it; `str()` is one line per finding."""

    findings: list[Finding] = field(default_factory=list)

    def __str__(self) -> str:
        """Return one line per finding, in the order of the file."""
        return "\n".join(finding.text for finding in self.findings)
