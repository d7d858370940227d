"""The keys of `faults:` and `assert:`, in a graph file or in a file of their own.

What goes wrong on purpose, and what must hold all the same. Times count from the beginning of the
run. Which inputs and nodes there are is for `fault_plan`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from tectum.node.base import NodeConfig
from tectum.node.fields import Duration
from tectum.sync.faults import KINDS, NODE_KINDS

__all__ = ["AssertConfig", "Bound", "FaultConfig", "FaultsConfig", "RecoveryConfig"]

_NEEDS = {
    "delay": ("by",),
    "jitter": ("by",),
    "burst": ("for",),
    "clock_step": ("by",),
    "drift": ("ppm",),
    "hang": ("for",),
    "slow": ("by",),
}
_TAKES = {
    "duplicate": ("by",),
    "kill": (),
    "hang": ("for", "every"),
    "slow": ("by", "for", "every"),
}
"""What a fault needs, and may take besides; of others all but `by` and `ppm`."""


def _share(value: Any) -> Any:
    """Return a share of one: `0.95`, or `95%`."""
    text = value.strip() if isinstance(value, str) else ""
    try:
        share = float(text.removesuffix("%")) / 100 if text.endswith("%") else float(value)
    except (TypeError, ValueError):
        share = -1.0
    if not 0 <= share <= 1 or isinstance(value, bool):
        msg = f"{value!r} is not a share: write 0.95, or 95%"
        raise ValueError(msg)
    return share


Share = Annotated[float, BeforeValidator(_share)]
"""A part of the whole, 0 to 1; written `0.95` or `95%`."""

Positive = Annotated[Duration, Field(gt=0)]


class FaultConfig(NodeConfig):
    """One thing that goes wrong on purpose."""

    fault: Literal[
        "delay", "jitter", "drop", "duplicate", "reorder", "freeze", "burst", "clock_step",
        "drift", "corrupt", "kill", "hang", "slow",
    ]  # fmt: skip
    """What happens: to messages of an input, or (kill, hang, slow) to a node."""
    input: str | None = None
    """Input of a fusion node; `perception.camera` where several have one of that name."""
    node: str | None = None
    """Which node is killed, hangs or is slow."""
    at: Annotated[Duration, Field(ge=0)] = 0
    """When it begins, from the beginning of the run."""
    lasting: Positive | None = Field(default=None, alias="for")
    """How long; default: to the end."""
    every: Positive | None = None
    """It comes again so often; default: once."""
    share: Share | None = None
    """How many of the messages in its time it strikes; default: all."""
    by: Duration | None = None
    """delay: how much later; jitter: later by this on average; duplicate: how much later the second
    comes; clock_step: by how much stamps are off; slow: how much longer each turn of its loop."""
    ppm: int | None = None
    """drift: how much too fast the clock of stamps runs, in millionths."""
    seed: int = 0
    """Another number strikes other messages."""

    @model_validator(mode="after")
    def _fits(self) -> FaultConfig:
        for problem in (self._whom(), self._what(), self._how()):
            if problem:
                raise ValueError(problem)
        return self

    def _whom(self) -> str:
        strikes_node = self.fault in NODE_KINDS
        wanted, other = ("node", "input") if strikes_node else ("input", "node")
        if getattr(self, wanted) is None or getattr(self, other) is not None:
            return f"{self.fault} strikes one {wanted}: give `{wanted}:` and no `{other}:`"
        return ""

    def _what(self) -> str:
        given = {
            "for": self.lasting, "every": self.every, "by": self.by, "ppm": self.ppm,
            "share": self.share,
        }  # fmt: skip
        needs = _NEEDS.get(self.fault, ())
        usual = ("for", "every", "share") if self.fault in KINDS else ("every",)
        takes = (*needs, *_TAKES.get(self.fault, ()), *usual)
        for key in needs:
            if given[key] is None:
                return f"{self.fault} needs `{key}:`"
        for key, value in given.items():
            if value is not None and key not in takes:
                known = ", ".join(["at", *dict.fromkeys(takes)])
                return f"{self.fault} takes no `{key}:` (it takes {known})"
        return ""

    def _how(self) -> str:
        if self.by is not None and self.by <= 0 and self.fault != "clock_step":
            return f"`by` is how much later, a positive duration such as 20ms, not {self.by} ns"
        if self.every is not None and self.lasting is not None and self.every <= self.lasting:
            return "`every` must be longer than `for`, or it never ends"
        return ""


class Bound(NodeConfig):
    """Between which shares something must lie."""

    at_least: Share = 0.0
    at_most: Share = 1.0


class RecoveryConfig(NodeConfig):
    """How soon after the end of every fault answers must be good again, and stay so."""

    within: Positive
    to: Literal["complete", "answer"] = "complete"
    """complete: with every input fresh; answer: whatever is not shed."""


def _recovery(value: Any) -> Any:
    return {"within": value} if isinstance(value, str) else value


def _outcomes(value: Any) -> Any:
    """Bring `complete: 90%` (at least) and `shed: 5%` (at most) to one form."""
    if not isinstance(value, dict):
        return value
    sides = {"complete": "at_least", "shed": "at_most"}
    return {
        key: {sides[key]: item} if key in sides and not isinstance(item, dict) else item
        for key, item in value.items()
    }


Quantiles = dict[Literal["p50", "p95", "p99", "max"], Positive]


class AssertConfig(NodeConfig):
    """What must hold of every fusion node when the run is over; else the launch fails."""

    on_time: Share | None = None
    """At least so many of the triggers were answered by their deadline."""
    outcomes: Annotated[
        dict[Literal["complete", "partial", "shed"], Bound], BeforeValidator(_outcomes)
    ] = Field(default_factory=dict)
    """Shares of outcomes: `complete: 90%` (at least), `shed: 5%` (at most), or both bounds."""
    age: Quantiles = Field(default_factory=dict)
    """Of answers, from the start of the capture, at most: {p99: 150ms}."""
    latency: Quantiles = Field(default_factory=dict)
    """Of answers, from the end of the capture, at most."""
    recovery: Annotated[RecoveryConfig | None, BeforeValidator(_recovery)] = None
    """From the end of a fault (of a kill: its instant) until answers are complete again for good:
    500ms, or {within: 500ms, to: answer}."""
    unexplained_loss: Annotated[int, Field(ge=0)] | None = None
    """Messages that are missing and that nobody has named, at most."""


class FaultsConfig(NodeConfig):
    """A file of faults; each of its keys stands in the place of the graph's own."""

    faults: tuple[FaultConfig, ...] | None = None
    """What goes wrong on purpose."""
    checks: AssertConfig | None = Field(default=None, alias="assert")
    """What must hold all the same."""
