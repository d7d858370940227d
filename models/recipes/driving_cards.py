"""Manifests and model cards of the simulated drive's models, from what was measured."""

from __future__ import annotations

from pathlib import Path

from driving_data import (
    HEAD_SEEDS,
    HELD_OUT_SEEDS,
    MOMENTS,
    SOUND_TRAIN_SEEDS,
    TRAIN_SEEDS,
    Samples,
)
from driving_nets import COLUMNS, ROWS, SHARED, SOUND

from tectum_nodes.simulation import WEATHERS

Table = dict[str, float]
INTEGERS = (
    " Variants in integers are made of the files in floats by `models/recipes/driving_int8.py`, "
    "and have no counterpart in that framework. This table was measured in processor time, in one "
    "run on a busy core without VNNI; with it integers gain more."
)
_SHAPE = f"{SHARED}, {ROWS}, {COLUMNS}"
GRID = "{x_min_m: 0, y_min_m: -16, cell_m: 2}"

TASK = {
    "camera": "where road users stand in the next 48 m, from one camera image",
    "lidar": "where road users stand in the next 48 m, from one lidar sweep",
    "siren": "whether an emergency vehicle with its siren on approaches, and whether it is ahead, "
    "from a second of sound",
    "head": "where road users stand in the next 48 m and how they move, whether a siren approaches "
    "and whether it is ahead, from any of camera, lidar and sound, each as old as it may be",
    "painted": "where road users stand in the next 48 m and how they move, from one lidar sweep "
    "whose points a camera has painted",
    "stacker": "where road users stand in the next 48 m, from what the encoders of camera and "
    "lidar decide, either of them missing, each as old as it may be",
}
HOW = {
    "head": "The embeddings of camera and lidar are put side by side.",
    "head_sum": "The embeddings of camera and lidar are added.",
    "head_gated": "In each cell a gate decides how far to believe the camera and the lidar "
    "(Arevalo et al. 2017).",
    "head_attention": "In each cell camera and lidar share one attention (Vaswani et al. 2017).",
    "painted": "Early fusion: each point has the colour of the pixel that it falls on (after Vora "
    "et al. 2020, who paint with classes), and one network sees nothing else. In a graph: `head: "
    "{early: {paint: {points: lidar, image: camera}, model: driving/painted}}`.",
    "stacker": "Late fusion, learned (stacked generalisation, Wolpert 1992): a product of experts, "
    "with weights and a prior of the place, and what two convolutions over both maps and their "
    "ages add to it. In a graph: `head: {late: {rule: stacker, model: driving/stacker}}`.",
}


def _span(seeds: range) -> str:
    return f"{seeds[0]} to {seeds[-1]}"


SEEDS = {
    "camera": _span(TRAIN_SEEDS),
    "lidar": _span(TRAIN_SEEDS),
    "siren": _span(SOUND_TRAIN_SEEDS),
    "head": _span(HEAD_SEEDS),
    "painted": f"{_span(TRAIN_SEEDS)} and {_span(HEAD_SEEDS)}",
    "stacker": _span(HEAD_SEEDS),
}
_DRIVING = "models/recipes/driving.py"
MODALITY = {
    "head": "modalities: [camera, lidar, siren]",
    "painted": "modality: painted points",
    "stacker": "modalities: [camera, lidar]",
}
VERSION = {"siren": 3, "head": 3, "stacker": 1}
"""Heads have the version of the encoders whose embeddings they know."""
RECIPE = {
    "painted": "models/recipes/driving_painted.py",
    "stacker": "models/recipes/driving_stacker.py",
}
INPUTS = {
    "camera": [
        "{name: image, kind: image, dtype: uint8, shape: [batch, 192, 320, 3], encoding: bgr8}"
    ],
    "lidar": [
        "{name: points, kind: points, dtype: float32, shape: [points, 4],"
        " fields: [x, y, z, intensity]}"
    ],
    "siren": ["{name: audio, kind: audio, dtype: int16, shape: [batch, 16000], rate_hz: 16000}"],
    "head": [
        f"{{name: camera, kind: embedding, dtype: float32, shape: [batch, {_SHAPE}]}}",
        f"{{name: lidar, kind: embedding, dtype: float32, shape: [batch, {_SHAPE}]}}",
        f"{{name: siren, kind: embedding, dtype: float32, shape: [batch, {SOUND}]}}",
        "{name: present, kind: mask, dtype: float32, shape: [batch, 3]}",
        "{name: age, kind: age, dtype: float32, shape: [batch, 3]}",
    ],
    "painted": [
        "{name: points, kind: points, dtype: float32, shape: [points, 8],"
        " fields: [x, y, z, intensity, red, green, blue, painted]}"
    ],
    "stacker": [
        f"{{name: camera, kind: scores, dtype: float32, shape: [batch, {ROWS}, {COLUMNS}]}}",
        f"{{name: lidar, kind: scores, dtype: float32, shape: [batch, {ROWS}, {COLUMNS}]}}",
        "{name: present, kind: mask, dtype: float32, shape: [batch, 2]}",
        "{name: age, kind: age, dtype: float32, shape: [batch, 2]}",
    ],
}


