"""When a pick is committed: at finality, at silence, or when the deadline forces it."""

from tectum.clock import NS_PER_MS as MS
from tectum.ledger.row import Status
from tectum.pipeline.events import Arrived, Promised
from tectum.pipeline.plan import AlignPlan
from tectum.testing.arrivals import START_NS, together

SETTLED = START_NS + 500 * MS


def test_a_set_that_cannot_improve_waits_zero(scene) -> None:
    # The camera is at most 16 ms from a trigger that takes 20 ms to arrive; its next frame is known
    # to be farther away. So every pick is final when the trigger comes.
    scene.source("camera", jitter_ns=0, transit_ns=2 * MS).source("lidar", jitter_ns=0)
    rows = [row for row in scene.run().rows if row.stamp_ns >= SETTLED]
    assert {row.settled_ns - row.accepted_ns for row in rows} == {0}


def test_a_better_sample_on_its_way_is_waited_for_and_no_longer(scene, item) -> None:
    # The camera takes 40 ms: the nearest frame may be up to 16 ms after the trigger, and then
    # arrives 36 ms after it.
    scene.source("camera", jitter_ns=0, transit_ns=40 * MS).source("lidar", jitter_ns=0)
    rows = [row for row in scene.run().rows if row.stamp_ns >= SETTLED]
    for row in rows:
        camera = item(row, "camera")
        assert not camera.forced
        assert camera.committed_ns == max(row.accepted_ns, camera.arrived_ns)
        assert abs(camera.distance_ns) <= 17 * MS


def test_the_deadline_minus_the_time_to_compute_forces_a_commit(scene, item) -> None:
    # From 1500 on the camera is stuck for a while: what usually comes in time does not.
    scene.input("camera", silent_after_ns=2000 * MS)
    rows = scene.run(_stuck(scene.heard(), "camera", 1450, 1600)).rows
    (row,) = [row for row in rows if item(row, "camera").reason == "not_arrived"]
    camera = item(row, "camera")
    assert camera.status is Status.MISSING
    assert camera.forced
    # 2 for delivery, 2 for the head, 8 for the eye: what it would still have taken.
    assert camera.committed_ns == row.deadline_ns - 12 * MS
    assert row.emitted_ns <= row.deadline_ns - 2 * MS


def test_more_lanes_do_not_lengthen_the_wait_of_one_input(scene, item) -> None:
    scene.input("camera", silent_after_ns=2000 * MS)
    rows = scene.set(lanes=4).run(_stuck(scene.heard(), "camera", 1450, 1600)).rows
    (row,) = [row for row in rows if item(row, "camera").reason == "not_arrived"]
    assert item(row, "camera").committed_ns == row.deadline_ns - 12 * MS


def test_with_one_lane_what_must_run_in_turn_is_forced_earlier(scene, item) -> None:
    for name in ("camera", "siren"):
        scene.input(name, silent_after_ns=2000 * MS)
    scene.set(lanes=1).input("siren", align=AlignPlan("window", duration_ns=40 * MS))
    events = _stuck(_stuck(scene.heard(), "camera", 1450, 1700), "siren", 1450, 1700)
    row = next(row for row in scene.run(events).rows if item(row, "siren").forced)
    # Seen from the deadline: delivery 2, head 2, then the ear's 3 and before it the eye's 8.
    assert item(row, "camera").committed_ns == row.deadline_ns - 15 * MS
    assert item(row, "siren").committed_ns == row.deadline_ns - 7 * MS


def test_what_cannot_arrive_in_time_is_not_waited_for(scene, item) -> None:
    # The camera always takes 200 ms, twice the budget: known as soon as it is learned.
    scene.source("camera", jitter_ns=0, transit_ns=200 * MS)
    rows = [row for row in scene.run().rows if row.stamp_ns >= SETTLED]
    for row in rows[:-2]:
        camera = item(row, "camera")
        assert (camera.status, camera.reason) == (Status.MISSING, "not_arrived")
        assert camera.forced
        assert camera.committed_ns == row.accepted_ns


def test_an_input_whose_clock_is_an_hour_behind_is_not_waited_for(scene, item) -> None:
    hour_ns = 3_600_000 * MS
    events = [
        e._replace(sample=e.sample._replace(stamp_ns=e.sample.stamp_ns - hour_ns))
        if isinstance(e, Arrived) and e.sample.ref.input == "camera"
        else e
        for e in _later(scene.heard(), hour_ns)
    ]
    rows = scene.run(events).rows[5:-1]
    assert {row.reason for row in rows} == {"input_not_arrived"}
    assert {item(row, "camera").committed_ns - row.accepted_ns for row in rows} == {0}


