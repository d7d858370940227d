"""Rows of the ledger as plain data: exact there and back, named fields, defaults left out.

This is what the ledger topic and recordings carry (`rows` of a message of kind ledger). A reader
in another language takes what it knows and assumes the defaults of `docs/results.md` for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from enum import StrEnum
from typing import Any

from tectum.errors import DataError
from tectum.ledger.row import InputRow, Outcome, Row, Status
from tectum.message import Value

__all__ = ["row_document", "row_from"]


def row_document(row: Row) -> dict[str, Value]:
    """Return `row` as plain data."""
    document = _document(row)
    document["inputs"] = [_document(item) for item in row.inputs]
    return document


def row_from(document: Mapping[str, Value]) -> Row:
    """Return the row that `row_document` gave.

    Raises:
        DataError: it is not a row of this version.
    """
    given: dict[str, Any] = dict(document)
    try:
        inputs = tuple(_input_from(item) for item in given.pop("inputs", ()))
        if "outcome" in given:
            given["outcome"] = Outcome(given["outcome"])
        given["flags"] = tuple(given.get("flags", ()))
        return Row(inputs=inputs, **given)
    except (TypeError, ValueError) as error:
        msg = f"this is not a row of the ledger of this version of Tectum: {error}"
        raise DataError(msg) from error


def _input_from(document: Mapping[str, Any]) -> InputRow:
    given = dict(document)
    if "status" in given:
        given["status"] = Status(given["status"])
    return InputRow(**given)


def _document(record: Row | InputRow) -> dict[str, Value]:
    document: dict[str, Value] = {}
    for item in fields(record):
        value = getattr(record, item.name)
        if item.name != "inputs" and value != _default(item):
            document[item.name] = _plain(value)
    return document


def _default(item: Field[Any]) -> object:
    return item.default if item.default is not MISSING else MISSING


def _plain(value: Any) -> Value:
    if isinstance(value, StrEnum):
        return value.value
    return list(value) if isinstance(value, tuple) else value
