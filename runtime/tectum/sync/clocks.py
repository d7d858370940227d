"""Clocks that stamps may be of, and the offsets by which a wrong one is known. Tables and no state.

The graph clock looks like Unix time (UTC). An input whose stamps are of another clock says so
(`clock: tai`), and the difference is taken off. Where nobody said so, the offset tells: TAI is 37 s
ahead of UTC and GPS time 18 s (since 2017; no leap second has come since), local time whole
quarters of an hour, and other units and epochs have their places. An offset is seen through the way
of the message, which makes stamps look earlier than they are by up to half a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

__all__ = ["CLOCKS", "Offset", "named_offset"]

_S = 1_000_000_000
_TAI_S, _GPS_S = 37, 18

CLOCKS: dict[str, int] = {"graph": 0, "utc": 0, "tai": _TAI_S * _S, "gps": _GPS_S * _S}
"""Name of a clock that can be declared -> by how many ns it is ahead of the graph clock. `utc` is
the system's, ROS's and that of PTP in UTC; `tai` that of PTP itself; `gps` GPS time written like
Unix time."""


class Offset(NamedTuple):
    """A known offset of stamps from the graph clock."""

    ahead_ns: int
    """By how much the stamps are ahead; negative: behind."""
    name: str
    """What it is: `TAI instead of UTC`."""
    fix: str
    """What to do about it: `set ``clock: tai`` for this input`."""


def named_offset(ahead_ns: int, now_ns: int) -> Offset | None:
    """Return what an offset of stamps is known as; None where it is none of the table.

    Args:
        ahead_ns: reference point of a sample (its declared clock and offset taken off) minus its
            arrival.
        now_ns: its arrival, on the graph clock.
    """
    for rule in _RULES:
        found = rule(ahead_ns, now_ns)
        if found is not None:
            return found
    return None


# -- the tables

_CONSTANTS = (
    Offset(_TAI_S * _S, "TAI instead of UTC", "set `clock: tai` for this input"),
    Offset(_GPS_S * _S, "GPS time instead of UTC", "set `clock: gps` for this input"),
    Offset(
        (_TAI_S - _GPS_S) * _S,
        "TAI where GPS time is declared",
        "set `clock: tai` for this input instead of `gps`",
    ),
    Offset(
        (_GPS_S - _TAI_S) * _S,
        "GPS time where TAI is declared",
        "set `clock: gps` for this input instead of `tai`",
    ),
    Offset(
        -_TAI_S * _S, "UTC where TAI is declared", "take `clock: tai` or its like off this input"
    ),
    Offset(
        -_GPS_S * _S,
        "UTC where GPS time is declared",
        "take `clock: gps` or its like off this input",
    ),
    Offset(
        (_GPS_S - 315_964_800) * _S,
        "GPS time counted from its own epoch, 6 January 1980",
        "add 315964800 s where it is stamped and set `clock: gps`",
    ),
    Offset(
        2_208_988_800 * _S,
        "NTP time, counted from 1900",
        "take 2208988800 s off where it is stamped",
    ),
)
_UNITS = ((_S, "seconds"), (1_000_000, "milliseconds"), (1_000, "microseconds"))
_EPOCHS = ((0, "1970"), (315_532_800, "1980"), (946_684_800, "2000"))
"""Seconds after 1970 at which a clock begins that nobody has set."""

_EARLY_NS, _LATE_NS = _S // 2, _S // 4
"""How much earlier and later than in the table an offset may be seen."""
_QUARTER_NS = 900 * _S
_FARTHEST_ZONE_NS = 14 * 3600 * _S
_DAY_NS = 86_400 * _S
_UPTIME_NS = 3 * 365 * _DAY_NS
"""No sensor runs for longer without anybody setting its clock."""


def _near(ahead_ns: int, place_ns: int) -> bool:
    return place_ns - _EARLY_NS <= ahead_ns <= place_ns + _LATE_NS


def _constant(ahead_ns: int, now_ns: int) -> Offset | None:
    del now_ns
    return next((known for known in _CONSTANTS if _near(ahead_ns, known.ahead_ns)), None)


def _zone(ahead_ns: int, now_ns: int) -> Offset | None:
    """Recognise local time: whole quarters of an hour, 14 hours at the most."""
    del now_ns
    quarters = (ahead_ns + _EARLY_NS) // _QUARTER_NS
    place_ns = quarters * _QUARTER_NS
    if not quarters or abs(place_ns) > _FARTHEST_ZONE_NS or not _near(ahead_ns, place_ns):
        return None
    hours = f"{quarters / 4:+g} h"
    fix = f"stamp in UTC, or set `offset: {place_ns // _S}s` for this input"
    return Offset(place_ns, f"local time ({hours}) instead of UTC", fix)


def _unit(ahead_ns: int, now_ns: int) -> Offset | None:
    """Recognise the present in another unit."""
    stamp_ns = now_ns + ahead_ns
    for unit_ns, name in _UNITS:
        if abs(stamp_ns * unit_ns - now_ns) < _DAY_NS:
            fix = f"multiply by {unit_ns} where it is stamped"
            return Offset(ahead_ns, f"{name} instead of nanoseconds", fix)
    return None


def _unset(ahead_ns: int, now_ns: int) -> Offset | None:
    """Recognise a clock that counts from when the device was switched on."""
    stamp_ns = now_ns + ahead_ns
    for epoch_s, name in _EPOCHS:
        if 0 <= stamp_ns - epoch_s * _S < min(_UPTIME_NS, -ahead_ns):
            counts = "its own start" if not epoch_s else f"its own start, which it takes for {name}"
            fix = "stamp with the graph clock, or set `clock: device` at a node that has it"
            return Offset(ahead_ns, f"a clock that counts from {counts}", fix)
    return None


_RULES: tuple[Callable[[int, int], Offset | None], ...] = (_constant, _zone, _unit, _unset)
