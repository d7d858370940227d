"""Headers for arrays that a program pushes: numbered per topic, audio in its place on a timeline.

What the kind and the array imply is filled in. An audio block's span is what its samples last; its
index is the caller's `first`, else told by its stamp (`tectum.sync.block_index`), else it goes on
where the last block ended.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence

from tectum.clock import NS_PER_S
from tectum.errors import ContractError
from tectum.message import Header, Kind, Value
from tectum.sync.block_index import BlockIndex
from tectum.transport.kinds import kind_trouble

__all__ = ["Headers"]

_RATE_HZ = 16_000


class Headers:
    """Makes the headers of one embedded node; may be called from any thread."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        """Make headers for topics of these kinds; others carry tensors."""
        self._kinds = kinds
        self._numbers: dict[str, int] = {}
        self._indices: dict[str, BlockIndex] = {}
        self._incarnation = secrets.randbits(63)
        self._lock = threading.Lock()

    def complete(self, header: Header, *, stamped: bool) -> Header:
        """Return a header with kind, number, and what kind and buffer imply.

        Args:
            header: with topic, stamp, the caller's fields, and the spec of its one buffer.
            stamped: its stamp is the caller's, not the present.

        Raises:
            ContractError: the buffer or a field does not fit the kind of the topic.
        """
        kind = self._kinds.get(header.topic, Kind.TENSOR)
        counted = "first" in header.fields
        fields = {**_implied(kind, header.buffers[0].shape), **header.fields}
        header = header._replace(kind=kind, incarnation=self._incarnation, fields=fields)
        trouble = kind_trouble(header)
        if trouble:
            msg = f"this does not fit {header.topic}: {trouble}"
            raise ContractError(msg)
        with self._lock:
            number = self._numbers.get(header.topic, 0)
            self._numbers[header.topic] = number + 1
            if kind is Kind.AUDIO:
                header = self._placed(header, stamped=stamped, counted=counted)
        return header._replace(seq=number)

    def _placed(self, header: Header, *, stamped: bool, counted: bool) -> Header:
        """Return the header of an audio block with its span, stamp and index."""
        rate_hz, count = header.fields["rate_hz"], header.buffers[0].shape[0]
        assert isinstance(rate_hz, int)
        span_ns = header.span_ns or count * NS_PER_S // rate_hz
        stamp_ns = header.stamp_ns if stamped else header.stamp_ns - span_ns
        header = header._replace(stamp_ns=stamp_ns, span_ns=span_ns)
        if counted:
            return header
        index = self._indices.get(header.topic)
        if index is None or index.rate_hz != rate_hz:
            index = self._indices[header.topic] = BlockIndex(rate_hz)
        first = index.first(stamp_ns, count) if stamped else index.follow(stamp_ns, count)
        return header._replace(fields={**header.fields, "first": first})


def _implied(kind: Kind, shape: Sequence[int]) -> dict[str, Value]:
    """Return the fields of the kind that the buffer itself implies."""
    if kind is Kind.IMAGE:
        encoding = {1: "jpeg", 2: "mono8", 3: "bgr8"}.get(len(shape), "bgr8")
        return {"encoding": encoding}
    if kind is Kind.AUDIO:
        return {"first": 0, "rate_hz": _RATE_HZ}
    if kind is Kind.POINTS and len(shape) == 2:
        names = ["x", "y", "z", "intensity", *map(str, range(4, shape[1]))]
        return {"names": names[: shape[1]]}
    return {}
