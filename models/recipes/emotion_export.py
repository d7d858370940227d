"""Export the speech-emotion model to ONNX, measure it, write its manifest and card.

    python models/recipes/emotion_export.py DATA WORK

Latency is measured here, in processor time on one thread, the variants taking turns; recall comes
from `emotion.py`.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import exporting
import numpy as np
import torch
from emotion import cached, load, recall, whole
from emotion_int8 import in_integers, lean
from emotion_nets import EMOTIONS, FACES, SAMPLES, SpeechEmotion
from exporting import session

SHIPPED = Path(__file__).parents[1] / "tectum_models" / "emotion" / "speech"
INPUTS, OUTPUTS = ("audio", "heard", "count"), (
    "emotion", "expression", "speech", "heard_next", "count_next",
)  # fmt: skip
REPEATS = 5


def main(data: Path, work: Path) -> None:
    """Export and measure."""
    torch.set_num_threads(1)
    sounds, labels, speakers = load(data / "emodb")
    model = whole(cached(work / "features.npz", sounds), labels, speakers)
    paths = {"fp32": SHIPPED / "speech.onnx", "int8": SHIPPED / "speech_int8.onnx"}
    export(model, paths["fp32"])
    export(lean(model), paths["int8"])
    in_integers(paths["int8"])
    for name, like in (("fp32", model), ("int8", lean(model, rounded=True))):
        off = exporting.parity(like, paths[name], feeds(like, sounds[:40]))
        print(f"{name}: the file and the training framework differ by {off:.1e}")
    measured = measure(paths, sounds, labels)
    for name, path in paths.items():
        print(name, measured[name], path.stat().st_size)
    print("faster:", measured["fp32"]["latency_ms"] / measured["int8"]["latency_ms"])
    figures = json.loads((work / "figures.json").read_text())
    sizes = sum(p.numel() for p in model.parameters())
    (work / "measured.json").write_text(json.dumps({**measured, "parameters": sizes}))
    write(paths, measured, figures, sizes)


def export(model: SpeechEmotion, path: Path) -> None:
    """Write the model as one ONNX file."""
    count = len(model.mean)
    args = (torch.zeros(1, SAMPLES, dtype=torch.int16), torch.zeros(1, count), torch.zeros(1, 1))
    exporting.write(model, args, INPUTS, OUTPUTS, path, opset=18)


def feeds(model: SpeechEmotion, sounds: np.ndarray) -> Iterator[exporting.Feed]:
    """Yield a row of sounds with the state that the model carries, then silence and noise."""
    heard, count = torch.zeros(1, len(model.mean)), torch.zeros(1, 1)
    noise = np.random.default_rng(0).integers(-32768, 32768, (2, SAMPLES), np.int16)
    noise[0] = 0
    for sound in (*sounds, *noise):
        yield dict(zip(INPUTS, (sound[None], heard.numpy(), count.numpy()), strict=True))
        with torch.no_grad():
            heard, count = model(torch.tensor(sound[None]), heard, count)[3:]


def measure(
    paths: dict[str, Path], sounds: np.ndarray, labels: np.ndarray
) -> dict[str, dict[str, float]]:
    """Return latency, and the recall on what it was trained on: only to compare variants."""
    runs = {name: session(path) for name, path in paths.items()}
    size = next(iter(runs.values())).get_inputs()[1].shape[1]
    spent: dict[str, list[float]] = {name: [] for name in runs}
    told: dict[str, list[int]] = {name: [] for name in runs}
    for sound in np.tile(sounds, (REPEATS, 1)):
        feed = {"audio": sound[None], "heard": np.zeros((1, size), np.float32),
                "count": np.zeros((1, 1), np.float32)}  # fmt: skip
        for name, run in runs.items():
            begun = time.process_time()
            answer = run.run(None, feed)
            spent[name].append(time.process_time() - begun)
            told[name].append(int(answer[0].argmax()))
    return {
        name: {
            "latency_ms": float(np.median(spent[name]) * 1e3),
            "least_ms": float(np.min(spent[name]) * 1e3),
            "recall_on_training_data": recall(labels, np.array(told[name][: len(labels)])),
        }
        for name in runs
    }


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
    for name, path in paths.items():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines += [f"  - name: {name}", f"    file: {path.name}", f"    sha256: {digest}"]
        claims = (("recall", "as_is"), ("recall_adapted", "adapted"))
        inside = ", ".join(f"{key}: {figures[name][of]['mean']:.3f}" for key, of in claims)
        lines += [f"    quality: {{{inside}}}",
                  f"    latency_ms: {{cpu: {measured[name]['least_ms']:.2f}}}"]  # fmt: skip
    (SHIPPED / "model.yaml").write_text("\n".join(lines) + "\n")
    print(f"{parameters} learned parameters")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
