"""Fusion on the simulated drive: what camera and lidar are worth together, alone, and when late.

    python benchmarks/driving_quality.py [--quick] [--first 9000] [--drives 64] [--json FILE]

The shipped ONNX files on drives that no model was trained on (seeds from 9000), day, dusk, fog and
rain in equal parts. The score is the average precision of occupied cells, in percent. `--quick`
takes a quarter of the drives, and allows each bar a little for chance. No PyTorch is needed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "models" / "recipes"))

from bench import Bench, options
from driving_data import HELD_OUT_SEEDS, late, projection, sample
from metrics import average_precision

from tectum.fusion.late import fuse
from tectum.fusion.painting import paint
from tectum.inference.manifest import read_manifest
from tectum_models.catalogue import find
from tectum_nodes.simulation import WEATHERS

HEADS = ("head", "head_sum", "head_gated", "head_attention")
KINDS = ("concatenation", "sum", "gated", "attention")
RULES = ("mean", "weighted mean", "product", "vote", "dempster")
TRUST = 0.9
"""Reliability of each sensor by Dempster's rule."""
WEIGHTS = [0.45, 0.55]
"""Of camera and lidar in the weighted mean: the best, in steps of 0.05, on the heads' drives."""
GRIDS = ("camera", "lidar")

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Sensed:
    """What an encoder made of every moment."""

    embedding: Floats
    decision: Floats
    age: Floats
    """(n,) seconds."""


@dataclass(frozen=True)
class Moments:
    """Moments of unseen drives, through the encoders."""

    sensed: dict[str, Sensed]
    """camera, lidar, siren, and late: the camera 100 ms late."""
    occupied: NDArray[np.uint8]
    velocity: Floats
    approaching: NDArray[np.bool_]
    weather: NDArray[np.int64]
    painted: dict[str, Floats]
    """Occupancy by early fusion: painted by the camera, by `late`, and by none (`lidar`)."""

    def precision(self, grid: Floats) -> list[float]:
        """Average precision of a map, in percent: of all, and of each weather."""
        rows = [np.full(len(grid), True), *(self.weather == w for w in range(len(WEATHERS)))]
        return [100 * average_precision(self.occupied[some], grid[some]) for some in rows]


@cache
def session(model: str) -> ort.InferenceSession:
    """A session of the best variant of a shipped model, one thread."""
    manifest = read_manifest(find(f"driving/{model}"))
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    path = manifest.folder / manifest.variants[0].file
    return ort.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])


def sense(seeds: range) -> Moments:
    """Drive, and let the encoders look and listen."""
    found: dict[str, list[tuple[Floats, Floats, float]]] = {
        "camera": [], "lidar": [], "siren": [], "late": [],
    }  # fmt: skip
    painted: dict[str, list[Floats]] = {"camera": [], "late": [], "lidar": []}
    truths, onto = [], projection()
    for seed in seeds:
        for row, (old_image, old_age) in zip(sample(seed, "held"), late(seed, "late"), strict=True):
            image, age, _, points, count, sound, *truth = row
            cloud = points[:count].astype(np.float32)
            found["camera"].append((*_encode("camera", image[None]), age))
            found["late"].append((*_encode("camera", old_image[None]), old_age))
            found["lidar"].append((*_encode("lidar", cloud), 0.0))
            found["siren"].append((*_encode("siren", sound[None]), 0.0))
            for name, picture in (("camera", image), ("late", old_image), ("lidar", None)):
                painted[name].append(_painted(cloud, picture, onto))
            truths.append(truth)
    sensed = {name: _sensed(rows) for name, rows in found.items()}
    occupied, velocity, approaching, _, weather = (np.stack(c) for c in zip(*truths, strict=True))
    maps = {name: np.concatenate(grids) for name, grids in painted.items()}
    return Moments(sensed, occupied, velocity.astype(np.float32), approaching, weather, maps)


def _painted(cloud: Floats, picture: NDArray[np.uint8] | None, onto: NDArray[np.float64]) -> Floats:
    rgb = None if picture is None else picture[..., ::-1]
    occupancy: Floats = session("painted").run(None, {"points": paint(cloud, rgb, onto)})[0]
    return occupancy


def _encode(model: str, value: NDArray[np.generic]) -> tuple[Floats, Floats]:
    run = session(model)
    embedding, decision, *_ = run.run(None, {run.get_inputs()[0].name: value})
    return embedding, decision


