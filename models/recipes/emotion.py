"""Train the speech-emotion model on EmoDB, judged by leaving one speaker out.

    python models/recipes/emotion.py DATA WORK        # figures to the terminal, network to WORK

Every utterance is also heard faster and slower, with another tilt of the spectrum, which makes
voices that are not in the data. Half of the training sees statistics less the mean of their
speaker, half as they are, so that one network serves new speakers from the first word on. The
variant in integers has the same learned part, and is judged on what its own statistics give.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import av
import numpy as np
import torch
from emotion_int8 import Lean
from emotion_nets import (
    EMOTIONS,
    FORGET,
    PRIOR,
    RATE,
    SAMPLES,
    Classifier,
    SpeechEmotion,
    Statistics,
)
from torch.nn import functional

WAYS = ("as_is", "adapting", "adapted", "line_only")
"""How an utterance is judged: alone, after those before it, after all of its speaker's."""
SPEEDS = (1.0, 0.84, 0.9, 0.95, 1.06, 1.12, 1.2)
STEPS, RATE_OF_LEARNING, DECAY, SEEDS = 200, 0.006, 1.0, (1, 2, 3)


def main(data: Path, work: Path) -> None:
    """Train, judge, keep."""
    torch.set_num_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    sounds, labels, speakers = load(data / "emodb")
    features = cached(work / "features.npz", sounds)
    heard = {"fp32": features[0], "int8": rounded(sounds)}
    figures = judge(features, labels, speakers, heard)
    print(json.dumps(figures, indent=1))
    (work / "figures.json").write_text(json.dumps(figures, indent=1))
    model = whole(features, labels, speakers)
    torch.save(model.state_dict(), work / "speech.pt")


