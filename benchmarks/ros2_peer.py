"""ROS 2's own Python ApproximateTimeSynchronizer, from the file that its project publishes.

The file (`message_filters/__init__.py` of github.com/ros2/message_filters, BSD) is not part of
this repository: fetch it and give its path. It runs on rclpy where that is installed, else on the
few classes of rclpy that it touches, written here in plain Python, quicker than the real ones.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from tectum.errors import DataError

__all__ = [
    "VARIABLE",
    "MakeSynchronizer",
    "Ros2Message",
    "genuine_rclpy",
    "load_synchronizer",
    "message_filters_path",
]

VARIABLE = "TECTUM_ROS2_MESSAGE_FILTERS"


def message_filters_path(given: Path | None) -> Path | None:
    """Return where the peer's file is: as given, else as the environment says; None: nowhere."""
    named = given or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if named is not None and not named.is_file():
        msg = f"{named} is no file: fetch message_filters/__init__.py of ros2/message_filters"
        raise DataError(msg)
    return named


def genuine_rclpy() -> bool:
    """Return whether the peer runs on the real rclpy (PyPI: ros-rclpy[fastrtps])."""
    return getattr(sys.modules.get("rclpy"), "__file__", None) is not None or (
        "rclpy" not in sys.modules and importlib.util.find_spec("rclpy") is not None
    )


@functools.total_ordering
class _Nanoseconds:
    """What Time and Duration have in common."""

    __slots__ = ("clock_type", "nanoseconds")

    def __init__(self, *, seconds: float = 0, nanoseconds: int = 0, clock_type: int = 0) -> None:
        self.nanoseconds = int(seconds * 1e9) + nanoseconds
        self.clock_type = clock_type

    def __eq__(self, other: object) -> bool:
        return self.nanoseconds == getattr(other, "nanoseconds", None)

    def __lt__(self, other: _Nanoseconds) -> bool:
        return self.nanoseconds < other.nanoseconds

    def __gt__(self, other: _Nanoseconds) -> bool:
        return self.nanoseconds > other.nanoseconds

    def __hash__(self) -> int:
        return hash(self.nanoseconds)


class Duration(_Nanoseconds):
    """As rclpy.duration.Duration."""

    __slots__ = ()


class Time(_Nanoseconds):
    """As rclpy.time.Time."""

    __slots__ = ()

    def __sub__(self, other: Time) -> Duration:
        return Duration(nanoseconds=self.nanoseconds - other.nanoseconds)


class Ros2Message:
    """A message as the synchronizer sees it: a header with a stamp, and what we add."""

    __slots__ = ("header", "input", "seq", "stamp_ns")

    def __init__(self, input_name: str, seq: int, stamp_ns: int) -> None:
        """Stamp a message; the stamp is a Time already, so that none has to be converted."""
        self.input, self.seq, self.stamp_ns = input_name, seq, stamp_ns
        self.header = types.SimpleNamespace(stamp=_time_class()(nanoseconds=stamp_ns))


class MakeSynchronizer(Protocol):
    """How to make a synchronizer of the peer's; what it gives takes an input's messages."""

    def __call__(
        self, inputs: list[str], queue: int, slop_s: float, callback: Callable[..., None]
    ) -> Callable[[str, Ros2Message], None]:
        """Return add(input, message); `callback` is given each set, in the order of the inputs."""


@functools.cache
def _time_class() -> Any:
    try:
        from rclpy.time import Time as RealTime  # noqa: PLC0415 - may not be installed
    except ImportError:
        return Time
    return RealTime


def _stand_in() -> None:
    """Make `import rclpy` work for the peer's file where rclpy is not installed."""
    members: dict[str, dict[str, object]] = {
        "rclpy": {},
        "rclpy.clock": {"ROSClock": object},
        "rclpy.duration": {"Duration": Duration},
        "rclpy.logging": {"LoggingSeverity": object},
        "rclpy.time": {"Time": Time},
        "builtin_interfaces": {},
    }
    for name, attributes in members.items():
        module = types.ModuleType(name)
        module.__dict__.update(attributes)
        sys.modules[name] = module


def load_synchronizer(path: Path) -> MakeSynchronizer:
    """Return how to make one with the classes of the peer's file."""
    if not genuine_rclpy():
        _stand_in()
    spec = importlib.util.spec_from_file_location("ros2_message_filters", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def make(
        inputs: list[str], queue: int, slop_s: float, callback: Callable[..., None]
    ) -> Callable[[str, Ros2Message], None]:
        filters = {name: module.SimpleFilter() for name in inputs}
        sync = module.ApproximateTimeSynchronizer(list(filters.values()), queue, slop_s)
        sync.registerCallback(callback)

        def add(name: str, message: Ros2Message) -> None:
            filters[name].signalMessage(message)

        return add

    return make
