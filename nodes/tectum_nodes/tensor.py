"""Numbers with a stamp from anywhere, so that they can be fused: IMU, poses, scalars as a `tensor`.

Live from UDP datagrams or a ZeroMQ publisher (one message each: numbers as text, or packed
little-endian float32 or float64), or from a CSV file that is played at the pace of its stamps. Each
message has one buffer, float64 (columns,), and the columns' names in `columns`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import DataError, nearest_name
from tectum.message import AnyArray, Kind, Value
from tectum.node.base import Announcement, Capture, Context, NodeConfig, SensorNode
from tectum.node.fields import Duration, Rate
from tectum_nodes.datagrams import Datagram, DatagramSocket, interface_address
from tectum_nodes.device_clock import DeviceClock
from tectum_nodes.playback import playback_begin_ns
from tectum_nodes.reconnecting import reconnected
from tectum_nodes.zmq_rows import address_trouble, zmq_rows

__all__ = ["TensorConfig", "TensorNode"]

_UNIT_NS = {"s": NS_PER_S, "ms": NS_PER_MS, "us": 1_000, "ns": 1}


class TensorConfig(NodeConfig):
    """Where numbers come from and what they mean."""

    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of the numbers, in the order in which they come; of a CSV file: which are taken."""
    stamp: str = ""
    """The one of `columns` that is the time of measurement; it is not published. Default: the time
    of arrival; a CSV file needs it."""
    unit: Literal["s", "ms", "us", "ns"] = "s"
    """Of the stamp."""
    clock: Literal["device", "system"] = "device"
    """`device`: stamps are laid on the graph clock by the least late arrivals. `system`: they are
    Unix time and right. A CSV file is always laid on the playback."""
    csv: str = ""
    """A CSV file with a line of names."""
    interface: str = ""
    """Network interface (eth1) or address at which datagrams come."""
    sender: str = ""
    """Who may send."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """UDP port."""
    zmq: str = ""
    """Address of a ZeroMQ publisher: ipc:///PATH or tcp://ADDRESS:PORT. Numbers are the last frame
    of a message."""
    subscribe: str = ""
    """Of a ZeroMQ publisher: with what the first frame begins; default: anything."""
    server_key: str = ""
    """Public CURVE key (Z85) of a ZeroMQ publisher; a must where it is on another machine."""
    format: Literal["text", "float32", "float64"] = "text"
    """Of a datagram or message: numbers separated by commas or blanks, or packed little-endian."""
    rate: Rate | None = None
    """Expected messages per second; only for what the graph expects."""
    delay: Annotated[Duration, Field(ge=0)] = 0
    """Least time from measurement to arrival; stamps are earlier by it."""
    silence: Annotated[Duration, Field(ge=50 * NS_PER_MS)] = 2 * NS_PER_S
    """After so long without a datagram the source counts as gone, which is said."""
    loop: bool = False
    """Of a CSV file: begin again at the end."""
    frame: str = ""
    """Coordinate frame; default: the node's name."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        udp = bool(self.interface and self.sender and self.port)
        if [udp, bool(self.csv), bool(self.zmq)].count(True) != 1:
            msg = "a tensor source takes `csv`, or `zmq`, or `interface`, `sender` and `port`"
            raise ValueError(msg)
        if self.zmq and (trouble := address_trouble(self.zmq, self.server_key)):
            raise ValueError(trouble)
        if self.stamp and self.stamp not in self.columns:
            msg = f"`stamp` must be one of `columns`{nearest_name(self.stamp, self.columns)}"
            raise ValueError(msg)
        if self.csv and not self.stamp:
            msg = "a CSV file needs `stamp`, the column with the time"
            raise ValueError(msg)
        return self


