"""Make int8 variants of the simulated drive's encoders from their exported files, and measure them.

    python models/recipes/driving_int8.py DATA [camera|lidar|siren ...]   # after driving_export.py

Convolutions take uint8 and int8 weights of 7 bits per channel (ONNX Runtime's kernels for other
types are slower than float where a processor has no VNNI, and its 16-bit sums overflow with 8).
Scales come from drives that the encoders were trained on. The camera's bytes go into the first
convolution as they are: its arithmetic before that is a scale and a zero point. The siren's
spectrum stays in floats, since it needs more than 8 bits, and so does the convolution after it. A
variant that is not clearly faster than what it is made of, or much worse, is not shipped.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import driving_cards
import numpy as np
import onnx
from driving_data import TRAIN_SEEDS, Samples, sample
from driving_export import (
    DECISION,
    HEADS,
    INPUT,
    SHIPPED,
    feeds,
    head_feeds,
    scores,
    shipped,
    sides_of,
    truth_of,
    variant,
)
from exporting import Feed, session
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

CALIBRATED_ON = TRAIN_SEEDS[:8]
QUANTISED = ["Conv", "Relu", "Add"]
MADE_OF = {
    "camera": {"int8": "camera", "small": "camera_small"},
    "lidar": {"int8": "lidar"},
    "siren": {"int8": "siren"},
}
"""Encoder -> variant -> the file in floats that it is made of."""
FASTER, LOST = 1.2, 0.02
"""A variant is shipped that is so much faster, and loses at most so much average precision."""
SMALL = "small camera + lidar + siren"
"""The row of a head's card that the export begins."""

LEFT_OUT = {"siren": 1}
"""How many convolutions at the beginning stay in floats: over one channel integers gain nothing."""


class Rows(CalibrationDataReader):
    """Samples that scales are taken from."""

    def __init__(self, rows: list[Feed]) -> None:
        self._rows: Iterator[Feed] = iter(rows)

    def get_next(self) -> Feed | None:
        """Return the next sample, or None at the end."""
        return next(self._rows, None)


def calibration(name: str) -> list[Feed]:
    """Return samples of drives in all weathers."""
    values = {
        "camera": lambda row: row[0][None],
        "lidar": lambda row: row[3][: row[4]].astype(np.float32),
        "siren": lambda row: row[5][None],
    }
    return [{INPUT[name]: np.asarray(values[name](row))} for row in driven()]


@cache
def driven() -> list[tuple]:
    """Return all samples of the drives that scales are taken from."""
    return [row for seed in CALIBRATED_ON for row in sample(seed, "train")]


def quantise(source: Path, target: Path, rows: list[Feed], left_out: int = 0) -> None:
    """Write `source` in integers to `target`, from its first convolution but `left_out` on."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        quant_pre_process(str(source), str(plain), skip_symbolic_shape=True, skip_optimization=True)
        nodes = [(node.name, node.op_type) for node in onnx.load(str(plain)).graph.node]
        begin = [at for at, (_, kind) in enumerate(nodes) if kind == "Conv"][left_out]
        chosen = [name for name, kind in nodes[begin:] if kind in QUANTISED]
        quantize_static(
            str(plain), str(target), Rows(rows), quant_format=QuantFormat.QOperator,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, per_channel=True,
            reduce_range=True, op_types_to_quantize=QUANTISED, nodes_to_quantize=chosen,
        )  # fmt: skip
    model = onnx.load(str(target))
    feed_bytes(model.graph)
    del model.metadata_props[:]
    model.producer_name, model.producer_version = "tectum", ""
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    onnx.save(model, str(target))


def feed_bytes(graph: onnx.GraphProto) -> None:
    """Where bytes are cast, scaled and quantised again, pass them on as they are."""
    made = {output: node for node in graph.node for output in node.output}
    constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    for node in list(graph.node):
        chain = _back_to_bytes(node, made) if node.op_type == "QuantizeLinear" else None
        if chain is None:
            continue
        _, minus, times, cast = chain
        scale, shift = _constant(times, constants), _constant(minus, constants)
        for name, value in (
            (node.input[1], np.asarray(scale, np.float32)),
            (node.input[2], np.asarray(round(shift / scale), np.uint8)),
        ):
            old = next(one for one in graph.initializer if one.name == name)
            old.CopyFrom(numpy_helper.from_array(value, name))
        for other in graph.node:
            for index, name in enumerate(other.input):
                if name == node.output[0]:
                    other.input[index] = cast.input[0]
        for idle in chain:
            graph.node.remove(idle)


def _back_to_bytes(
    node: onnx.NodeProto, made: dict[str, onnx.NodeProto]
) -> tuple[onnx.NodeProto, ...] | None:
    """Return the quantisation and the Sub, Mul and Cast before it, where those are what is."""
    chain = [node]
    for wanted in ("Sub", "Mul", "Cast"):
        before = made.get(chain[-1].input[0])
        if before is None or before.op_type != wanted:
            return None
        chain.append(before)
    return tuple(chain)


def _constant(node: onnx.NodeProto, constants: dict[str, np.ndarray]) -> float:
    return float(constants[node.input[1]])


def race(paths: list[Path], rows: list[Feed], repeats: int = 3) -> list[float]:
    """Return each file's median latency in ms, taking turns; of processor time, on one thread."""
    runs = [session(path) for path in paths]
    spent: list[list[int]] = [[] for _ in runs]
    for row in rows * repeats:
        for run, times in zip(runs, spent, strict=True):
            begun = time.process_time_ns()
            run.run(None, dict(row))
            times.append(time.process_time_ns() - begun)
    return [float(np.median(times)) / 1e6 for times in spent]


