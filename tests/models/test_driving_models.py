"""The shipped files are what their manifests say, and know more than chance of unseen drives."""

import hashlib
import itertools
import runpy
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from tectum.fusion.late import fuse
from tectum.fusion.painting import paint
from tectum.fusion.projection import camera_from_points
from tectum.inference.manifest import read_manifest
from tectum_models.catalogue import find
from tectum_nodes.simulation import WEATHERS, DriveConfig, World, camera, lidar, siren, truth
from tectum_nodes.simulation.rig import CameraModel, LidarModel, camera_rig, lidar_rig

ROOT = Path(__file__).parents[2]
HEADS = ("driving/head", "driving/head_sum", "driving/head_gated", "driving/head_attention")
ENCODERS = ("driving/camera", "driving/lidar", "driving/siren")
MODELS = (*ENCODERS, "driving/painted", "driving/stacker", *HEADS)
MASKS = tuple(itertools.product((0.0, 1.0), repeat=3))
INPUTS = {"camera": "image", "lidar": "points", "siren": "audio"}
SWEEP_NS = 100_000_000
HELD_OUT = range(9000, 9016)

average_precision = runpy.run_path(str(ROOT / "models/recipes/metrics.py"))["average_precision"]


@cache
def session(model, variant=None):
    manifest = read_manifest(find(model))
    chosen = manifest.variants[0] if variant is None else manifest.variant(variant)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    path = manifest.folder / chosen.file
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def variants():
    return [(name, v.name) for name in MODELS for v in read_manifest(find(name)).variants]


@cache
def encoded():
    """Embeddings, decisions and truths of moments of held-out drives, in all weathers."""
    keys = ("camera", "lidar", "siren", "occupancy", "velocity", "approaching")
    found = {key: [] for key in keys}
    for seed in HELD_OUT:
        config = DriveConfig(seed, WEATHERS[seed % 4], siren_every_s=34.0)
        world = World(config)
        for t_ns in np.random.default_rng([seed, 5]).integers(2 * 10**9, 900 * 10**9, 4):
            scene = world.at(int(t_ns))
            end = (int(t_ns) + SWEEP_NS) * siren.RATE_HZ // 10**9
            samples = {
                "camera": ("image", camera.render(scene)[None]),
                "lidar": ("points", lidar.sweep(scene)),
                "siren": ("audio", siren.chunk(config, end - siren.RATE_HZ, end)[None]),
            }
            for name, (key, value) in samples.items():
                found[name].append(session(f"driving/{name}").run(None, {key: value}))
            found["occupancy"].append(truth.occupancy(scene))
            found["velocity"].append(truth.velocity(scene))
            found["approaching"].append([float(truth.siren_approaching(scene))])
    return found


def fused(present, junk=None, head="driving/head", age=0.0):
    """Answers of a head for all moments; absent embeddings, and their ages, hold `junk`."""
    answers = []
    ages = [age if here else junk or 0.0 for here in present]
    for rows in zip(*(encoded()[name] for name in ("camera", "lidar", "siren")), strict=True):
        feed = {
            "present": np.array([present], np.float32),
            "age": np.array([ages], np.float32),
        }
        for name, (embedding, *_), here in zip(
            ("camera", "lidar", "siren"), rows, present, strict=True
        ):
            feed[name] = embedding if here else np.full_like(embedding, junk or 0.0)
        answers.append(session(head).run(None, feed))
    return [np.concatenate(column) for column in zip(*answers, strict=True)]


@pytest.mark.parametrize(("model", "variant"), variants())
def test_a_file_has_the_tensors_and_the_hash_that_its_manifest_names(model, variant):
    manifest = read_manifest(find(model))
    entry = manifest.variant(variant)
    content = (manifest.folder / entry.file).read_bytes()
    assert hashlib.sha256(content).hexdigest() == entry.sha256
    kinds = {"tensor(float)": "float32", "tensor(uint8)": "uint8", "tensor(int16)": "int16"}
    run = session(model, variant)
    for declared, real in (
        (manifest.inputs, run.get_inputs()),
        (manifest.outputs, run.get_outputs()),
    ):
        assert [t.name for t in declared] == [t.name for t in real]
        assert [t.dtype for t in declared] == [kinds[t.type] for t in real]
        assert [list(t.shape) for t in declared] == [t.shape for t in real]