def _sensed(rows: list[tuple[Floats, Floats, float]]) -> Sensed:
    embeddings, decisions, ages = zip(*rows, strict=True)
    return Sensed(np.concatenate(embeddings), np.concatenate(decisions), np.array(ages, np.float32))


def fused(head: str, sensed: Mapping[str, Sensed], *, told: bool = True) -> dict[str, Floats]:
    """All outputs of a head for every moment; what `sensed` lacks is absent.

    Args:
        head: name of the head.
        sensed: camera, lidar, siren, or some of them.
        told: whether the head is told how old each of them is; else that they are not.
    """
    run, count = session(head), len(next(iter(sensed.values())).age)
    feed: dict[str, Floats] = {}
    for tensor in run.get_inputs()[:3]:
        shape = (count, *tensor.shape[1:])
        given = sensed.get(tensor.name)
        feed[tensor.name] = np.zeros(shape, np.float32) if given is None else given.embedding
    names = [tensor.name for tensor in run.get_inputs()[:3]]
    feed["present"] = np.array([[float(name in sensed) for name in names]] * count, np.float32)
    none = np.zeros(count, np.float32)
    ages = [sensed[name].age if told and name in sensed else none for name in names]
    feed["age"] = np.stack(ages, axis=1)
    outputs = [
        run.run(None, {key: value[k : k + 64] for key, value in feed.items()})
        for k in range(0, count, 64)
    ]
    columns = (np.concatenate(column) for column in zip(*outputs, strict=True))
    return {out.name: c for out, c in zip(run.get_outputs(), columns, strict=True)}


def stacked(sensed: Mapping[str, Sensed], *, told: bool = True) -> Floats:
    """Occupancy by the learned stacker, from what camera and lidar decide, or one of them."""
    run, count = session("stacker"), len(next(iter(sensed.values())).age)
    none = np.zeros(count, np.float32)
    shape = next(iter(sensed.values())).decision.shape
    feed = {
        name: sensed[name].decision if name in sensed else np.zeros(shape, np.float32)
        for name in GRIDS
    }
    feed["present"] = np.array([[float(name in sensed) for name in GRIDS]] * count, np.float32)
    ages = [sensed[name].age if told and name in sensed else none for name in GRIDS]
    occupancy: Floats = run.run(None, {**feed, "age": np.stack(ages, axis=1)})[0]
    return occupancy


def kinds_of_fusion() -> dict[str, Callable[[Moments], Floats]]:
    """Every kind of fusion by its name: from moments to maps."""

    def rule(name: str) -> Callable[[Moments], Floats]:
        weights = {"dempster": [TRUST, TRUST], "weighted mean": WEIGHTS}.get(name, [1.0, 1.0])

        def decide(moments: Moments) -> Floats:
            each = np.stack([moments.sensed[sensor].decision for sensor in GRIDS])
            return fuse(name.removeprefix("weighted "), each, weights, "probability").astype(
                np.float32
            )

        return decide

    def head(name: str) -> Callable[[Moments], Floats]:
        return lambda moments: fused(name, _there(moments))["occupancy"]

    early = {"early: painted points": lambda moments: moments.painted["camera"]}
    found = early | {f"late: {name}": rule(name) for name in RULES}
    found["late: learned stacker"] = lambda moments: stacked(_there(moments, *GRIDS))
    return found | {f"intermediate: {k}": head(h) for k, h in zip(KINDS, HEADS, strict=True)}


def _there(moments: Moments, *names: str) -> dict[str, Sensed]:
    """The sensors of a set; `late` stands in for the camera."""
    chosen = names or ("camera", "lidar", "siren")
    return {"camera" if name == "late" else name: moments.sensed[name] for name in chosen}


def compare(bench: Bench, moments: Moments, slack: float) -> None:
    """All kinds of fusion beside the single sensors."""
    alone = {name: moments.precision(moments.sensed[name].decision) for name in GRIDS}
    together = {name: moments.precision(kind(moments)) for name, kind in kinds_of_fusion().items()}
    rows = [(name, *values) for name, values in (alone | together).items()]
    columns = ("average precision, %", "all", *WEATHERS)
    bench.table("who sees where road users are", columns, rows)
    best = max(values[0] for values in alone.values())
    gain = together["intermediate: concatenation"][0] - best
    bench.at_least("intermediate fusion over the best single, points", gain, 8 - slack)
    learned = together["late: learned stacker"][0]
    bench.at_least("learned stacker over the best single, points", learned - best, 8 - slack)
    ahead = learned - max(together[f"late: {name}"][0] for name in RULES)
    bench.at_least("learned stacker over the best rule, points", ahead, 0.2 - slack)


