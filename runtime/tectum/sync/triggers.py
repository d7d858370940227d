"""Triggers that time makes: the ticks of a rate, and the stand-ins for a silent trigger input.

Both are a row of instants one period apart; stand-ins go on at the pace, and in the phase, that
their input kept (`tectum.sync.pace`). Of a silent input a stand-in is due when the real one would
have arrived, so its deadline is kept as well as a real one's; instants missed before the silence
was noticed are made up for as long as they can be answered in time. Of an input that still speaks,
and regularly, it is due at the last moment at which it can be answered, if the real one, which
then cannot be used any more, has not come.
"""

from __future__ import annotations

from typing import NamedTuple

from tectum.sync.cadence import Cadence
from tectum.sync.listening import Listening
from tectum.sync.stream import NEVER_NS, Stream

__all__ = ["Due", "missed", "next_overdue", "next_rate", "next_substitute"]


class Due(NamedTuple):
    """A trigger to come. Times in ns."""

    at_ns: int
    """When the pipeline should accept it."""
    t_ns: int
    """Its stamp, at the reference point."""
    end_ns: int
    """The end of the capture that it stands for; the budget counts from here."""


NO_TRIGGER = Due(NEVER_NS, 0, 0)


def next_rate(anchor_ns: int, last_ns: int, period_ns: int) -> Due:
    """Return the tick after `last_ns`, of ticks one period apart from `anchor_ns` on."""
    t_ns = last_ns + period_ns if last_ns >= anchor_ns else anchor_ns + period_ns
    return Due(t_ns, t_ns, t_ns)


def next_substitute(stream: Stream, last_ns: int, now_ns: int, usable_ns: int = 0) -> Due:
    """Return the next stand-in for a silent trigger input, or a never for one that is not silent.

    Args:
        stream: the trigger input's.
        last_ns: the stamp of the last trigger, real or not.
        now_ns: the present.
        usable_ns: how long after the end of its capture a stand-in can still be answered in time;
            of several instants that are past that, only the latest counts.
    """
    period_ns = stream.period_ns()
    if stream.state not in (Listening.SILENT, Listening.MUTE) or not period_ns:
        return NO_TRIGGER
    if not stream.ats:
        return Due(now_ns, now_ns, now_ns) if last_ns <= 0 else _due(last_ns + period_ns, 0, 0)
    span_ns = stream.ends[-1] - stream.ats[-1]
    transit_ns = stream.cadence.transit_ns
    t_ns = stream.pace.after_ns(last_ns) if stream.pace else last_ns + period_ns
    overdue_ns = now_ns - max(transit_ns, usable_ns) - span_ns - t_ns
    if overdue_ns > 0:
        skipped = overdue_ns // period_ns
        if usable_ns > transit_ns:
            skipped += 1  # this one is past being answered; the one after it is not
        t_ns += skipped * period_ns
    return _due(t_ns, span_ns, transit_ns)


def next_overdue(stream: Stream, last_ns: int, usable_ns: int, latest_ns: int) -> Due:
    """Return the stand-in for a message that is overdue, or a never where that cannot be told.

    That takes an input that speaks in order and at a steady pace (its intervals vary by at most a
    quarter of the period), nine of ten of whose messages would have come by then.

    Args:
        stream: the trigger input's.
        last_ns: the stamp of the last trigger, real or not.
        usable_ns: how long after the end of its capture its message can still be used in time;
            until then a stand-in is too early.
        latest_ns: how long after that a stand-in can still be answered in time; as long as the
            message may well be only late, that is when it is due.
    """
    cadence = stream.cadence
    in_order = bool(stream.ats) and stream.added_ns == stream.ats[-1]
    if stream.state is not Listening.SPEAKING or not (in_order and _is_steady(cadence)):
        return NO_TRIGGER
    t_ns = last_ns + cadence.period_ns
    end_ns = t_ns + stream.ends[-1] - stream.ats[-1]
    if cadence.transit_ns + cadence.jitter_ns > latest_ns:
        return NO_TRIGGER
    lost_ns = t_ns + cadence.usual_ns - cadence.period_ns + cadence.latest_ns
    at_ns = min(max(end_ns + usable_ns, lost_ns), end_ns + latest_ns)
    return Due(at_ns, t_ns, end_ns)


def _is_steady(cadence: Cadence) -> bool:
    """Return whether intervals between stamps vary by at most a quarter of the period."""
    period_ns = cadence.period_ns
    least_ns, most_ns = period_ns - period_ns // 4, period_ns + period_ns // 4
    return period_ns > 0 and least_ns <= cadence.shortest_ns and cadence.usual_ns <= most_ns


def missed(stream: Stream, last_ns: int, came: Due, usable_ns: int) -> list[Due]:
    """Return stand-ins for the instants before a trigger that came after more than one was lost.

    Those that can still be answered in time, so that a trigger input that speaks again just before
    its silence is noticed leaves no longer gap than one that speaks just after it.

    Args:
        stream: the trigger input's; it holds what came already.
        last_ns: the stamp of the last trigger, real or not.
        came: the real one.
        usable_ns: as with `next_substitute`.
    """
    period_ns = stream.period_ns()
    if not period_ns or came.t_ns - last_ns < 5 * period_ns // 2 or not _was_quiet(stream):
        return []
    span_ns = came.end_ns - came.t_ns
    overdue_ns = came.at_ns - usable_ns - span_ns - last_ns
    first = max(1, -(-overdue_ns // period_ns))
    instants = range(last_ns + first * period_ns, came.t_ns - period_ns // 2, period_ns)
    return [Due(came.at_ns, t_ns, t_ns + span_ns) for t_ns in instants]


def _was_quiet(stream: Stream) -> bool:
    """Return whether nothing arrived for two periods, either: no clock has jumped ahead."""
    if len(stream.arrivals) < 2:
        return False
    return stream.arrivals[-1] - stream.arrivals[-2] > 2 * stream.period_ns()


def _due(t_ns: int, span_ns: int, transit_ns: int) -> Due:
    return Due(t_ns + span_ns + transit_ns, t_ns, t_ns + span_ns)
