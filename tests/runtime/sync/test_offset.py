"""The clock of another host, from requests and replies: found, bounded, and found again."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tectum.clock import NS_PER_MS as MS
from tectum.clock import NS_PER_S
from tectum.sync.offset import Exchange, PeerClock

START_NS = 1_000 * NS_PER_S


class Peers:
    """Two clocks and the way between them."""

    def __init__(self, offset_ns: int, ppm: float, seed: int = 0) -> None:
        self.offset_ns, self.ppm = offset_ns, ppm
        self.rng = random.Random(seed)
        self.peer = PeerClock()

    def theirs_ns(self, ours_ns: int) -> int:
        return round(ours_ns + self.offset_ns + (ours_ns - START_NS) * self.ppm / 1e6)

    def exchange(self, ours_ns: int, there_ns: int, back_ns: int) -> Exchange:
        received_ns, busy_ns = ours_ns + there_ns, self.rng.randrange(MS)
        return Exchange(
            ours_ns,
            self.theirs_ns(received_ns),
            self.theirs_ns(received_ns + busy_ns),
            received_ns + busy_ns + back_ns,
        )

    def talk(self, since_s: int, until_s: int, each_ms: int = 100, least_us: int = 200) -> int:
        """Ask every so often, over a link with queues; return how often a step was seen."""
        steps = 0
        for at_ms in range(since_s * 1000, until_s * 1000, each_ms):
            there, back = (least_us * 1000 + int(self.rng.expovariate(1 / (2 * MS))) for _ in "ab")
            exchange = self.exchange(START_NS + at_ms * MS, there, back)
            steps += self.peer.add(exchange)
        return steps

    def off_by_ns(self, at_s: int) -> int:
        now_ns = START_NS + at_s * NS_PER_S
        return abs(self.peer.offset_ns(now_ns) - (self.theirs_ns(now_ns) - now_ns))

    def bound_ns(self, at_s: int) -> int:
        return self.peer.error_ns(START_NS + at_s * NS_PER_S)


def test_nothing_is_known_at_first() -> None:
    peer = PeerClock()
    assert not peer.known
    assert peer.error_ns(0) > 10**18


def test_one_exchange_gives_the_offset_within_half_the_round_trip() -> None:
    peers = Peers(offset_ns=3_700 * MS, ppm=0)
    peers.peer.add(peers.exchange(START_NS, there_ns=4 * MS, back_ns=2 * MS))
    assert peers.off_by_ns(0) == 1 * MS
    assert 3 * MS <= peers.bound_ns(0) < 3 * MS + 2_000


def test_after_ten_seconds_the_error_is_below_a_millisecond_and_inside_its_bound() -> None:
    for seed in range(20):
        peers = Peers(offset_ns=3_700 * MS, ppm=80, seed=seed)
        peers.talk(0, 10)
        assert peers.off_by_ns(10) < 1 * MS
        assert peers.off_by_ns(10) <= peers.bound_ns(10)


def test_the_rate_is_found_within_a_minute() -> None:
    peers = Peers(offset_ns=-5 * NS_PER_S, ppm=-60)
    peers.talk(0, 60)
    assert abs(peers.peer.rate_ppb + 60_000) < 10_000
    assert peers.off_by_ns(70) < 1 * MS


def test_an_instant_of_theirs_is_put_on_our_clock() -> None:
    peers = Peers(offset_ns=3_700 * MS, ppm=80)
    peers.talk(0, 20)
    ours_ns = START_NS + 15 * NS_PER_S
    assert abs(peers.peer.ours_ns(peers.theirs_ns(ours_ns)) - ours_ns) < 1 * MS


def test_slow_exchanges_do_no_harm() -> None:
    peers = Peers(offset_ns=0, ppm=0)
    peers.talk(0, 5)
    before = peers.peer.offset_ns(START_NS)
    for second in range(5, 10):
        peers.peer.add(peers.exchange(START_NS + second * NS_PER_S, 900 * MS, 5 * MS))
    assert abs(peers.peer.offset_ns(START_NS) - before) < 1 * MS
    assert peers.peer.steps == 0


def test_a_clock_that_is_set_is_noticed_and_found_again() -> None:
    peers = Peers(offset_ns=0, ppm=20)
    assert peers.talk(0, 30) == 0
    peers.offset_ns += 500 * MS
    assert peers.talk(30, 40) == 1
    assert peers.peer.steps == 1
    assert peers.off_by_ns(40) < 1 * MS


def test_a_single_contradiction_is_not_believed() -> None:
    peers = Peers(offset_ns=0, ppm=0)
    peers.talk(0, 10)
    honest = peers.exchange(START_NS + 10 * NS_PER_S, 1 * MS, 1 * MS)
    liar = honest._replace(
        received_ns=honest.received_ns + NS_PER_S, answered_ns=honest.answered_ns + NS_PER_S
    )
    assert not peers.peer.add(liar)
    peers.talk(11, 12)
    assert peers.off_by_ns(12) < 1 * MS


def test_an_exchange_that_took_less_than_no_time_is_passed_over() -> None:
    peer = PeerClock()
    assert not peer.add(Exchange(100, 50, 90, 110))
    assert not peer.known


@settings(max_examples=settings().max_examples // 2, deadline=None)
@given(
    st.integers(-(10**12), 10**12),
    st.floats(-150, 150),
    st.lists(st.tuples(st.integers(0, 50 * MS), st.integers(0, 50 * MS)), min_size=2, max_size=80),
)
def test_the_bound_holds_whatever_the_ways_are(offset_ns: int, ppm: float, ways) -> None:
    peers = Peers(offset_ns, ppm)
    for index, (there_ns, back_ns) in enumerate(ways):
        peers.peer.add(peers.exchange(START_NS + index * 400 * MS, there_ns, back_ns))
        at_s = index * 400 // 1000
        assert peers.off_by_ns(at_s) <= peers.bound_ns(at_s) + 10
    assert peers.peer.steps == 0
