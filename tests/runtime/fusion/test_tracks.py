from __future__ import annotations

import numpy as np
import pytest

from tectum.fusion.lead import lead_track, time_to_collision
from tectum.fusion.tracks import TRACK_COLUMNS, Seen, Tracker, TrackRules

MS = 1_000_000
CAR, TRUCK, PERSON = 2, 7, 0


def _seen(at_ms: int, *objects: tuple[float, float, int]) -> Seen:
    rows = np.array(objects, float).reshape(-1, 3)
    return Seen(at_ms * MS, rows[:, :2], rows[:, 2].astype(np.int64))


def _at(at_ms: int) -> Seen:
    """Two road users: a car that comes nearer at 2 m/s, a person who crosses at 1 m/s."""
    t = at_ms / 1000
    return _seen(at_ms, (20 - 2 * t, 0, CAR), (10, -3 + t, PERSON))


def _run(moments: list[Seen], **rules: float) -> list:
    tracker = Tracker(TrackRules(**rules))
    return [tracker.take(seen) for seen in moments]


def test_who_is_who_and_how_fast() -> None:
    last = _run([_at(t) for t in range(0, 2000, 100)])[-1]
    assert last.ids.tolist() == [1, 2]
    assert last.means[:, 2:] == pytest.approx(np.array([[-2, 0], [0, 1]]), abs=0.05)
    table = {name: last.table()[:, k] for k, name in enumerate(TRACK_COLUMNS)}
    assert table["age_s"] == pytest.approx([1.9, 1.9])
    assert table["seen"].tolist() == [20, 20]
    assert table["object"].tolist() == [0, 1]
    assert np.all(table["x_std_m"] < 0.1)


def test_a_missed_detection_is_bridged_by_the_velocity() -> None:
    moments = [_at(t) if t not in (1000, 1100, 1200) else _seen(t) for t in range(0, 1600, 100)]
    found = _run(moments)
    gone = found[12]
    assert gone.objects.tolist() == [-1, -1]
    assert gone.means[0, :2] == pytest.approx([20 - 2 * 1.2, 0], abs=0.1)
    assert gone.covariances[0, 0, 0] > found[9].covariances[0, 0, 0]
    assert found[-1].ids.tolist() == [1, 2]


def test_a_track_that_is_not_seen_for_too_long_ends() -> None:
    moments = [_at(0), _at(100), _at(200), *(_seen(t) for t in range(300, 1300, 100))]
    lengths = [len(tracks) for tracks in _run(moments)]
    assert lengths[10] == 2  # 800 ms after it was last seen
    assert lengths[11] == 0


def test_what_was_seen_once_and_not_again_never_counts() -> None:
    ghost = _seen(100, (20 - 0.2, 0, CAR), (10, -2.9, PERSON), (5, 1, CAR))
    found = _run([_at(0), ghost, _at(200)])
    assert found[1].ids.tolist() == [1, 2, 3]
    assert found[2].ids.tolist() == [1, 2]
    assert lead_track(found[1], [CAR], 2) == 0  # not the ghost, though it is nearer


def test_another_label_is_another_thing_only_where_something_fits_better() -> None:
    for label, ids in ((TRUCK, [1]), (CAR, [1])):
        last = _run([_seen(0, (20, 0, CAR)), _seen(100, (20, 0, label))])[-1]
        assert last.ids.tolist() == ids
    swapped = _run([_seen(0, (20, 0, CAR), (20, 0.2, PERSON)),
                    _seen(100, (20, 0.1, PERSON), (20, 0.1, CAR))])[-1]  # fmt: skip
    assert swapped.objects.tolist() == [1, 0]


def test_a_late_measurement_is_taken_in_at_its_own_stamp() -> None:
    #   stamps   0 100 200 300 [250]   -> as if 0 100 200 250 300
    in_order = _run([_at(t) for t in (0, 100, 200, 250, 300, 400)])
    late = _run([_at(t) for t in (0, 100, 200, 300, 250, 400)])
    assert late[4].stamp_ns == 250 * MS
    assert late[4].means == pytest.approx(in_order[3].means)
    assert late[5].means == pytest.approx(in_order[5].means)
    assert late[5].covariances == pytest.approx(in_order[5].covariances)


def test_what_is_older_than_the_memory_changes_nothing() -> None:
    moments = [_at(t) for t in range(0, 3000, 100)]
    tracker = Tracker(TrackRules(memory_ns=500 * MS))
    for seen in moments:
        before = tracker.take(seen)
    assert tracker.take(_at(150)) is before


def test_the_vehicle_ahead_is_the_nearest_of_its_kind_on_our_way() -> None:
    scene = [(20, 0, CAR), (10, 3, CAR), (8, 0, PERSON), (30, 0, CAR)]
    last = _run([_seen(t, *scene) for t in (0, 100)])[-1]
    assert lead_track(last, [CAR, TRUCK], 2) == 0
    assert lead_track(last, [PERSON], 2) == 2
    assert lead_track(last, [TRUCK], 2) is None


def test_time_to_collision_is_finite_only_where_the_distance_shrinks() -> None:
    assert time_to_collision(10, 2) == pytest.approx(5)
    assert time_to_collision(10, 0.05) == float("inf")
    assert time_to_collision(10, -3) == float("inf")