def load(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return int16 (n, SAMPLES) sounds at RATE, labels as indices, and speakers."""
    rows = list(csv.DictReader((folder / "labels.csv").open()))
    sounds = np.zeros((len(rows), SAMPLES), np.int16)
    for sound, row in zip(sounds, rows, strict=True):
        samples = decoded(folder / row["split"] / f"{row['name']}.flac")[:SAMPLES]
        sound[: len(samples)] = samples
    labels = np.array([EMOTIONS.index(row["emotion"]) for row in rows])
    return sounds, labels, np.array([row["speaker"] for row in rows])


def decoded(path: Path) -> np.ndarray:
    """Return a file's sound as int16 mono at RATE."""
    resampler, parts = av.AudioResampler("s16", "mono", RATE), []
    with av.open(str(path)) as container:
        for frame in (*container.decode(audio=0), None):
            parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
    return np.concatenate(parts)


def cached(path: Path, sounds: np.ndarray) -> np.ndarray:
    """Return (speeds, n, count) statistics of every sound at every speed, computed once."""
    if not path.is_file():
        statistics, rng = Statistics(), np.random.default_rng(0)
        with torch.no_grad():
            found = [_heard(statistics, sounds, speed, rng) for speed in SPEEDS]
        np.savez(path, features=np.stack(found))
    return np.asarray(np.load(path)["features"])


def _heard(
    statistics: Statistics, sounds: np.ndarray, speed: float, rng: np.random.Generator
) -> np.ndarray:
    """Return the statistics of sounds at another speed and spectral tilt."""
    wave = torch.tensor(sounds.astype(np.float32))
    if speed != 1:
        size = int(SAMPLES / speed)
        wave = functional.interpolate(wave[:, None], size=size, mode="linear")[:, 0]
        wave = functional.pad(wave, (0, max(0, SAMPLES - size)))[:, :SAMPLES]
        tilt = torch.tensor(rng.uniform(-0.2, 0.2, (len(wave), 1)), dtype=torch.float32)
        wave = wave - tilt * torch.cat([wave[:, :1], wave[:, :-1]], 1)
    return torch.cat([statistics(part)[0] for part in wave.split(32)]).numpy()


def train(
    features: np.ndarray, labels: np.ndarray, speakers: np.ndarray, seed: int
) -> tuple[Classifier, torch.Tensor, torch.Tensor]:
    """Return a classifier, and the mean and scale of the statistics that it was trained on."""
    torch.manual_seed(seed)
    flat = features.reshape(-1, features.shape[-1])
    mean, scale = flat.mean(0), flat.std(0) + 1e-6
    normal = np.clip((features - mean) / scale, -4, 4)
    rows = np.concatenate(
        [normal.reshape(flat.shape), centred(normal, speakers).reshape(flat.shape)]
    )
    inputs = torch.tensor(rows, dtype=torch.float32)
    target = torch.tensor(np.tile(labels, 2 * len(features)))
    weight = len(target) / len(EMOTIONS) / torch.bincount(target, minlength=len(EMOTIONS)).float()
    model = Classifier(flat.shape[1])
    optimizer = torch.optim.AdamW(model.parameters(), RATE_OF_LEARNING, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE_OF_LEARNING, STEPS)
    model.train()
    for _ in range(STEPS):
        chosen = torch.randint(len(inputs), (768,))
        optimizer.zero_grad()
        functional.cross_entropy(
            model(inputs[chosen]), target[chosen], weight, label_smoothing=0.1
        ).backward()
        optimizer.step()
        schedule.step()
    return model.eval(), torch.tensor(mean), torch.tensor(scale)


def centred(normal: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """Return statistics less the mean of their speaker, at each speed by itself."""
    result = normal.copy()
    for speaker in set(speakers):
        mine = speakers == speaker
        result[:, mine] -= normal[:, mine].mean(1, keepdims=True)
    return result


def rounded(sounds: np.ndarray) -> np.ndarray:
    """Return (n, count) statistics of every sound, as the variant in integers has them."""
    statistics = Lean(rounded=True)
    with torch.no_grad():
        return torch.cat([statistics(torch.tensor(sound[None]))[0] for sound in sounds]).numpy()


def judge(
    features: np.ndarray, labels: np.ndarray, speakers: np.ndarray, heard: dict[str, np.ndarray]
) -> dict[str, dict[str, object]]:
    """Return the unweighted average recall; who is judged was never heard in training.

    `heard` has, for each variant, the statistics (n, count) that it gives.
    """
    ways = [(variant, way) for variant in heard for way in WAYS]
    found: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
    for seed in SEEDS:
        told = {way: np.zeros(len(labels), int) for way in ways}
        for speaker in sorted(set(speakers)):
            out = speakers == speaker
            model, mean, scale = train(features[:, ~out], labels[~out], speakers[~out], seed)
            for variant, statistics in heard.items():
                normal = torch.clamp((torch.tensor(statistics[out]) - mean) / scale, -4, 4).float()
                for way, guesses in guessed(model, normal, seed).items():
                    told[variant, way][out] = guesses
        for way, guesses in told.items():
            found[way].append(recall(labels, guesses))
    return {
        variant: {
            way: {"mean": float(np.mean(found[variant, way])), "seeds": found[variant, way]}
            for way in WAYS
        }
        for variant in heard
    }


def guessed(model: Classifier, normal: torch.Tensor, seed: int) -> dict[str, np.ndarray]:
    """Return what is told of a speaker's utterances, with and without adaptation."""
    order = np.random.default_rng(seed).permutation(len(normal))
    running, last = running_means(normal[order])
    adapting = np.zeros(len(normal), int)
    with torch.no_grad():
        adapting[order] = model(normal[order] - running).argmax(1).numpy()
        return {
            "as_is": model(normal).argmax(1).numpy(),
            "adapting": adapting,
            "adapted": model(normal - last).argmax(1).numpy(),
            "line_only": model.line(normal).argmax(1).numpy(),
        }


def running_means(normal: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean before each of a row of windows, and that after the last."""
    heard, count, means = torch.zeros_like(normal[0]), 0.0, []
    for row in normal:
        means.append(heard / (count + PRIOR))
        heard, count = FORGET * heard + row, FORGET * count + 1
    return torch.stack(means), heard / (count + PRIOR)


def recall(labels: np.ndarray, guesses: np.ndarray) -> float:
    """Return the mean over labels of the share that was found."""
    return float(np.mean([(guesses[labels == k] == k).mean() for k in np.unique(labels)]))


def whole(features: np.ndarray, labels: np.ndarray, speakers: np.ndarray) -> SpeechEmotion:
    """Return the model that is shipped, trained on all speakers."""
    classifier, mean, scale = train(features, labels, speakers, SEEDS[0])
    model = SpeechEmotion(mean.float(), scale.float())
    model.classify.load_state_dict(classifier.state_dict())
    return model.eval()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
