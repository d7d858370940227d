"""Results of a running graph, for any Python process on the host.

    for result in tectum.results("perception"):
        print(result.document["outcome"], result.arrays)

Listens only: a consumer that is slow loses results of its own and nobody else's. The document is
described in docs/results.md. Reading ends when the node or its run has ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tectum.errors import DataError, nearest_name
from tectum.listening import listen
from tectum.message import AnyArray, Header, Kind, Message, Value
from tectum.rundir import find_run, read_run

__all__ = ["Result", "results"]


@dataclass(frozen=True, slots=True)
class Result:
    """One answer of a fusion node, or why there was none."""

    document: Mapping[str, Value]
    """Outcome, reason, inputs, outputs and phases; see docs/results.md."""
    arrays: Mapping[str, AnyArray]
    """What the head gave, by the names in `document["outputs"]`; read-only."""
    header: Header
    """Topic, number and stamps of the message that brought it."""


def results(node: str, run: str | Path | None = None, *, queue: int = 256) -> Iterator[Result]:
    """Yield the results of `node`, from the first step of the iteration on, until it ends.

    Args:
        node: name of the fusion node in its graph; of one that has several heads the results of
            all of them, each under `head`, or those of one: `perception/warning`.
        run: id or directory of a run; None for the newest one that lives.
        queue: how many results are kept for a consumer that lags behind.

    Raises:
        DataError: there is no such run, or it has no node that publishes results by that name.
    """
    folder = find_run(run)
    document = read_run(folder)
    return _read(_topics(node, document), folder, queue)


def _read(topics: list[str], folder: Path, queue: int) -> Iterator[Result]:
    with listen(topics, folder, queue=queue) as listening:
        for item in listening:
            if item.message is not None and item.message.header.kind is Kind.RESULT:
                yield _result(item.message)


def _result(message: Message) -> Result:
    found = message.header.fields.get("result")
    document = found if isinstance(found, Mapping) else {}
    outputs = document.get("outputs")
    arrays: dict[str, AnyArray] = {}
    for name, output in (outputs if isinstance(outputs, Mapping) else {}).items():
        index = output.get("buffer") if isinstance(output, Mapping) else None
        if isinstance(index, int) and 0 <= index < len(message.payloads):
            arrays[name] = message.array(index)
    return Result(document, arrays, message.header)


def _topics(node: str, document: Mapping[str, Any]) -> list[str]:
    topics: Mapping[str, Mapping[str, str]] = document["topics"]
    fusing: dict[str, list[str]] = {}
    for topic, record in topics.items():
        if record["kind"] == Kind.RESULT.value:
            fusing.setdefault(record["node"], []).append(topic)
            fusing[topic] = [topic]
    if node not in fusing:
        known = ", ".join(name for name in fusing if "/" not in name) or "none"
        msg = (
            f"run {document['id']} has no node {node!r} that publishes results"
            f"{nearest_name(node, fusing)} (it has: {known})"
        )
        raise DataError(msg)
    return fusing[node]
