"""Slots: the newest frame wins, for each viewer at its own pace."""

from __future__ import annotations

from tectum_nodes.dashboard.slots import Slots


def nothing() -> None:
    """Wake nobody."""


def test_a_viewer_that_reads_late_finds_only_the_newest_frame() -> None:
    slots = Slots()
    viewer = slots.join(nothing)
    for number in range(5):
        slots.put("camera/image", b"%d" % number)
    assert list(viewer.fresh()) == [b"4"]
    assert list(viewer.fresh()) == []


def test_each_viewer_sees_every_slot_once() -> None:
    slots = Slots()
    first = slots.join(nothing)
    slots.put("a", b"1")
    slots.put("b", b"2")
    assert list(first.fresh()) == [b"1", b"2"]
    second = slots.join(nothing)
    slots.put("b", b"3")
    assert list(first.fresh()) == [b"3"]
    assert list(second.fresh()) == [b"1", b"3"]


def test_a_frame_is_taken_as_it_is_when_its_turn_comes() -> None:
    slots = Slots()
    viewer = slots.join(nothing)
    slots.put("a", b"old")
    slots.put("b", b"old")
    turn = viewer.fresh()
    assert next(turn) == b"old"
    slots.put("b", b"new")  # while the first one is on its way
    assert list(turn) == [b"new"]


def test_a_frame_is_wanted_while_somebody_has_seen_the_last_one() -> None:
    slots = Slots()
    assert not slots.wanted("a")
    quick, stuck = slots.join(nothing), slots.join(nothing)
    assert slots.wanted("a")
    slots.put("a", b"1")
    assert not slots.wanted("a")
    list(quick.fresh())
    assert slots.wanted("a")
    slots.leave(quick)
    assert not slots.wanted("a")
    list(stuck.fresh())
    assert slots.wanted("a")


def test_all_viewers_are_woken_until_they_leave() -> None:
    woken: list[str] = []
    slots = Slots()
    one = slots.join(lambda: woken.append("one"))
    slots.join(lambda: woken.append("two"))
    slots.wake()
    slots.leave(one)
    slots.wake()
    assert woken == ["one", "two", "two"]
    assert slots.watched
