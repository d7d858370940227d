"""The scene of the pipeline's tests: a camera, a lidar that triggers, a siren; fused within 100 ms.

Whatever a test runs in it is audited (can every order be carried out?) and verified (does the
journal fed back give the same rows?).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tectum.clock import NS_PER_MS
from tectum.ledger.row import InputRow, Row
from tectum.message import Sample, SampleRef
from tectum.pipeline.events import Arrived, Event, Measured
from tectum.pipeline.orders import Order
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan
from tectum.pipeline.simulate import Durations, Simulation, fixed_durations, simulate
from tectum.pipeline.verify import verify
from tectum.testing.arrivals import START_NS, Source, arrivals, together
from tectum.testing.audit import Audit, audit

MS = NS_PER_MS

PLAN = Plan(
    "scene",
    (
        InputPlan("camera", "camera/image", AlignPlan("nearest", 40 * MS, 40 * MS), "eye"),
        InputPlan("lidar", "lidar/points", AlignPlan("exact"), "shape"),
        InputPlan(
            "siren",
            "microphone/audio",
            AlignPlan("window", duration_ns=200 * MS, coverage_permille=900),
            "ear",
            required=False,
        ),
    ),
    (StagePlan("eye"), StagePlan("shape"), StagePlan("ear"), StagePlan("head")),
    head="head",
    trigger="lidar",
    budget_ns=100 * MS,
    accept=(((("camera", "lidar"), 1),),),
    lanes=2,
)
SOURCES = {
    "camera": Source("camera", 33 * MS, transit_ns=15 * MS, jitter_ns=1 * MS),
    "lidar": Source("lidar", 100 * MS, transit_ns=20 * MS, jitter_ns=2 * MS),
    "siren": Source("siren", 20 * MS, transit_ns=2 * MS, span_ns=20 * MS, rate_hz=16_000),
}
TAKES = {"eye": 8 * MS, "shape": 6 * MS, "ear": 3 * MS, "head": 2 * MS}
WARM_UP = [Measured(START_NS, stage, "default", took_ns) for stage, took_ns in TAKES.items()]


@dataclass
class Scene:
    """A plan with what it hears and how long its computations take."""

    plan: Plan = PLAN
    sources: dict[str, Source] = field(default_factory=lambda: dict(SOURCES))
    takes: dict[str, int] = field(default_factory=lambda: dict(TAKES))
    warm_up: bool = True
    audit: Audit | None = None

    def set(self, **changes: Any) -> Scene:
        """Change fields of the plan."""
        self.plan = replace(self.plan, **changes)
        return self

    def input(self, name: str, **changes: Any) -> Scene:
        """Change fields of one input's plan."""
        inputs = [replace(i, **changes) if i.name == name else i for i in self.plan.inputs]
        return self.set(inputs=tuple(inputs))

    def stage(self, name: str, **changes: Any) -> Scene:
        """Change fields of one stage's plan."""
        stages = [replace(s, **changes) if s.name == name else s for s in self.plan.stages]
        return self.set(stages=tuple(stages))

    def source(self, name: str, **changes: Any) -> Scene:
        """Change how one input is heard."""
        self.sources[name] = replace(self.sources[name], **changes)
        return self

    def heard(
        self, until_ms: int = 3000, dead: str = "", since_ms: int = -10, back_ms: int = 1 << 40
    ) -> list[Event]:
        """Return what arrives; `dead` says nothing of captures in [since, back)."""
        streams: list[list[Event]] = []
        for name, source in self.sources.items():
            events: list[Event] = [*arrivals(source, until_ms * MS)]
            if name == dead:
                lo_ns, hi_ns = START_NS + since_ms * MS, START_NS + back_ms * MS
                events = [e for e in events if not lo_ns <= _stamp_ns(e) < hi_ns]
            streams.append(events)
        return together(WARM_UP if self.warm_up else [], *streams)

    def run(
        self,
        events: Iterable[Event] | None = None,
        durations: Durations | None = None,
        orders_to: Callable[[Order], None] | None = None,
        delivery_ns: int = 0,
        *,
        cancels: bool = True,
    ) -> Simulation:
        """Simulate, audit and verify."""
        result = simulate(
            self.plan,
            self.heard() if events is None else events,
            durations or fixed_durations(self.takes),
            orders_to=orders_to,
            delivery_ns=delivery_ns,
            cancels=cancels,
        )
        self.audit = audit(self.plan, result.journal)
        verification = verify(self.plan, result.journal, result.digest, result.rows)
        assert verification.ok, verification.difference
        assert [row.trigger for row in result.rows] == list(range(len(result.rows)))
        return result


def _stamp_ns(event: Event) -> int:
    assert isinstance(event, Arrived)
    return event.sample.stamp_ns


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def item() -> Callable[[Row, str], InputRow]:
    """Return how to find one input of a row."""
    return lambda row, name: next(i for i in row.inputs if i.name == name)


@pytest.fixture
def one() -> Callable[..., Arrived]:
    """Return how to make one arrival: input, seq, stamp and arrival in ms after the start."""

    def arrival(name: str, seq: int, stamp_ms: float, now_ms: float, **fields: int) -> Arrived:
        stamp_ns = START_NS + round(stamp_ms * MS)
        sample = Sample(SampleRef(name, fields.pop("life", 1), seq), stamp_ns, **fields)
        return Arrived(START_NS + round(now_ms * MS), sample)

    return arrival
