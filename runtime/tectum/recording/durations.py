"""How long stages took in a recorded run, for its simulation.

A run that the journal has is found again by what it was run on: the stage, the variant and the
samples, whatever its number was. Another run takes the median of its stage and variant, else of
its stage, else what is claimed of it. A table given by hand goes before all of it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median_low

from tectum.errors import ContractError
from tectum.pipeline.events import Event, Finished
from tectum.pipeline.orders import Arg, Of, Picked, Start
from tectum.pipeline.pipeline import Pipeline
from tectum.pipeline.plan import Plan

__all__ = ["OTHERWISE_NS", "RecordedDurations"]

OTHERWISE_NS = 1_000_000
"""What a stage takes of which nothing is known."""

_Key = tuple[object, ...]


class RecordedDurations:
    """Satisfies `tectum.pipeline.simulate.Durations`, for one simulation."""

    def __init__(
        self, table: Mapping[str, int] | None = None, claims: Mapping[str, int] | None = None
    ) -> None:
        """Know only `table`, and `claims` for what the journal lacks: stage[/variant] to ns."""
        self._table = dict(table or {})
        self._claims = dict(claims or {})
        self._took: dict[_Key, int] = {}
        self._typical: dict[str, list[int]] = {}
        self._medians: dict[str, int] = {}
        self._keys: dict[int, _Key] = {}
        self.assumed: set[str] = set()
        """Stages that ran though nothing said how long they take."""

    def learn(self, plan: Plan, journal: Iterable[Event]) -> None:
        """Learn from a journal what each run was run on and how long it took.

        The journal of another version, whose pipeline would have decided otherwise, is followed as
        long as it can be.
        """
        pipeline = Pipeline(plan)
        keys: dict[int, _Key] = {}
        started: dict[int, Start] = {}
        for event in journal:
            if isinstance(event, Finished):
                if event.run not in started:
                    return
                self._learn(started.pop(event.run), keys[event.run], event)
            try:
                orders = pipeline.feed(event)
            except ContractError:
                return
            for order in orders:
                if isinstance(order, Start):
                    started[order.run] = order
                    keys[order.run] = _key(order, keys)

    def __call__(self, start: Start) -> int:
        """Return how long `start` takes, in ns; negative: it fails after that long."""
        key = self._keys[start.run] = _key(start, self._keys)
        by_variant = f"{start.stage}/{start.variant}"
        for name in (by_variant, start.stage):
            if name in self._table:
                return self._table[name]
        if key in self._took:
            return self._took[key]
        for name in (by_variant, start.stage):
            if name in self._typical:
                return self._median(name)
            if name in self._claims:
                return self._claims[name]
        self.assumed.add(start.stage)
        return OTHERWISE_NS

    def _median(self, name: str) -> int:
        """Return the median of what was learned of `name`; kept until more is."""
        if name not in self._medians:
            self._medians[name] = median_low(self._typical[name])
        return self._medians[name]

    def _learn(self, start: Start, key: _Key, event: Finished) -> None:
        if event.status == "cancelled":
            return  # how long it would have taken is not known
        took_ns = event.compute_ns if event.status == "ok" else -event.compute_ns
        self._took.setdefault(key, took_ns)
        if event.status == "ok":
            for name in (f"{start.stage}/{start.variant}", start.stage):
                self._typical.setdefault(name, []).append(took_ns)
                self._medians.pop(name, None)


def _key(start: Start, keys: Mapping[int, _Key]) -> _Key:
    """Return what a run is run on: runs by their own keys, for their numbers may differ."""
    return (start.stage, start.variant, *(_arg_key(arg, keys) for arg in start.args))


def _arg_key(arg: Arg, keys: Mapping[int, _Key]) -> _Key:
    if isinstance(arg, Picked):
        return ("picked", *arg)
    if isinstance(arg, Of):
        return ("of", arg.input, keys.get(arg.run, ()))
    return ("absent", arg.input)
