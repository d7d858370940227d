from itertools import islice, pairwise

import numpy as np
import pytest
from pydantic import ValidationError

from tectum.message import Kind
from tectum.node.base import Announcement, Capture
from tectum.testing import FakeClock
from tectum_nodes.simulated_camera import SimulatedCamera
from tectum_nodes.simulated_lidar import SimulatedLidar
from tectum_nodes.simulated_microphone import SimulatedMicrophone
from tectum_nodes.simulated_truth import SimulatedTruth
from tectum_nodes.simulation import DriveConfig, World, camera, lidar, siren, truth

EPOCH_NS = 1_750_000_000_000_000_000
SENSORS = (SimulatedCamera, SimulatedLidar, SimulatedMicrophone, SimulatedTruth)


class DriveContext:
    """A run whose time passes only by waiting; it stops at `until_s`."""

    def __init__(self, until_s=1e9, start_s=0.0):
        self.epoch_ns = EPOCH_NS
        self.clock = FakeClock(EPOCH_NS + round(start_s * 1e9))
        self.until_ns = EPOCH_NS + round(until_s * 1e9)

    def loan(self, output, dtype, shape):
        return np.full(shape, 255, dtype)

    def wait_until_ns(self, instant_ns):
        if instant_ns >= self.until_ns:
            return False
        self.clock.sleep_until_ns(instant_ns)
        return True


def captured(node_class, count, context=None, **keys):
    context = context or DriveContext()
    return list(islice(node_class(node_class.Config(**keys)).captures(context), count))


@pytest.mark.parametrize("node_class", SENSORS)
def test_what_a_sensor_publishes_is_declared_and_the_same_for_the_same_parameters(node_class):
    one, two = (
        [c for c in captured(node_class, 6, seed=3, weather="rain") if isinstance(c, Capture)]
        for _ in range(2)
    )
    assert {c.output: c.kind for c in one} == node_class.outputs
    for a, b in zip(one, two, strict=True):
        assert (a.stamp_ns, a.span_ns) == (b.stamp_ns, b.span_ns)
        assert all(np.array_equal(x, y) for x, y in zip(a.arrays, b.arrays, strict=True))
    assert not np.array_equal(one[0].arrays[0], one[-1].arrays[0])


@pytest.mark.parametrize("node_class", SENSORS)
def test_stamps_rise_on_the_beat_and_nothing_is_out_before_it_was_captured(node_class):
    context = DriveContext()
    config = node_class.Config()
    ((output, period_ns),) = node_class.period_ns_of(config).items()
    jitter_ns = getattr(config, "jitter", 0)
    stamps = []
    for item in islice(node_class(config).captures(context), 40):
        if isinstance(item, Capture):
            assert item.output == output
            assert context.clock.now_ns() >= item.stamp_ns + item.span_ns
            stamps.append(item.stamp_ns - EPOCH_NS)
    off = np.array(stamps) - period_ns * np.arange(len(stamps))
    assert np.abs(off).max() <= jitter_ns + len(stamps)
    assert np.all(np.diff(stamps) > 0)


@pytest.mark.parametrize("node_class", SENSORS)
def test_a_sensor_ends_with_the_graph(node_class):
    items = list(node_class(node_class.Config()).captures(DriveContext(until_s=1.0)))
    assert 9 <= sum(isinstance(item, Capture) for item in items) <= 32


def test_all_sensors_sense_one_world():
    """Each alone gives what the world has at its stamps."""
    world = World(DriveConfig(seed=9, weather="dusk"))
    keys = {"seed": 9, "weather": "dusk"}
    picture = captured(SimulatedCamera, 3, **keys)[-1]
    sweep = captured(SimulatedLidar, 4, **keys)[-1]
    fact = captured(SimulatedTruth, 3, **keys)[-1]
    sound = captured(SimulatedMicrophone, 3, **keys)[-1]
    scene = [world.at(item.stamp_ns - EPOCH_NS) for item in (picture, sweep, fact)]
    assert np.array_equal(picture.arrays[0], camera.render(scene[0]))
    assert np.array_equal(sweep.arrays[0], lidar.sweep(scene[1]))
    assert np.array_equal(fact.arrays[0], truth.occupancy(scene[2]))
    assert len(fact.arrays[2]) == len(scene[2].users)
    first = sound.fields["first"]
    expected = siren.chunk(world.config, first, first + 512)
    assert np.array_equal(sound.arrays[0][:, 0], expected)


