"""The line before lanes: in order on each, and not before what is taken is there."""

from hypothesis import given
from hypothesis import strategies as st

from tectum.pipeline.line import Line


def test_a_lane_takes_its_runs_in_the_order_given() -> None:
    line = Line(2)
    assert [line.add(run, run % 2) for run in range(5)] == [True, True, False, False, False]
    assert line.on(0) == [0, 2, 4]
    assert line.end(0) == [2]
    assert line.end(1) == [3]
    assert line.end(2) == [4]


def test_a_run_waits_for_the_last_of_what_it_takes() -> None:
    line = Line(3)
    assert line.add(0, 0)
    assert line.add(1, 1)
    assert not line.add(2, 2, takes=[0, 1])
    assert not line.has_begun(2)
    assert line.end(1) == []
    assert line.end(0) == [2]
    assert line.has_begun(2)


def test_what_has_ended_is_not_waited_for() -> None:
    line = Line(1)
    line.add(0, 0)
    line.end(0)
    assert line.add(1, 0, takes=[0])


def test_who_waits_for_others_holds_up_its_lane() -> None:
    line = Line(2)
    line.add(0, 0)
    line.add(1, 1, takes=[0])
    assert not line.add(2, 1)
    assert line.end(0) == [1]
    assert line.end(1) == [2]


def test_one_that_is_withdrawn_lets_the_next_pass() -> None:
    line = Line(2)
    line.add(0, 0)
    line.add(1, 1, takes=[0])
    line.add(2, 1)
    assert line.end(1) == [2]
    assert line.end(0) == []


@given(st.lists(st.tuples(st.integers(0, 2), st.sets(st.integers(0, 30))), max_size=30), st.data())
def test_every_run_begins_once_and_in_turn(runs: list[tuple[int, set[int]]], data) -> None:
    line = Line(3)
    begun = [n for n, (lane, takes) in enumerate(runs) if line.add(n, lane, takes & set(range(n)))]
    ended: list[int] = []
    while running := [run for run in begun if run not in ended]:
        run = data.draw(st.sampled_from(running))
        ended.append(run)
        begun += line.end(run)
    assert sorted(begun) == list(range(len(runs)))
    for number, (_, takes) in enumerate(runs):
        before = ended[: ended.index(number)]
        assert takes & set(range(number)) <= set(before)
    for lane in range(3):
        assert [n for n in ended if runs[n][0] == lane] == [
            n for n in range(len(runs)) if runs[n][0] == lane
        ]
