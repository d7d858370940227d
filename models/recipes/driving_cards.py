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
_SHAPE = f"{SHARED}, {ROWS}, {COLUMNS}"
GRID = "{x_min_m: 0, y_min_m: -16, cell_m: 2}"

TASK = {
    "camera": "where road users stand in the next 48 m, from one camera image",
    "lidar": "where road users stand in the next 48 m, from one lidar sweep",
    "siren": "whether an emergency vehicle with its siren on approaches, from a second of sound",
    "head": "where road users stand in the next 48 m and whether a siren approaches, from any of "
    "camera, lidar and sound",
}
SEEDS = {
    "camera": TRAIN_SEEDS,
    "lidar": TRAIN_SEEDS,
    "siren": SOUND_TRAIN_SEEDS,
    "head": HEAD_SEEDS,
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
OUTPUTS = {
    "camera": [_embedding("batch"), _grid("batch")],
    "lidar": [_embedding("1"), _grid("1")],
    "siren": [
        f"{{name: embedding, role: embedding, dtype: float32, shape: [batch, {SOUND}]}}",
        _SIREN,
    ],
    # An ONNX graph cannot have an input and an output of one name, and a modality is `siren`.
    "head": [_grid("batch"), _SIREN.replace("name: siren", "name: siren_probability")],
}
RESULTS = {
    "head": [_grid("batch"), _SIREN.replace("siren,", "siren, tensor: siren_probability,", 1)]
}
LIMITS = {
    "camera": "What is hidden behind something else it cannot see; distances far away are a guess "
    "from the height in the picture. Fog costs it little here only because the simulated camera's "
    "noise is small against what contrast is left. Expects the simulated "
    "camera's mounting (1.45 m high, level, focal length 220 px at 320 x 192).",
    "lidar": "Far road users return a handful of points, fewer in rain and fog, and street "
    "furniture looks like people. Expects the sensor 1.8 m above the ground; needs a point.",
    "siren": "Knows two-tone and wailing sirens as the simulator makes them. It hears that a siren "
    "comes nearer by its Doppler shift and loudness, so a siren at rest is undecided.",
    "head": "What no present modality senses it fills in from where road users usually are. With "
    "no modality at all its answer is that prior. Without sound its siren output is a guess: "
    "neither camera nor lidar tell it of a siren.",
}


def write(
    folder: Path, name: str, variants: list[dict], tables: dict[str, Table],
    parameters: dict[str, int], chance: float,
) -> None:  # fmt: skip
    """Write `model.yaml` and `CARD.md` of an encoder."""
    (folder / "model.yaml").write_text(_manifest(name, variants))
    rows = [f"| {label} | " + _cells(table) + " |" for label, table in tables.items()]
    quality = [_head_of("variant"), *rows]
    note = f"A score without information would get {chance:.3f}."
    (folder / "CARD.md").write_text(_card(name, variants, folder, parameters, quality, note))


def write_head(
    folder: Path, variants: list[dict], tables: dict[str, dict[str, Table]],
    parameters: dict[str, int], data: Samples,
) -> None:  # fmt: skip
    """Write `model.yaml` and `CARD.md` of the head."""
    (folder / "model.yaml").write_text(_manifest("head", variants))
    quality: list[str] = []
    for output, by_present in tables.items():
        rows = [f"| {label} | " + _cells(table) + " |" for label, table in by_present.items()]
        quality += [f"`{output}`:", "", _head_of("present"), *rows, ""]
    chance = float(data.occupancy[:].mean()), float(data.approaching[:].mean())
    note = f"Scores without information would get {chance[0]:.3f} and {chance[1]:.3f}."
    (folder / "CARD.md").write_text(_card("head", variants, folder, parameters, quality, note))


def _manifest(name: str, variants: list[dict]) -> str:
    seeds = SEEDS[name]
    lines = [f"model: driving/{name}", "version: 1"]
    lines.append("modalities: [camera, lidar, siren]" if name == "head" else f"modality: {name}")
    lines += [f"task: {TASK[name]}", "licence: Apache-2.0", "training:"]
    lines += [
        f"  data: simulated drive, seeds {seeds[0]} to {seeds[-1]}, all weathers",
        "  recipe: models/recipes/driving.py",
        "  seed: 7",
    ]
    lines += ["inputs:", *(f"  - {row}" for row in INPUTS[name])]
    lines += ["outputs:", *(f"  - {row}" for row in OUTPUTS[name])]
    if name in RESULTS:
        lines += ["results:", *(f"  - {row}" for row in RESULTS[name])]
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


def _card(
    name: str,
    variants: list[dict],
    folder: Path,
    parameters: dict[str, int],
    quality: list[str],
    note: str,
) -> str:
    seeds, held = SEEDS[name], HELD_OUT_SEEDS
    each = 48 if name == "siren" else MOMENTS
    faults = "" if name == "siren" else ", with a few sensor faults"
    sizes = [
        f"| {one['name']} | {one['file']} | {parameters[one['name']]:,}"
        f" | {(folder / one['file']).stat().st_size // 1024} KB"
        f" | {one['latency_ms']['cpu']:.2f} ms |"
        for one in variants
    ]
    parts = [
        f"# driving/{name}",
        f"Answers {TASK[name]}.",
        "## Data",
        f"Trained on the simulated drive (`tectum_nodes.simulation`), seeds {seeds[0]} to "
        f"{seeds[-1]}, {each} moments of each, day, dusk, fog and rain in equal parts{faults}. "
        f"Recipe: `models/recipes/driving.py`, seed 7. Real data was not used.",
        "## Quality",
        f"Average precision on held-out seeds {held[0]} to {held[-1]} ({len(held) * MOMENTS} "
        f"moments), measured on the exported files. {note}",
        "\n".join(quality).rstrip(),
        "## Size and speed",
        "Median latency of one sample, ONNX Runtime on one thread of a "
        "shared x86 core (AVX-512); a GPU was not measured.",
        "\n".join(
            ["| variant | file | parameters | size | CPU |", "|---|---|---|---|---|", *sizes]
        ),
        "## Limits",
        LIMITS[name] + " It is a model of a simulated world: it knows nothing of real streets.",
    ]
    return "\n\n".join(parts) + "\n"
