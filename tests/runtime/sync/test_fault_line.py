"""Faults on a stream as it comes: the same as on the whole of it, and no loss without a word."""

import random

import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.pipeline.events import Arrived, Ended, Missed, Promised
from tectum.sync.fault_line import FaultLine, faulted, inject
from tectum.sync.faults import KINDS, Fault
from tectum.testing.arrivals import START_NS, Source, arrivals

CAMERA = Source("camera", 10 * MS, transit_ns=2 * MS)
LONG_AGO = START_NS - 1


def at(ms):
    return START_NS + ms * MS


def camera(count):
    return arrivals(CAMERA, count * 10 * MS)


def numbers(events):
    return [event.sample.ref.seq for event in events if isinstance(event, Arrived)]


@pytest.mark.parametrize("kind", KINDS)
def test_taken_whenever_it_is_due_a_stream_comes_out_as_the_whole_would(kind):
    faults = [
        Fault(kind, "camera", at(100), 300 * MS, permille=400, amount_ns=13 * MS, ppm=500),
        Fault("jitter", "camera", at(0), amount_ns=5 * MS),
    ]
    events, line, found = camera(80), FaultLine(faults, seed=3), []
    chance = random.Random(1)
    for event in events:
        while chance.random() < 0.5 and line.next_ns() < event.now_ns:
            found += line.take(line.next_ns())
        found += line.push(event)
    found += line.rest()
    assert [item for item in found if isinstance(item, Arrived)] == inject(events, faults, 3)


def test_what_was_dropped_is_missed_right_before_the_next_message():
    fault = Fault("drop", "camera", at(20), 25 * MS)
    out = list(faulted(camera(6), [fault]))
    assert numbers(out) == [0, 1, 5]
    assert out[2] == Missed(at(52), "camera", 1, 2, 3, "injected")
    assert out[3].sample.ref.seq == 5


def test_losses_that_nothing_followed_are_told_at_the_end():
    out = list(faulted(camera(6), [Fault("drop", "camera", at(20))]))
    assert [type(event) for event in out] == [Arrived, Arrived, Missed]
    assert (out[-1].first_seq, out[-1].missing) == (2, 4)


def test_losses_apart_are_told_apart():
    line = FaultLine([Fault("drop", "camera", at(10), 8 * MS, every_ns=20 * MS)])
    out = [event for item in camera(6) for event in line.push(item)] + line.rest()
    gaps = [(gap.first_seq, gap.missing) for gap in out if isinstance(gap, Missed)]
    assert gaps == [(1, 1), (3, 1), (5, 1)]
    assert [ref.seq for ref in line.lost] == [1, 3, 5]


def test_a_message_is_held_as_long_as_it_or_its_double_is_to_come():
    first, second = camera(2)
    line = FaultLine([Fault("duplicate", "camera", LONG_AGO, amount_ns=4 * MS)])
    assert numbers(line.push(first)) == [0]
    assert line.holds(first.sample.ref)
    assert numbers(line.take(at(6))) == [0]
    assert not line.holds(first.sample.ref)
    reordering = FaultLine([Fault("reorder", "camera", LONG_AGO, permille=1000)])
    assert reordering.push(second) == []
    assert reordering.holds(second.sample.ref)


def test_the_end_of_a_source_comes_after_all_that_it_said():
    line = FaultLine([Fault("delay", "camera", LONG_AGO, amount_ns=30 * MS)])
    out = [event for item in camera(2) for event in line.push(item)]
    out += line.push(Ended(at(13), "camera"))
    assert out == []
    assert [type(event) for event in line.rest()] == [Arrived, Arrived, Ended]


def test_promises_are_as_late_as_the_messages_that_they_are_about():
    promise = Promised(at(5), "camera", at(10))
    late = Fault("delay", "camera", at(0), amount_ns=30 * MS)
    stalled = Fault("burst", "camera", at(0), 50 * MS)
    assert inject([promise], [late]) == [promise._replace(now_ns=at(35))]
    assert inject([promise], [stalled]) == [promise._replace(now_ns=at(50))]


def test_corruption_shows_in_no_event_but_says_whose_content_is_meant():
    line = FaultLine([Fault("corrupt", "camera", at(20), 15 * MS)])
    events = camera(5)
    assert [event for item in events for event in line.push(item)] == events
    assert {ref.seq for ref in line.corrupted} == {2, 3}


@pytest.mark.parametrize(
    ("after", "begins", "ends"),
    [(0, 100, 130), (100, 100, 130), (101, 200, 130), (130, 200, 130), (131, 200, 230)],
)
def test_a_fault_that_comes_again_says_when(after, begins, ends):
    fault = Fault("drop", "camera", 100, 30, every_ns=100)
    assert (fault.begins_ns(after), fault.ends_ns(after)) == (begins, ends)


def test_a_fault_that_stays_never_ends():
    assert Fault("drop", "camera", 100).ends_ns(0) == Fault("drop", "camera").ends_ns(5) > 2**61
