"""Encoders that run on every message or hop, in order, with carried state."""

import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.ledger.row import Outcome, Status
from tectum.message import Sample, SampleRef
from tectum.pipeline.hops import Hops
from tectum.pipeline.orders import Note, Start
from tectum.pipeline.plan import AlignPlan
from tectum.testing.arrivals import START_NS


def _chunk(seq: int, first: int = -1, life: int = 1, count: int = 320) -> Sample:
    begin = seq * count if first < 0 else first
    stamp_ns = START_NS + begin * 62_500
    ref = SampleRef("siren", life, seq)
    return Sample(ref, stamp_ns, count * 62_500, 0, 640, begin, count, 16_000)


def _taken(hops: Hops) -> list[tuple[int, int, bool]]:
    """Return (begin, length, fresh) of every hop there is."""
    found = []
    while (hop := hops.take()) is not None:
        found.append((hop.begin, hop.length, hop.fresh))
    return found


def test_hops_tile_the_timeline_whatever_the_size_of_the_messages() -> None:
    # messages  [  320  ][  320  ][  320  ][  320  ]
    # hops      [    512    ][    512    ]
    hops = Hops(512)
    for seq in range(4):
        hops.add(_chunk(seq))
    assert _taken(hops) == [(0, 512, True), (512, 512, False)]
    assert [ref.seq for ref in hops.released] == [0, 1, 2]


def test_a_hop_knows_when_it_began_and_what_it_is_made_of() -> None:
    hops = Hops(512)
    for seq in range(4):
        hops.add(_chunk(seq))
    first, second = hops.take(), hops.take()
    assert [ref.seq for ref in first.refs] == [0, 1]
    assert [ref.seq for ref in second.refs] == [1, 2, 3]
    assert second.stamp_ns - first.stamp_ns == 32 * MS
    assert second.sample().span_ns == 32 * MS


def test_a_gap_starts_the_state_anew_and_drops_what_makes_no_whole_hop() -> None:
    # messages  0  1  -  3  4
    hops = Hops(512)
    for seq in (0, 1, 3, 4):
        hops.add(_chunk(seq))
    assert _taken(hops) == [(960, 512, True)]
    assert [ref.seq for ref in hops.released] == [0, 1, 3]


def test_whole_hops_before_a_gap_are_not_lost() -> None:
    # messages  0  1  -  3  4, each hop taken as soon as it is there
    hops = Hops(512)
    found = []
    for seq in (0, 1, 3, 4):
        hops.add(_chunk(seq))
        found += _taken(hops)
    assert found == [(0, 512, True), (960, 512, True)]


def test_a_new_life_of_the_source_starts_the_state_anew() -> None:
    hops = Hops(320)
    hops.add(_chunk(0))
    hops.add(_chunk(1))
    taken = _taken(hops)
    hops.add(_chunk(0, life=2))
    assert taken + _taken(hops) == [(0, 320, True), (320, 320, False), (0, 320, True)]


def test_an_overtaken_message_is_passed_over() -> None:
    hops = Hops(320)
    for seq in (0, 2, 1, 3):
        hops.add(_chunk(seq))
    assert _taken(hops) == [(640, 320, True), (960, 320, False)]
    assert hops.skipped == 1


def test_a_backlog_is_skipped_from_its_old_end() -> None:
    hops = Hops(320)
    for seq in range(100):
        hops.add(_chunk(seq))
    taken = _taken(hops)
    assert hops.skipped >= 45
    assert taken[0][2]
    assert taken[-1][0] == 99 * 320
    assert all(not fresh for _, _, fresh in taken[1:])


def test_after_a_failure_the_state_starts_anew() -> None:
    hops = Hops(0)
    hops.add(_chunk(0))
    hops.add(_chunk(1))
    assert hops.take().fresh
    hops.restart()
    assert hops.take().fresh


# -- in the pipeline


@pytest.fixture
def hearing(scene):
    """The scene with an ear that hears every 512 samples and carries state."""
    scene.stage("ear", on="sample", input="siren", hop=512, stateful=True)
    return scene.input("siren", align=AlignPlan("latest", max_age_ns=100 * MS))


def _ears(orders):
    return [order for order in orders if isinstance(order, Start) and order.stage == "ear"]


def test_state_is_carried_from_hop_to_hop(hearing) -> None:
    orders = []
    result = hearing.run(orders_to=orders.append)
    ears = _ears(orders)
    assert len(ears) >= 90
    assert ears[0].state == -1
    assert [b.state for b in ears[1:]] == [a.run for a in ears[:-1]]
    assert {row.outcome for row in result.rows[2:]} == {Outcome.COMPLETE}


def test_hops_follow_each_other_without_overlap(hearing) -> None:
    orders = []
    hearing.run(orders_to=orders.append)
    begins = [start.args[0].begin for start in _ears(orders)]
    assert begins == [512 * k for k in range(len(begins))]


def test_lost_audio_starts_the_state_anew(hearing) -> None:
    orders = []
    hearing.run(hearing.heard(dead="siren", since_ms=1000, back_ms=1040), orders_to=orders.append)
    fresh = [start.args[0].begin for start in _ears(orders) if start.state == -1]
    assert fresh == [0, 52 * 320]


def test_a_failed_hop_costs_its_state_and_nothing_else(hearing) -> None:
    orders = []

    def once(start: Start) -> int:
        usual = hearing.takes[start.stage]
        return -usual if start.stage == "ear" and start.args[0].begin == 512 * 40 else usual

    result = hearing.run(durations=once, orders_to=orders.append)
    fresh = [start.args[0].begin for start in _ears(orders) if start.state == -1]
    assert fresh == [0, 512 * 41]
    assert {row.outcome for row in result.rows[2:]} == {Outcome.COMPLETE}


def test_the_outputs_are_aligned_like_any_other_stream(hearing, item) -> None:
    for row in hearing.run().rows[5:]:
        siren = item(row, "siren")
        assert siren.status is Status.FRESH
        assert -100 * MS <= siren.distance_ns <= 0


def test_the_death_of_the_source_shows_in_the_derived_stream(hearing, item) -> None:
    rows = hearing.run(hearing.heard(dead="siren", since_ms=1500)).rows
    assert item(rows[-1], "siren").reason == "silent"
    assert rows[-1].outcome is Outcome.PARTIAL


def test_an_encoder_that_cannot_keep_up_skips_and_says_so(hearing) -> None:
    hearing.takes["ear"] = 60 * MS
    result = hearing.run()
    assert result.counters["siren"]["skipped"] > 20
    assert {row.outcome for row in result.rows} <= {Outcome.PARTIAL, Outcome.COMPLETE}
    assert not [n for n in result.notes if isinstance(n, Note) and n.change == "silent"]
