"""Tracks: the same road user over time, with its velocity, its covariance and its age. Pure NumPy.

`step` is a pure function: tracks and what was seen in, tracks out. `Tracker` keeps the last steps,
so that a measurement which comes late is taken in at its own stamp: the tracks are taken back to
before it and what came after is done again, which is exact. A track that is not seen is carried on
by its velocity until `keep_ns` have passed.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tectum.fusion.assignment import assign
from tectum.fusion.kalman import distances, predicted, started, updated

__all__ = ["NO_TRACKS", "TRACK_COLUMNS", "Seen", "TrackRules", "Tracker", "Tracks", "step"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TRACK_COLUMNS = (
    "track", "label", "x_m", "y_m", "vx_mps", "vy_mps", "x_std_m", "y_std_m", "vx_std_mps",
    "vy_std_mps", "age_s", "unseen_s", "seen", "object",
)  # fmt: skip
"""Columns of tracks: who, where and how fast with standard deviations, how long known and how long
not seen, how often seen, and the row of this moment's object (-1: not seen now)."""

NS = 1e9


@dataclass(frozen=True, slots=True)
class TrackRules:
    """How tracks begin, go on and end."""

    noise_m: float = 0.1
    """Standard deviation of a measured position."""
    acceleration: float = 2.0
    """Standard deviation of the acceleration that a road user may have, in m/s^2."""
    speed_mps: float = 8.0
    """Standard deviation of the velocity that a new track may have, relative to us."""
    gate: float = 16.0
    """Largest squared Mahalanobis distance of a measurement to its track; 9.2 is 99 %."""
    other_label: float = 4.0
    """What another label adds to that distance: detectors take a van for a car or a truck."""
    confirm: int = 2
    """A track counts when it was seen so often; before, it ends when it is not seen once."""
    keep_ns: int = 800_000_000
    """A track that was not seen for longer ends."""
    memory_ns: int = 1_000_000_000
    """How late a measurement may come; later ones are left out."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was measured at one moment."""

    stamp_ns: int
    positions: Floats
    """(m, 2): x forward and y left, in metres."""
    labels: Ints


@dataclass(frozen=True, slots=True)
class Tracks:
    """All tracks at one moment, in the order in which they began."""

    stamp_ns: int = 0
    means: Floats = field(default_factory=lambda: np.zeros((0, 4)))
    covariances: Floats = field(default_factory=lambda: np.zeros((0, 4, 4)))
    ids: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    labels: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    born_ns: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    seen_ns: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    seen: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """How often each was seen."""
    objects: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """Which measurement of this moment each is; -1: none."""
    next_id: int = 1

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.ids)

    def rows(self, chosen: NDArray[np.bool_]) -> Tracks:
        """Return those that are `chosen`."""
        parts = {name: getattr(self, name)[chosen] for name in _PER_TRACK}
        return replace(self, **parts)

    def table(self) -> NDArray[np.float32]:
        """Return float32 (n, 14), columns `TRACK_COLUMNS`."""
        spreads = np.sqrt(np.diagonal(self.covariances, axis1=1, axis2=2))
        age, unseen = (self.stamp_ns - self.born_ns) / NS, (self.stamp_ns - self.seen_ns) / NS
        columns = (
            self.ids, self.labels, self.means, spreads, age, unseen, self.seen, self.objects
        )  # fmt: skip
        return np.column_stack(columns).astype(np.float32)


_PER_TRACK = ("means", "covariances", "ids", "labels", "born_ns", "seen_ns", "seen", "objects")
NO_TRACKS = Tracks()


def step(tracks: Tracks, now: Seen, rules: TrackRules) -> Tracks:
    """Return the tracks after one moment: predicted, matched, corrected, ended and begun."""
    moved = _predict(tracks, now.stamp_ns, rules)
    pairs = assign(_cost(moved, now, rules), rules.gate)
    corrected = _correct(moved, now, pairs, rules)
    return _begin(_end(corrected, rules), now, {column for _, column in pairs}, rules)