@pytest.mark.parametrize("model", MODELS)
def test_a_model_card_says_what_it_was_measured_to_do(model):
    card = (find(model) / "CARD.md").read_text()
    for entry in read_manifest(find(model)).variants:
        assert entry.file in card
        assert f"{entry.quality['average_precision']:.3f}" in card
        assert f"{entry.latency_ms['cpu']:.2f} ms" in card


def test_all_files_together_are_small():
    assert sum(path.stat().st_size for path in (ROOT / "models").rglob("*.onnx")) < 6_000_000


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("present", MASKS)
def test_a_head_answers_for_every_set_of_modalities_whatever_absent_bytes_hold(present, head):
    occupancy, alarm, velocity, ahead = answers = fused(present, head=head)
    for answer in (occupancy, alarm, ahead):
        assert 0.0 <= answer.min() <= answer.max() <= 1.0
    assert np.abs(velocity).max() < 60.0
    for junk in (float("nan"), float("inf"), -1e30):
        for answer, other in zip(answers, fused(present, junk, head), strict=True):
            assert np.array_equal(answer, other)


def test_the_age_of_a_picture_changes_the_answer_and_that_of_what_is_absent_does_not():
    both, lidar_only = (1.0, 1.0, 1.0), (0.0, 1.0, 0.0)
    assert np.abs(fused(both, age=0.1)[0] - fused(both)[0]).max() > 0.05
    assert np.array_equal(fused(lidar_only, junk=0.1)[0], fused(lidar_only)[0])


def test_velocities_are_far_nearer_than_calling_everybody_at_rest():
    taken = np.array(encoded()["occupancy"]) > 0
    true = np.array(encoded()["velocity"])
    wrong, rest = (
        np.hypot(*np.moveaxis(v, 1, 0))[taken].mean()
        for v in (fused((1.0, 1.0, 1.0))[2] - true, true)
    )
    assert wrong < 0.5 * rest


def test_presence_matters():
    grids = [fused(present)[0] for present in MASKS]
    both, blind = grids[-1], grids[0]
    assert np.abs(both - blind).max() > 0.3
    assert np.ptp(blind, axis=0).max() == 0


@pytest.mark.parametrize("name", ["camera", "lidar"])
def test_an_encoder_sees_road_users_far_better_than_chance(name):
    expected = np.array(encoded()["occupancy"])
    found = np.concatenate([decision for _, decision, *_ in encoded()[name]])
    assert average_precision(expected, found) > 4 * expected.mean()


CHEAPER = [(name, label) for name, label in variants() if label != "fp32"]
SEEING = [pair for pair in CHEAPER if pair[0] != "driving/siren"]


@pytest.mark.parametrize(("model", "variant"), SEEING)
def test_a_cheaper_variant_is_smaller_and_nearly_as_good_and_the_head_takes_it(model, variant):
    manifest = read_manifest(find(model))
    best, cheaper = (manifest.folder / manifest.variant(v).file for v in ("fp32", variant))
    assert cheaper.stat().st_size < best.stat().st_size
    expected, alone, together = [], [], []
    for seed in HELD_OUT:
        scene = World(DriveConfig(seed, WEATHERS[seed % 4])).at(seed * 10**9)
        expected.append(truth.occupancy(scene))
        given = {"camera": camera.render(scene)[None], "lidar": lidar.sweep(scene)}
        feed, name = {"siren": np.zeros((1, 32), np.float32)}, model.partition("/")[2]
        for sense, value in given.items():
            run = session(f"driving/{sense}", variant if sense == name else None)
            feed[sense], decision, *_ = run.run(None, {INPUTS[sense]: value})
            if sense == name:
                alone.append(decision)
        feed["present"] = np.array([[1, 1, 0]], np.float32)
        feed["age"] = np.zeros((1, 3), np.float32)
        together.append(session("driving/head").run(None, feed)[0])
    expected = np.array(expected)
    single, both = (average_precision(expected, np.concatenate(x)) for x in (alone, together))
    assert both > single > 4 * expected.mean()


