"""How far another host's clock is from ours, from requests and replies. Pure: no socket here.

Of an exchange only this is certain: the truth lies within half the round trip of its midpoint
(Mills, RFC 5905). The quickest exchange of every second is kept, a line is fitted to those of the
last minute (offset and rate; quick ones weigh more), and the stated error bounds the truth as long
as both clocks run evenly. An exchange that contradicts the bound means that a clock was set: after
`_CONTRADICTIONS` in a row everything before is forgotten.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from tectum.sync.envelope import Line

__all__ = ["Exchange", "PeerClock"]

_NS_PER_S = 1_000_000_000
_KEPT_S = 60
_WEIGHT = 1 << 80
_QUICK_NS = 10_000
"""An exchange counts by the inverse square of its round trip; quicker than this is all the same."""
_RATE_FROM_NS = 4 * _NS_PER_S
"""A shorter stretch says nothing of the rate."""
_UNKNOWN_RATE_PPB = 200_000
"""Crystals are off by 100 ppm at the most: two of them by 200."""
_CONTRADICTIONS = 3
_ROUNDING_NS = 100


class Exchange(NamedTuple):
    """One request and its reply, in ns."""

    sent_ns: int
    """On our clock."""
    received_ns: int
    """On theirs."""
    answered_ns: int
    """On theirs."""
    returned_ns: int
    """On ours."""

    @property
    def round_trip_ns(self) -> int:
        """Return how long it was on its way."""
        return (self.returned_ns - self.sent_ns) - (self.answered_ns - self.received_ns)

    @property
    def offset_ns(self) -> int:
        """Return theirs minus ours at the midpoint, within half the round trip."""
        return (self.received_ns - self.sent_ns + self.answered_ns - self.returned_ns) // 2

    @property
    def middle_ns(self) -> int:
        """Return the midpoint on our clock."""
        return (self.sent_ns + self.returned_ns) // 2


class PeerClock:
    """The clock of one other host, as it looks from here."""

    __slots__ = ("_contradictions", "_kept", "_line", "_rate_error_ppb", "steps")

    def __init__(self) -> None:
        """Know nothing."""
        self._kept: deque[Exchange] = deque(maxlen=_KEPT_S)
        self._line: Line | None = None
        self._rate_error_ppb = _UNKNOWN_RATE_PPB
        self._contradictions = 0
        self.steps = 0
        """How often a clock was set."""

    @property
    def known(self) -> bool:
        """Return whether anything was heard of it."""
        return self._line is not None

    def add(self, exchange: Exchange) -> bool:
        """Take up an exchange; return True where it shows that a clock was set.

        An exchange that took less than no time is no exchange, and is passed over.
        """
        if exchange.round_trip_ns < 0 or exchange.returned_ns < exchange.sent_ns:
            return False
        if self._contradicts(exchange):
            self._contradictions += 1
            if self._contradictions < _CONTRADICTIONS:
                return False
            self.steps += 1
            self._kept.clear()
            self._keep(exchange)
            return True
        self._contradictions = 0
        self._keep(exchange)
        return False

    def offset_ns(self, now_ns: int) -> int:
        """Return theirs minus ours at `now_ns` of ours; 0 where nothing is known."""
        return self._line.at_ns(now_ns) if self._line else 0

    def error_ns(self, now_ns: int) -> int:
        """Return a bound on how far `offset_ns` is from the truth.

        The clocks drift apart since the exchange, and did so while its messages were on their way.
        """
        return min(
            (
                abs(kept.offset_ns - self.offset_ns(kept.middle_ns))
                + kept.round_trip_ns // 2
                + self._drift_ns(abs(now_ns - kept.middle_ns) + kept.round_trip_ns // 2)
                + _ROUNDING_NS
                for kept in self._kept
            ),
            default=1 << 62,
        )

    def _drift_ns(self, duration_ns: int) -> int:
        return duration_ns * self._rate_error_ppb // _NS_PER_S + 1

    def ours_ns(self, theirs_ns: int) -> int:
        """Return the instant of our clock at which theirs shows `theirs_ns`."""
        roughly_ns = theirs_ns - self.offset_ns(theirs_ns)
        return theirs_ns - self.offset_ns(roughly_ns)

    @property
    def rate_ppb(self) -> int:
        """Return by how many billionths their clock is faster than ours."""
        return self._line.slope_ppb if self._line else 0

    def _contradicts(self, exchange: Exchange) -> bool:
        if self._line is None:
            return False
        off_ns = abs(exchange.offset_ns - self.offset_ns(exchange.middle_ns))
        return off_ns > exchange.round_trip_ns // 2 + self.error_ns(exchange.middle_ns)

    def _keep(self, exchange: Exchange) -> None:
        """Keep the quickest exchange of its second, and fit anew."""
        second = exchange.middle_ns // _NS_PER_S
        if self._kept and self._kept[-1].middle_ns // _NS_PER_S == second:
            if exchange.round_trip_ns >= self._kept[-1].round_trip_ns:
                return
            self._kept.pop()
        self._kept.append(exchange)
        self._line, self._rate_error_ppb = _fit(tuple(self._kept))


def _fit(exchanges: Sequence[Exchange]) -> tuple[Line, int]:
    """Return the weighted line of least squares, and how far off its rate may be."""
    weights = [_WEIGHT // (item.round_trip_ns + _QUICK_NS) ** 2 + 1 for item in exchanges]
    total = sum(weights)
    places = [item.middle_ns for item in exchanges]
    heights = [item.offset_ns for item in exchanges]
    place = sum(w * x for w, x in zip(weights, places, strict=True)) // total
    height = sum(w * y for w, y in zip(weights, heights, strict=True)) // total
    stretch_ns = places[-1] - places[0]
    if stretch_ns < _RATE_FROM_NS:
        best = min(exchanges, key=lambda item: item.round_trip_ns)
        return Line(best.middle_ns, best.offset_ns), _UNKNOWN_RATE_PPB
    spread = sum(w * (x - place) ** 2 for w, x in zip(weights, places, strict=True))
    common = sum(
        w * (x - place) * (y - height) for w, x, y in zip(weights, places, heights, strict=True)
    )
    line = Line(place, height, common * _NS_PER_S // spread)
    return line, _rate_error_ppb(line, exchanges)


def _rate_error_ppb(line: Line, exchanges: Sequence[Exchange]) -> int:
    """Return how much the rate may differ: what the quickest of either half still allow."""
    half = len(exchanges) // 2
    first = min(exchanges[:half], key=lambda item: item.round_trip_ns)
    last = min(exchanges[half:], key=lambda item: item.round_trip_ns)
    slack_ns = sum(
        abs(item.offset_ns - line.at_ns(item.middle_ns)) + item.round_trip_ns // 2
        for item in (first, last)
    )
    stretch_ns = last.middle_ns - first.middle_ns
    # A bound is rounded up: by one for this division, by one for that of the line's own slope.
    seen_ppb = (slack_ns + _ROUNDING_NS) * _NS_PER_S // stretch_ns + 2
    # Whatever was seen, the clocks themselves are no further apart than crystals can be.
    return min(_UNKNOWN_RATE_PPB + abs(line.slope_ppb), seen_ppb)