def _grid(batch: str) -> str:
    return (
        f"{{name: occupancy, role: grid, dtype: float32, shape: [{batch}, {ROWS}, {COLUMNS}],"
        f" unit: probability, grid: {GRID}}}"
    )


def _embedding(batch: str) -> str:
    shape = f"[{batch}, {_SHAPE}]"
    return f"{{name: embedding, role: embedding, dtype: float32, shape: {shape}}}"


_SIREN = (
    "{name: siren, role: probability, dtype: float32, shape: [batch, 1],"
    " labels: [siren approaching]}"
)
_AHEAD = _SIREN.replace("name: siren", "name: ahead").replace("approaching", "ahead")


def _velocity(batch: str) -> str:
    return (
        f"{{name: velocity, role: tensor, dtype: float32, shape: [{batch}, 2, {ROWS}, {COLUMNS}],"
        f" unit: m/s, columns: [forward, left], grid: {GRID}}}"
    )


OUTPUTS = {
    "camera": [_embedding("batch"), _grid("batch")],
    "lidar": [_embedding("1"), _grid("1")],
    "siren": [
        f"{{name: embedding, role: embedding, dtype: float32, shape: [batch, {SOUND}]}}",
        _SIREN,
        _AHEAD,
    ],
    "painted": [_grid("1"), _velocity("1")],
    "stacker": [_grid("batch")],
    # An ONNX graph cannot have an input and an output of one name, and a modality is `siren`.
    "head": [
        _grid("batch"), _SIREN.replace("name: siren", "name: siren_probability"),
        _velocity("batch"), _AHEAD,
    ],
}  # fmt: skip
RESULTS = {
    "head": [
        _grid("batch"),
        _SIREN.replace("siren,", "siren, tensor: siren_probability,", 1),
        _velocity("batch"),
        _AHEAD.replace("name: ahead,", "name: siren_ahead, tensor: ahead,"),
    ]
}
LIMITS = {
    "camera": "What is hidden behind something else it cannot see; distances far away are a guess "
    "from the height in the picture, which moves as the car pitches. Expects the simulated "
    "camera's mounting (1.45 m high, level on average, focal length 220 px at 320 x 192). Its "
    "answer is about the moment of the picture.",
    "lidar": "Black cars, wet cars and cars far away return few points or none, fog returns its "
    "own, and bushes, posts and skips have the shape of cyclists, people and cars. Expects the "
    "sensor 1.8 m above the ground; needs a point.",
    "siren": "Knows two-tone and wailing sirens as the simulator makes them. It hears that a siren "
    "comes nearer by its Doppler shift and loudness, so a siren at rest is undecided; ahead or "
    "behind it tells by how much the pitch is shifted. The variant in integers has its spectrum in "
    "floats: a spectrum needs more than 8 bits.",
    "head": "What no present modality senses it fills in from where road users usually are. With "
    "no modality at all its answer is that prior. Without sound its siren outputs are a guess: "
    "neither camera nor lidar tell it of a siren. Velocities are what usually moves so in such a "
    "place and looks so: one moment shows no motion. It was trained with pictures up to 160 ms "
    "old; `age` is cut at 250 ms.",
    "painted": "It sees the camera only where a point is: what returns nothing to the lidar (black "
    "and wet cars, what is far away) stays unseen, however plain it is in the picture, and without "
    "the lidar there is no answer. A late picture paints the wrong points, and nothing tells the "
    "network how late it is. Colour adds little to the shape of points here, so that neither a "
    "missing nor a late camera costs much, and nearly all that it is better than `driving/lidar` "
    "comes from a larger network and more drives, not from the camera: heads over embeddings make "
    "far more of it. Velocities are a guess from one moment.",
    "stacker": "It knows no more of a cell than two numbers, and those of its neighbours: heads "
    "over embeddings know what kind of thing either sensor saw, and also answer velocities. With "
    "both missing a graph has no answer of it. It was trained with pictures up to 160 ms old; "
    "`age` is cut at 250 ms. It fits the encoders whose decisions it learned from, in any variant.",
}


