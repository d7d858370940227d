import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tectum_nodes.simulation.chance import generator, uniform, uniform_one

SEEDS = st.integers(0, 2**32 - 1)
INDICES = st.integers(-(2**40), 2**40)


@given(SEEDS, INDICES)
def test_one_number_equals_the_same_number_of_a_column(seed, index):
    column = uniform(seed, "here", np.array([index, index + 1]))
    assert column[0] == uniform_one(seed, "here", index)
    assert 0.0 <= column.min() <= column.max() < 1.0


def test_numbers_are_even_and_streams_and_seeds_are_independent():
    index = np.arange(20_000)
    one, two, three = uniform(1, "a", index), uniform(1, "b", index), uniform(2, "a", index)
    assert abs(one.mean() - 0.5) < 0.01
    assert abs(one.std() - 12**-0.5) < 0.01
    for other in (two, three, np.roll(one, 1)):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.03


def test_a_generator_depends_on_all_that_names_it():
    first = [
        generator(*key).random() for key in ((1, "a", 5), (1, "a", 5), (1, "a", -5), (1, "b", 5))
    ]
    assert first[0] == first[1]
    assert len(set(first)) == 3
