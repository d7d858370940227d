"""Velodyne VLP-16 data packets to points, in numpy: 12 blocks of two firings of 16 lasers.

After the VLP-16 user manual (63-9243): azimuths are interpolated over a firing sequence, each
laser fires 2.304 us after the one before it, a sequence takes 55.296 us. In dual return mode two
blocks that follow each other are two returns of the same sequences; where both are the same one
is dropped.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "PACKET_BYTES",
    "Firings",
    "firings",
    "most_points",
    "packet_period_ns",
    "points_of",
    "top_of_hour_ns",
]

PACKET_BYTES = 1206
FIELDS = ("x", "y", "z", "intensity", "ring", "time")
"""Of a point: metres (x ahead, y left, z up), 0..255, 0 is the lowest laser, s since the stamp."""

_BLOCKS, _LASERS = 12, 16
_DUAL = 0x39
_FLAG = 0xEEFF
_SEQUENCE_NS, _LASER_NS = 55_296, 2_304
_BLOCK = np.dtype(
    [("flag", "<u2"), ("azimuth", "<u2"), ("returns", [("d", "<u2"), ("i", "u1")], (2, _LASERS))]
)
_DISTANCE_M = 0.002
_ELEVATION = np.radians(
    [-15.0, 1, -13, 3, -11, 5, -9, 7, -7, 9, -5, 11, -3, 13, -1, 15], dtype=np.float64
)
_RING = np.array([0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15], np.float32)
_FULL_TURN = 36_000
"""Hundredths of a degree."""


class Firings(NamedTuple):
    """The firings of one packet, in order of time: a row per sequence (and return)."""

    azimuth: NDArray[np.int64]
    """(n,) hundredths of a degree at the first laser."""
    step: NDArray[np.int64]
    """(n,) azimuth from this sequence to the next."""
    offset_ns: NDArray[np.int64]
    """(n,) time of the first laser since the packet's stamp."""
    distance: NDArray[np.uint16]
    """(n, 16) in units of 2 mm; 0 is no return."""
    intensity: NDArray[np.uint8]
    """(n, 16)"""

    def part(self, begin: int, end: int) -> Firings:
        """Return the rows from `begin` up to `end`."""
        rows = slice(begin, end)
        return Firings(
            self.azimuth[rows],
            self.step[rows],
            self.offset_ns[rows],
            self.distance[rows],
            self.intensity[rows],
        )


def top_of_hour_ns(data: bytes) -> int:
    """Return the packet's stamp: ns since the top of the hour, of its first firing."""
    micros: int = struct.unpack_from("<I", data, 1200)[0]
    return micros * 1000


def packet_period_ns(data: bytes) -> int:
    """Return the time from packet to packet, by its return mode."""
    sequences = _BLOCKS if data[1204] == _DUAL else 2 * _BLOCKS
    return sequences * _SEQUENCE_NS


def most_points(period_ns: int) -> int:
    """Return how many points a turn of `period_ns` has at the most."""
    return -(-period_ns // _SEQUENCE_NS) * _LASERS


def firings(data: bytes) -> Firings | None:
    """Return the firings of a packet; None where it is not a VLP-16 data packet."""
    if len(data) != PACKET_BYTES:
        return None
    blocks = np.frombuffer(data, _BLOCK, _BLOCKS)
    if (blocks["flag"] != _FLAG).any() or (blocks["azimuth"] >= _FULL_TURN).any():
        return None
    dual = data[1204] == _DUAL
    number = np.arange(_BLOCKS) // (2 if dual else 1)
    begin = blocks["azimuth"].astype(np.int64)
    turned = _turned(begin[:: 2 if dual else 1])
    step = turned[number] // 2
    azimuth = np.stack([begin, begin + step], axis=1).ravel() % _FULL_TURN
    offset = (2 * number[:, None] + np.arange(2)) * _SEQUENCE_NS
    returns = blocks["returns"].reshape(-1, _LASERS)
    order = np.argsort(offset.ravel(), kind="stable")
    distance = returns["d"][order]
    if dual:
        distance[1::2][distance[1::2] == distance[::2]] = 0  # the same return twice
    return Firings(
        azimuth[order],
        np.repeat(step, 2)[order],
        offset.ravel()[order],
        distance,
        returns["i"][order],
    )


def points_of(some: Firings, since_ns: int, range_m: tuple[float, float]) -> NDArray[np.float32]:
    """Return the points of firings, float32 (n, 6): see `FIELDS`.

    `since_ns` is the packet's stamp minus the sweep's; returns outside `range_m` are left out.
    """
    share = np.arange(_LASERS) * (_LASER_NS / _SEQUENCE_NS)
    azimuth = np.radians((some.azimuth[:, None] + some.step[:, None] * share) / 100.0)
    distance = some.distance * _DISTANCE_M
    flat = distance * np.cos(_ELEVATION)
    time_s = (since_ns + some.offset_ns[:, None] + np.arange(_LASERS) * _LASER_NS) / 1e9
    full = np.empty((*distance.shape, len(FIELDS)), np.float32)
    full[..., 0] = flat * np.cos(azimuth)
    full[..., 1] = -flat * np.sin(azimuth)
    full[..., 2] = distance * np.sin(_ELEVATION)
    full[..., 3] = some.intensity
    full[..., 4] = _RING
    full[..., 5] = time_s
    seen = (some.distance > 0) & (distance >= range_m[0]) & (distance <= range_m[1])
    kept: NDArray[np.float32] = full[seen]
    return kept


def _turned(begin: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how far each block turns; the last as far as the one before it."""
    turned = np.diff(begin) % _FULL_TURN
    return np.append(turned, turned[-1])
