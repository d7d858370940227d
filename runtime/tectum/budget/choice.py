"""A choice: how one set is to be computed. Plain data, made by the planner."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Choice"]


class Choice(NamedTuple):
    """How one set is to be computed: per input the variant's index, what is cached or left out."""

    variants: tuple[int, ...]
    head_variant: int
    cached: tuple[int, ...] = ()
    left_out: tuple[int, ...] = ()
