"""The decision digest: one SHA-256 over the decision part of all rows, in acceptance order.

Two runs that decided alike have one digest, whatever their timing was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from tectum.ledger.row import Row

__all__ = ["DecisionDigest", "NullDigest", "decision_digest", "decision_line"]


def decision_line(row: Row) -> str:
    """Return the decision part of `row` as one line of text."""
    inputs = ";".join(
        f"{i.name},{i.status},{i.reason},{i.seq},{i.stamp_ns},{i.distance_ns},{i.variant}"
        for i in row.inputs
    )
    flags = "+".join(row.flags)
    return f"{row.trigger}|{row.stamp_ns}|{row.outcome}|{row.reason}|{flags}|{inputs}\n"


class DecisionDigest:
    """A digest that grows row by row."""

    __slots__ = ("_hash",)

    def __init__(self) -> None:
        """Begin with no rows."""
        self._hash = hashlib.sha256()

    def add(self, row: Row) -> None:
        """Take up one more row."""
        self._hash.update(decision_line(row).encode())

    def hexdigest(self) -> str:
        """Return the digest of all rows so far: 64 hexadecimal digits."""
        return self._hash.hexdigest()


class NullDigest(DecisionDigest):
    """A digest of nothing, for those who do not want one."""

    __slots__ = ()

    def add(self, row: Row) -> None:
        """Take no notice of the row."""


def decision_digest(rows: Iterable[Row]) -> str:
    """Return the digest of `rows`."""
    digest = DecisionDigest()
    for row in rows:
        digest.add(row)
    return digest.hexdigest()
