"""The key `accept`: which combinations of inputs give an answer."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from tectum.node.base import NodeConfig

__all__ = ["Accept", "Combination"]


class Combination(NodeConfig):
    """An accepted combination of inputs: of each group or input, at least so many."""

    at_least: dict[str, Annotated[int, Field(ge=1)]]
    """Name of an input or of a group -> how many must be present."""


def _combination(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return {"at_least": dict.fromkeys(value, 1)}
    return value


Accepted = Annotated[
    Combination, BeforeValidator(_combination, json_schema_input_type=Combination | list[str])
]
"""A combination, or the list of its inputs."""


def _accept(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


Accept = Annotated[
    tuple[Accepted, ...],
    BeforeValidator(_accept, json_schema_input_type=tuple[Accepted, ...] | Combination),
]
"""Combinations, best first, or the only one."""
