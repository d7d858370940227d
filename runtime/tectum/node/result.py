"""The document of a result, schema `tectum.result/1`, as `docs/results.md` describes it.

Made from a row of the ledger and what the head gave; the arrays go beside it as the message's
buffers, and `outputs` names the buffer of each. A shed trigger has a document too, without outputs,
so that a consumer learns of it from the same topic.
"""

from __future__ import annotations

from collections.abc import Mapping

from tectum.inference.stage import OutputSpec, Stage, StageOutput
from tectum.ledger.row import InputRow, Row, Status
from tectum.message import AnyArray, Value
from tectum.pipeline.plan import Plan

__all__ = ["SCHEMA", "ResultMaker", "result_arrays", "result_document"]

SCHEMA = "tectum.result/1"
_MS = 1e6


class ResultMaker:
    """Makes the documents of one fusion node, live or embedded, in the order of its triggers."""

    def __init__(self, plan: Plan, stages: Mapping[str, Stage]) -> None:
        """Take from `stages` what the heads' outputs mean and which model files run."""
        self.models: dict[str, str] = {}
        """Model -> hash of its file."""
        for stage in stages.values():
            self.models.update(getattr(stage, "models", {}))
        self._node = plan.name
        self._specs = {head.name: stages[head.stage].outputs for head in plan.all_heads}
        self._period_ns = self._last_stamp_ns = 0

    def document(self, row: Row, answer: StageOutput | None) -> dict[str, Value]:
        """Return the result of one trigger; the next is due a trigger period after its deadline."""
        if self._last_stamp_ns and row.stamp_ns > self._last_stamp_ns:
            self._period_ns = row.stamp_ns - self._last_stamp_ns
        self._last_stamp_ns = max(self._last_stamp_ns, row.stamp_ns)
        valid_ns = row.deadline_ns + self._period_ns if row.deadline_ns else 0
        specs = self._specs[row.head]
        return result_document(
            self._node, row, answer, specs, valid_until_ns=valid_ns, models=self.models
        )


def result_arrays(answer: StageOutput | None) -> tuple[AnyArray, ...]:
    """Return the buffers of a result, in the order that its document names."""
    return tuple(answer.arrays.values()) if answer is not None else ()


def result_document(
    node: str,
    row: Row,
    answer: StageOutput | None,
    specs: tuple[OutputSpec, ...],
    *,
    valid_until_ns: int,
    models: Mapping[str, str],
) -> dict[str, Value]:
    """Return the result of one trigger as plain data.

    Args:
        node: name of the fusion node.
        row: the trigger's row, emitted.
        answer: what the head gave, or None for a shed trigger.
        specs: what the head's outputs mean.
        valid_until_ns: when the next result should be there at the latest; 0 without a budget.
        models: model -> hash of its file.
    """
    return {
        "schema": SCHEMA,
        "node": node,
        **({"head": row.head} if row.head else {}),
        "trigger": row.trigger,
        "stamp_ns": row.stamp_ns,
        "span_ns": row.span_ns,
        "deadline_ns": row.deadline_ns,
        "emitted_ns": row.emitted_ns,
        "valid_until_ns": valid_until_ns,
        "age_ms": (row.emitted_ns - row.stamp_ns) / _MS,
        "latency_ms": (row.emitted_ns - row.stamp_ns - row.span_ns) / _MS,
        "outcome": str(row.outcome),
        "reason": row.reason,
        "flags": list(row.flags),
        "blame": row.blame,
        "inputs": {item.name: _input(item, row) for item in row.inputs},
        "outputs": _outputs(answer, specs),
        "facts": dict(answer.facts) if answer is not None else {},
        "phases_ms": phases_ms(row),
        "models": dict(models),
    }


def phases_ms(row: Row) -> dict[str, Value]:
    """Return how long each phase of a result took, in ms; a phase that did not happen is absent."""
    encoded = [item.encode_end_ns for item in row.inputs if item.encode_end_ns]
    phases: dict[str, Value] = {
        "receive": (row.accepted_ns - row.stamp_ns - row.span_ns) / _MS,
    }
    if row.settled_ns:
        phases["wait"] = (row.settled_ns - row.accepted_ns) / _MS
    if encoded and row.settled_ns:
        phases["encode"] = max(0, max(encoded) - row.settled_ns) / _MS
    if row.head_end_ns:
        phases["fuse"] = (row.head_end_ns - row.head_begin_ns) / _MS
    if row.delivered_ns:
        phases["deliver"] = (row.delivered_ns - row.emitted_ns) / _MS
    return phases


def _input(item: InputRow, row: Row) -> dict[str, Value]:
    if item.status is Status.MISSING:
        return {"status": "missing", "reason": item.reason}
    return {
        "status": str(item.status),
        "reason": item.reason,
        "seq": item.seq,
        "stamp_ns": item.stamp_ns,
        "age_ms": (row.emitted_ns - item.stamp_ns) / _MS,
        "skew_ms": item.distance_ns / _MS,
        "variant": item.variant,
    }


def _outputs(answer: StageOutput | None, specs: tuple[OutputSpec, ...]) -> dict[str, Value]:
    if answer is None:
        return {}
    known = {spec.name: spec for spec in specs}
    outputs: dict[str, Value] = {}
    for index, name in enumerate(answer.arrays):
        spec = known.get(name) or OutputSpec(name, "tensor")
        outputs[name] = {
            "buffer": index,
            "role": spec.role,
            "labels": list(spec.labels),
            **dict(spec.facts),
        }
    return outputs
