"""Export the head over time for emotion, measure it, and write its manifest and card.

python models/recipes/emotion_time_export.py WORK        # after emotion_time.py
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import exporting
import numpy as np
import torch
from emotion_nets import FACES
from emotion_time import FILTERS, SEEDS
from emotion_time_nets import HIDDEN, MODALITIES, OverTime

SHIPPED = Path(__file__).parents[1] / "tectum_models" / "emotion" / "over_time"
INPUTS = (*MODALITIES, "present", "age", "elapsed", "hidden")
OUTPUTS = ("expression", "hidden_next")
TASK = "Tell the expression of a face and a voice over time, from what each decides by itself."
MANIFEST = """\
# What each sense decides, moment by moment, to what is believed now: in the place of the smoothing.
model: emotion/over_time
version: 1
modalities: [{modalities}]
task: {task}
licence: Apache-2.0
training:
  data: EmoDB (Burkhardt et al. 2005), utterances of 8 German actors in rows; simulated faces
  recipe: models/recipes/emotion_time.py
  seed: 1
stateful: true
inputs:
  - {{name: face, kind: scores, dtype: float32, shape: [1, {labels}]}}
  - {{name: voice, kind: scores, dtype: float32, shape: [1, {labels}]}}
  - {{name: present, kind: mask, dtype: float32, shape: [1, 2]}}
  - {{name: age, kind: age, dtype: float32, shape: [1, 2]}}
  - {{name: elapsed, kind: elapsed, dtype: float32, shape: [1, 1]}}
  - {{name: hidden, kind: state, dtype: float32, shape: [1, {hidden}], next: hidden_next}}
outputs:
  - name: expression
    role: scores
    dtype: float32
    shape: [1, {labels}]
    labels: [{faces}]
  - {{name: hidden_next, role: state, dtype: float32, shape: [1, {hidden}]}}
variants:
  - name: fp32
    file: over_time.onnx
    sha256: {digest}
    quality: {{recall_voice: {recall:.3f}}}
    latency_ms: {{cpu: {latency:.2f}}}
"""
CARD = """\
# emotion/over_time

Tells the expression of a face and a voice over time: at each moment it takes what each decides,
which of the two are there, how old they are and how long ago the last moment was, and carries 32
numbers on to the next. A gated recurrent unit (Cho et al. 2014) whose state fades between moments
(Che et al. 2018). In a graph: `over_time: {{decision: expression, model: emotion/over_time}}`;
without `model` the scores are smoothed by a filter that learns nothing.

## What the scores are not

They are not a diagnosis, and not what a person feels: they say which of seven *acted* or *posed*
expressions a voice and a face resemble. In the European Union it is prohibited to infer the
emotions of people at work or in education, except for medical or safety reasons (AI Act,
Regulation (EU) 2024/1689, Art. 5(1)(f)).

## Data

Voices: EmoDB (Burkhardt et al. 2005), 8 German actors; for each speaker rows of 24 s in which
several utterances of one emotion follow one another, then of another, with pauses. What the head
is trained and judged on are the scores of speech models that never heard the speaker. Faces are
*simulated*, for want of labelled ones over time that may be used: right for two moments in three,
wrong for about a second where wrong, gone now and then. One modality is dropped from most rows,
and spells of either. Recipe: `models/recipes/emotion_time.py`, then `emotion_time_export.py`.

## Quality

Leaving one speaker out, {seeds} seeds together; moments at 5 Hz, judged from the first word on,
also in pauses and just after a change, which no window of two seconds can have seen. *Recall*: of
the surest label, unweighted, per moment. *Shown*: the same of the label that a display shows with
the hysteresis of the graph `emotion`, where unsure is wrong. *Changes*: of that label per minute,
from and to unsure too; the truth changes {flips_true:.1f} times. *Surest*: changes of the surest
label. *Log loss*: of the true label (1.95 knows nothing).

{tables}

{verdict}

The settings of training were chosen among a few by these same figures. In training every row's
scores are also made those of somebody else, surer or less, with other leanings.

What it does with faces follows from how they were simulated: those figures show that it uses both
and misses neither when it is gone, not how good it is on real faces.

## Size and speed

{parameters:,} learned parameters. Median of {runs:,} moments, ONNX Runtime on one thread of a
shared x86 core. Parity is the largest difference from the network in the framework that it was
trained in, carried over {runs:,} moments of all sets of modalities; the export stops above 1e-4.

| variant | file | size | CPU | parity |
|---|---|---|---|---|
| fp32 | over_time.onnx | {kilobytes:.0f} KB | {latency:.2f} ms | {parity:.1e} |

## Limits

