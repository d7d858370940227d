"""The keys about a node's process: how it is brought back, when it hangs, where it runs.

`restart`, `hang`, `cpu`, `nice`, `realtime`. Plain data; `supervision` decides by them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from tectum.node.base import NodeConfig
from tectum.node.fields import Duration
from tectum_launch.members import HangRule, RestartRule

__all__ = ["Cores", "HangConfig", "RestartConfig"]

_HANG, _RESTART = HangRule(), RestartRule()
PositiveDuration = Annotated[Duration, Field(gt=0)]


class RestartConfig(NodeConfig):
    """How a node is brought back whose `on_exit` is `restart`."""

    first: PositiveDuration = _RESTART.first_ns
    """Before the first restart; doubled each time."""
    longest: PositiveDuration = _RESTART.longest_ns
    """Never longer than this."""
    steady: PositiveDuration = _RESTART.steady_ns
    """A node that has run so long starts anew with the first wait."""
    most: Annotated[int, Field(ge=0)] = _RESTART.most
    """Restarts within `within` before it is given up; 0: it never is."""
    within: PositiveDuration = _RESTART.within_ns
    """The window in which restarts are counted."""

    def rule(self) -> RestartRule:
        """Return it as supervision reads it."""
        return RestartRule(self.first, self.longest, self.steady, self.most, self.within)


class HangConfig(NodeConfig):
    """When a node hangs, and what becomes of it."""

    after: PositiveDuration = _HANG.after_ns
    """So long without a sign of life from its loop."""
    then: Literal["end", "warn", "nothing"] | None = None
    """End its process (asked, SIGTERM, SIGKILL), say it, or neither; default: end it where
    `on_exit` is `restart`, else say it."""

    def rule(self, on_exit: str) -> HangRule:
        """Return it as supervision reads it."""
        then = self.then or ("end" if on_exit == "restart" else "warn")
        return HangRule(0 if then == "nothing" else self.after, then == "end")


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, int) else value


Cores = Annotated[
    tuple[Annotated[int, Field(ge=0, le=4095)], ...],
    BeforeValidator(_listed, json_schema_input_type=int | list[int]),
    Field(min_length=1),
]
"""Numbers of cores: 2, or [2, 3]."""
