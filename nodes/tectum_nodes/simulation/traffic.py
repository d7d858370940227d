"""Road users and scenery as functions of time: rows of slots that move along the road.

A lane is an endless row of slots that all move at the lane's speed. Whether a slot is filled, by
what, and where exactly within it, follows from its number. So nobody has a history, any time can
be asked for directly, and users of one lane never run into each other.
"""

from dataclasses import dataclass

import numpy as np

from tectum_nodes.simulation.boxes import SIZES, Boxes, Kind, join
from tectum_nodes.simulation.chance import Floats, Ints, uniform, uniform_one
from tectum_nodes.simulation.road import EGO_OFFSET_M, Ego, Road

BEHIND_M = 45.0
AHEAD_M = 130.0


@dataclass(frozen=True, slots=True)
class Lane:
    """A row of slots."""

    name: str
    offset_m: float
    """Metres left of the centre line."""
    speed_mps: float
    """Negative comes towards the ego; 0 stands."""
    spacing_m: float
    fill: float
    """Share of slots that are filled at traffic 1."""
    mix: tuple[tuple[Kind, float], ...]
    """Kinds with their weights."""
    spread_m: float
    """How far a user is from the middle of its slot, at most."""
    wander_m: float = 0.0
    """Amplitude of the swaying within the lane."""


_MOTOR = ((Kind.CAR, 0.7), (Kind.VAN, 0.17), (Kind.TRUCK, 0.13))
_BIKES = ((Kind.CYCLIST, 1.0),)
_WALKERS = ((Kind.PEDESTRIAN, 1.0),)
_FURNITURE = ((Kind.TREE, 0.45), (Kind.POLE, 0.25), (Kind.BIN, 0.22), (Kind.SHELTER, 0.08))
_HOUSES = ((Kind.BUILDING, 1.0),)
_PARKED = ((Kind.CAR, 0.44), (Kind.VAN, 0.12), (Kind.SKIP, 0.44))
_KERB = ((Kind.PEDESTRIAN, 0.3), (Kind.CYCLIST, 0.16), (Kind.POST, 0.3), (Kind.BUSH, 0.24))

LANES = (
    Lane("right motor", -5.6, 7.4, 24.0, 0.42, _MOTOR, 5.0, 0.25),
    Lane("right cycle", -8.2, 4.6, 19.0, 0.34, _BIKES, 6.0, 0.25),
    Lane("right walk out", -10.4, 1.35, 9.0, 0.26, _WALKERS, 3.4, 0.25),
    Lane("right walk home", -11.7, -1.25, 9.0, 0.26, _WALKERS, 3.4, 0.25),
    Lane("left motor", 2.0, -9.5, 27.0, 0.45, _MOTOR, 7.0, 0.2),
    Lane("left parked", 5.5, 0.0, 8.0, 0.5, _PARKED, 1.0),
    Lane("left cycle", 8.2, -4.4, 23.0, 0.34, _BIKES, 7.0, 0.25),
    Lane("left walk", 11.4, 1.2, 8.0, 0.3, _WALKERS, 3.0, 0.6),
    Lane("right kerb", -9.5, 0.0, 5.0, 0.4, _KERB, 1.4),
    Lane("left kerb", 9.6, 0.0, 5.0, 0.4, _KERB, 1.4),
)
SCENERY = (
    Lane("right furniture", -13.2, 0.0, 9.0, 0.6, _FURNITURE, 2.5),
    Lane("left furniture", 13.2, 0.0, 9.0, 0.6, _FURNITURE, 2.5),
    Lane("right houses", -20.5, 0.0, 21.0, 0.82, _HOUSES, 1.0),
    Lane("left houses", 20.5, 0.0, 21.0, 0.82, _HOUSES, 1.0),
)


@dataclass(frozen=True, slots=True)
class _Slots:
    """Filled slots near the ego, of several lanes, as columns."""

    lane: Ints
    slot: Ints

    def draw(self, seed: int, use: str) -> Floats:
        """A number in [0, 1) per slot."""
        return uniform(seed, use, (self.slot << 6) | self.lane)


