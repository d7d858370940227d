"""Variants: whether what a graph degrades to is cheaper than what it degrades from.

    python benchmarks/variants.py [--quick] [--json FILE]

Every shipped model with more than one variant runs on one thread, the variants taking turns on the
sample that a model warms up with; medians of processor time. The bars: each variant is cheaper than
the one before it, and in integers the speech-emotion model is 1.5 times as fast as in floats, the
siren encoder 1.2 times.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from bench import Bench, options

from tectum.inference.device import CPU
from tectum.inference.manifest import Manifest, read_manifest
from tectum.inference.stages import model_stage
from tectum_models.catalogue import find, names

FASTER = {("emotion/speech", "int8"): 1.5, ("driving/siren", "int8"): 1.2}
"""More than any variant owes."""


def main() -> int:
    """Measure and judge."""
    given = options(__doc__.partition("\n")[0])
    bench = Bench("variants")
    rows: list[tuple[object, ...]] = []
    for name in names():
        manifest = read_manifest(find(name))
        if len(manifest.variants) < 2:
            continue
        medians = measure(manifest, 40 if given.quick else 400)
        best = next(iter(medians))
        before = best
        for variant, spent in medians.items():
            rows.append((name, variant, spent, medians[best] / spent))
            if variant != best:
                bench.at_least(f"{name}: {variant} over {before}", medians[before] / spent, 1.0)
            before = variant
            least = FASTER.get((name, variant))
            if least:
                bench.at_least(f"{name}: {variant} over {best}", medians[best] / spent, least)
    bench.table("variants, ms", ("model", "variant", "ms", "x the best"), rows)
    return bench.finish(given.json)


def measure(manifest: Manifest, repeats: int) -> dict[str, float]:
    """Return the median of each variant in ms, best variant first."""
    stage = model_stage(manifest, CPU)
    spent: dict[str, list[int]] = {variant: [] for variant in stage.variants}
    try:
        for turn in range(repeats + 5):
            for variant, times in spent.items():
                begun = time.process_time_ns()
                stage.warm_up(variant)
                if turn >= 5:
                    times.append(time.process_time_ns() - begun)
    finally:
        stage.close()
    return {variant: float(np.median(times)) / 1e6 for variant, times in spent.items()}


if __name__ == "__main__":
    sys.exit(main())
