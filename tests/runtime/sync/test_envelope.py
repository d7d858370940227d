"""The line below a cloud of points."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tectum.sync.envelope import Line, lower_line

points = st.lists(
    st.tuples(st.integers(0, 10**6), st.integers(-(10**6), 10**6)),
    min_size=1,
    max_size=40,
    unique_by=lambda point: point[0],
).map(sorted)


def test_one_point_gives_a_level_line() -> None:
    assert lower_line([(3, 7)]) == Line(3, 7)


def test_points_on_a_line_give_that_line() -> None:
    line = lower_line([(x * 1000, 50 + x * 2) for x in range(10)])
    assert (line.slope_ppb, line.at_ns(20_000)) == (2_000_000, 90)


def test_late_points_do_not_move_it() -> None:
    on_time = [(x * 1000, 50) for x in range(0, 10, 2)]
    late = [(x * 1000, 50 + 10**9) for x in range(1, 10, 2)]
    assert lower_line(sorted(on_time + late)).at_ns(123_456) == 50


@given(points)
def test_no_point_lies_below_it(cloud) -> None:
    line = lower_line(cloud)
    assert all(y - line.at_ns(x) >= -1 - abs(x - line.place_ns) // 10**9 for x, y in cloud)


@given(points)
def test_no_line_through_two_of_the_points_is_nearer_in_sum(cloud) -> None:
    def distance(height_at) -> float:
        return sum(y - height_at(x) for x, y in cloud)

    line = lower_line(cloud)
    ours = distance(lambda x: line.height_ns + (x - line.place_ns) * line.slope_ppb / 1e9)
    for (ax, ay), (bx, by) in pairwise(cloud):
        slope = (by - ay) / (bx - ax)
        if all(y >= ay + (x - ax) * slope - 1e-6 for x, y in cloud):
            other = distance(lambda x, a=ax, h=ay, s=slope: h + (x - a) * s)
            assert ours <= other + len(cloud) * 2
