"""Rows of the ledger come back exactly from plain data."""

import dataclasses

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tectum.errors import DataError
from tectum.ledger.codec import row_document, row_from
from tectum.ledger.row import InputRow, Outcome, Row, Status

ns = st.integers(-(2**63), 2**63 - 1)
text = st.text(max_size=8)
inputs = st.builds(
    InputRow,
    **{
        item.name: {"int": ns, "str": text, "bool": st.booleans()}.get(
            str(item.type), st.sampled_from(Status)
        )
        for item in dataclasses.fields(InputRow)
    },
)
rows = st.builds(
    Row,
    **{
        item.name: {
            "int": ns,
            "str": text,
            "Outcome": st.sampled_from(Outcome),
            "tuple[str, ...]": st.lists(text, max_size=3).map(tuple),
            "tuple[InputRow, ...]": st.lists(inputs, max_size=3).map(tuple),
        }[str(item.type)]
        for item in dataclasses.fields(Row)
    },
)


@settings(deadline=None)
@given(rows)
def test_any_row_comes_back_exactly(row: Row) -> None:
    packed = msgpack.packb(row_document(row))

    found = row_from(msgpack.unpackb(packed))

    assert found == row
    assert isinstance(found.outcome, Outcome)
    assert all(isinstance(item.status, Status) for item in found.inputs)


def test_what_did_not_happen_takes_no_room() -> None:
    row = Row(3, 50, Outcome.COMPLETE, inputs=(InputRow("camera", Status.FRESH, seq=7),))

    assert row_document(row) == {
        "trigger": 3,
        "stamp_ns": 50,
        "outcome": "complete",
        "inputs": [{"name": "camera", "status": "fresh", "seq": 7}],
    }


@pytest.mark.parametrize(
    "document",
    [
        {"stamp_ns": 5},
        {"trigger": 0, "stamp_ns": 5, "colour": "red"},
        {"trigger": 0, "stamp_ns": 5, "outcome": "perhaps"},
        {"trigger": 0, "stamp_ns": 5, "inputs": 7},
        {"trigger": 0, "stamp_ns": 5, "inputs": [{"status": "fresh"}]},
    ],
)
def test_what_is_no_row_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(DataError, match="this is not a row of the ledger of this version"):
        row_from(document)  # type: ignore[arg-type]
