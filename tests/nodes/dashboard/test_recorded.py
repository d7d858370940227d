"""A recording on a board: each moment looks as it did then, from whichever side it is reached."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import DataError
from tectum.ledger.codec import row_document
from tectum.ledger.row import InputRow, Outcome, Row, Status
from tectum.message import Kind
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan, plan_document
from tectum.recording.writer import LogWriter
from tectum.testing.messages import make_message
from tectum_nodes.dashboard.overview import Overview
from tectum_nodes.dashboard.recorded import Recorded

BEGIN_NS = 1_000 * NS_PER_S
SECONDS = 30
CAMERA_DIES_S = 10
PLAN = Plan(
    "perception",
    (
        InputPlan("camera", "camera/image", AlignPlan("nearest", 40 * NS_PER_MS, 40 * NS_PER_MS)),
        InputPlan("mic", "mic/audio", AlignPlan("exact")),
    ),
    (StagePlan("head"),),
    "head",
    trigger="mic",
    budget_ns=100 * NS_PER_MS,
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Pictures at 10 Hz for 10 s; sound, results and their rows, half a second later, for 30 s."""
    path = tmp_path / "log.mcap"
    with LogWriter(path) as writer:
        writer.write_run({"id": "run-1", "description": {"graph": "drive"}}, BEGIN_NS)
        plan: Any = plan_document(PLAN)
        fact = make_message("perception/ledger", Kind.LATCHED, fact="plan", plan=plan)
        writer.write(fact, BEGIN_NS)
        for number in range(SECONDS * 10):
            at_ns = BEGIN_NS + number * 100 * NS_PER_MS
            alive = number < CAMERA_DIES_S * 10
            if alive:
                picture = np.full((8, 8, 3), number, np.uint8)
                header = {"seq": number, "stamp_ns": at_ns}
                image = make_message("camera/image", Kind.IMAGE, picture, **header, encoding="bgr8")
                writer.write(image, at_ns)
            sound = np.full((1600, 1), number, np.int16)
            block = make_message(
                "mic/audio", Kind.AUDIO, sound, seq=number, stamp_ns=at_ns, rate_hz=16_000,
                first=1600 * number,
            )  # fmt: skip
            writer.write(block, at_ns + NS_PER_MS)
            writer.write(result(number, at_ns, alive=alive), at_ns + 20 * NS_PER_MS)
            if number >= 5:
                before = number - 5
                row = row_of(before, at_ns - 500 * NS_PER_MS, before < CAMERA_DIES_S * 10)
                said = make_message(
                    "perception/ledger", Kind.LEDGER, seq=before, rows=[row], notes=[]
                )
                writer.write(said, at_ns + 30 * NS_PER_MS)
    return path


def result(number: int, at_ns: int, *, alive: bool) -> Any:
    document = {
        "node": "perception", "trigger": number, "stamp_ns": at_ns, "latency_ms": 20.0,
        "outcome": "complete" if alive else "partial",
        "reason": "all_fresh" if alive else "input_silent", "inputs": {},
        "outputs": {"siren": {"buffer": 0, "role": "probability", "labels": []}},
    }  # fmt: skip
    siren = np.array([0.5], np.float32)
    header = {"seq": number, "stamp_ns": at_ns}
    return make_message("perception/result", Kind.RESULT, siren, **header, result=document)


def row_of(number: int, at_ns: int, alive: bool) -> Any:
    camera = InputRow("camera", Status.FRESH, seq=number, stamp_ns=at_ns)
    silent = InputRow("camera", reason="silent", silent_since_ns=BEGIN_NS + 10 * NS_PER_S)
    outcome, reason = (
        (Outcome.COMPLETE, "all_fresh") if alive else (Outcome.PARTIAL, "input_silent")
    )
    mic = InputRow("mic", Status.FRESH, seq=number, stamp_ns=at_ns)
    inputs = (camera if alive else silent, mic)
    times = dict.fromkeys(("accepted_ns", "settled_ns", "emitted_ns"), at_ns + 5 * NS_PER_MS)
    deadline_ns = at_ns + 100 * NS_PER_MS
    row = Row(number, at_ns, outcome, reason, inputs=inputs, deadline_ns=deadline_ns, **times)
    return row_document(row)


def head_of(data: bytes) -> dict[str, Any]:
    length = int.from_bytes(data[:4], "little")
    found: dict[str, Any] = json.loads(data[4 : 4 + length])
    return found