class Rows:
    """The slots of several lanes: who is in them at a time."""

    def __init__(self, lanes: tuple[Lane, ...], first_number: int) -> None:
        self._number = first_number
        self._offset = np.array([lane.offset_m for lane in lanes])
        self._speed = np.array([lane.speed_mps for lane in lanes])
        self._spacing = np.array([lane.spacing_m for lane in lanes])
        self._fill = np.array([lane.fill for lane in lanes])
        self._spread = np.array([lane.spread_m for lane in lanes])
        self._wander = np.array([lane.wander_m for lane in lanes])
        self._lane = np.repeat(np.arange(len(lanes)), [_slots_near(lane) for lane in lanes])
        self._within = np.concatenate([np.arange(_slots_near(lane)) for lane in lanes])
        self._edges = np.stack([_edges(lane.mix) for lane in lanes])
        self._kinds = np.stack([_padded(lane.mix) for lane in lanes])

    def at(self, seed: int, traffic: float, road: Road, ego: Ego, t_s: float) -> Boxes:
        """The boxes in the filled slots near the ego."""
        found = self._filled(seed, traffic, ego, t_s)
        lane = found.lane - self._number
        phase = found.draw(seed, "phase")
        sway = 2 * np.pi * (phase + t_s / (7.0 + 8.0 * phase))
        along = (found.draw(seed, "place") * 2 - 1) * self._spread[lane]
        s = (found.slot + 0.5) * self._spacing[lane] + along + self._speed[lane] * t_s
        d = self._offset[lane] + self._wander[lane] * np.sin(sway)
        column = (found.draw(seed, "kind")[:, None] >= self._edges[lane]).sum(axis=1)
        kind = self._kinds[lane, column]
        ident = (found.slot << 6) | found.lane
        size, tint = found.draw(seed, "size"), found.draw(seed, "tint")
        return Movers(kind, ident, s, d, self._speed[lane], size, tint).seen(road, ego)

    def _filled(self, seed: int, traffic: float, ego: Ego, t_s: float) -> _Slots:
        start = np.floor((ego.s - BEHIND_M - self._speed * t_s) / self._spacing)
        slot = start.astype(np.int64)[self._lane] + self._within
        slots = _Slots(self._lane + self._number, slot)
        share = np.minimum(self._fill * traffic, 0.95)[self._lane]
        filled = slots.draw(seed, "fill") < share
        return _Slots(slots.lane[filled], slot[filled])


def _slots_near(lane: Lane) -> int:
    return int((BEHIND_M + AHEAD_M) / lane.spacing_m) + 2


def _edges(mix: tuple[tuple[Kind, float], ...]) -> Floats:
    edges = np.ones(_MOST_KINDS - 1)
    edges[: len(mix) - 1] = np.cumsum([weight for _, weight in mix])[:-1]
    return edges


def _padded(mix: tuple[tuple[Kind, float], ...]) -> Ints:
    kinds = [kind for kind, _ in mix]
    return np.array(kinds + kinds[-1:] * (_MOST_KINDS - len(kinds)), np.int64)


_MOST_KINDS = 4
_STREET = Rows(LANES, 0)
_SCENERY = Rows(SCENERY, len(LANES))


@dataclass(frozen=True, slots=True)
class Movers:
    """Things at places on the road, as columns; they face the way they move."""

    kind: Ints
    ident: Ints
    s: Floats
    """Metres along the road."""
    d: Floats
    """Metres left of its centre line."""
    speed: Floats
    """Along the road; negative comes towards the ego."""
    size: Floats
    """A number in [0, 1) that makes them small or large."""
    tint: Floats

    def seen(self, road: Road, ego: Ego) -> Boxes:
        """The boxes that the ego sees."""
        x, y, direction = road.seen(ego, self.s, self.d)
        vx, vy = self.speed * np.cos(direction), self.speed * np.sin(direction)
        heading = direction + np.pi * (self.speed < 0)
        length, width, height = (SIZES[self.kind] * (0.92 + 0.16 * self.size)[:, None]).T
        return Boxes(
            self.kind, self.ident, x, y, heading, length, width, height, vx, vy, self.tint
        )  # fmt: skip