class TensorNode(SensorNode):
    """Publishes rows of numbers."""

    Config: ClassVar[type[NodeConfig]] = TensorConfig
    config: TensorConfig
    outputs: ClassVar[Mapping[str, Kind]] = {"tensor": Kind.TENSOR}

    @classmethod
    def period_ns_of(cls, config: TensorConfig) -> Mapping[str, int]:
        """Return the expected period."""
        return {"tensor": round(NS_PER_S / config.rate)} if config.rate else {}

    def open(self, context: Context) -> None:
        """See that there is such a file or interface.

        Raises:
            TectumError: there is not.
        """
        config = self.config
        self._names = tuple(name for name in config.columns if name != config.stamp)
        self._frame_id = config.frame or context.name
        if config.csv:
            next(self._lines(), None)
        elif config.interface:
            interface_address(config.interface)

    def captures(self, context: Context) -> Iterator[Capture | Announcement]:
        """Yield rows."""
        if self.config.csv:
            yield from self._played(context)
        else:
            yield from reconnected(context, lambda: self._live(context))

    def _live(self, context: Context) -> Iterator[Capture]:
        config, clock = self.config, DeviceClock(self.config.delay)
        refused = 0
        for datagram in self._datagrams(context):
            row = _numbers(datagram.data, config.format, len(config.columns))
            if row is None:
                refused += 1
                if refused == 1:
                    text = "a datagram does not hold %d numbers (%s): refused, as others like it"
                    context.log.warning(text, len(config.columns), config.format)
                continue
            yield self._capture(row, *self._stamped(row, datagram, clock))

    def _datagrams(self, context: Context) -> Iterator[Datagram]:
        config, clock = self.config, context.clock
        if config.zmq:
            yield from zmq_rows(
                config.zmq, config.subscribe, config.server_key, clock, config.silence,
                lambda: context.stopping,
            )  # fmt: skip
            return
        with DatagramSocket(config.interface, config.port, config.sender) as opened:
            yield from opened.stream(clock, config.silence, lambda: context.stopping, context.name)

    def _stamped(self, row: list[float], datagram: Datagram, clock: DeviceClock) -> tuple[int, int]:
        config = self.config
        if not config.stamp:
            return datagram.arrived_ns - config.delay, NS_PER_MS
        own_ns = round(row[config.columns.index(config.stamp)] * _UNIT_NS[config.unit])
        if config.clock == "system":
            return own_ns, NS_PER_MS
        return clock.stamp(own_ns, datagram.arrived_ns)

    def _played(self, context: Context) -> Iterator[Capture]:
        config, begin_ns = self.config, playback_begin_ns(context)
        at = config.columns.index(config.stamp)
        while True:
            zero_ns, step_ns, last_ns = None, NS_PER_S, begin_ns
            for row in self._lines():
                own_ns = round(row[at] * _UNIT_NS[config.unit])
                zero_ns = own_ns if zero_ns is None else zero_ns
                stamp_ns = begin_ns + own_ns - zero_ns
                step_ns, last_ns = stamp_ns - last_ns, stamp_ns
                if not context.wait_until_ns(stamp_ns):
                    return
                yield self._capture(row, stamp_ns, 0)
            if not config.loop or zero_ns is None:
                return
            begin_ns = last_ns + max(step_ns, NS_PER_MS)

    def _lines(self) -> Iterator[list[float]]:
        """Yield the wanted columns of each line.

        Raises:
            DataError: the file or a column is not there, or something is not a number.
        """
        path = Path(self.config.csv).expanduser()
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.DictReader(file, skipinitialspace=True)
                known = list(reader.fieldnames or ())
                for name in self.config.columns:
                    if name not in known:
                        msg = f"{path} has no column {name!r}{nearest_name(name, known)}"
                        raise DataError(msg)
                for line in reader:
                    yield _parsed(path, reader.line_num, line, self.config.columns)
        except OSError as error:
            msg = f"{path} cannot be read: {error.strerror}"
            raise DataError(msg) from error

    def _capture(self, row: list[float], stamp_ns: int, error_ns: int) -> Capture:
        pairs = zip(self.config.columns, row, strict=True)
        values: AnyArray = np.array([v for name, v in pairs if name != self.config.stamp])
        fields: dict[str, Value] = {"names": ["values"], "columns": list(self._names)}
        return Capture(
            "tensor", Kind.TENSOR, (values,), stamp_ns, 0, error_ns, self._frame_id, fields
        )


def _parsed(
    path: Path, number: int, line: Mapping[str, str], columns: tuple[str, ...]
) -> list[float]:
    try:
        return [float(line[name]) for name in columns]
    except (TypeError, ValueError):
        msg = f"{path}:{number}: {', '.join(columns)} must be numbers"
        raise DataError(msg) from None


def _numbers(data: bytes, form: str, count: int) -> list[float] | None:
    """Return the numbers of a datagram; None where it does not hold `count` finite ones."""
    try:
        if form == "text":
            row = [float(word) for word in data.decode("ascii").replace(",", " ").split()]
        else:
            row = [float(number) for number in np.frombuffer(data, f"<f{int(form[5:]) // 8}")]
    except (UnicodeDecodeError, ValueError):
        return None
    return row if len(row) == count and bool(np.isfinite(row).all()) else None