def shown(recorded: Recorded) -> dict[str, dict[str, Any]]:
    """Return what somebody is given who looks now."""
    viewer = recorded.board.slots.join(lambda: None)
    heads = [head_of(data) for data in viewer.fresh()]  # then newer frames are worth making
    recorded.board.show()
    recorded.board.show_state(recorded.at_ns, {})
    heads += [head_of(data) for data in viewer.fresh()]
    recorded.board.slots.leave(viewer)
    return {head.get("topic", head["t"]): head for head in heads}


def at(seconds: float) -> int:
    return BEGIN_NS + round(seconds * NS_PER_S)


def test_a_moment_shows_the_newest_of_each_topic_and_how_it_was(log: Path) -> None:
    with Recorded(log) as recorded:
        recorded.seek(at(5.05))
        seen = shown(recorded)
    assert seen["camera/image"]["seq"] == 50
    assert seen["mic/audio"]["first"] + 6 * 16_000 >= 50 * 1600
    assert seen["result"]["trigger"] == 50
    camera = seen["state"]["topics"]["camera/image"]
    assert (camera["silent"], camera["rate_hz"]) == (False, pytest.approx(10, abs=0.5))
    assert seen["outcomes"]["items"][-1]["trigger"] == 50
    assert seen["outcomes"]["counts"] == {"complete": 51}


def test_what_was_silent_for_long_shows_its_last_picture_and_is_silent(log: Path) -> None:
    with Recorded(log) as recorded:
        recorded.seek(at(28))
        seen = shown(recorded)
    assert seen["camera/image"]["seq"] == 99
    camera = seen["state"]["topics"]["camera/image"]
    assert camera["silent"]
    assert camera["heard_ns"] == at(9.9)


def test_going_back_forgets_what_came_later(log: Path) -> None:
    with Recorded(log) as recorded:
        recorded.seek(at(28))
        later = shown(recorded)["outcomes"]
        recorded.seek(at(3))
        seen = shown(recorded)
    assert seen["camera/image"]["seq"] == 30
    assert seen["outcomes"]["epoch"] > later["epoch"]
    assert seen["outcomes"]["items"][-1]["trigger"] == 29
    assert "partial" not in seen["outcomes"]["counts"]


def test_an_outcome_is_explained_though_its_row_comes_after_the_playhead(log: Path) -> None:
    with Recorded(log) as recorded:
        recorded.seek(at(12.05))
        words = recorded.board.why("perception", 0, 120)
        assert words.startswith("trigger 120 at ")
        assert "without camera (silent)" in words
        recorded.seek(at(5))
        assert recorded.board.why("perception", 0, 40).startswith("trigger 40 at ")


def test_playing_goes_on_by_the_clock_at_its_rate_and_stands_still_at_the_end(log: Path) -> None:
    with Recorded(log) as recorded:
        recorded.seek(at(5))
        recorded.turn(7 * NS_PER_S)
        recorded.steer({"rate": 2})
        recorded.turn(7 * NS_PER_S + 500 * NS_PER_MS)
        assert recorded.at_ns == at(6)
        assert shown(recorded)["result"]["trigger"] == 59
        recorded.steer({"rate": 0})
        recorded.turn(9 * NS_PER_S)
        assert recorded.at_ns == at(6)
        recorded.steer({"rate": 100})
        recorded.turn(10 * NS_PER_S)
        recorded.turn(10 * NS_PER_S + 1)
        assert (recorded.at_ns, recorded.rate) == (recorded.end_ns, 0)
        recorded.steer({"rate": 1})
        assert recorded.at_ns == recorded.begin_ns, "it begins again"


@pytest.mark.parametrize(
    "wanted", [{"rate": "fast"}, {"rate": -1}, {"seek": "there"}, {"seek": 1e300}, {"jump": 3}, {}]
)
def test_nonsense_from_a_browser_steers_nowhere(log: Path, wanted: dict[str, Any]) -> None:
    with Recorded(log) as recorded:
        recorded.seek(at(5))
        recorded.steer(wanted)
        assert (recorded.at_ns, recorded.rate) == (at(5), 0)


def test_the_strip_counts_every_outcome_once_and_knows_where_trouble_begins(log: Path) -> None:
    with Recorded(log) as recorded:
        overview = Overview(log, recorded.board.slots, recorded.board.plans)
        overview.wait()
        head = head_of(recorded.board.slots.slot("overview").frame_after(-1))
    assert head["done"]
    assert [sum(column) for column in zip(*head["counts"], strict=True)] == [100, 200, 0]
    assert head["totals"]["perception"]["on_time"] == 300
    assert head["troubles_ms"][0] == pytest.approx(10_020, abs=1)


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.mcap"
    path.write_bytes(b"this is no log")
    with pytest.raises(DataError):
        Recorded(path)