def nobody() -> Boxes:
    """No boxes."""
    none = np.zeros(0, np.int64)
    return Boxes(none, none, *(np.zeros(0) for _ in range(9)))


def lead_vehicle(seed: int, traffic: float, road: Road, ego: Ego, t_s: float) -> Boxes:
    """The vehicle in front of the ego: it appears far ahead, is closed up to, and leaves again."""
    turn, within = divmod(t_s + 13.0, 26.0)
    index = int(turn)
    if uniform_one(seed, "lead/fill", index) >= min(0.8 * traffic, 0.95):
        return nobody()
    nearest = 9.0 + 22.0 * uniform_one(seed, "lead/gap", index)
    gap = nearest + (125.0 - nearest) * (within / 13.0 - 1.0) ** 2
    column = int((uniform_one(seed, "lead/kind", index) >= _edges(_MOTOR)).sum())
    kind = _padded(_MOTOR)[[column]]
    one = np.ones(1)
    speed = ego.speed_mps + (125.0 - nearest) * 2 * (within / 13.0 - 1.0) / 13.0
    tint = uniform_one(seed, "lead/tint", index)
    ident = np.array([(index << 6) | 61], np.int64)
    s = one * (ego.s + gap)
    d = EGO_OFFSET_M * one
    return Movers(kind, ident, s, d, speed * one, 0.5 * one, tint * one).seen(road, ego)


_CROSSING_S = 24.0  # long enough to come from, and leave for, the houses at walking pace


def crossing(seed: int, traffic: float, road: Road, ego: Ego, t_s: float) -> Boxes:
    """Somebody who crosses the road ahead, and is out of the ego's lane before it is there."""
    index, within = divmod(t_s, _CROSSING_S)
    turn = int(index)
    if uniform_one(seed, "crossing/fill", turn) >= min(0.75 * traffic, 0.95):
        return nobody()
    moment = 11.6 + 0.8 * uniform_one(seed, "crossing/moment", turn)
    side = 1.0 if uniform_one(seed, "crossing/side", turn) < 0.5 else -1.0
    cyclist = uniform_one(seed, "crossing/kind", turn) < 0.25
    pace = side * (2.6 if cyclist else 1.5)
    d = EGO_OFFSET_M + pace * (within - moment)
    ahead = 22.0 + 14.0 * uniform_one(seed, "crossing/ahead", turn)
    s = road.travelled(turn * _CROSSING_S + moment)[0] + ahead
    if abs(d) > 15.5:
        return nobody()
    x, y, direction = road.seen(ego, np.array([s]), np.array([d]))
    heading = direction + side * np.pi / 2
    kind = np.array([Kind.CYCLIST if cyclist else Kind.PEDESTRIAN], np.int64)
    vx, vy = abs(pace) * np.cos(heading), abs(pace) * np.sin(heading)
    ident = np.array([(turn << 6) | 62], np.int64)
    tint = np.array([uniform_one(seed, "crossing/tint", turn)])
    length, width, height = SIZES[kind].T
    return Boxes(kind, ident, x, y, heading, length, width, height, vx, vy, tint)


def street(seed: int, traffic: float, road: Road, ego: Ego, t_s: float) -> tuple[Boxes, Boxes]:
    """All road users but the emergency vehicle, and the things that stand among them."""
    lanes = _STREET.at(seed, traffic, road, ego, t_s)
    users = lanes.kind <= Kind.AMBULANCE
    special = (f(seed, traffic, road, ego, t_s) for f in (lead_vehicle, crossing))
    return join(lanes.where(users), *special), lanes.where(~users)


def scenery(seed: int, road: Road, ego: Ego, t_s: float) -> Boxes:
    """Houses, trees and street furniture."""
    return _SCENERY.at(seed, 1.0, road, ego, t_s)