def embeddings(path: Path, name: str, data: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Return the embeddings and decisions of all samples."""
    run = session(path)
    rows = [run.run(None, {INPUT[name]: value})[:2] for value in feeds(data, name)]
    codes, decisions = zip(*rows, strict=True)
    return np.concatenate(codes), np.concatenate(decisions)


def worth(name: str, label: str, faster: float, lost: float) -> bool:
    """Return whether a variant is shipped, and say why."""
    decided = faster >= FASTER and lost <= LOST
    print(f"{name} {label}: {faster:.2f} x as fast, {lost:+.3f} lost: {decided}", flush=True)
    return decided


def make(name: str, data: Samples, folder: Path) -> dict[str, Path]:
    """Make the variants of an encoder in integers, and return those that are shipped, by name."""
    rows, made = calibration(name), {}
    for label, stem in MADE_OF[name].items():
        source, target = SHIPPED / name / f"{stem}.onnx", folder / f"{stem}_int8.onnx"
        quantise(source, target, rows, LEFT_OUT.get(name, 0))
        plain, small = race([source, target], rows)
        before, after = (
            scores(data, DECISION[name], embeddings(path, name, data)[1])["all"]
            for path in (source, target)
        )
        if worth(name, label, plain / small, before - after):
            made[label] = SHIPPED / name / target.name
            shutil.copyfile(target, made[label])
    return made


def ship(name: str, made: dict[str, Path], data: Samples) -> dict[str, np.ndarray]:
    """Describe an encoder with its variants in integers; return the embeddings of each."""
    folder = SHIPPED / name
    paths = {"fp32": folder / f"{name}.onnx", **made}
    for idle in set(folder.glob("*.onnx")) - set(paths.values()):
        idle.unlink()  # what a variant in integers was made of
    latencies = race(list(paths.values()), calibration(name))
    tables, entries, codes = {}, [], {}
    for (label, path), latency in zip(paths.items(), latencies, strict=True):
        codes[label], decisions = embeddings(path, name, data)
        tables[label] = scores(data, DECISION[name], decisions)
        quality = {"average_precision": tables[label]["all"]}
        entries.append(variant(path, label, quality, latency))
    parameters, apart = said(folder / "CARD.md", paths)
    chance = float(truth_of(data, DECISION[name]).mean())
    sides = sides_of(name, paths, data)
    driving_cards.write(folder, name, entries, tables, parameters, apart, chance, sides)
    return codes


def said(card: Path, paths: dict[str, Path]) -> tuple[dict[str, int], dict[str, float]]:
    """Return the parameters of each variant, and the parity of fp32, as the export's card says."""
    pattern = r"\| (\w+) \| \w+\.onnx \| ([\d,]+) \| \d+ KB \| [\d.]+ ms \| (\S+) \|"
    rows = {found[1]: found for found in re.finditer(pattern, card.read_text())}
    count = {label: int(found[2].replace(",", "")) for label, found in rows.items()}
    return {label: count.get(label, count["fp32"]) for label in paths}, {
        "fp32": float(rows["fp32"][3])
    }


def describe_heads(codes: dict[str, dict[str, np.ndarray]], data: Samples) -> None:
    """Write into the cards of the heads what they make of cheaper variants."""
    best = {name: of["fp32"] for name, of in codes.items()}
    rows = {
        SMALL: {**best, "camera": codes["camera"]["small"]},
        "int8 camera + int8 lidar + int8 siren": {
            name: of.get("int8", of["fp32"]) for name, of in codes.items()
        },
    }
    for head in HEADS:
        card, run = SHIPPED / head / "CARD.md", session(SHIPPED / head / f"{head}.onnx")
        text = re.sub(r"\| int8 camera.*\n", "", card.read_text())
        before, *tables = re.split(rf"\| {re.escape(SMALL)} \|.*\n", text)
        for output, rest in zip(("occupancy", "siren"), tables, strict=True):
            for label, given in rows.items():
                fed = head_feeds(given, (1, 1, 1), data.age)
                found = [run.run(None, feed)[output == "siren"] for feed in fed]
                table = scores(data, output, np.concatenate(found))
                cells = " | ".join(f"{value:.3f}" for value in table.values())
                before += f"| {label} | {cells} |\n"
                print(head, output, label, table["all"], flush=True)
            before += rest
        card.write_text(before)


def main(folder: Path, *only: str) -> None:
    """Make, measure, ship what is worth it, and see what the heads make of it."""
    data, codes = Samples.load(folder, "held"), {}
    for name in DECISION:
        made = make(name, data, folder) if not only or name in only else {}
        if made:
            codes[name] = ship(name, made, data)
        else:
            paths = shipped(name)
            codes[name] = {label: embeddings(path, name, data)[0] for label, path in paths.items()}
    describe_heads(codes, data)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