def test_every_encoder_has_a_variant_in_integers():
    assert {(name, "int8") for name in ENCODERS} <= set(CHEAPER)


@cache
def heard(variant):
    """What the siren's encoder makes of moments of held-out drives, and whether one approaches."""
    embeddings, alarms, expected = [], [], []
    for seed in HELD_OUT:
        config = DriveConfig(seed, WEATHERS[seed % 4], siren_every_s=34.0)
        for second in range(3, 400, 16):
            sound = siren.chunk(config, (second - 1) * siren.RATE_HZ, second * siren.RATE_HZ)
            embedding, alarm, _ = session("driving/siren", variant).run(
                None, {"audio": sound[None]}
            )
            embeddings.append(embedding)
            alarms.append(alarm)
            expected.append(truth.siren_approaching(World(config).at(second * 10**9)))
    return np.concatenate(embeddings), np.concatenate(alarms), np.array(expected)[:, None]


def test_the_siren_is_heard_in_integers_as_well_as_in_floats_and_the_head_takes_either():
    manifest = read_manifest(find("driving/siren"))
    best, small = (manifest.folder / manifest.variant(v).file for v in ("fp32", "int8"))
    assert small.stat().st_size < best.stat().st_size
    nothing = np.zeros((1, 32, 24, 16), np.float32)
    rest = {"present": np.array([[0, 0, 1]], np.float32), "age": np.zeros((1, 3), np.float32)}
    found = {}
    for variant in ("fp32", "int8"):
        embeddings, alarms, expected = heard(variant)
        told = [
            session("driving/head").run(
                None, {"camera": nothing, "lidar": nothing, "siren": one[None], **rest}
            )[1]
            for one in embeddings
        ]
        for way, given in (("alone", alarms), ("head", np.concatenate(told))):
            found[variant, way] = average_precision(expected, given)
    assert 0.05 < expected.mean() < 0.5
    assert min(found.values()) > 0.9
    for way in ("alone", "head"):
        assert abs(found["fp32", way] - found["int8", way]) < 0.02


@cache
def decided():
    """What camera and lidar decide about moments of held-out drives."""
    return {
        name: np.concatenate([decision for _, decision, *_ in encoded()[name]])
        for name in ("camera", "lidar")
    }


def stacked(present, junk=0.0, age=0.0):
    """The stacker's answers for all moments; absent decisions, and their ages, hold `junk`."""
    count = len(decided()["camera"])
    feed = {
        name: grids if here else np.full_like(grids, junk)
        for (name, grids), here in zip(decided().items(), present, strict=True)
    }
    feed["present"] = np.array([present] * count, np.float32)
    feed["age"] = np.array([[age if here else junk for here in present]] * count, np.float32)
    return session("driving/stacker").run(None, feed)[0]


def test_the_stacker_is_better_than_either_sensor_and_than_a_rule():
    expected = np.array(encoded()["occupancy"])
    together = average_precision(expected, stacked((1, 1)))
    grids = np.stack(list(decided().values()))
    assert together > average_precision(expected, by_mean(grids))
    for present, alone in (((1, 0), decided()["camera"]), ((0, 1), decided()["lidar"])):
        single = average_precision(expected, alone)
        assert together > single
        assert average_precision(expected, stacked(present)) > 0.97 * single


def by_mean(grids):
    return fuse("mean", grids, [1.0, 1.0], "probability")


@pytest.mark.parametrize("present", list(itertools.product((0, 1), repeat=2)))
def test_the_stacker_answers_whatever_absent_bytes_hold(present):
    clean = stacked(present)
    assert 0 <= clean.min() <= clean.max() <= 1
    for junk in (float("nan"), float("inf"), -1e30):
        assert np.array_equal(stacked(present, junk), clean)


def test_the_stacker_takes_the_age_of_what_is_there():
    assert np.abs(stacked((1, 1), age=0.1) - stacked((1, 1))).max() > 0.01


def test_the_siren_is_heard():
    expected = np.array(encoded()["approaching"])
    found = np.concatenate([decision for _, decision, *_ in encoded()["siren"]])
    assert 0.05 < expected.mean() < 0.5
    assert average_precision(expected, found) > 0.9


