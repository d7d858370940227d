"""The truth of the simulated drive, for dashboards and evaluation; no sensor knows it.

On `truth`, a tensor message: `occupancy` float32 (24, 16), cells of 2 m with a road user in them;
`siren` float32 (1,), 1 if one approaches; `users` float32 (n, 9), one row per road user: x, y,
heading, length, width, height, vx, vy and the index of its label in the field `labels`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from tectum.message import AnyArray, Kind
from tectum.node.base import Announcement, Capture, Context, NodeConfig, SensorNode
from tectum.node.fields import Rate
from tectum_nodes.simulated_sensor import Rhythm, SimulatedConfig
from tectum_nodes.simulation import Scene, World, truth
from tectum_nodes.simulation.boxes import LABELS

__all__ = ["SimulatedTruth", "SimulatedTruthConfig"]

USER_LABELS = tuple(dict.fromkeys(LABELS.values()))


class SimulatedTruthConfig(SimulatedConfig):
    """The drive whose truth is told."""

    rate: Annotated[Rate, Field(gt=0, le=50)] = 10.0
    """Messages per second."""


class SimulatedTruth(SensorNode):
    """Tells what is true of the drive."""

    Config: ClassVar[type[NodeConfig]] = SimulatedTruthConfig
    config: SimulatedTruthConfig
    outputs: ClassVar[Mapping[str, Kind]] = {"truth": Kind.TENSOR}

    @classmethod
    def period_ns_of(cls, config: SimulatedTruthConfig) -> Mapping[str, int]:
        """Return the period of the messages."""
        return {"truth": round(1e9 / config.rate)}

    def captures(self, context: Context) -> Iterator[Capture | Announcement]:
        """Yield the truth per beat."""
        world = World(self.config.drive())
        fields = {"names": ["occupancy", "siren", "users"], "labels": list(USER_LABELS)}
        for stamp_ns, _ in Rhythm(self.config.rate, 0, self.config.seed, "truth").follow(context):
            scene = world.at(stamp_ns - context.epoch_ns)
            siren = np.array([truth.siren_approaching(scene)], np.float32)
            arrays = (truth.occupancy(scene), siren, _users(scene))
            yield Capture("truth", Kind.TENSOR, arrays, stamp_ns, frame_id="ego", fields=fields)


def _users(scene: Scene) -> AnyArray:
    boxes = scene.users
    columns = (boxes.x, boxes.y, boxes.heading, boxes.length, boxes.width, boxes.height)
    label_of = np.array([USER_LABELS.index(label) for label in LABELS.values()])
    label = label_of[boxes.kind]
    return np.stack([*columns, boxes.vx, boxes.vy, label], axis=1).astype(np.float32)
