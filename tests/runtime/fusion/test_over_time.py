"""Answers over time: smoothing in logarithms, labels that hold, presences that pause."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tectum.fusion.over_time import (
    NO,
    NOT_KNOWN,
    UNSURE,
    YES,
    Belief,
    LabelRules,
    Presence,
    PresenceRules,
    believe,
    watch,
)

MS = 1_000_000
RULES = LabelRules(half_life_ns=400 * MS, margin=0.2, hold_ns=300 * MS)
CALM, GLAD = np.array([0.8, 0.1, 0.1]), np.array([0.1, 0.8, 0.1])


def told(seen: list[np.ndarray | None], every_ns: int = 100 * MS) -> list[Belief]:
    """Return what is believed at each of a row of moments."""
    beliefs: list[Belief] = []
    for index, scores in enumerate(seen):
        before = beliefs[-1] if beliefs else None
        beliefs.append(believe(before, scores, index * every_ns, RULES, 3))
    return beliefs


def test_the_first_moment_is_believed_as_it_is_but_not_shown_yet() -> None:
    (first,) = told([CALM])
    assert first.scores() == pytest.approx(CALM)
    assert first.shown == UNSURE


def test_after_a_half_life_it_is_halfway_in_logarithms() -> None:
    last = believe(told([CALM])[0], GLAD, RULES.half_life_ns, RULES, 3)
    middle = np.sqrt(CALM * GLAD)
    assert last.scores() == pytest.approx(middle / middle.sum())


@given(steps=st.lists(st.integers(1, 500), min_size=1, max_size=20))
def test_how_often_one_looks_does_not_matter(steps: list[int]) -> None:
    many = told([CALM])[0]
    for end_ms in np.cumsum(steps):
        many = believe(many, GLAD, int(end_ms) * MS, RULES, 3)
    once = believe(told([CALM])[0], GLAD, sum(steps) * MS, RULES, 3)
    assert many.scores() == pytest.approx(once.scores())


def test_where_nobody_decides_it_falls_back_to_not_knowing() -> None:
    beliefs = told([CALM] * 5 + [None] * 40)
    best = [belief.scores().max() for belief in beliefs[4:]]
    assert np.all(np.diff(best) < 0)
    assert best[-1] == pytest.approx(1 / 3, abs=0.01)
    assert beliefs[4].shown == 0
    assert beliefs[-1].shown == UNSURE


def test_a_label_is_shown_once_it_has_led_for_long_enough() -> None:
    assert [belief.shown for belief in told([CALM] * 5)] == [UNSURE, UNSURE, UNSURE, 0, 0]


def test_a_flicker_changes_nothing_that_is_shown() -> None:
    seen = [CALM] * 10 + [GLAD] + [CALM] * 3 + [GLAD] + [CALM] * 5
    assert {belief.shown for belief in told(seen)[3:]} == {0}


def test_what_lasts_is_shown_and_what_was_shown_stays_until_then() -> None:
    shown = [belief.shown for belief in told([CALM] * 10 + [GLAD] * 20)]
    assert shown[10:14] == [0, 0, 0, 0]
    assert shown[-1] == 1
    changes = np.flatnonzero(np.diff(shown[3:]))
    assert len(changes) == 1


def test_two_that_are_nearly_as_likely_do_not_take_turns() -> None:
    nearly = [np.array([0.46, 0.44, 0.1]), np.array([0.44, 0.46, 0.1])]
    assert {belief.shown for belief in told([CALM] * 10 + nearly * 20)[4:]} == {0}


def test_a_moment_that_is_certain_does_not_outweigh_all_others() -> None:
    last = told([CALM] * 10 + [np.array([0.0, 1.0, 0.0])] + [CALM] * 4)[-1]
    assert np.isfinite(last.logs).all()
    assert last.scores().argmax() == 0


PAUSES = PresenceRules(above=0.6, below=0.4, after_ns=300 * MS)


def watched(seen: list[float | None]) -> list[int]:
    states: list[int] = []
    presence: Presence | None = None
    for index, likely in enumerate(seen):
        presence = watch(presence, likely, index * 100 * MS, PAUSES)
        states.append(presence.state)
    return states


def test_somebody_is_there_at_once() -> None:
    assert watched([0.1, 0.9]) == [NOT_KNOWN, YES]


def test_a_short_pause_is_passed_over_and_a_long_one_is_not() -> None:
    assert watched([0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1]) == [YES] * 7 + [NO]


def test_between_the_limits_nothing_changes() -> None:
    assert set(watched([0.9] + [0.5] * 20)) == {YES}
    assert watched([0.1] * 4 + [0.5] * 20)[3:] == [NO] * 21


def test_where_nobody_looks_it_is_not_known_after_a_while() -> None:
    assert watched([0.9, None, None, None, None, 0.1]) == [YES] * 4 + [NOT_KNOWN] * 2