def test_a_promise_ends_the_wait_of_a_sensor_without_a_rhythm(scene, item, one) -> None:
    # camera    0                         150
    # lidar             100 heard at 120
    # promise                        nothing before 140, said at 130: 0 is out of reach, 150 too far
    events = [
        one("camera", 0, 70, 75),
        one("lidar", 0, 100, 120),
        Promised(START_NS + 130 * MS, "camera", START_NS + 140 * MS),
        one("camera", 1, 150, 155),
    ]
    (row,) = scene.run(together(scene.heard(1)[:4], events)).rows
    assert item(row, "camera").committed_ns == START_NS + 130 * MS
    assert item(row, "camera").distance_ns == -30 * MS


def test_the_encoder_starts_when_its_pick_is_committed_not_when_the_set_is(scene, item) -> None:
    scene.source("siren", transit_ns=50 * MS)
    rows = [row for row in scene.run().rows if row.stamp_ns >= SETTLED]
    assert all(item(r, "camera").encode_begin_ns < item(r, "siren").committed_ns for r in rows)


def test_eager_off_starts_nothing_before_the_set_is_whole(scene, item) -> None:
    scene.source("siren", transit_ns=50 * MS).set(eager="off")
    rows = [row for row in scene.run().rows if row.stamp_ns >= SETTLED]
    assert all(item(r, "camera").encode_begin_ns >= r.settled_ns for r in rows)


def test_a_better_sample_after_the_commit_is_counted_and_changes_nothing(scene, item, one) -> None:
    # camera   66  99  132 165 198 ... 264 297 at a steady 33, then one at 305 that nobody expects:
    # the frame at 297 is final for the trigger at 303 (the next is expected at 330).
    frames = [one("camera", k, 33 * k, 33 * k + 1) for k in range(10)]
    events = [one("lidar", 0, 303, 303), one("camera", 10, 305, 310)]
    result = scene.run(together(scene.heard(1)[:4], frames, events))
    assert item(result.rows[0], "camera").seq == 9
    assert result.counters["camera"]["beaten"] == 1


def test_one_that_is_better_by_less_than_the_errors_of_the_stamps_is_not_said_to_be(
    scene, item, one
) -> None:
    # the frame at 297 is 6 ms off, the one at 305 is 2 ms off: nearer by 4 ms
    for error_ms, beaten in ((1, 1), (3, 0)):
        error_ns = error_ms * MS
        frames = [one("camera", k, 33 * k, 33 * k + 1, error_ns=error_ns) for k in range(10)]
        late = one("camera", 10, 305, 310, error_ns=error_ns)
        result = scene.run(together(scene.heard(1)[:4], frames, [one("lidar", 0, 303, 303), late]))
        assert item(result.rows[0], "camera").seq == 9
        assert item(result.rows[0], "camera").error_ns == error_ns
        assert result.counters["camera"].get("beaten", 0) == beaten


def test_a_better_sample_that_comes_before_delivery_is_said_in_the_row(scene, item, one) -> None:
    frames = [one("camera", k, 33 * k, 33 * k + 1) for k in range(10)]
    events = [one("lidar", 0, 303, 303), one("camera", 10, 305, 305)]
    result = scene.run(together(scene.heard(1)[:4], frames, events))
    assert item(result.rows[0], "camera").beaten
    late = [*events[:-1], one("camera", 10, 305, 399)]
    result = scene.run(together(scene.heard(1)[:4], frames, late))
    assert not item(result.rows[0], "camera").beaten
    assert [note.detail_ns for note in result.notes if note.change == "beaten"] == [
        START_NS + 303 * MS
    ]


def test_without_a_budget_every_trigger_gets_its_best_alignment(scene, item) -> None:
    scene.set(budget_ns=0).source("camera", transit_ns=80 * MS)
    scene.takes["head"] = 150 * MS
    rows = [row for row in scene.run().rows if row.stamp_ns >= SETTLED]
    assert {row.reason for row in rows[:-1]} == {"complete"}
    assert max(abs(item(row, "camera").distance_ns) for row in rows[:-1]) <= 19 * MS
    assert {row.deadline_ns for row in rows} == {0}


def _stuck(events, name, since_ms, until_ms):
    """Let what `name` sent in [since, until) arrive only at `until`."""
    lo_ns, hi_ns = START_NS + since_ms * MS, START_NS + until_ms * MS
    moved = [
        e._replace(now_ns=hi_ns)
        if isinstance(e, Arrived) and e.sample.ref.input == name and lo_ns <= e.now_ns < hi_ns
        else e
        for e in events
    ]
    return sorted(moved, key=lambda e: e.now_ns)


def _later(events, by_ns):
    """Let everything happen `by_ns` later."""
    return [
        e._replace(
            now_ns=e.now_ns + by_ns, sample=e.sample._replace(stamp_ns=e.sample.stamp_ns + by_ns)
        )
        if isinstance(e, Arrived)
        else e._replace(now_ns=e.now_ns + by_ns)
        for e in events
    ]
