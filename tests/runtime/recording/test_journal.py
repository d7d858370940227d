"""A journal comes back exactly, and whatever is changed in it is found at that event."""

import copy
from typing import Any, get_args, get_type_hints

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tectum.errors import DataError
from tectum.message import Sample, SampleRef
from tectum.pipeline import events
from tectum.pipeline.events import Arrived, Event, Finished, Missed, Tick
from tectum.recording.journal import JournalEncoder, decode_journal

ns = st.integers(-(2**63), 2**63 - 1)
names = st.text(max_size=6)
counts = st.integers(-1, 2**31)
samples = st.builds(
    Sample,
    ref=st.builds(SampleRef, names, st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1)),
    stamp_ns=ns,
    span_ns=ns,
    error_ns=ns,
    nbytes=counts,
    first=ns,
    count=counts,
    rate_hz=counts,
)
FIELDS: dict[Any, Any] = {int: ns, str: names, bool: st.booleans(), Sample: samples}


def any_of(kind: Any) -> Any:
    """Return a strategy for one type of event, from its annotations."""
    types = get_type_hints(kind)
    return st.builds(kind, *(FIELDS[types[name]] for name in kind._fields))


any_event = st.one_of([any_of(kind) for kind in get_args(Event)])
batches_of_events = st.lists(st.lists(any_event, min_size=1, max_size=6), min_size=1, max_size=5)


def encoded(batches: list[list[Event]]) -> list[dict[str, Any]]:
    """Return what arrives after a way through MessagePack."""
    encoder = JournalEncoder()
    return [msgpack.unpackb(msgpack.packb(encoder.batch(batch))) for batch in batches]


@settings(deadline=None)
@given(batches_of_events)
def test_any_journal_comes_back_exactly(batches: list[list[Event]]) -> None:
    taken = list(decode_journal(encoded(batches)))

    assert [item.event for item in taken] == [event for batch in batches for event in batch]
    assert [type(item.event) for item in taken] == [type(e) for batch in batches for e in batch]
    assert [item.number for item in taken] == list(range(len(taken)))


def test_every_event_has_a_code() -> None:
    assert {kind.__name__ for kind in get_args(Event)} == set(events.__all__) - {"Event"}


JOURNAL: list[Event] = [
    event
    for turn in range(6)
    for event in (
        Arrived(turn * 10, Sample(SampleRef("camera", 3, turn), stamp_ns=turn * 10)),
        Missed(turn * 10 + 1, "lidar", 4, turn, 1, "no_slot"),
        Finished(turn * 10 + 2, turn, "ok", 1_000),
        Tick(turn * 10 + 3),
    )
]


def read_until_refused(batches: list[dict[str, Any]]) -> tuple[list[Event], str]:
    taken: list[Event] = []
    try:
        taken.extend(item.event for item in decode_journal(batches))
    except DataError as error:
        return taken, str(error)
    return taken, ""


@pytest.mark.parametrize("number", [0, 1, 7, 8, 22, 23])
def test_a_changed_event_is_caught_at_that_event(number: int) -> None:
    batches = encoded([JOURNAL[:8], JOURNAL[8:9], JOURNAL[9:]])
    for field in range(1, 5):
        changed = copy.deepcopy(batches)
        batch = next(b for b in changed if b["first"] + len(b["events"]) > number)
        row = batch["events"][number - batch["first"]]
        if field < len(row):
            row[field] = "other" if isinstance(row[field], str) else row[field] + 1
            events_before, complaint = read_until_refused(changed)
            assert events_before == JOURNAL[:number]
            assert f"event {number} of the journal is not what was written" in complaint


def test_events_that_changed_places_are_caught() -> None:
    [batch] = encoded([JOURNAL])
    rows = batch["events"]
    rows[4], rows[5] = rows[5], rows[4]

    with pytest.raises(DataError, match="event 4 of the journal"):
        list(decode_journal([batch]))


def test_a_missing_batch_is_caught() -> None:
    first, _, last = encoded([JOURNAL[:5], JOURNAL[5:9], JOURNAL[9:]])

    with pytest.raises(DataError, match="events 5 to 9 of the journal are missing"):
        list(decode_journal([first, last]))


def test_a_missing_event_is_caught() -> None:
    [batch] = encoded([JOURNAL])
    del batch["events"][3]

    with pytest.raises(DataError, match="the batch of the journal from event 0 on is damaged"):
        list(decode_journal([batch]))


def test_a_journal_of_another_version_is_refused() -> None:
    [batch] = encoded([JOURNAL])

    with pytest.raises(DataError, match="has version 2; this version of Tectum reads 1"):
        list(decode_journal([batch | {"version": 2}]))


def test_a_journal_that_ends_early_is_read_to_its_end() -> None:
    batches = encoded([JOURNAL[:5], JOURNAL[5:9], JOURNAL[9:]])

    assert len(list(decode_journal(batches[:2]))) == 9


def test_events_are_compact() -> None:
    [batch] = encoded([[Tick(1_700_000_000_000_000_000 + n) for n in range(1000)]])

    assert len(msgpack.packb(batch)) < 1000 * 21
