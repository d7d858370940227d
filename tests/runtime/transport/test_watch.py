"""A subscriber that waits for something of the system as well."""

from __future__ import annotations

import socket

import pytest

from tectum.clock import NS_PER_S, GraphClock
from tectum.transport.endpoint import ipc_endpoint
from tectum.transport.subscriber import ZmqSubscriber


@pytest.mark.realtime
def test_waiting_ends_when_a_watched_descriptor_can_be_read(tmp_path):
    clock = GraphClock()
    ear = ZmqSubscriber("ear", [ipc_endpoint(tmp_path, "eye")], ["eye/image"], clock)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ear.watch(ours.fileno())
        while ear.wait(0):  # what joining itself has changed
            ear.drain()
        assert not ear.wait(0)
        theirs.send(b"now")
        assert ear.wait(10 * NS_PER_S)
        assert ear.drain() == []
        assert ear.wait(0)  # as long as nobody has read it
        ours.recv(16)
        assert not ear.wait(0)
        ear.close()
