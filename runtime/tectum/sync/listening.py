"""Whether an input is being heard: a state machine as a table.

Rules: transitions happen here and nowhere else; `heard` and `ended` come from events, `hush` from
a tick when the input has not been heard for its silence limit. Each transition is a `Note`.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["TRANSITIONS", "Listening"]


class Listening(StrEnum):
    """What is known of an input's life."""

    UNHEARD = "unheard"
    """Nothing has come yet, and it is too early to say more."""
    SPEAKING = "speaking"
    SILENT = "silent"
    """Not heard for its limit: nothing waits for it, and it is used again when it speaks."""
    MUTE = "mute"
    """Never heard at all, and its limit is over: treated as silent."""
    ENDED = "ended"
    """Its source said that nothing follows."""


TRANSITIONS: dict[tuple[Listening, str], tuple[Listening, str]] = {
    (Listening.UNHEARD, "heard"): (Listening.SPEAKING, "first_heard"),
    (Listening.UNHEARD, "hush"): (Listening.MUTE, "never_heard"),
    (Listening.UNHEARD, "ended"): (Listening.ENDED, "ended"),
    (Listening.SPEAKING, "hush"): (Listening.SILENT, "silent"),
    (Listening.SPEAKING, "ended"): (Listening.ENDED, "ended"),
    (Listening.SILENT, "heard"): (Listening.SPEAKING, "revived"),
    (Listening.SILENT, "ended"): (Listening.ENDED, "ended"),
    (Listening.MUTE, "heard"): (Listening.SPEAKING, "first_heard"),
    (Listening.MUTE, "ended"): (Listening.ENDED, "ended"),
    (Listening.ENDED, "heard"): (Listening.SPEAKING, "revived"),
}
"""(state, fact) -> (next state, the change that is noted). What is not listed changes nothing."""
