"""The books of several heads: each adds up by itself, theirs to the whole, and words name them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.ledger.digest import decision_digest
from tectum.ledger.merging import HISTOGRAMS, merged_lives
from tectum.ledger.row import Row
from tectum.ledger.tally import Tally
from tectum.ledger.why import explain, explain_span
from tectum.pipeline.plan import AlignPlan, HeadPlan, InputPlan, Plan, StagePlan
from tectum.pipeline.simulate import fixed_durations, simulate
from tectum.recording.journal import JournalEncoder, decode_journal
from tectum.testing.arrivals import Source, arrivals, together

PLAN = Plan(
    "two",
    (
        InputPlan("lidar", "l/p", AlignPlan("exact"), "shape"),
        InputPlan("radar", "r/p", AlignPlan("nearest", 30 * MS, 30 * MS), required=False),
    ),
    (StagePlan("shape"), StagePlan("head_warn"), StagePlan("head_see")),
    "",
    "lidar",
    budget_ns=120 * MS,
    lanes=2,
    heads=(
        HeadPlan("see", "head_see", ("lidar", "radar"), 120 * MS),
        HeadPlan("warn", "head_warn", ("radar",), 40 * MS),
    ),
)
TAKES = {"shape": 8 * MS, "head_warn": 2 * MS, "head_see": -6 * MS}
RESULT = simulate(
    PLAN,
    together(
        arrivals(Source("lidar", 100 * MS, transit_ns=8 * MS), 2000 * MS),
        arrivals(Source("radar", 50 * MS, transit_ns=60 * MS), 2000 * MS),
    ),
    fixed_durations(TAKES),
)


def counted(rows: list[Row]) -> Tally:
    tally = Tally(PLAN)
    for row in rows:
        tally.add(row)
    return tally


def document(tally: Tally) -> dict:
    histograms = {path: h.document() for path, h in tally.histograms().items()}
    return tally.document(counters={}, digest="", unexplained=0) | {HISTOGRAMS: histograms}


def test_the_counts_of_heads_add_up_to_those_of_the_node() -> None:
    found = document(counted(RESULT.rows))
    heads = found["heads"]
    assert list(heads) == ["see", "warn"]
    assert heads["see"]["triggers"] == heads["warn"]["triggers"] == found["triggers"] // 2
    for key, total in found["outcomes"].items():
        assert total == sum(head["outcomes"][key] for head in heads.values())
    assert heads["see"]["reasons"]["head_failed"] > 15
    assert "head_failed" not in heads["warn"]["reasons"]
    assert heads["see"]["misses"]["causes"]["head_see failures"] > 15
    assert (heads["see"]["budget_ms"], heads["warn"]["budget_ms"]) == (120, 40)


def test_lives_are_merged_head_by_head() -> None:
    whole = document(counted(RESULT.rows))
    cut = len(RESULT.rows) // 3
    parts = [document(counted(RESULT.rows[:cut])), document(counted(RESULT.rows[cut:]))]
    merged = merged_lives(parts)
    for name, head in merged["heads"].items():
        for key in ("triggers", "outcomes", "reasons", "on_time", "budget_ms", "latency_ms"):
            assert head[key] == pytest.approx(whole["heads"][name][key]), (name, key)


def test_the_digest_does_not_depend_on_how_answers_of_heads_interleave() -> None:
    by_head = sorted(RESULT.rows, key=lambda row: (row.head, row.trigger))
    assert by_head != RESULT.rows
    assert decision_digest(by_head) == decision_digest(RESULT.rows) == RESULT.digest
    first = by_head[0]
    other = replace(first, head="warn" if first.head == "see" else "see")
    assert decision_digest([other, *by_head[1:]]) != RESULT.digest


def test_words_name_the_head_and_speak_of_its_inputs_only() -> None:
    row = next(row for row in RESULT.rows if row.head == "warn" and row.trigger == 5)
    words = explain(row, PLAN, RESULT.rows, notes=RESULT.notes)
    assert words.startswith("warn: trigger 5 at ")
    assert "radar" in words
    assert "lidar" not in words.partition("\n")[2]
    failed = next(row for row in RESULT.rows if row.head == "see" and row.reason == "head_failed")
    assert "its fusion head 'head_see' failed" in explain(failed, PLAN)
    sentences = explain_span(RESULT.rows, PLAN, RESULT.notes)
    assert {sentence.split(": ")[0] for sentence in sentences} == {"see", "warn"}


def test_the_journal_keeps_whose_answer_was_delivered() -> None:
    batch = JournalEncoder().batch(RESULT.journal)
    assert [taken.event for taken in decode_journal([batch])] == RESULT.journal
