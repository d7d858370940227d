"""The keys of a graph file, outside its nodes' own configurations.

Plain data: what they mean together is for `compile`. Unknown keys fail at every depth.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from tectum.errors import ConfigError
from tectum.node.base import NodeConfig
from tectum.node.fields import Duration
from tectum.units import parse_duration_ns
from tectum_launch.faults_schema import AssertConfig, FaultConfig
from tectum_launch.process_schema import Cores, HangConfig, RestartConfig

__all__ = ["Budget", "EntryConfig", "GraphConfig", "Name", "PositiveDuration", "only_one"]

DEFAULT_QUALITY = 90

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]
"""A name that people choose: letters, digits, `_`, `-`; it becomes part of topics and files."""

PositiveDuration = Annotated[Duration, Field(gt=0)]
"""A duration longer than nothing."""


def _budget(value: Any) -> int:
    if value == "none":
        return 0
    try:
        budget_ns = parse_duration_ns(value)
    except ConfigError as error:
        msg = f"{error}; or none, where every trigger may take as long as it needs"
        raise ValueError(msg) from None
    if budget_ns <= 0:
        msg = f"{value!r} leaves no time: write a positive duration such as 100ms, or none"
        raise ValueError(msg)
    return budget_ns


Budget = Annotated[int, BeforeValidator(_budget, json_schema_input_type=str)]
"""Nanoseconds; 0 where the file says `none`: every trigger is taken to its best alignment."""


def only_one(config: NodeConfig, names: tuple[str, ...], what: str) -> str:
    """Return which of the keys `names` is given.

    Raises:
        ValueError: none is, or more than one.
    """
    given = [name for name in names if getattr(config, name) not in (None, "")]
    if len(given) == 1:
        return given[0]
    msg = f"{what} takes exactly one of {', '.join(names)}; found {', '.join(given) or 'none'}"
    raise ValueError(msg)


class EntryConfig(NodeConfig):
    """The keys that every node of a graph has, whatever it runs."""

    run: str
    """A registered name (`tectum nodes list`), or `package.module:Class`."""
    process: Name | None = None
    """Nodes with the same name here share one process; default: a process of its own."""
    on_exit: Literal["stop", "continue", "restart"] | None = None
    """What its end means: stop the graph, go on without it, or bring it back."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables for its process."""
    restart: RestartConfig | None = None
    """How often and when it is brought back, where `on_exit` is `restart`."""
    hang: HangConfig = Field(default_factory=HangConfig)
    """When its loop hangs, and what becomes of it then."""
    cpu: Cores | None = None
    """Which cores its process runs on: 2, or [2, 3]."""
    nice: Annotated[int, Field(ge=-20, le=19)] | None = None
    """How willingly its process yields: -20 (urgent) to 19."""
    realtime: Annotated[int, Field(ge=1, le=99)] | None = None
    """Priority of its process before all that is not real-time (SCHED_FIFO), 1 to 99."""
    host: Name | None = None
    """Which of the graph's `hosts` it runs on; default: the first."""


class LinkConfig(NodeConfig):
    """How a topic goes to other hosts."""

    jpeg: Annotated[int, Field(ge=1, le=100)]
    """Quality of its pictures, 1 to 100, as JPEG."""


def _link(value: Any) -> Any:
    return {"jpeg": DEFAULT_QUALITY} if value == "jpeg" else value


Link = Annotated[
    LinkConfig, BeforeValidator(_link, json_schema_input_type=LinkConfig | Literal["jpeg"])
]
"""How a topic goes to other hosts; the name alone for the usual quality."""


class GraphConfig(NodeConfig):
    """The top level of a graph file."""

    graph: Name
    """The graph's name."""
    budget: Budget | None = None
    """From the end of the trigger's capture to the delivered result; `none` for offline work."""
    rig: str | dict[str, Any] | None = None
    """Calibration of the sensors: a file beside this one, or the same keys in place."""
    hosts: dict[Name, str] = Field(default_factory=dict)
    """Host name -> its numeric address; each launches the graph with `--host NAME`."""
    port: Annotated[int, Field(ge=1024, le=60_000)] = 7400
    """First of the ports at which hosts reach each other, one and one more per node."""
    links: dict[str, Link] = Field(default_factory=dict)
    """Topic -> how it goes to other hosts: {camera/image: jpeg}, or {jpeg: 80} for its quality;
    default: as it is."""
    insecure: bool = False
    """Let hosts speak without encryption to whoever answers. For networks of your own only."""
    faults: tuple[FaultConfig, ...] = ()
    """What goes wrong on purpose."""
    checks: AssertConfig | None = Field(default=None, alias="assert")
    """What must hold when the run is over; else the launch fails."""
    nodes: dict[Name, dict[str, Any]]
    """Node name -> what it runs and its configuration."""
