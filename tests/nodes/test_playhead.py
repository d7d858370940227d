"""Where a recording is: it stands, steps, jumps, changes its pace; the time of the run goes on."""

from fractions import Fraction

from tectum.clock import NS_PER_MS as MS
from tectum.clock import NS_PER_S as S
from tectum_nodes.playhead import Playhead

LOG_NS, RUN_NS = 1_000 * S, 5_000 * S


def head(speed: str = "1") -> Playhead:
    """Ten seconds of a log, played from `RUN_NS` on."""
    return Playhead(LOG_NS, LOG_NS + 10 * S, RUN_NS, Fraction(speed))


def test_what_was_recorded_is_due_as_long_after_the_begin_as_it_was() -> None:
    assert head().due_ns(LOG_NS + 3 * S) == RUN_NS + 3 * S
    assert head("2").due_ns(LOG_NS + 3 * S) == RUN_NS + 1500 * MS
    assert head("1/2").position_ns(RUN_NS + 3 * S) == LOG_NS + 1500 * MS


def test_while_it_is_paused_nothing_is_due_and_afterwards_all_of_it_is_later() -> None:
    playing = head()
    playing.pause(RUN_NS + 2 * S)
    assert playing.due_ns(LOG_NS + 3 * S) is None
    assert playing.position_ns(RUN_NS + 60 * S) == LOG_NS + 2 * S
    playing.resume(RUN_NS + 60 * S)
    assert playing.due_ns(LOG_NS + 3 * S) == RUN_NS + 61 * S
    assert playing.shift.moved_ns == 58 * S


def test_pausing_and_resuming_twice_is_as_once() -> None:
    playing = head()
    playing.resume(RUN_NS + S)
    assert playing.shift.moved_ns == 0
    playing.pause(RUN_NS + S)
    playing.pause(RUN_NS + 2 * S)
    assert playing.position_ns(RUN_NS + 3 * S) == LOG_NS + S


def test_a_step_plays_so_much_at_its_pace_and_pauses() -> None:
    playing = head()
    playing.pause(RUN_NS + S)
    playing.step(RUN_NS + 5 * S, 100 * MS)
    assert playing.due_ns(LOG_NS + S + 99 * MS) == RUN_NS + 5 * S + 99 * MS
    assert not playing.paused
    assert playing.due_ns(LOG_NS + S + 100 * MS) is None
    assert playing.paused
    assert playing.position_ns(RUN_NS + 9 * S) == LOG_NS + S + 100 * MS


def test_going_back_never_takes_the_run_back() -> None:
    playing = head()
    assert playing.seek(RUN_NS + 4 * S, LOG_NS + S, lead_ns=20 * MS) == LOG_NS + S
    assert playing.due_ns(LOG_NS + S) == RUN_NS + 4 * S + 20 * MS
    assert playing.shift.moved_ns == 3 * S + 20 * MS


def test_going_forward_leaves_out_what_lies_between() -> None:
    playing = head()
    playing.seek(RUN_NS + S, LOG_NS + 6 * S)
    assert playing.due_ns(LOG_NS + 6 * S) == RUN_NS + S
    assert playing.shift.moved_ns == -5 * S


def test_a_seek_stays_within_the_recording_and_a_pause_stays_one() -> None:
    playing = head()
    playing.pause(RUN_NS)
    assert playing.seek(RUN_NS, LOG_NS - 5 * S) == LOG_NS
    assert playing.seek(RUN_NS, LOG_NS + 50 * S) == LOG_NS + 10 * S
    assert playing.paused
    assert playing.position_ns(RUN_NS + S) == LOG_NS + 10 * S


def test_another_pace_counts_from_where_it_is() -> None:
    playing = head()
    playing.set_speed(RUN_NS + 2 * S, Fraction(4))
    assert playing.position_ns(RUN_NS + 3 * S) == LOG_NS + 6 * S
    assert playing.due_ns(LOG_NS + 6 * S) == RUN_NS + 3 * S
    assert playing.shift.duration(S) == 250 * MS
    assert playing.shift.moved_ns == 0


def test_a_lap_begins_a_pause_after_the_end() -> None:
    playing = head("2")
    playing.lap(100 * MS)
    assert playing.due_ns(LOG_NS) == RUN_NS + 5 * S + 50 * MS
    assert playing.shift.moved_ns == 10 * S + 100 * MS
