"""Either end killed in the middle of a stream of checked frames: no wrong byte, no end of it."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tectum.transport.pool_file import (
    SHARED_MEMORY,
    leftover_pools,
    pools_are_possible,
    remove_pools,
)

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.skipif(not pools_are_possible(), reason="needs Linux"),
]
KILLS = 5

COMMON = """
import sys, zlib
from pathlib import Path
import numpy as np
from tectum.clock import GraphClock, NS_PER_MS
from tectum.message import Kind
from tectum.transport.endpoint import ipc_endpoint
from tectum.transport.publisher import ZmqPublisher
from tectum.transport.subscriber import ZmqSubscriber
clock, folder = GraphClock(), Path(sys.argv[1])
endpoint = ipc_endpoint(folder, "eye")
"""
PUBLISHER = (
    COMMON
    + """
publisher = ZmqPublisher("eye", endpoint, clock)
chance = np.random.default_rng()
print("begins", flush=True)
while True:
    frame = publisher.loan("image", "uint8", (300_000,))
    frame[:] = chance.integers(0, 256, 300_000, np.uint8)
    fields = {"crc": zlib.crc32(frame)}
    publisher.publish("image", Kind.TENSOR, (frame,), stamp_ns=clock.now_ns(), fields=fields)
    publisher.serve()
    clock.sleep_until_ns(clock.now_ns() + 3 * NS_PER_MS)
"""
)
SUBSCRIBER = (
    COMMON
    + """
subscriber = ZmqSubscriber("ear", [endpoint], ["eye/image"], clock, hold=2)
print("begins", flush=True)
kept = []
while True:
    subscriber.wait(50 * NS_PER_MS)
    for item in subscriber.drain():
        if item.message is not None:
            kept.append(item.message)
            oldest = kept.pop(0) if len(kept) > 2 else None
            for message in (item.message, oldest):
                if message is not None:
                    right = zlib.crc32(message.array()) == message.header.fields["crc"]
                    print(message.header.incarnation, "right" if right else "WRONG", flush=True)
            del message, oldest
"""
)


class End:
    """A process and what it says."""

    def __init__(self, code, folder):
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, folder], stdout=subprocess.PIPE, text=True
        )
        assert self.line() == "begins"

    def line(self):
        return self.process.stdout.readline().strip()

    def kill(self):
        self.process.kill()
        rest, _ = self.process.communicate()
        return rest.splitlines()[:-1]  # the last may be cut


def flows(hearer, publisher_life):
    """Read until frames of another life than `publisher_life` come; return that life."""
    while True:
        life, verdict = hearer.line().split()
        assert verdict == "right"
        if life != publisher_life:
            return life


def test_frames_flow_on_rightly_after_each_kill_of_either_end():
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        run = Path(folder).name
        hearer, speaker = End(SUBSCRIBER, folder), End(PUBLISHER, folder)
        try:
            for _ in range(KILLS):
                life = flows(hearer, "")
                speaker.kill()
                speaker = End(PUBLISHER, folder)
                flows(hearer, life)
                assert {line.split()[1] for line in hearer.kill()} <= {"right"}
                hearer = End(SUBSCRIBER, folder)
            flows(hearer, "")
            assert len(list(SHARED_MEMORY.glob(f"tectum-{run}-*.lock"))) == 1
        finally:
            speaker.kill()
            hearer.kill()
        assert len(leftover_pools(run)) == 1  # of the last publisher, which was killed
        remove_pools(run)
        assert list(SHARED_MEMORY.glob(f"tectum-{run}-*")) == []