def write(
    folder: Path, name: str, variants: list[dict], tables: dict[str, Table],
    parameters: dict[str, int], apart: dict[str, float], chance: float, sides: dict[str, float],
) -> None:  # fmt: skip
    """Write `model.yaml` and `CARD.md` of an encoder.

    What is not in `apart` is no export of a network, but made of one in integers. `sides` says of
    each variant how often it tells a siren ahead from one behind.
    """
    (folder / "model.yaml").write_text(_manifest(name, variants))
    rows = [f"| {label} | " + _cells(table) + " |" for label, table in tables.items()]
    quality = [_head_of("variant"), *rows]
    if sides:
        right = ", ".join(f"{100 * share:.1f} % ({label})" for label, share in sides.items())
        quality += ["", f"`ahead`: right for {right} of the sirens that approach."]
    note = f"A score without information would get {chance:.3f}."
    (folder / "CARD.md").write_text(_card(name, variants, folder, parameters, apart, quality, note))


def write_head(
    folder: Path, name: str, variants: list[dict], tables: dict[str, dict[str, Table]],
    parameters: dict[str, int], apart: dict[str, float], moves: tuple[float, float], data: Samples,
) -> None:  # fmt: skip
    """Write `model.yaml` and `CARD.md` of a head."""
    (folder / "model.yaml").write_text(_manifest(name, variants))
    quality: list[str] = []
    for output, by_present in tables.items():
        rows = [f"| {label} | " + _cells(table) + " |" for label, table in by_present.items()]
        quality += [f"`{output}`:", "", _head_of("present"), *rows, ""]
    quality.append(moved(moves))
    chance = float(data.occupancy[:].mean()), float(data.approaching[:].mean())
    note = f"Scores without information would get {chance[0]:.3f} and {chance[1]:.3f}."
    (folder / "CARD.md").write_text(_card(name, variants, folder, parameters, apart, quality, note))


def write_fused(
    name: str, folder: Path, entry: dict, table: dict[str, Table], parameters: int, apart: float,
    chance: float, more: tuple[str, ...] = (),
) -> None:  # fmt: skip
    """Write `model.yaml` and `CARD.md` of a model that answers occupancy of camera and lidar."""
    (folder / "model.yaml").write_text(_manifest(name, [entry]))
    rows = [f"| {label} | {_cells(scores)} |" for label, scores in table.items()]
    quality = [_head_of("present"), *rows, *more]
    note = f"A score without information would get {chance:.3f}."
    known = {"fp32": parameters}, {"fp32": apart}
    (folder / "CARD.md").write_text(_card(name, [entry], folder, *known, quality, note))


def moved(moves: tuple[float, float]) -> str:
    """Return the line of a card that says how wrong velocities are."""
    return (
        f"`velocity`: wrong by {moves[0]:.2f} m/s on average where road users are; calling all of "
        f"them at rest is wrong by {moves[1]:.2f} m/s."
    )


