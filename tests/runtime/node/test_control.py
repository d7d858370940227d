"""The words between a launcher and its processes."""

import json
import socket

import pytest

from tectum.node.control import (
    Channel,
    Lines,
    Order,
    Report,
    State,
    order_line,
    parse_report,
)


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    channel = Channel(theirs)
    yield ours, channel
    ours.close()
    channel.close()


@pytest.mark.parametrize("state", State)
def test_a_report_arrives_as_it_was_sent(pair, state):
    ours, channel = pair
    channel.report(Report("camera", state, 'a "b"\nc ä'))
    (line,) = Lines().feed(ours.recv(4096))
    assert parse_report(line) == Report("camera", state, 'a "b"\nc ä')


def test_orders_arrive_however_their_bytes_are_cut(pair):
    ours, channel = pair
    data = order_line(Order.START) + b"nonsense\n{}\n[]\n" + order_line(Order.STOP)
    heard = []
    for index in range(len(data)):
        ours.sendall(data[index : index + 1])
        heard += channel.orders()
    assert heard == [Order.START, Order.STOP]


def test_the_end_of_the_file_is_no_order(pair):
    ours, channel = pair
    ours.close()
    assert channel.orders() is None


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"1", b'{"node": "x"}', b'{"node": 1}', b"\xff"]
)
def test_a_line_that_is_no_report_is_none(line):
    assert parse_report(line) is None


def test_a_launcher_that_does_not_read_does_not_hold_a_node_up(pair):
    _, channel = pair
    for _ in range(20_000):
        channel.report(Report("camera", State.ALIVE))


def test_a_node_whose_launcher_is_gone_goes_on_reporting_into_the_void(pair):
    ours, channel = pair
    ours.close()
    channel.report(Report("camera", State.ALIVE))


def test_an_endless_error_and_an_endless_line_are_cut(pair):
    ours, channel = pair
    channel.report(Report("camera", State.FAILED, "x" * 100_000))
    assert len(json.loads(ours.recv(100_000))["error"]) == 4000
    lines = Lines()
    for _ in range(100):
        assert lines.feed(b"x" * 4096) == []
    assert lines.feed(b"\nend\n")[-1] == b"end"