def test_the_lidar_announces_a_sweep_when_it_begins():
    items = captured(SimulatedLidar, 8)
    for begin, sweep in zip(items[::2], items[1::2], strict=True):
        assert begin == Announcement("points", sweep.stamp_ns, begun=True)
        assert sweep.kind is Kind.POINTS
    ends = [sweep.stamp_ns + sweep.span_ns for sweep in items[1::2]]
    assert ends[:-1] == [begin.stamp_ns for begin in items[2::2]]


def test_chunks_of_sound_follow_each_other_without_a_gap():
    chunks = captured(SimulatedMicrophone, 50, jitter="5ms")
    firsts = [chunk.fields["first"] for chunk in chunks]
    assert firsts == list(range(0, 50 * 512, 512))
    for before, after in pairwise(chunks):
        assert before.stamp_ns + before.span_ns == after.stamp_ns


@pytest.mark.parametrize("node_class", SENSORS)
def test_a_sensor_that_starts_late_takes_up_the_rhythm_where_the_drive_is(node_class):
    late = captured(node_class, 2, DriveContext(start_s=100.0))
    stamps = [item.stamp_ns - EPOCH_NS for item in late]
    assert abs(stamps[0] - 100e9) < 0.2e9


def test_a_camera_that_cannot_keep_up_leaves_pictures_out():
    context = DriveContext()
    pictures = SimulatedCamera(SimulatedCamera.Config(jitter="0ms", rate="10Hz")).captures(context)
    first = next(pictures)
    context.clock.sleep_until_ns(EPOCH_NS + 1_000_000_000)
    second = next(pictures)
    assert (first.stamp_ns, second.stamp_ns) == (EPOCH_NS, EPOCH_NS + 1_000_000_000)


@pytest.mark.parametrize("node_class", SENSORS[:3])
def test_a_silent_sensor_says_nothing_for_its_time(node_class):
    fault = {"kind": "silent", "at": "1s", "lasts": "2s"}
    node = node_class(node_class.Config(faults=[fault]))
    items = list(node.captures(DriveContext(until_s=4.0)))
    stamps = np.array([item.stamp_ns - EPOCH_NS for item in items]) / 1e9
    assert not ((stamps >= 1.0) & (stamps < 3.0)).any()
    assert (stamps < 1.0).any()
    assert (stamps >= 3.0).any()


@pytest.mark.parametrize(
    ("node_class", "keys", "message"),
    [
        (SimulatedCamera, {"weather": "snow"}, "weather"),
        (SimulatedLidar, {"siren_every": "5s"}, "siren_every_s: 5.0 is not allowed"),
        (SimulatedCamera, {"rate": "0Hz"}, "rate"),
        (SimulatedTruth, {"sed": 1}, "sed"),
        (
            SimulatedLidar,
            {"faults": [{"kind": "blur", "at": "1s", "lasts": "1s"}]},
            "'blur' is not known, allowed are dropout, sector, silent",
        ),
    ],
)
def test_a_wrong_parameter_is_refused_by_its_name(node_class, keys, message):
    with pytest.raises(ValidationError, match=message):
        node_class.Config(**keys)


def test_the_rig_has_the_camera_and_the_lidar_in_the_ego_frame():
    rig = SimulatedCamera.rig_of(SimulatedCamera.Config(scale=2))
    assert rig["cameras"]["camera"]["width"] == 640
    assert rig["frames"]["camera"]["parent"] == "ego"
    place = np.array(SimulatedLidar.rig_of(SimulatedLidar.Config())["frames"]["lidar"]["matrix"])
    assert place[:3, 3].tolist() == [0.0, 0.0, 1.8]
