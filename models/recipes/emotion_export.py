"""Export the speech-emotion model to ONNX, measure it, write its manifest and card.

    python models/recipes/emotion_export.py DATA WORK

Latency is measured here, with ONNX Runtime on one thread; recall comes from `emotion.py`.
There is no int8 variant: products in integers made it no faster and much worse.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path

import exporting
import numpy as np
import torch
from emotion import cached, load, recall, whole
from emotion_nets import EMOTIONS, FACES, SAMPLES, SpeechEmotion
from exporting import session

SHIPPED = Path(__file__).parents[1] / "tectum_models" / "emotion" / "speech"
INPUTS, OUTPUTS = ("audio", "heard", "count"), (
    "emotion", "expression", "speech", "heard_next", "count_next",
)  # fmt: skip
TOLERANCE = 1e-4


def main(data: Path, work: Path) -> None:
    """Export and measure."""
    torch.set_num_threads(1)
    sounds, labels, speakers = load(data / "emodb")
    model = whole(cached(work / "features.npz", sounds), labels, speakers)
    SHIPPED.mkdir(parents=True, exist_ok=True)
    paths = {"fp32": SHIPPED / "speech.onnx"}
    export(model, paths["fp32"])
    off = difference(model, paths["fp32"], sounds[:40])
    print(f"ONNX and the training framework differ by {off:.1e}")
    assert off <= TOLERANCE, "the exported model is not the trained one"
    measured = {name: measure(path, sounds, labels) for name, path in paths.items()}
    for name, path in paths.items():
        print(name, measured[name], path.stat().st_size)
    figures = json.loads((work / "figures.json").read_text())
    sizes = sum(p.numel() for p in model.parameters())
    (work / "measured.json").write_text(json.dumps({**measured, "parameters": sizes}))
    write(paths, measured, figures, sizes)


def export(model: SpeechEmotion, path: Path) -> None:
    """Write the model as one ONNX file."""
    count = len(model.mean)
    args = (torch.zeros(1, SAMPLES, dtype=torch.int16), torch.zeros(1, count), torch.zeros(1, 1))
    exporting.write(model, args, INPUTS, OUTPUTS, path, opset=18)


def difference(model: SpeechEmotion, path: Path, sounds: np.ndarray) -> float:
    """Return the largest difference between both, over a row of sounds with carried state."""
    run, most = session(path), 0.0
    heard, count = torch.zeros(1, len(model.mean)), torch.zeros(1, 1)
    for sound in sounds:
        with torch.no_grad():
            ours = model(torch.tensor(sound[None]), heard, count)
        feeds = dict(zip(INPUTS, (sound[None], heard.numpy(), count.numpy()), strict=True))
        theirs = run.run(None, feeds)
        pairs = zip(ours, theirs, strict=True)
        most = max(most, *(float(np.abs(a.numpy() - b).max()) for a, b in pairs))
        heard, count = ours[3], ours[4]
    return most


def measure(path: Path, sounds: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return latency, and the recall on what it was trained on: only to compare variants."""
    run, spent, told = session(path), [], []
    size = run.get_inputs()[1].shape[1]
    for sound in sounds:
        feeds = {"audio": sound[None], "heard": np.zeros((1, size), np.float32),
                 "count": np.zeros((1, 1), np.float32)}  # fmt: skip
        begun = time.perf_counter()
        answer = run.run(None, feeds)
        spent.append(time.perf_counter() - begun)
        told.append(int(answer[0].argmax()))
    return {
        "latency_ms": float(np.median(spent) * 1e3), "least_ms": float(np.min(spent) * 1e3),
        "recall_on_training_data": recall(labels, np.array(told)),
    }  # fmt: skip


def write(
    paths: dict[str, Path], measured: dict[str, dict[str, float]], figures: dict, parameters: int
) -> None:
    """Write `model.yaml`; the card is written by hand, from what this prints."""
    run = session(paths["fp32"])
    size = run.get_inputs()[1].shape[1]
    lines = [
        "# How something is said, not what: two seconds of speech, each half second.",
        "model: emotion/speech", "version: 1", "modality: voice",
        "task: Tell how speech sounds, in seven acted emotions, adapting to the speaker.",
        "licence: Apache-2.0",
        "training:",
        "  data: EmoDB (Burkhardt et al. 2005), 395 utterances of 8 German actors",
        "  recipe: models/recipes/emotion.py", "  seed: 1",
        '"on": sample', "hop: 8000", "stateful: true",
        "inputs:",
        f"  - {{name: audio, kind: audio, dtype: int16, shape: [1, {SAMPLES}], rate_hz: 16000,",
        f"     context: {SAMPLES - 8000}}}",
        f"  - {{name: heard, kind: state, dtype: float32, shape: [1, {size}], next: heard_next}}",
        "  - {name: count, kind: state, dtype: float32, shape: [1, 1], next: count_next}",
        "outputs:",
        f"  - {{name: emotion, role: scores, dtype: float32, shape: [1, {len(EMOTIONS)}]}}",
        f"  - {{name: expression, role: scores, dtype: float32, shape: [1, {len(FACES)}]}}",
        "  - {name: speech, role: probability, dtype: float32, shape: [1, 1]}",
        f"  - {{name: heard_next, role: state, dtype: float32, shape: [1, {size}]}}",
        "  - {name: count_next, role: state, dtype: float32, shape: [1, 1]}",
        "results:",
        "  - name: emotion", "    role: scores", "    dtype: float32", "    shape: [1, 7]",
        f"    labels: [{', '.join(EMOTIONS)}]",
        "  # The same in the labels of expressions of faces: boredom is neutral, and of surprise",
        "  # the voice says nothing.",
        "  - name: expression", "    role: scores", "    dtype: float32", "    shape: [1, 7]",
        f"    labels: [{', '.join(FACES)}]",
        "  - {name: speech, role: probability, dtype: float32, shape: [1, 1]}",
        "variants:",
    ]  # fmt: skip
    recalls = {name: figures[key]["mean"] for name, key in
               (("recall", "as_is"), ("recall_adapted", "adapted"))}  # fmt: skip
    for name, path in paths.items():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines += [f"  - name: {name}", f"    file: {path.name}", f"    sha256: {digest}"]
        claims = measured[name].get("held_out", recalls)
        inside = ", ".join(f"{key}: {value:.3f}" for key, value in claims.items())
        lines += [f"    quality: {{{inside}}}",
                  f"    latency_ms: {{cpu: {measured[name]['least_ms']:.2f}}}"]  # fmt: skip
    (SHIPPED / "model.yaml").write_text("\n".join(lines) + "\n")
    print(f"{parameters} learned parameters")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