def test_the_head_with_all_modalities_is_better_than_any_single_one():
    expected = np.array(encoded()["occupancy"])
    all_three = average_precision(expected, fused((1.0, 1.0, 1.0))[0])
    for name in ("camera", "lidar"):
        single = np.concatenate([decision for _, decision, *_ in encoded()[name]])
        assert all_three > average_precision(expected, single)
    for present in ((1.0, 0.0, 1.0), (0.0, 1.0, 1.0)):
        missing = average_precision(expected, fused(present)[0])
        assert all_three > missing > 4 * expected.mean()
    alarm = fused((1.0, 1.0, 1.0))[1]
    assert average_precision(np.array(encoded()["approaching"]), alarm) > 0.9


@cache
def painted_points():
    """Painted points, points without paint, and what is true, of moments of held-out drives."""
    sensors = camera_rig(CameraModel()), lidar_rig(LidarModel())
    rig = {**sensors[0], "frames": {**sensors[0]["frames"], **sensors[1]["frames"]}}
    onto, found = camera_from_points(rig, "camera", "lidar"), []
    for seed in HELD_OUT:
        scene = World(DriveConfig(seed, WEATHERS[seed % 4])).at(seed * 10**9)
        cloud, image = lidar.sweep(scene), camera.render(scene)[..., ::-1]
        grid = truth.occupancy(scene)
        found.append((paint(cloud, image, onto), paint(cloud, None, onto), grid))
    return found


def test_painted_points_tell_more_than_the_lidar_and_are_answered_without_paint_too():
    run = session("driving/painted")
    painted, bare, expected = (list(column) for column in zip(*painted_points(), strict=True))
    expected = np.array(expected)
    alone = [session("driving/lidar").run(None, {"points": p[:, :4]})[1] for p in bare]
    by_lidar, with_paint, without = (
        average_precision(expected, np.concatenate(grids))
        for grids in (
            alone,
            [run.run(None, {"points": points})[0] for points in painted],
            [run.run(None, {"points": points})[0] for points in bare],
        )
    )
    assert with_paint > by_lidar > 4 * expected.mean()
    assert without > 0.9 * with_paint


def test_painted_points_that_are_no_numbers_change_nothing_and_none_at_all_is_an_answer():
    run, points = session("driving/painted"), painted_points()[0][0]
    junk = np.full((3, 8), np.nan, np.float32)
    junk[1] = np.inf
    junk[2, :3] = 1e9
    clean = run.run(None, {"points": points})
    for one, other in zip(clean, run.run(None, {"points": np.vstack([points, junk])}), strict=True):
        assert np.array_equal(one, other)
    for answer in run.run(None, {"points": junk[:1]}):
        assert np.isfinite(answer).all()


@pytest.mark.parametrize("count", [1, 2, 20_000])
def test_the_lidar_encoder_takes_any_number_of_points_in_any_order(count):
    rng = np.random.default_rng(count)
    points = rng.uniform((-10, -20, -2, 0), (60, 20, 3, 1), (count, 4)).astype(np.float32)
    run = session("driving/lidar")
    first = run.run(None, {"points": points})[1]
    again = run.run(None, {"points": rng.permutation(points)})[1]
    assert first.shape == (1, 24, 16)
    assert np.allclose(first, again, atol=1e-4)


def test_points_that_are_no_numbers_or_out_of_range_change_nothing():
    points = lidar.sweep(World(DriveConfig(seed=9100)).at(10**10))
    far = np.array([[-500, 0, 0, 1], [1e9, 1e9, 0, 0], [5, np.nan, 0, 1], [np.inf, 0, 0, 1]])
    run = session("driving/lidar")
    clean = run.run(None, {"points": points})[1]
    dirty = run.run(None, {"points": np.concatenate([points, far.astype(np.float32)])})[1]
    assert np.array_equal(clean, dirty)


@pytest.mark.parametrize(
    ("model", "feed"),
    [
        ("driving/camera", {"image": np.zeros((3, 192, 320, 3), np.uint8)}),
        ("driving/siren", {"audio": np.zeros((3, 16_000), np.int16)}),
    ],
)
def test_a_batch_of_black_pictures_or_silence_is_answered(model, feed):
    for output in session(model).run(None, feed):
        assert output.shape[0] == 3
        assert np.isfinite(output).all()
