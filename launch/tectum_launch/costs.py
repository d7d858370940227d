"""How long computations take in a simulation: as the table says, else as they took when recorded.

The recorded durations are those of the same stage and variant on the same samples; a run that was
not recorded takes the median of its stage and variant, or of its stage.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median_low
from typing import Any

from tectum.errors import ConfigError
from tectum.pipeline.events import Event, Finished
from tectum.pipeline.orders import Of, Picked, Start
from tectum.pipeline.pipeline import Pipeline
from tectum.pipeline.plan import Plan
from tectum.units import parse_duration_ns

__all__ = ["Costs", "parse_costs", "recorded_costs"]

Work = tuple[Any, ...]
"""What a run computes: stage, variant and samples, whatever its number."""


def parse_costs(options: Iterable[str]) -> dict[str, int]:
    """Return the table that options such as `encode_camera=12ms`, `head/small=2ms` make.

    Raises:
        ConfigError: an option is not of that form.
    """
    table = {}
    for option in options:
        name, equals, duration = option.partition("=")
        if not equals or not name:
            msg = f"--cost {option}: write STAGE=TIME or STAGE/VARIANT=TIME: encode_camera=12ms"
            raise ConfigError(msg)
        table[name] = parse_duration_ns(duration)
    return table


@dataclass(slots=True)
class Costs:
    """Durations for `tectum.pipeline.simulate`: call it with each `Start` of one simulation."""

    table: Mapping[str, int] = field(default_factory=dict)
    """`stage/variant` or `stage` -> ns."""
    recorded: Mapping[Work, int] = field(default_factory=dict)
    """Negative where the run failed after so long."""
    medians: Mapping[str, int] = field(default_factory=dict)
    """`stage/variant` and `stage` -> ns."""
    _works: dict[int, Work] = field(default_factory=dict)

    def __call__(self, start: Start) -> int:
        """Return how long the run takes.

        Raises:
            ConfigError: nothing is known of its stage.
        """
        work = self._works[start.run] = work_of(start, self._works)
        names = (f"{start.stage}/{start.variant}", start.stage)
        for name in names:
            if name in self.table:
                return self.table[name]
        if work in self.recorded:
            return self.recorded[work]
        for name in names:
            if name in self.medians:
                return self.medians[name]
        msg = f"nothing says how long {names[0]} takes: give --cost {start.stage}=TIME"
        raise ConfigError(msg)


def recorded_costs(plan: Plan, journal: Iterable[Event], table: Mapping[str, int]) -> Costs:
    """Return the durations that `journal` tells, with `table` in front of them."""
    pipeline = Pipeline(plan)
    works: dict[int, Work] = {}
    recorded: dict[Work, int] = {}
    of_stage: dict[str, list[int]] = defaultdict(list)
    for event in journal:
        if isinstance(event, Finished) and event.status != "cancelled" and event.run in works:
            work = works[event.run]
            recorded[work] = event.compute_ns if event.status == "ok" else -event.compute_ns
            for name in (work[0], f"{work[0]}/{work[1]}"):
                of_stage[name].append(event.compute_ns)
        for order in pipeline.feed(event):
            if isinstance(order, Start):
                works[order.run] = work_of(order, works)
    medians = {name: median_low(taken) for name, taken in of_stage.items()}
    return Costs(table, recorded, medians)


def work_of(start: Start, works: Mapping[int, Work]) -> Work:
    """Return what a run computes; `works` has the earlier runs that it builds on."""
    args: list[Work] = []
    for arg in start.args:
        if isinstance(arg, Of):
            args.append((arg.input, works.get(arg.run, ())))
        elif isinstance(arg, Picked):
            args.append((arg.input, arg.refs, arg.begin, arg.length))
        else:
            args.append((arg.input,))
    return (start.stage, start.variant, *args)
