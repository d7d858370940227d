"""How a sensor node runs: order kept, newest kept, losses counted, errors passed on."""

import threading

import numpy as np
import pytest

from tectum.errors import DeviceError
from tectum.message import Kind
from tectum.node.base import Announcement, Capture, NodeConfig, Restart, SensorNode
from tectum.testing import MemoryContext


class Burst(SensorNode):
    """Yields what it was given, then ends, or raises."""

    outputs = {"value": Kind.TENSOR, "other": Kind.TENSOR}  # noqa: RUF012

    def __init__(self, items, error=None):
        super().__init__(NodeConfig())
        self._items, self._error = items, error

    def captures(self, context):
        yield from self._items
        if self._error:
            raise self._error


class Patient(MemoryContext):
    """A loop that does not look before the reader has ended."""

    def serve(self, until_ns):
        for thread in threading.enumerate():
            if thread.name == f"{self.name} reader":
                thread.join()
        super().serve(until_ns)


def capture(stamp_ns, output="value"):
    return Capture(output, Kind.TENSOR, (np.full(3, stamp_ns % 100, np.uint8),), stamp_ns)


def run(node, make=MemoryContext):
    context = make("burst")
    context.record("value", "other")
    node.run(context)
    context.close()
    return context


def test_captures_and_announcements_go_out_in_order_and_every_output_ends():
    items = [Announcement("value", 1), capture(1), capture(2, "other"), capture(3)]
    context = run(Burst(items))
    sent = [(m.header.kind, m.header.stamp_ns, m.header.seq) for m in context.sent("value")]
    assert sent[:-1] == [(Kind.PROMISE, 1, 0), (Kind.TENSOR, 1, 0), (Kind.TENSOR, 3, 1)]
    assert sent[-1][0] is Kind.END
    assert [m.header.kind for m in context.sent("other")] == [Kind.TENSOR, Kind.END]


def test_where_the_loop_lags_the_newest_are_kept_and_the_others_named_per_output():
    items = [capture(index, "other" if index % 10 == 0 else "value") for index in range(200)]
    context = Patient("burst")
    context.record("value", "other")
    listener = context.bus.subscriber("ear", ["burst/value", "burst/other"])
    Burst(items).run(context)
    context.close()
    stamps = [m.header.stamp_ns for m in context.sent("value") if m.header.kind is Kind.TENSOR]
    assert stamps == [index for index in range(136, 200) if index % 10]
    listener.drain()
    rows = listener.counters()
    for output, total in (("value", 180), ("other", 20)):
        row = rows[f"burst/{output}"]
        assert row["received"] + row["lost"]["reader_overrun"] == total
        assert row["unexplained"] == 0


@pytest.mark.parametrize("error", [DeviceError("unplugged"), ZeroDivisionError(), SystemExit(4)])
def test_what_the_reader_raises_ends_the_node_after_its_captures_were_sent(error):
    context = MemoryContext("burst")
    context.record("value")
    with pytest.raises(type(error)) as caught:
        Burst([capture(1)], error).run(context)
    assert caught.value is error
    assert [m.header.kind for m in context.sent("value")] == [Kind.TENSOR]


def test_a_stopped_sensor_does_not_claim_that_its_source_has_ended():
    class Endless(Burst):
        def captures(self, context):
            index = 0
            while context.wait_until_ns(context.epoch_ns + index * 1000):
                yield capture(index)
                index += 1

    context = MemoryContext("burst", stop_at_ns=1_000_000_000_000 + 10_000)
    context.record("value")
    Endless([]).run(context)
    sent = context.sent("value")
    assert [m.header.stamp_ns for m in sent] == list(range(10))
    assert {m.header.kind for m in sent} == {Kind.TENSOR}


def test_after_a_restart_numbers_begin_anew_in_a_life_of_their_own():
    context = run(Burst([capture(1), capture(2), Restart(), capture(3)]))
    headers = [m.header for m in context.sent("value") if m.header.kind is Kind.TENSOR]
    assert [header.seq for header in headers] == [0, 1, 0]
    assert headers[0].incarnation == headers[1].incarnation != headers[2].incarnation


def test_a_restart_is_kept_where_captures_before_it_are_dropped():
    items = [capture(1), Restart(), *(capture(n) for n in range(2, 200))]
    context = run(Burst(items), Patient)
    headers = [m.header for m in context.sent("value") if m.header.kind is Kind.TENSOR]
    assert len({header.incarnation for header in headers}) == 1
    assert headers[0].seq == 0
