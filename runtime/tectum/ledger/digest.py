"""The decision digest: one SHA-256 over the decision part of all rows, in acceptance order.

Two runs that decided alike have one digest, whatever their timing was: of several heads each has
its own, and the digest is one over theirs, in the order of their names.
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
    head = f"{row.head}|" if row.head else ""
    return f"{head}{row.trigger}|{row.stamp_ns}|{row.outcome}|{row.reason}|{flags}|{inputs}\n"


class DecisionDigest:
    """A digest that grows row by row."""

    __slots__ = ("_hash", "_of_heads")

    def __init__(self) -> None:
        """Begin with no rows."""
        self._hash = hashlib.sha256()
        """Of the rows of a head that is the only one."""
        self._of_heads: dict[str, hashlib._Hash] = {}

    def add(self, row: Row) -> None:
        """Take up one more row."""
        line = decision_line(row).encode()
        if row.head:
            self._of_heads.setdefault(row.head, hashlib.sha256()).update(line)
        else:
            self._hash.update(line)

    def hexdigest(self) -> str:
        """Return the digest of all rows so far: 64 hexadecimal digits."""
        if not self._of_heads:
            return self._hash.hexdigest()
        parts = [self._of_heads[head].hexdigest() for head in sorted(self._of_heads)]
        return hashlib.sha256("".join(parts).encode()).hexdigest()


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
