"""What a node is: a class with a typed configuration, named outputs, and `open`, `run`, `close`.

A node lives in a process of its own (or shares one where the graph says so). The host process
calls `open` (acquire, or raise a TectumError with the way out), reports *ready*, waits for the
launcher's start, calls `run` until it returns or `context.stopping`, then `close`. All methods are
called from the loop thread. A `SensorNode` is given its loop: it only says what it captures, in
`captures`, which runs in a reader thread of its own. Nodes never read the machine's clock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from logging import Logger, LoggerAdapter
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from tectum.clock import Clock
from tectum.message import AnyArray, Kind, Value

if TYPE_CHECKING:
    from tectum.transport.base import Subscriber
    from tectum.transport.joining import Delivery

__all__ = ["Announcement", "Capture", "Context", "Node", "NodeConfig", "Restart", "SensorNode"]


class NodeConfig(BaseModel):
    """Base of every node's configuration: unknown keys fail, a docstring under each field.

    Durations and rates are declared with the types of `tectum.node.fields` (`Duration`, `Rate`),
    which read `40ms` and `30Hz`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


@dataclass(frozen=True, slots=True)
class Capture:
    """One thing that a sensor captured, to be published on `output`. Times on the graph clock."""

    output: str
    kind: Kind
    arrays: tuple[AnyArray, ...]
    stamp_ns: int
    span_ns: int = 0
    error_ns: int = 0
    frame_id: str = ""
    fields: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Announcement:
    """Nothing with a stamp before `stamp_ns` follows on `output`.

    `begun`: a capture with exactly this stamp has started, so that a set can open before its
    trigger arrives.
    """

    output: str
    stamp_ns: int
    begun: bool = True


@dataclass(frozen=True, slots=True)
class Restart:
    """What a sensor node yields next does not go on where it was: it begins a new life.

    As if its process had been restarted, on the same clock: sequence numbers begin anew, and who
    hears it lets go of what belonged to the former life (the state of encoders, the rest of a hop).
    """


class Context(Protocol):
    """What the host process gives a node. `publish` and `latch` are for the loop thread only."""

    name: str
    """The node's name in the graph."""
    clock: Clock
    epoch_ns: int
    """When the run began, on the graph clock: the same for every node of the run."""
    log: LoggerAdapter[Logger]
    folder: Path
    """The run's directory."""
    run: Mapping[str, Any]
    """`run.json`: effective graph, clock offset, process ids, endpoints, topics."""

    @property
    def stopping(self) -> bool:
        """Return whether the graph is being stopped: `run` should return soon."""
        ...

    def publish(
        self,
        output: str,
        kind: Kind,
        arrays: tuple[AnyArray, ...] = (),
        *,
        stamp_ns: int,
        span_ns: int = 0,
        error_ns: int = 0,
        frame_id: str = "",
        fields: Mapping[str, Value] | None = None,
    ) -> None:
        """Send one message on `name/output` to all who subscribed."""
        ...

    def loan(self, output: str, dtype: str, shape: tuple[int, ...]) -> AnyArray:
        """Return a writable array to fill, and then to publish as the only array of one message.

        Where payloads travel in shared memory it lies there, and publishing costs no copy. Its
        content is undefined. May be called from any thread.
        """
        ...

    def latch(self, output: str, fields: Mapping[str, Value]) -> None:
        """Send a constant fact on `name/output`, now and to every later subscriber."""
        ...

    def announce(self, announcement: Announcement) -> None:
        """Send a promise about `announcement.output`."""
        ...

    def end(self, output: str) -> None:
        """Say that nothing follows on `output`: its source has ended by itself."""
        ...

    def renew(self) -> None:
        """Begin a new life, as after a restart: see `Restart`. For the loop thread only."""
        ...

    def subscribe(
        self,
        topics: tuple[str, ...],
        *,
        queue: int = 256,
        hold: int = 8,
        delivery: Delivery = "each",
    ) -> Subscriber:
        """Return a subscriber to `topics` (exact names, or patterns with `*`).

        `hold`: how many messages with large payloads it may keep in the publishers' memory at a
        time (further ones are copied). `delivery`: `each`, `newest` or `lossless`; see
        `tectum.transport.joining.Delivery`.
        """
        ...

    def wait_until_ns(self, instant_ns: int) -> bool:
        """Wait for an instant of the graph clock; return False at once when the graph stops."""
        ...

    def serve(self, until_ns: int) -> None:
        """Do the loop's housekeeping (heartbeat, statements, subscriptions) until `until_ns`.

        Returns earlier when `wake` is called or the graph stops. A node with a loop of its own
        calls it with the present instant at least every 50 ms. For the loop thread.
        """
        ...

    def wake(self) -> None:
        """End `serve` now, or the next one; may be called from any thread."""
        ...

    def busy(self, at_most_ns: int) -> None:
        """Say that the loop does long work from now on, such as loading a map.

        It is not taken to hang for `at_most_ns`, or until it serves again. For the loop thread.
        Opening and closing need no such word.
        """
        ...

    def name_loss(self, output: str, cause: str, count: int = 1) -> None:
        """Count captures that this node lost before they were published. For the loop thread."""
        ...


class Node(ABC):
    """A unit of a graph."""

    Config: ClassVar[type[NodeConfig]] = NodeConfig
    outputs: ClassVar[Mapping[str, Kind]] = {}
    """Output name -> kind. A reader of recordings may override `outputs_of`."""
    on_exit: ClassVar[str] = "continue"
    """What its end means for the graph unless the graph says otherwise: stop, continue, restart."""
    derives: ClassVar[bool] = True
    """Whether what it publishes is made of what it hears. A bridge may hear what others made of
    what it publishes; for other nodes such a circle is refused."""

    def __init__(self, config: Any) -> None:
        """Keep the configuration; acquire nothing yet."""
        self.config = config

    @classmethod
    def outputs_of(cls, config: Any) -> Mapping[str, Kind]:
        """Return the outputs that this configuration has."""
        del config
        return cls.outputs

    @classmethod
    def topics_of(cls, config: Any) -> tuple[str, ...]:
        """Return the topics (or patterns) that this configuration subscribes to."""
        del config
        return ()

    @classmethod
    def period_ns_of(cls, config: Any) -> Mapping[str, int]:
        """Return the expected period per output, where the configuration tells."""
        del config
        return {}

    @classmethod
    def nbytes_of(cls, config: Any) -> Mapping[str, int]:
        """Return how many bytes a message of each output has, where the configuration tells."""
        del config
        return {}

    def open(self, context: Context) -> None:  # noqa: B027 - a node may have nothing to acquire
        """Acquire devices, models and files; raise a TectumError with the way out."""

    @abstractmethod
    def run(self, context: Context) -> None:
        """Work until the source ends or `context.stopping`; returning is a clean end."""

    def close(self) -> None:  # noqa: B027 - a node may have nothing to give back
        """Give everything back; called once, also after a failure."""


class SensorNode(Node):
    """A node that only publishes what it captures.

    The loop thread sends, announces, keeps the heartbeat; `captures` runs in the reader thread.
    Where the loop cannot keep up the newest captures are kept and the rest counted as lost.
    """

    @abstractmethod
    def captures(self, context: Context) -> Iterator[Capture | Announcement | Restart]:
        """Yield captures in order until the source ends; wait with `context.wait_until_ns`.

        When the iterator ends by itself, every output is ended.
        """

    def run(self, context: Context) -> None:
        """Run the reader thread and send what it yields."""
        from tectum.node.sensor import run_sensor  # noqa: PLC0415 - threads stay out of this file

        run_sensor(self, context)
