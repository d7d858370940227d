"""How slow signs of life come now, so that a busy machine is not taken for a hang. Pure."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Slowness"]

_FADES = 16
"""The longest silence fades by a sixteenth of the time: 700 ms are forgotten after 11 s."""
_MARGIN = 2
"""A silence is odd where it is so much longer than those that have passed."""


@dataclass(slots=True)
class Slowness:
    """The longest silence of any node that has passed by itself lately."""

    _longest_ns: int = 0
    _seen_ns: int = 0

    def heard(self, now_ns: int, silent_ns: int) -> None:
        """Take up that a node gave a sign of life after it had been silent."""
        self._longest_ns, self._seen_ns = max(silent_ns, self._faded_ns(now_ns)), now_ns

    def allowed_ns(self, now_ns: int, after_ns: int) -> int:
        """Return for how long a node may be silent whose rule says `after_ns`."""
        return max(after_ns, _MARGIN * self._faded_ns(now_ns))

    def _faded_ns(self, now_ns: int) -> int:
        return max(0, self._longest_ns - (now_ns - self._seen_ns) // _FADES)
