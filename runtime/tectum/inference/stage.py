"""Stages: what a lane runs. An encoder, a fusion head, or a user's own callable.

A stage is called from one lane thread at a time per run, possibly from several lanes at once; it
owns no sockets and reads no clock. Whatever it raises becomes `Finished(status="failed")`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from tectum.message import AnyArray, Message, Value

__all__ = [
    "Cancelled",
    "Cut",
    "Held",
    "Job",
    "OutputSpec",
    "Prepares",
    "Stage",
    "StageArg",
    "StageOutput",
    "Stopper",
    "Tensor",
]


class Cancelled(Exception):
    """Raised by a stage whose run was ended early on request."""


class Cut(NamedTuple):
    """Samples of one input: whole messages, or audio cut to the sample."""

    messages: tuple[Message, ...]
    begin: int = -1
    """Index of the first audio sample on the source's timeline; -1: no cut."""
    length: int = -1
    weight_ppm: int = -1
    """Between two messages: how far from the first to the second, in millionths; -1: no blend."""

    @property
    def message(self) -> Message:
        """Return the newest message: the one picked, where the rule picks one."""
        return self.messages[-1]


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """What an output means, as its manifest or rule says; sent with every result."""

    name: str
    role: str
    """embedding, grid, probability, scores, label, boxes, objects, text, tensor, state."""
    labels: tuple[str, ...] = ()
    facts: Mapping[str, Value] = field(default_factory=dict)
    """`unit`, `grid` and the like, as in the manifest."""


class Held(Protocol):
    """A tensor that stays in the memory of a device, until it is released."""

    def numpy(self) -> AnyArray:
        """Read it back: one copy to the host, after the work that makes it."""
        ...

    def release(self) -> None:
        """Let its memory be used again; further calls do nothing."""
        ...


Tensor = AnyArray | Held


class StageOutput(NamedTuple):
    """What a run gave: arrays by name, small facts, and the state it carries on.

    A named tuple, as a cut is: made for each run and for each argument of a head.
    """

    arrays: Mapping[str, AnyArray] = MappingProxyType({})
    facts: Mapping[str, Value] = MappingProxyType({})
    state: Mapping[str, Tensor] | None = None
    held: Mapping[str, Held] = MappingProxyType({})
    """Outputs that stay on the encoder's device: embeddings, where it has memory of its own."""
    stamp_ns: int = 0
    """Stamp of the newest sample that it was made from; the shell says it."""
    age_ns: int = 0
    """To a head: how long before the trigger that was; the shell says it. May be negative."""

    def tensor(self, name: str) -> Tensor:
        """Return the output called `name`, wherever it is."""
        return self.held[name] if name in self.held else self.arrays[name]

    def array(self, name: str) -> AnyArray:
        """Return the output called `name` as an array; from a device it is read back."""
        return self.held[name].numpy() if name in self.held else self.arrays[name]

    def release(self) -> None:
        """Give memory of a device back: nobody uses this output any more."""
        for value in (*self.held.values(), *(self.state or {}).values()):
            if not isinstance(value, np.ndarray):
                value.release()


StageArg = Cut | StageOutput | None
"""The samples of an input, what its encoder gave, or None where it is missing."""


class Stopper(Protocol):
    """How a run learns that it should end early."""

    @property
    def stopped(self) -> bool:
        """Return whether the run was cancelled."""
        ...

    def on_stop(self, action: Callable[[], None]) -> None:
        """Call `action()` (from another thread) when the run is cancelled."""
        ...


Job = Callable[[Stopper], StageOutput]
"""A run of which nothing is left but to carry it out, in a lane."""


@runtime_checkable
class Prepares(Protocol):
    """A stage whose runs can be made ready before their turn, so that a lane only computes."""

    def prepared(self, variant: str, args: Mapping[str, StageArg]) -> Job | None:
        """Return a run without carried state, ready to go.

        None where making it ready is itself work, which belongs in a lane: a picture to decode.
        """
        ...


class Stage(Protocol):
    """A unit of computation with one or more variants."""

    name: str
    variants: tuple[str, ...]
    """Best first."""
    outputs: tuple[OutputSpec, ...]

    def warm_up(self, variant: str) -> None:
        """Run once on plausible input, so that the first real run costs what later ones cost."""
        ...

    def run(
        self,
        variant: str,
        args: Mapping[str, StageArg],
        state: Mapping[str, Tensor] | None,
        stopper: Stopper,
    ) -> StageOutput:
        """Compute; `args` is keyed by input name, in graph order.

        An encoder has one argument, the head one per input of the graph.
        `state` is what the previous run of a stateful stage gave, or None at the beginning.
        """
        ...

    def close(self) -> None:
        """Give back sessions and buffers."""
        ...
