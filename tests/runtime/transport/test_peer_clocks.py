"""Another host's clock, live: two processes, and a clock that is set while they talk."""

import multiprocessing
import socket

import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.clock import NS_PER_S, GraphClock
from tectum.message import Header, Kind
from tectum.transport.clock_exchange import ClockServer
from tectum.transport.endpoint import tcp_endpoint
from tectum.transport.keys import make_keys, read_keys, trust
from tectum.transport.peer_clocks import PeerClocks
from tectum.transport.security import Secured

pytestmark = pytest.mark.realtime
AHEAD_NS, SET_BACK_NS = 3_700 * MS, 2_500 * MS


class SetClock(GraphClock):
    """A clock that is 3.7 s ahead, and is set back by 2.5 s at an instant."""

    def __init__(self, offset_ns: int, set_at_ns: int) -> None:
        super().__init__(offset_ns)
        self.set_at_ns = set_at_ns

    def now_ns(self) -> int:
        true_ns = super().now_ns()
        return true_ns + AHEAD_NS - (SET_BACK_NS if true_ns >= self.set_at_ns else 0)


def _answer(endpoint: str, folder, offset_ns: int, set_at_ns: int, until_ns: int) -> None:
    clock, plain = SetClock(offset_ns, set_at_ns), GraphClock(offset_ns)
    server = ClockServer(endpoint, clock, security=Secured(read_keys(folder)))
    while plain.now_ns() < until_ns:
        server.wait(50 * MS)
        server.serve()
    server.close()


@pytest.fixture
def secured(tmp_path):
    """The folder of the robot's keys, and the security of a desk that it trusts."""
    made = {name: make_keys(name, tmp_path / name) for name in ("robot", "desk")}
    trust("desk", made["desk"].public, tmp_path / "robot")
    trust("robot", made["robot"].public, tmp_path / "desk")
    return tmp_path / "robot", Secured(read_keys(tmp_path / "desk"))


def test_stamps_of_another_host_are_right_within_their_bound_again_after_its_clock_was_set(
    secured,
) -> None:
    folder, security = secured
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = tcp_endpoint("127.0.0.1", probe.getsockname()[1])
    clock = GraphClock()
    set_at_ns = clock.now_ns() + 6 * NS_PER_S
    theirs = SetClock(clock.offset_ns, set_at_ns)
    process = multiprocessing.get_context("spawn").Process(
        target=_answer,
        args=(endpoint, folder, clock.offset_ns, set_at_ns, set_at_ns + 8 * NS_PER_S),
    )
    process.start()
    clocks = PeerClocks({"robot": endpoint}, {"eye": "robot"}, clock, security)

    def right() -> bool:
        """A message stamped there now: whether it is translated to now, within its bound."""
        clocks.serve()
        true_ns, stamp_ns = clock.now_ns(), theirs.now_ns()
        told = clocks.translated(Header("eye/image", Kind.IMAGE, 0, stamp_ns, error_ns=7), "eye")
        taken_ns = clock.now_ns() - true_ns
        known = told.error_ns < NS_PER_S
        return known and abs(told.stamp_ns - true_ns) <= told.error_ns + taken_ns

    def all_right_until(end_ns: int) -> bool:
        found = []
        while clock.now_ns() < end_ns:
            found.append(right())
            clock.sleep_until_ns(clock.now_ns() + 20 * MS)
        return all(found) and len(found) > 10

    def wait_until_right(end_ns: int) -> None:
        while not right() and clock.now_ns() < end_ns:
            clock.sleep_until_ns(clock.now_ns() + 20 * MS)

    wait_until_right(set_at_ns)
    assert all_right_until(set_at_ns - 50 * MS)
    clock.sleep_until_ns(set_at_ns + MS)
    assert not right(), "nobody has told us yet"
    wait_until_right(set_at_ns + 5 * NS_PER_S)
    assert all_right_until(set_at_ns + 7 * NS_PER_S)
    clocks.close()
    process.join(20)
    assert process.exitcode == 0
