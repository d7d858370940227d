"""Audio without a sample index: placed by its stamps, lost blocks counted."""

import random

import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.clock import NS_PER_S
from tectum.message import sample_index
from tectum.sync.block_index import BlockIndex

RATE_HZ = 16_000
COUNT = 320
BLOCK_NS = 20 * MS
BEGIN_NS = 1_000 * NS_PER_S


def firsts(stamps_ns: list[int], count: int = COUNT) -> list[int]:
    """Return the index of each block, from that of the first."""
    index = BlockIndex(RATE_HZ)
    found = [index.first(stamp_ns, count) for stamp_ns in stamps_ns]
    assert found[0] == sample_index(stamps_ns[0], RATE_HZ)
    return [first - found[0] for first in found]


def test_blocks_go_on_without_a_gap_whatever_their_stamps_say_within_half_a_block() -> None:
    rng = random.Random(1)
    stamps = [BEGIN_NS + n * BLOCK_NS + rng.randint(-4 * MS, 4 * MS) for n in range(500)]
    assert firsts(stamps) == [n * COUNT for n in range(500)]


@pytest.mark.parametrize("ppm", [-300, 100, 300])
def test_a_drifting_clock_leaves_no_gap_in_an_hour(ppm: int) -> None:
    rng = random.Random(2)
    step_ns = BLOCK_NS + BLOCK_NS * ppm // 1_000_000
    stamps = [BEGIN_NS + n * step_ns + rng.randint(0, 3 * MS) for n in range(180_000)]
    assert firsts(stamps)[-1] == 179_999 * COUNT


def test_lost_blocks_are_a_gap_of_whole_blocks() -> None:
    rng = random.Random(3)
    heard = [n for n in range(1_000) if n % 50 != 7 and not 300 <= n < 305]
    stamps = [BEGIN_NS + n * BLOCK_NS + rng.randint(-2 * MS, 2 * MS) for n in heard]
    assert firsts(stamps) == [n * COUNT for n in heard]


def test_a_pause_of_the_source_is_told_to_the_sample() -> None:
    #    |block|block|        70 ms        |block|
    assert firsts([BEGIN_NS, BEGIN_NS + BLOCK_NS, BEGIN_NS + 2 * BLOCK_NS + 70 * MS]) == [
        0,
        COUNT,
        2 * COUNT + 70 * RATE_HZ // 1000,
    ]


def test_a_block_that_was_overtaken_finds_its_place() -> None:
    order = [0, 1, 3, 2, 4]
    assert firsts([BEGIN_NS + n * BLOCK_NS for n in order]) == [n * COUNT for n in order]


def test_after_a_clock_was_set_back_blocks_go_on_from_there() -> None:
    back_ns = BEGIN_NS - 3 * NS_PER_S
    stamps = [BEGIN_NS, BEGIN_NS + BLOCK_NS, back_ns, back_ns + BLOCK_NS + 3 * MS]
    assert firsts(stamps) == [0, COUNT, -3 * RATE_HZ, COUNT - 3 * RATE_HZ]


def test_a_stamp_of_zero_counts_for_nothing() -> None:
    stamps = [BEGIN_NS, 0, BEGIN_NS + 2 * BLOCK_NS]
    assert firsts(stamps)[-1] == 2 * COUNT
    assert BlockIndex(RATE_HZ).first(0, COUNT) == 0


def test_an_index_is_never_negative() -> None:
    index = BlockIndex(RATE_HZ)
    assert index.first(1, COUNT) == 0
    assert index.first(200 * MS, COUNT) == 200 * RATE_HZ // 1000
    assert index.first(1, COUNT) == 0


def test_a_block_of_which_nothing_is_known_follows_the_last() -> None:
    index = BlockIndex(RATE_HZ)
    begin = index.follow(BEGIN_NS, COUNT)
    assert index.follow(BEGIN_NS + 90 * MS, COUNT) == begin + COUNT
    assert index.first(BEGIN_NS + 110 * MS, COUNT) == begin + 2 * COUNT
