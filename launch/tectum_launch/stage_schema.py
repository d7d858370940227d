"""The keys that say what an encoder is, and on which device models run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from tectum.node.base import NodeConfig

__all__ = ["DeviceConfig", "Encoder", "StageConfig"]


def _stage(value: Any) -> Any:
    if isinstance(value, str):
        return {"models": [value]}
    if isinstance(value, list):
        return {"models": value}
    if isinstance(value, dict) and isinstance(value.get("run"), str):
        return {"run": value["run"], "parameters": {k: v for k, v in value.items() if k != "run"}}
    msg = (
        f"{value!r} is not an encoder: write a model's name, a list of names (each takes what the "
        "one before gives), or {run: package.module:Class}"
    )
    raise ValueError(msg)


class StageConfig(NodeConfig):
    """An encoder: models in a row, or a callable of the user's own."""

    models: tuple[str, ...] = ()
    """Names (`tectum models list`) or folders; each takes what the one before it gives."""
    run: str = ""
    """`package.module:Class`, instead of models."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """What that class is made with."""


class _Callable(BaseModel):
    run: str


Encoder = Annotated[
    StageConfig, BeforeValidator(_stage, json_schema_input_type=str | list[str] | _Callable)
]
"""A model's name, a list of names, or {run: package.module:Class}."""


DeviceName = Literal["tensorrt", "cuda", "webgpu", "cpu"]


class DeviceConfig(NodeConfig):
    """Where models run, and with how many threads each."""

    prefer: tuple[DeviceName, ...] = ("tensorrt", "cuda", "cpu")
    """The first that can be used is; where none can, the CPU."""
    require: Literal["", "gpu", DeviceName] = ""
    """Refuse to run elsewhere: on `gpu`, one of the preferred devices that is not the CPU, or on
    the device named."""
    options: dict[DeviceName, dict[str, str | int | float | bool]] = Field(default_factory=dict)
    """Device -> options passed on to its provider of ONNX Runtime, as they are."""
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Threads of one model; more than one costs the other models their time."""
    spinning: bool = False
    """Wait for work on a busy core: a little faster, at the cost of that core."""