def _manifest(name: str, variants: list[dict]) -> str:
    kind = name.split("_", maxsplit=1)[0]
    lines = [f"model: driving/{name}", f"version: {VERSION.get(kind, 2)}"]
    lines.append(MODALITY.get(kind, f"modality: {name}"))
    lines += [f"task: {TASK[kind]}", "licence: Apache-2.0", "training:"]
    lines += [
        f"  data: simulated drive, seeds {SEEDS[kind]}, all weathers",
        f"  recipe: {RECIPE.get(kind, _DRIVING)}",
        "  seed: 7",
    ]
    lines += ["inputs:", *(f"  - {row}" for row in INPUTS[kind])]
    lines += ["outputs:", *(f"  - {row}" for row in OUTPUTS[kind])]
    if kind in RESULTS:
        lines += ["results:", *(f"  - {row}" for row in RESULTS[kind])]
    if name == "camera":
        lines += ["preprocess:", "  - {resize: {width: 320, height: 192}}"]
    lines.append("variants:")
    for one in variants:
        lines.append(f"  - name: {one['name']}")
        lines += [f"    {key}: {one[key]}" for key in ("file", "sha256")]
        for key in ("quality", "latency_ms"):
            inside = ", ".join(f"{k}: {v}" for k, v in one[key].items())
            lines.append(f"    {key}: {{{inside}}}")
    return "\n".join(lines) + "\n"


def _head_of(first: str) -> str:
    columns = ["all", *WEATHERS]
    return f"| {first} | {' | '.join(columns)} |\n|---{'|---' * len(columns)}|"


def _cells(table: Table) -> str:
    return " | ".join(f"{value:.3f}" for value in table.values())


def _parity(apart: dict[str, float], name: str) -> str:
    return f"{apart[name]:.0e}" if name in apart else "integers"


def _card(
    name: str,
    variants: list[dict],
    folder: Path,
    parameters: dict[str, int],
    apart: dict[str, float],
    quality: list[str],
    note: str,
) -> str:
    kind = name.split("_", maxsplit=1)[0]
    held = HELD_OUT_SEEDS
    each = 48 if name == "siren" else MOMENTS
    faults = "" if name == "siren" else ", with a few sensor faults"
    sizes = [
        f"| {one['name']} | {one['file']} | {parameters[one['name']]:,}"
        f" | {(folder / one['file']).stat().st_size // 1024} KB"
        f" | {one['latency_ms']['cpu']:.2f} ms | {_parity(apart, one['name'])} |"
        for one in variants
    ]
    in_integers = any(one["name"] not in apart for one in variants)
    parts = [
        f"# driving/{name}",
        " ".join([f"Answers {TASK[kind]}.", HOW.get(name, "")]).strip(),
        "## Data",
        f"Trained on the simulated drive (`tectum_nodes.simulation`), seeds {SEEDS[kind]}, "
        f"{each} moments of each, day, dusk, fog and rain in equal parts{faults}. "
        f"Recipe: `{RECIPE.get(kind, _DRIVING)}`, seed 7. Real data was not used.",
        "## Quality",
        f"Average precision on held-out seeds {held[0]} to {held[-1]} ({len(held) * MOMENTS} "
        f"moments), measured on the exported files. {note}",
        "\n".join(quality).rstrip(),
        "## Size and speed",
        "Median latency of one sample, ONNX Runtime on one thread of a shared x86 core; "
        "a GPU was not measured. The last column is the largest difference from the network in the "
        "framework it was trained in; the export stops above 1e-4." + INTEGERS * in_integers,
        "\n".join(
            [
                "| variant | file | parameters | size | CPU | parity |",
                "|---|---|---|---|---|---|",
                *sizes,
            ]
        ),
        "## Limits",
        LIMITS[kind] + " It is a model of a simulated world: it knows nothing of real streets.",
    ]
    return "\n\n".join(parts) + "\n"