class Tracker:
    """Tracks over time. For one caller at a time."""

    def __init__(self, rules: TrackRules | None = None) -> None:
        """Know nothing yet."""
        self.rules = rules or TrackRules()
        self._steps: list[tuple[Seen, Tracks]] = []
        self._before = NO_TRACKS

    def take(self, now: Seen) -> Tracks:
        """Take in what was seen and return the tracks at its stamp.

        What comes after newer measurements changes them as if it had come in time. What is older
        than the memory changes nothing; the newest tracks are returned.
        """
        place = bisect_right([seen.stamp_ns for seen, _ in self._steps], now.stamp_ns)
        if now.stamp_ns < self._before.stamp_ns:
            return self.newest
        later = [seen for seen, _ in self._steps[place:]]
        del self._steps[place:]
        for seen in (now, *later):
            self._steps.append((seen, step(self.newest, seen, self.rules)))
        tracks = self._steps[place][1]
        self._forget()
        return tracks

    @property
    def newest(self) -> Tracks:
        """Return the tracks at the newest stamp."""
        return self._steps[-1][1] if self._steps else self._before

    def _forget(self) -> None:
        oldest_ns = self._steps[-1][0].stamp_ns - self.rules.memory_ns
        while len(self._steps) > 1 and self._steps[0][0].stamp_ns < oldest_ns:
            self._before = self._steps.pop(0)[1]


def _predict(tracks: Tracks, stamp_ns: int, rules: TrackRules) -> Tracks:
    seconds = (stamp_ns - tracks.stamp_ns) / NS if len(tracks) else 0.0
    means, covariances = predicted(tracks.means, tracks.covariances, seconds, rules.acceleration)
    nobody = np.full(len(tracks), -1)
    return replace(tracks, stamp_ns=stamp_ns, means=means, covariances=covariances, objects=nobody)


def _cost(tracks: Tracks, now: Seen, rules: TrackRules) -> Floats:
    apart = distances(tracks.means, tracks.covariances, now.positions, rules.noise_m)
    strange = tracks.labels[:, None] != now.labels[None]
    return np.asarray(apart + rules.other_label * strange)


def _correct(tracks: Tracks, now: Seen, pairs: list[tuple[int, int]], rules: TrackRules) -> Tracks:
    if not pairs:
        return tracks
    rows, columns = np.array(pairs).T
    parts = {name: getattr(tracks, name).copy() for name in _PER_TRACK}
    parts["means"][rows], parts["covariances"][rows] = updated(
        tracks.means[rows], tracks.covariances[rows], now.positions[columns], rules.noise_m
    )
    parts["seen_ns"][rows], parts["objects"][rows] = now.stamp_ns, columns
    parts["seen"][rows] += 1
    return replace(tracks, **parts)


def _end(tracks: Tracks, rules: TrackRules) -> Tracks:
    """End what was not seen for too long, and what was seen once and not again."""
    fresh = tracks.stamp_ns - tracks.seen_ns <= rules.keep_ns
    sure = (tracks.seen >= rules.confirm) | (tracks.objects >= 0)
    return tracks.rows(fresh & sure)


def _begin(tracks: Tracks, now: Seen, taken: set[int], rules: TrackRules) -> Tracks:
    """Begin a track for every measurement that is none's."""
    new = np.array([k for k in range(len(now.positions)) if k not in taken], np.int64)
    count = len(new)
    means, covariances = started(now.positions[new], rules.noise_m, rules.speed_mps)
    stamps = np.full(count, now.stamp_ns)
    begun = {
        "means": means, "covariances": covariances, "labels": now.labels[new],
        "ids": tracks.next_id + np.arange(count), "born_ns": stamps, "seen_ns": stamps,
        "seen": np.ones(count, np.int64), "objects": new,
    }  # fmt: skip
    parts: dict[str, Any] = {
        name: np.concatenate([getattr(tracks, name), begun[name]]) for name in _PER_TRACK
    }
    return replace(tracks, next_id=tracks.next_id + count, **parts)
