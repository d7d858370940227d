"""Vitals: rates, silence, losses, and what processes use."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.transport.inbox import MISSING_CAUSES
from tectum_nodes.dashboard.vitals import Processes, TopicVitals


def heard(period_ms: int, count: int) -> TopicVitals:
    """Return a topic that has spoken at a steady pace, looked at four times a second."""
    vitals = TopicVitals("image", "camera")
    for index in range(count):
        vitals.hear(NS_PER_S + index * period_ms * NS_PER_MS, index)
        if index * period_ms % 250 == 0:
            vitals.document(NS_PER_S + index * period_ms * NS_PER_MS, {})
    return vitals


def test_a_steady_topic_has_its_rate_and_is_not_silent() -> None:
    vitals = heard(50, 201)
    now_ns = NS_PER_S + 10 * NS_PER_S
    document = vitals.document(now_ns, {})
    assert document["rate_hz"] == pytest.approx(20, abs=0.5)
    assert document["silent"] is False
    assert document["heard_ns"] == now_ns


def test_a_quick_topic_is_silent_after_half_a_second() -> None:
    vitals = heard(50, 201)
    last_ns = vitals.heard_ns
    assert not vitals.is_silent(last_ns + 500 * NS_PER_MS)
    assert vitals.is_silent(last_ns + 501 * NS_PER_MS)


def test_a_slow_topic_is_given_four_of_its_periods() -> None:
    vitals = heard(2000, 10)
    last_ns = vitals.heard_ns
    assert not vitals.is_silent(last_ns + 7900 * NS_PER_MS)
    assert vitals.is_silent(last_ns + 8100 * NS_PER_MS)


def test_silence_does_not_change_what_is_usual() -> None:
    vitals = heard(50, 201)
    vitals.hear(vitals.heard_ns + 60 * NS_PER_S, 0)
    assert vitals.is_silent(vitals.heard_ns + 600 * NS_PER_MS)


def test_a_topic_that_was_never_heard_or_has_ended_is_not_silent() -> None:
    assert not TopicVitals("image", "camera").is_silent(NS_PER_S)
    vitals = heard(50, 20)
    vitals.ended = True
    assert not vitals.is_silent(vitals.heard_ns + NS_PER_S)


def test_losses_are_those_that_happened_by_cause() -> None:
    counters = {"queue_full": 3, "overtaken": 0, "unexplained": 1, "lost": {"no_slot": 2}}
    document = heard(50, 10).document(2 * NS_PER_S, counters)
    assert document["lost"] == {"queue_full": 3, "unexplained": 1, "no_slot": 2}


@pytest.mark.skipif(sys.platform != "linux", reason="the process table is Linux's")
def test_this_process_uses_memory_and_one_that_is_gone_does_not() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    processes = Processes()
    pids = {"here": os.getpid(), "gone": gone.pid}
    processes.document(0, pids)
    ticks = os.times().user
    while os.times().user - ticks < 0.1:
        pass
    document = processes.document(NS_PER_S, pids)
    assert document["here"]["memory_mb"] > 5
    assert 5 <= document["here"]["cpu"] < 100
    assert document["gone"] == {"pid": gone.pid, "cpu": None, "memory_mb": None}


def test_every_cause_of_a_loss_is_shown_and_none_that_cost_nothing() -> None:
    counters = {cause: number for number, cause in enumerate(MISSING_CAUSES)}
    document = heard(50, 20).document(NS_PER_S, {**counters, "lost": {"no_slot": 9}})
    first, *others = MISSING_CAUSES
    assert first not in document["lost"]
    assert document["lost"] == {**{cause: counters[cause] for cause in others}, "no_slot": 9}
