"""Metrics: what a collector of Prometheus is given."""

from __future__ import annotations

import re

import numpy as np

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.message import Kind
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan
from tectum.testing.messages import make_message
from tectum_nodes.dashboard.board import Board
from tectum_nodes.dashboard.metrics import metrics_text

CAME = (("complete", "all_fresh", 20.0), ("partial", "input_silent", 99.0), ("shed", "late", 120.0))
PLAN = Plan(
    "perception",
    (InputPlan("camera", "camera/image", AlignPlan("exact")),),
    (StagePlan("head"),),
    "head",
    trigger="camera",
    budget_ns=100 * NS_PER_MS,
)
SAMPLE = re.compile(r"(tectum_[a-z_]+)\{((?:[a-z_]+=\"(?:[^\"\\\n]|\\[\\\"n])*\",?)*)\} (\S+)")


def board() -> Board:
    topics = {
        "camera/image": ("image", "camera"),
        "lidar/points": ("points", "lidar"),
        "perception/result": ("result", "perception"),
    }
    made = Board(topics, {"perception": PLAN}, width=720)
    picture = np.zeros((4, 6, 3), np.uint8)
    for number in range(5):
        header = {"seq": number, "stamp_ns": NS_PER_S + number * 100 * NS_PER_MS}
        message = make_message("camera/image", Kind.IMAGE, picture, **header, encoding="bgr8")
        made.take(message, header["stamp_ns"] + 10 * NS_PER_MS)
    for number, (outcome, reason, latency_ms) in enumerate(
        [
            ("complete", "all_fresh", 20.0),
            ("partial", "input_silent", 99.0),
            ("shed", "late", 120.0),
        ]
    ):
        document = {
            "trigger": number, "stamp_ns": NS_PER_S, "outcome": outcome, "reason": reason,
            "latency_ms": latency_ms, "phases_ms": {"receive": 10.0, "fuse": 5.0},
        }  # fmt: skip
        made.take(
            make_message("perception/result", Kind.RESULT, seq=number, result=document), NS_PER_S
        )
    return made


def samples(text: str) -> dict[tuple[str, str], float]:
    """Parse every line as the format wants it; a line that is none fails."""
    found: dict[tuple[str, str], float] = {}
    for line in text.splitlines():
        if line.startswith("# "):
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        assert (match[1], match[2]) not in found, f"twice: {line}"
        found[match[1], match[2]] = float(match[3])
    return found


def metrics() -> dict[tuple[str, str], float]:
    counters = {"camera/image": {"overtaken": 2, "lost": {"no_slot": 1}}}
    processes = {
        "camera": {"pid": 7, "cpu": 3.0, "cpu_s": 1.25, "memory_mb": 60},
        "lidar": {"pid": 8, "cpu": None, "memory_mb": None},
    }
    return samples(metrics_text(board(), 3 * NS_PER_S, counters, processes))


def test_outcomes_and_reasons_are_counted() -> None:
    found = metrics()
    assert found["tectum_triggers_total", 'node="perception",outcome="complete"'] == 1
    assert found["tectum_triggers_total", 'node="perception",outcome="shed"'] == 1
    assert found["tectum_reasons_total", 'node="perception",reason="input_silent"'] == 1
    assert found["tectum_on_time_total", 'node="perception"'] == 2
    assert found["tectum_budget_seconds", 'node="perception"'] == 0.1
    assert found["tectum_phase_seconds_total", 'node="perception",phase="fuse"'] == 0.015


def test_buckets_of_latency_grow_to_the_count_of_what_was_delivered() -> None:
    found = metrics()
    buckets = [
        value for (name, _), value in found.items() if name == "tectum_latency_seconds_bucket"
    ]
    assert buckets == sorted(buckets)
    assert found["tectum_latency_seconds_bucket", 'node="perception",le="0.02"'] == 1
    assert found["tectum_latency_seconds_bucket", 'node="perception",le="0.1"'] == 2
    assert found["tectum_latency_seconds_bucket", 'node="perception",le="+Inf"'] == 2
    assert found["tectum_latency_seconds_count", 'node="perception"'] == 2


def test_topics_have_counts_losses_silence_and_age() -> None:
    found = metrics()
    assert found["tectum_messages_total", 'topic="camera/image"'] == 5
    assert found["tectum_lost_total", 'topic="camera/image",cause="no_slot"'] == 1
    assert found["tectum_silent", 'topic="camera/image"'] == 1
    assert found["tectum_silent", 'topic="lidar/points"'] == 0
    assert found["tectum_age_seconds", 'topic="camera/image"'] == 1.6
    assert ("tectum_age_seconds", 'topic="lidar/points"') not in found


def test_only_processes_that_run_have_cpu_and_memory() -> None:
    found = metrics()
    assert found["tectum_cpu_seconds_total", 'node="camera"'] == 1.25
    assert found["tectum_memory_bytes", 'node="camera"'] == 60e6
    assert ("tectum_cpu_seconds_total", 'node="lidar"') not in found


def test_names_that_hold_quotes_and_newlines_stay_one_label() -> None:
    made = Board({'a/"b\\\n': ("image", "a")}, {}, width=64)
    text = metrics_text(made, NS_PER_S, {}, {})
    assert r'tectum_messages_total{topic="a/\"b\\\n"} 0' in text.splitlines()
