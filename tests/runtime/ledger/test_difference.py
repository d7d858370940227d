"""Two runs over the same triggers: what is gained, lost, re-paired, and what is alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tectum.ledger.difference import Change, Difference, difference_of
from tectum.ledger.difference_words import change_words, difference_lines, input_lines
from tectum.ledger.row import InputRow, Outcome, Row, Status

MS = 1_000_000
BEGIN_NS = 43_390_000 * MS


def used(name: str, seq: int, off_ms: int = 0, *, at: int = 0, variant: str = "") -> InputRow:
    stamp_ns = BEGIN_NS + (at + off_ms) * MS
    return InputRow(
        name, Status.FRESH, seq=seq, stamp_ns=stamp_ns, distance_ns=off_ms * MS, variant=variant
    )


def missing(name: str, reason: str) -> InputRow:
    return InputRow(name, reason=reason)


def answer(trigger: int, *inputs: InputRow, late_ms: int = 0) -> Row:
    stamp_ns = BEGIN_NS + trigger * 100 * MS
    without = [item for item in inputs if item.status is Status.MISSING]
    return Row(
        trigger,
        stamp_ns,
        Outcome.PARTIAL if without else Outcome.COMPLETE,
        f"input_{without[0].reason}" if without else "complete",
        inputs=inputs,
        delivered_ns=stamp_ns + (30 + late_ms) * MS,
    )


def shed(trigger: int, reason: str = "no_time") -> Row:
    row = answer(trigger, used("camera", 3 * trigger))
    return replace(row, outcome=Outcome.SHED, reason=reason, delivered_ns=0)


def only(before: Row, after: Row) -> Difference:
    found = difference_of([before], [after])
    assert found.alike + sum(found.counts.values()) == 1
    return found


def test_the_same_decisions_are_alike_whatever_their_numbers_and_times_were() -> None:
    before = [answer(n, used("camera", n)) for n in range(3)]
    after = [replace(row, trigger=row.trigger + 7, delivered_ns=row.delivered_ns + MS)
             for row in before]  # fmt: skip
    found = difference_of(before, after)
    assert (found.alike, found.changes) == (3, [])
    assert found.later.smallest_ns == found.later.largest_ns == MS
    assert difference_lines(found) == ["3 of 3 triggers decided alike"]
    assert input_lines(found) == []


@pytest.mark.parametrize(
    ("before", "after", "change", "words"),
    [
        (
            shed(0), answer(0, used("camera", 1)), Change.GAINED,
            "#0 12:03:10.000 gained: shed (no time) -> complete",
        ),
        (
            answer(0, used("camera", 1)), shed(0), Change.LOST,
            "#0 12:03:10.000 lost: complete -> shed (no time)",
        ),
        (
            answer(0, used("lidar", 1), missing("camera", "too_old")),
            answer(0, used("lidar", 1), used("camera", 4, -12)), Change.FULLER,
            "#0 12:03:10.000 fuller: partial (input too old) -> complete; "
            "camera missing (too old) -> #4 12 ms before",
        ),
        (
            answer(0, used("lidar", 1), used("camera", 4)),
            answer(0, used("lidar", 1), missing("camera", "out_of_tolerance")), Change.THINNER,
            "#0 12:03:10.000 thinner: complete -> partial (input out of tolerance); "
            "camera #4 -> missing (out of tolerance)",
        ),
        (
            answer(0, used("camera", 4, -12)), answer(0, used("camera", 5, 8)), Change.REPAIRED,
            "#0 12:03:10.000 re-paired: camera #4 12 ms before -> #5 8 ms after",
        ),
        (
            answer(0, used("camera", 4, variant="full")),
            replace(answer(0, used("camera", 4, variant="half")), flags=("degraded",)),
            Change.OTHERWISE,
            "#0 12:03:10.000 otherwise: no flag -> degraded; camera #4 by full -> #4 by half",
        ),
    ],
)  # fmt: skip
def test_each_way_to_decide_otherwise_has_its_name(
    before: Row, after: Row, change: Change, words: str
) -> None:
    found = only(before, after)
    assert [item.change for item in found.changes] == [change]
    assert change_words(found.changes[0]) == words


def test_an_input_that_makes_room_for_another_is_thinner() -> None:
    before = answer(0, used("camera", 1), missing("sound", "silent"))
    after = answer(0, missing("camera", "silent"), used("sound", 1))
    assert only(before, after).counts == {Change.THINNER: 1}


def test_triggers_that_one_run_lacks_are_told_apart() -> None:
    rows = [answer(n, used("camera", n)) for n in range(4)]
    found = difference_of(rows[:3], rows[1:])
    assert found.counts == {Change.ONLY_BEFORE: 1, Change.ONLY_AFTER: 1}
    assert [item.stamp_ns for item in found.changes] == [rows[0].stamp_ns, rows[3].stamp_ns]
    assert change_words(found.changes[0]) == "#0 12:03:10.000 only before: complete"
    assert found.alike == 2


def test_triggers_of_one_stamp_belong_together_in_their_order() -> None:
    twice = [answer(0, used("camera", 1)), replace(shed(0, "trigger_disorder"), trigger=1)]
    found = difference_of(twice, twice)
    assert found.alike == 2


def test_rows_of_one_stamp_are_compared_by_their_heads_in_whatever_order_they_closed() -> None:
    see = replace(answer(0, used("camera", 1)), head="see")
    warn = replace(shed(0), head="warn")
    assert difference_of([see, warn], [warn, see]).changes == []
    found = difference_of([see, warn], [replace(see, head="warn"), see])
    assert [change_words(change) for change in found.changes] == [
        "#0 warn 12:03:10.000 gained: shed (no time) -> complete"
    ]


def test_what_became_of_an_input_is_counted_over_answers() -> None:
    before = [
        answer(0, used("camera", 0)),
        answer(1, used("camera", 3)),
        answer(2, missing("camera", "silent"), used("lidar", 2)),
        answer(3, used("camera", 9)),
    ]
    after = [
        answer(0, used("camera", 1)),
        answer(1, missing("camera", "too_old")),
        answer(2, used("camera", 6), used("lidar", 2)),
        shed(3),
    ]
    found = difference_of(before, after)
    camera = found.inputs["camera"]
    assert (camera.gained, camera.lost, camera.re_paired) == (1, 2, 1)
    assert (camera.used_before, camera.used_after) == (3, 2)
    assert input_lines(found) == [
        "camera: 1 gained, 2 lost, 1 re-paired, used by 3 -> 2, silent 1 -> 0, too old 0 -> 1"
    ]
    assert found.moved[Outcome.COMPLETE, Outcome.SHED] == 1
    assert found.later.count == 3


def test_an_input_that_the_other_graph_lacks_is_said_to_be_none() -> None:
    found = only(answer(0, used("camera", 1)), answer(0, used("camera", 1), used("radar", 2)))
    assert found.counts == {Change.FULLER: 1}
    assert change_words(found.changes[0]).endswith("radar not an input -> #2")
    back = only(answer(0, used("camera", 1), used("radar", 2)), answer(0, used("camera", 1)))
    assert change_words(back.changes[0]).endswith("radar #2 -> not an input")
