"""When a picture was taken, by the clock that the configuration of the camera trusts."""

from __future__ import annotations

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.node.base import Context
from tectum_nodes.camera_config import CameraConfig
from tectum_nodes.camera_sources import Frame
from tectum_nodes.device_clock import DeviceClock, offset_name

__all__ = ["Stamper"]

_SURE_NS = NS_PER_MS
"""Of a stamp that the driver or the camera itself gave on a known clock."""


class Stamper:
    """Stamps frames as the configuration says."""

    def __init__(self, config: CameraConfig, context: Context) -> None:
        """Begin with the first frame of a source."""
        self._config, self._context = config, context
        self._clock = DeviceClock(config.delay)
        self._period_ns = 0
        self._last_ns = -1
        self._warned = False

    def stamp(self, frame: Frame) -> tuple[int, int]:
        """Return (stamp, error)."""
        config, arrived_ns = self._config, frame.arrived_ns
        if frame.device_ns is None or config.clock == "arrival":
            return arrived_ns - config.delay, self._arrival_error_ns(arrived_ns)
        if config.clock == "system" or config.device is not None:
            self._doubt(frame.device_ns - arrived_ns, arrived_ns)
            return frame.device_ns, _SURE_NS
        return self._clock.stamp(frame.device_ns, arrived_ns)

    def _arrival_error_ns(self, arrived_ns: int) -> int:
        """Return a period: a picture may have waited so long before it was fetched."""
        if self._last_ns >= 0:
            self._period_ns = min(self._period_ns or NS_PER_S, arrived_ns - self._last_ns)
        self._last_ns = arrived_ns
        return self._period_ns or NS_PER_S // 30

    def _doubt(self, offset_ns: int, now_ns: int) -> None:
        """Say once that a clock that is taken at its word is far off, and by what."""
        if not self._warned and abs(offset_ns) > NS_PER_S // 2:
            self._warned = True
            text = "the camera's clock is off by %s; set `clock: device`, or set its clock right"
            self._context.log.warning(text, offset_name(offset_ns, now_ns))
