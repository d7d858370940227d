"""Whether an input is heard: the table of transitions."""

import pytest

from tectum.sync.listening import TRANSITIONS, Listening

FACTS = ("heard", "hush", "ended")


def test_every_state_can_be_reached_and_left() -> None:
    reached = {Listening.UNHEARD} | {after for after, _ in TRANSITIONS.values()}
    left = {state for state, _ in TRANSITIONS}
    assert reached == left == set(Listening)


@pytest.mark.parametrize("state", [s for s in Listening if s is not Listening.SPEAKING])
def test_whatever_was_speech_makes_an_input_speak(state: Listening) -> None:
    after, change = TRANSITIONS[state, "heard"]
    assert after is Listening.SPEAKING
    assert change in ("first_heard", "revived")


def test_the_table_knows_no_other_facts() -> None:
    assert {fact for _, fact in TRANSITIONS} == set(FACTS)


def test_an_input_that_ended_never_hushes() -> None:
    assert (Listening.ENDED, "hush") not in TRANSITIONS