def take_away(bench: Bench, moments: Moments, slack: float) -> None:
    """The head with one sensor missing, beside a model trained on the other alone."""
    rows, stackers = [], []
    for missing, left in (("camera", "lidar"), ("lidar", "camera")):
        single = moments.precision(moments.sensed[left].decision)[0]
        kept = moments.precision(fused("head", _there(moments, left, "siren"))["occupancy"])[0]
        rows.append((f"no {missing}", single, kept, 100 * kept / single))
        stacker = moments.precision(stacked(_there(moments, left)))[0]
        stackers.append((f"no {missing}, stacker", single, stacker, 100 * stacker / single))
    heads, unpainted = tuple(rows), moments.precision(moments.painted["lidar"])[0]
    rows += stackers
    rows.append(("no camera, painted points", rows[0][1], unpainted, 100 * unpainted / rows[0][1]))
    columns = ("average precision, %", "model of the other alone", "fused", "kept, %")
    bench.table("one sensor is missing", columns, rows)
    for name, _, _, kept in (*heads, *stackers):
        bench.at_least(f"{name}: kept of what the other alone reaches, %", kept, 97 - slack)


def delay(bench: Bench, moments: Moments, slack: float) -> None:
    """A camera that is 100 ms late, with and without the head being told."""
    maps = {
        "on time": fused("head", _there(moments)),
        "100 ms late, head is told": fused("head", _there(moments, "late", "lidar", "siren")),
        "100 ms late, head is not told": fused(
            "head", _there(moments, "late", "lidar", "siren"), told=False
        ),
    }
    found = {name: moments.precision(outputs["occupancy"])[0] for name, outputs in maps.items()}
    in_time, told, untold = found.values()
    rows = [(name, value, in_time - value) for name, value in found.items()]
    both = {name: _there(moments, name, "lidar") for name in ("camera", "late")}
    ways = {"on time": ("camera", True), "100 ms late, told": ("late", True),
            "100 ms late, not told": ("late", False)}  # fmt: skip
    stackers = {
        way: moments.precision(stacked(both[name], told=told_too))[0]
        for way, (name, told_too) in ways.items()
    }
    rows += [
        (f"stacker, {way}", value, stackers["on time"] - value) for way, value in stackers.items()
    ]
    early = {name: moments.precision(moments.painted[name])[0] for name in ("camera", "late")}
    rows.append(("painted points, on time", early["camera"], 0.0))
    rows.append(("painted points, 100 ms late", early["late"], early["camera"] - early["late"]))
    bench.table("the camera is late", ("average precision, %", "all", "cost, points"), rows)
    share = (in_time - told) / max(in_time - untold, 1e-9)
    bench.at_least("cost of 100 ms where the head is not told, points", in_time - untold, 0.1)
    bench.at_most("share of that cost that is left where it is told", share, 0.5 + slack / 10)


def others(bench: Bench, moments: Moments) -> None:
    """Siren and velocity: shown, and better than knowing nothing."""
    outputs = fused("head", _there(moments))
    truth, taken = moments.approaching, moments.occupied > 0
    alarm = average_precision(truth, outputs["siren_probability"])
    wrong, rest = (
        float(np.hypot(*np.moveaxis(v, 1, 0))[taken].mean())
        for v in (outputs["velocity"] - moments.velocity, moments.velocity)
    )
    rows = [
        ("siren approaches: average precision, %", 100 * alarm, 100 * float(truth.mean())),
        ("velocity of road users: mean error, m/s", wrong, rest),
    ]
    bench.table("what else the head answers", ("", "head", "knowing nothing"), rows)
    bench.at_least("siren: average precision, %", 100 * alarm, 95)
    bench.at_most("velocity: share of the error of calling all at rest", wrong / rest, 0.5)


def main() -> int:
    """Drive, measure, print; return the exit code."""
    asked = options(str(__doc__).split("\n", maxsplit=1)[0], _more)
    count = max(len(WEATHERS), asked.drives // 4) if asked.quick else asked.drives
    bench, slack = Bench("driving quality"), 1.0 if asked.quick else 0.0
    moments = sense(range(asked.first, asked.first + count))
    for show in (compare, take_away, delay):
        show(bench, moments, slack)
    others(bench, moments)
    return bench.finish(asked.json)


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--first", type=int, default=HELD_OUT_SEEDS[0], help="seed of the first")
    parser.add_argument("--drives", type=int, default=len(HELD_OUT_SEEDS), help="how many")


if __name__ == "__main__":
    sys.exit(main())
