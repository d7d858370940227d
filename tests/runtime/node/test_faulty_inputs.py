"""Faults on living inputs: what is passed on, when, as what; nothing is kept and nothing unsaid."""

import numpy as np
import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.message import ArrayPayload, BufferSpec, Header, Kind, Message
from tectum.node.faulty_inputs import FaultyInputs
from tectum.node.run_faults import all_faults, input_faults, node_faults, stall_ns
from tectum.sync.faults import Fault
from tectum.testing.clock import FakeClock

BEGIN_NS = 1_000_000_000_000


class Counted(ArrayPayload):
    """A payload that counts its claims."""

    claims = 1

    def retain(self):
        self.claims += 1

    def release(self):
        self.claims -= 1


class Ear:
    """Notes what it is told, and frees messages as a shell does in the end."""

    def __init__(self):
        self.heard = []

    def push(self, name, message):
        self.heard.append(("push", name, message.header.seq, message))

    def promise(self, name, stamp_ns, *, begun):
        self.heard.append(("promise", name, stamp_ns, begun))

    def end(self, name):
        self.heard.append(("end", name))

    def miss(self, name, incarnation, first_seq, missing, cause):
        self.heard.append(("miss", name, first_seq, missing, cause))

    def told(self):
        return [item[:3] for item in self.heard]

    def free(self):
        for item in self.heard:
            if item[0] == "push":
                item[3].release()


def image(seq, kind=Kind.IMAGE, **fields):
    array = np.full((4, 5), seq, np.uint8)
    header = Header(
        "eye/image",
        kind,
        seq,
        BEGIN_NS + seq * 10 * MS,
        incarnation=5,
        fields=fields or {"encoding": "mono8"},
        buffers=(BufferSpec("uint8", (4, 5)),),
    )
    return Message(header, (Counted(array),))


class Stand:
    def __init__(self, *faults):
        self.clock = FakeClock(BEGIN_NS)
        self.ear = Ear()
        self.inputs = FaultyInputs(faults, self.ear, self.clock)
        self.sent = []

    def send(self, count, step_ns=10 * MS):
        for seq in range(count):
            self.sent.append(image(seq))
            self.inputs.push("camera", self.sent[-1])
            self.clock.sleep_until_ns(self.clock.now_ns() + step_ns)
            self.inputs.turn()
        return self

    def claims(self):
        return [message.payloads[0].claims for message in self.sent]


def test_without_a_fault_in_time_everything_passes_as_it_is():
    stand = Stand(Fault("drop", "camera", BEGIN_NS + 1000 * MS)).send(2)
    stand.inputs.promise("camera", 7, begun=True)
    stand.inputs.end("camera")
    assert stand.ear.told() == [
        ("push", "camera", 0), ("push", "camera", 1), ("promise", "camera", 7), ("end", "camera")
    ]  # fmt: skip
    assert [item[3] for item in stand.ear.heard[:2]] == stand.sent


def test_what_is_dropped_is_given_back_and_named():
    stand = Stand(Fault("drop", "camera", BEGIN_NS + 10 * MS, 20 * MS)).send(4)
    assert stand.ear.told() == [("push", "camera", 0), ("miss", "camera", 1), ("push", "camera", 3)]
    assert stand.ear.heard[1][3:] == (2, "injected")
    stand.ear.free()
    assert stand.claims() == [0, 0, 0, 0]


def test_what_is_late_comes_when_it_is_due_and_not_before():
    stand = Stand(Fault("delay", "camera", BEGIN_NS, amount_ns=25 * MS))
    stand.inputs.push("camera", image(0))
    assert stand.ear.heard == []
    assert stand.inputs.turn() == BEGIN_NS + 25 * MS
    stand.clock.sleep_until_ns(BEGIN_NS + 25 * MS)
    stand.inputs.turn()
    assert stand.ear.told() == [("push", "camera", 0)]


def test_what_comes_twice_is_claimed_twice():
    stand = Stand(Fault("duplicate", "camera", BEGIN_NS, amount_ns=5 * MS)).send(2)
    assert stand.ear.told() == [("push", "camera", n) for n in (0, 0, 1, 1)]
    assert stand.claims() == [2, 2]
    stand.ear.free()
    assert stand.claims() == [0, 0]


def test_a_stepped_clock_shows_in_the_header():
    stand = Stand(Fault("clock_step", "camera", BEGIN_NS + 10 * MS, amount_ns=-70 * MS)).send(2)
    stamps = [item[3].header.stamp_ns - BEGIN_NS for item in stand.ear.heard]
    assert stamps == [0, -60 * MS]
    assert (stand.ear.heard[1][3].array() == 1).all()


def test_a_corrupt_payload_keeps_its_shape_and_is_the_same_every_time():
    spoilt = []
    for _ in range(2):
        stand = Stand(Fault("corrupt", "camera", BEGIN_NS + 10 * MS)).send(3)
        heard = [item[3].array() for item in stand.ear.heard]
        assert (heard[0] == 0).all()
        assert all((array != seq).any() for seq, array in enumerate(heard[1:], 1))
        assert {array.shape for array in heard} == {(4, 5)}
        assert all((message.array() == seq).all() for seq, message in enumerate(stand.sent))
        assert stand.claims() == [1, 0, 0]
        spoilt.append(np.stack(heard))
    assert (spoilt[0] == spoilt[1]).all()


def test_what_is_held_at_the_end_is_given_back():
    stand = Stand(
        Fault("drop", "camera", BEGIN_NS + 10 * MS, 10 * MS),
        Fault("delay", "camera", BEGIN_NS, amount_ns=10_000 * MS),
    ).send(3)
    stand.inputs.close()
    assert stand.ear.heard == [("miss", "camera", 1, 1, "injected")]
    assert stand.claims() == [0, 0, 0]


RUN = {
    "faults": [
        {"name": "drop on camera", "node": "perception",
         "fault": {"kind": "drop", "input": "camera", "since_ns": 5}},
        {"name": "hang of lidar", "node": "lidar",
         "fault": {"kind": "hang", "input": "lidar", "since_ns": 100, "lasting_ns": 50}},
        {"name": "lidar slow", "node": "lidar",
         "fault": {"kind": "slow", "input": "lidar", "since_ns": 0, "amount_ns": 7}},
    ]
}  # fmt: skip


def test_faults_of_a_run_are_found_by_node_and_moved_to_its_beginning():
    assert input_faults(RUN, "perception", 1000) == [Fault("drop", "camera", 1005)]
    assert node_faults(RUN, "perception", 1000) == []
    assert [fault.kind for fault in node_faults(RUN, "lidar", 0)] == ["hang", "slow"]
    assert list(all_faults(RUN, 0)) == ["drop on camera", "hang of lidar", "lidar slow"]
    assert all_faults({}, 0) == {}


@pytest.mark.parametrize(("now_ns", "stall"), [(50, 7), (100, 50), (120, 30), (150, 7)])
def test_a_loop_hangs_to_the_end_of_its_fault_or_is_slow(now_ns, stall):
    assert stall_ns(node_faults(RUN, "lidar", 0), now_ns) == stall
