"""Field types for node configurations: durations, rates and sizes with units, as people write them.

Values from a graph file are text (`40ms`, `30Hz`); a bare number is refused. They become integer
nanoseconds or bytes, and float hertz, and are written back as text, so that an effective graph can
be read again.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from tectum.errors import ConfigError
from tectum.units import parse_duration_ns, parse_rate_hz, parse_size

__all__ = ["Duration", "Rate", "Size"]


def _duration(value: object) -> int:
    try:
        return parse_duration_ns(value)
    except ConfigError as error:
        raise ValueError(str(error)) from None


def _rate(value: object) -> float:
    try:
        return parse_rate_hz(value)
    except ConfigError as error:
        raise ValueError(str(error)) from None


def _size(value: object) -> int:
    try:
        return parse_size(value)
    except ConfigError as error:
        raise ValueError(str(error)) from None


Duration = Annotated[
    int,
    BeforeValidator(_duration),
    PlainSerializer(lambda ns: f"{ns}ns", return_type=str),
    WithJsonSchema({"type": "string", "examples": ["40ms", "1.5s"]}),
]
"""Nanoseconds; written `40ms`. Defaults are integers."""

Rate = Annotated[
    float,
    BeforeValidator(_rate),
    PlainSerializer(lambda hz: f"{hz:.9g}Hz", return_type=str),
    WithJsonSchema({"type": "string", "examples": ["30Hz", "16kHz"]}),
]
"""Hertz; written `30Hz`. Defaults are floats."""

Size = Annotated[
    int,
    BeforeValidator(_size),
    PlainSerializer(lambda size: f"{size}B", return_type=str),
    WithJsonSchema({"type": "string", "examples": ["256MB", "1.5GB"]}),
]
"""Bytes; written `256MB`. Defaults are integers."""