Eight voices, German, acted, without surprise (only faces were shown as surprised); the speech
model needs two seconds to notice a change, and no head over time gets these back. Rates from 2 to
10 Hz.
"""


def main(work: Path) -> None:
    """Export, measure, describe."""
    torch.set_num_threads(1)
    model = OverTime()
    model.load_state_dict(torch.load(work / "time.pt", weights_only=True))
    model.eval()
    path = SHIPPED / "over_time.onnx"
    blank = [torch.full((1, len(FACES)), 1 / len(FACES)) for _ in MODALITIES]
    rest = (torch.ones(1, 2), torch.zeros(1, 2), torch.zeros(1, 1), torch.zeros(1, HIDDEN))
    exporting.write(model, (*blank, *rest), INPUTS, OUTPUTS, path, opset=18)
    fed = list(feeds(model))
    apart, latency = exporting.parity(model, path, fed), measured(path, fed)
    found = json.loads((work / "time.json").read_text())
    describe(path, found, apart, latency, sum(p.numel() for p in model.parameters()), len(fed))


def feeds(model: OverTime) -> Iterator[exporting.Feed]:
    """Yield moments with the state that is carried, of all sets of modalities, at any rate."""
    rng, hidden = np.random.default_rng(0), np.zeros((1, HIDDEN), np.float32)
    masks = list(itertools.product((0.0, 1.0), repeat=len(MODALITIES)))
    for k in range(2000):
        present = masks[k % len(masks)] if k < 200 else masks[int(rng.integers(len(masks)))]
        scores = rng.dirichlet(np.full(len(FACES), 0.3), len(MODALITIES)).astype(np.float32)
        scores[[not here for here in present]] = np.nan
        values = (
            *scores[:, None], np.array([present]), rng.uniform(0, 1.2, (1, 2)),
            rng.choice([0.0, 0.1, 0.2, 0.5, 30.0], (1, 1)), hidden,
        )  # fmt: skip
        feed = {name: value.astype(np.float32) for name, value in zip(INPUTS, values, strict=True)}
        yield feed
        with torch.no_grad():
            hidden = model(*(torch.tensor(value) for value in feed.values()))[1].numpy()


def measured(path: Path, fed: list[exporting.Feed]) -> float:
    """Return the median latency in ms."""
    run, spent = exporting.session(path), []
    for feed in fed:
        begun = time.perf_counter()
        run.run(None, dict(feed))
        spent.append(time.perf_counter() - begun)
    return float(np.median(spent) * 1e3)


def describe(
    path: Path, found: dict, apart: float, latency: float, parameters: int, runs: int
) -> None:
    """Write `model.yaml` and `CARD.md`."""
    voice = found["voice"]
    (SHIPPED / "model.yaml").write_text(
        MANIFEST.format(
            modalities=", ".join(MODALITIES), task=TASK, labels=len(FACES), hidden=HIDDEN,
            faces=", ".join(FACES), digest=hashlib.sha256(path.read_bytes()).hexdigest(),
            recall=voice["learned"]["recall"], latency=latency,
        )
    )  # fmt: skip
    (SHIPPED / "CARD.md").write_text(
        CARD.format(
            seeds=len(SEEDS), flips_true=voice["learned"]["flips_true"], tables=table(found),
            verdict=verdict(found), parameters=parameters, runs=runs, latency=latency,
            kilobytes=path.stat().st_size / 1000, parity=apart,
        )
    )  # fmt: skip


NAMES = {
    "learned": "learned head", "filter": "filter, half life 0.8 s",
    "filter 1.6 s": "filter, 1.6 s", "filter 0.4 s": "filter, 0.4 s",
}  # fmt: skip


def table(found: dict) -> str:
    """Return a table of all ways and sets of modalities."""
    kinds = {"voice": "voice alone", "face": "simulated face alone", "face + voice": "both"}
    lines = [
        "| | | recall | shown | changes | surest | log loss |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, label in kinds.items():
        for way in ("learned", *FILTERS):
            row = found[name][way]
            lines.append(
                f"| {label} | {NAMES[way]} | {row['recall']:.3f}"
                f" | {row['recall_shown']:.3f} | {row['flips_shown']:.1f}"
                f" | {row['flips']:.1f} | {row['log_loss']:.2f} |"
            )
    return "\n".join(lines)


def verdict(found: dict) -> str:
    """Return what the figures of the voice, which are of real recordings, say."""
    mine, other, fast = (found["voice"][way] for way in ("learned", "filter", "filter 0.4 s"))
    text = (
        f"On real voices the surest label is right for {mine['recall']:.3f} of the moments, beside"
        f" {other['recall']:.3f} of the filter that the graph would have; the one that is shown for"
        f" {mine['recall_shown']:.3f} beside {other['recall_shown']:.3f}, with"
        f" {mine['flips_shown']:.1f} changes a minute beside {other['flips_shown']:.1f}. A filter"
        f" of half that half life has the surest label right for {fast['recall']:.3f}, and shows"
        f" the right one for {fast['recall_shown']:.3f} with {fast['flips_shown']:.1f} changes: the"
        " head has no more labels right than the best filter, but knows better how sure it may be,"
        " so that the right one is shown more often."
    )
    return textwrap.fill(text, 98)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
