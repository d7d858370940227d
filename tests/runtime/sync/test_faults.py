"""Each fault does to one input, in its time, what it is called for. One column is 10 ms."""

import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.errors import ConfigError
from tectum.pipeline.events import Arrived, Promised
from tectum.sync.fault_line import inject
from tectum.sync.faults import KINDS, Fault
from tectum.testing.arrivals import START_NS, Source, arrivals, together

CAMERA = Source("camera", 10 * MS, transit_ns=2 * MS)
LIDAR = Source("lidar", 10 * MS, transit_ns=2 * MS)


def _camera(count: int) -> list[Arrived]:
    return arrivals(CAMERA, count * 10 * MS)


def _seqs(events) -> list[int]:
    return [event.sample.ref.seq for event in events]


def _ms(events) -> list[int]:
    return [(event.now_ns - START_NS) // MS for event in events]


def _at(ms: int) -> int:
    return START_NS + ms * MS


@pytest.mark.parametrize("kind", KINDS)
def test_other_inputs_and_times_are_left_alone(kind) -> None:
    events = together(_camera(20), arrivals(LIDAR, 200 * MS))
    fault = Fault(kind, "camera", _at(50), 50 * MS, amount_ns=3 * MS, ppm=1000)
    after = inject(events, [fault])
    assert [e for e in after if e.sample.ref.input == "lidar"] == arrivals(LIDAR, 200 * MS)
    before = [e for e in events if e.sample.ref.input == "camera" and e.now_ns < _at(50)]
    camera = [e for e in after if e.sample.ref.input == "camera"]
    assert camera[: len(before)] == before
    assert [e for e in camera if e.now_ns > _at(103)] == _camera(20)[11:]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_events_in_order(kind) -> None:
    faults = [Fault(kind, "camera", 0, permille=300, amount_ns=15 * MS, ppm=100)]
    first, second = (inject(_camera(200), faults, seed=7) for _ in range(2))
    assert first == second
    assert _ms(first) == sorted(_ms(first))


def test_a_delay_is_added_to_the_arrival_not_to_the_stamp() -> None:
    (event,) = inject(_camera(1), [Fault("delay", "camera", 0, amount_ns=30 * MS)])
    assert (event.now_ns, event.sample.stamp_ns) == (_at(32), START_NS)


def test_jitter_is_one_sided_and_has_its_mean() -> None:
    after = inject(_camera(3000), [Fault("jitter", "camera", 0, amount_ns=15 * MS)])
    more = [event.now_ns - event.sample.stamp_ns - 2 * MS for event in after]
    assert min(more) >= 0
    assert 14 * MS < sum(more) / len(more) < 16 * MS


def test_drop_loses_its_share() -> None:
    after = inject(_camera(3000), [Fault("drop", "camera", 0, permille=100)])
    assert 2600 < len(after) < 2800


def test_a_dead_input_promises_nothing_either() -> None:
    promise = Promised(_at(5), "camera", _at(10))
    assert inject([promise], [Fault("drop", "camera", 0)]) == []
    assert inject([promise], [Fault("drop", "camera", 0, permille=500)]) == [promise]


def test_a_duplicate_is_the_same_message_a_second_time() -> None:
    first, second = inject(_camera(1), [Fault("duplicate", "camera", 0, amount_ns=4 * MS)])
    assert first.sample == second.sample
    assert second.now_ns - first.now_ns == 4 * MS


def test_a_reordered_message_comes_after_the_one_that_follows_it() -> None:
    # sent     0  1  2  3        struck: 1
    # arrives  0     2  3
    #                 1
    after = inject(_camera(4), [Fault("reorder", "camera", _at(10), 5 * MS)])
    assert _ms(after) == [2, 22, 22, 32]
    assert sorted(_seqs(after)[1:3]) == [1, 2]


def test_a_reordered_last_message_is_not_lost() -> None:
    assert len(inject(_camera(3), [Fault("reorder", "camera", _at(20))])) == 3


def test_a_frozen_sensor_repeats_its_last_stamp_under_new_numbers() -> None:
    after = inject(_camera(6), [Fault("freeze", "camera", _at(20), 20 * MS)])
    assert _seqs(after) == [0, 1, 2, 3, 4, 5]
    assert [(e.sample.stamp_ns - START_NS) // MS for e in after] == [0, 10, 10, 10, 40, 50]


def test_a_burst_is_silence_and_then_everything_at_once() -> None:
    after = inject(_camera(6), [Fault("burst", "camera", _at(20), 25 * MS)])
    assert _ms(after) == [2, 12, 45, 45, 45, 52]
    assert _seqs(after) == [0, 1, 2, 3, 4, 5]


def test_a_fault_can_come_again() -> None:
    after = inject(_camera(30), [Fault("drop", "camera", _at(0), 20 * MS, every_ns=100 * MS)])
    assert _seqs(after) == [k for k in range(30) if k % 10 >= 2]


def test_a_clock_step_moves_stamps_from_its_time_on() -> None:
    after = inject(_camera(4), [Fault("clock_step", "camera", _at(20), amount_ns=-500 * MS)])
    assert [(e.sample.stamp_ns - START_NS) // MS for e in after] == [0, 10, -480, -470]


def test_a_drift_grows_with_time() -> None:
    after = inject(_camera(1001), [Fault("drift", "camera", START_NS, ppm=100)])
    assert after[-1].sample.stamp_ns - START_NS == 10_000 * MS + 1 * MS


def test_faults_work_one_after_the_other() -> None:
    faults = [
        Fault("delay", "camera", 0, amount_ns=5 * MS),
        Fault("drop", "camera", _at(20), 10 * MS),
    ]
    assert _seqs(inject(_camera(4), faults)) == [0, 1, 3]


def test_an_unknown_fault_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="no fault is called 'dealy'; did you mean 'delay'"):
        inject([], [Fault("dealy", "camera")])
