"""Pictures go to another host as JPEG where the graph asks for it, and raw to this one."""

import socket
import tempfile
from pathlib import Path

import numpy as np
import pytest

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.message import BufferSpec, Header, Kind
from tectum.recording.jpeg import decoded
from tectum.transport.endpoint import ipc_endpoint, tcp_endpoint
from tectum.transport.link import for_the_link
from tectum.transport.pool_file import remove_pools
from tectum.transport.publisher import Remote, ZmqPublisher
from tectum.transport.security import Insecure
from tectum.transport.subscriber import Far, ZmqSubscriber

CLOCK = GraphClock()


def picture(height=240, width=320):
    """A picture as cameras take them: smooth, with some noise."""
    rows, columns = np.mgrid[0:height, 0:width]
    smooth = np.stack([rows, columns, rows + columns], 2) * 255 / (height + width)
    noise = np.random.default_rng(1).normal(0, 3, smooth.shape)
    return np.clip(smooth + noise, 0, 255).astype(np.uint8)


def header(array, kind=Kind.IMAGE, **fields):
    spec = BufferSpec(array.dtype.name, array.shape)
    return Header("eye/image", kind, 3, 5, fields=fields or {"encoding": "bgr8"}, buffers=(spec,))


def test_a_picture_becomes_jpeg_and_everything_else_of_it_stays():
    array = picture()
    given = header(array, encoding="bgr8", exposure=7)
    packed, (data,) = for_the_link(given, (array,), {"eye/image": 90})
    assert packed.fields == {"encoding": "jpeg", "exposure": 7}
    assert packed.buffers == (BufferSpec("uint8", (data.size,)),)
    assert packed._replace(fields=given.fields, buffers=given.buffers) == given
    assert data.nbytes < array.nbytes / 5
    error = decoded(data.data, "bgr8").astype(float) - array
    assert 10 * np.log10(255**2 / (error**2).mean()) > 33


@pytest.mark.parametrize(
    ("array", "kind", "fields", "links"),
    [
        (picture(), Kind.IMAGE, {"encoding": "bgr8"}, {"eye/other": 90}),
        (
            picture()[:, :, 0].astype(np.uint16),
            Kind.IMAGE,
            {"encoding": "mono16"},
            {"eye/image": 9},
        ),
        (np.zeros(30, np.uint8), Kind.IMAGE, {"encoding": "jpeg"}, {"eye/image": 90}),
        (np.zeros((0, 0, 3), np.uint8), Kind.IMAGE, {"encoding": "bgr8"}, {"eye/image": 90}),
        (picture(), Kind.TENSOR, {"encoding": "bgr8"}, {"eye/image": 90}),
    ],
)
def test_what_cannot_or_need_not_become_jpeg_goes_as_it_is(array, kind, fields, links):
    given = header(array, kind, **fields)
    assert for_the_link(given, (array,), links) == (given, (array,))


@pytest.mark.realtime
def test_the_other_host_gets_jpeg_and_this_one_the_picture_itself():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        there = tcp_endpoint("127.0.0.1", probe.getsockname()[1])
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        here = ipc_endpoint(Path(folder), "eye")
        remote = Remote(there, Insecure(), {"eye/image": 80})
        publisher = ZmqPublisher("eye", here, CLOCK, remote=remote)
        near = ZmqSubscriber("near", [here], ["eye/image"], CLOCK)
        far_away = Far({there: "robot"}, {"eye": "robot"}, {}, Insecure())
        far = ZmqSubscriber("far", [], ["eye/image"], CLOCK, nodes=["eye"], far=far_away)
        until_ns, heard = CLOCK.now_ns() + 20 * NS_PER_S, {"near": [], "far": []}
        while publisher.joined() != {"near", "far"} and CLOCK.now_ns() < until_ns:
            publisher.wait(5 * NS_PER_MS)
            publisher.serve()
            near.drain(), far.drain()
        array = picture()
        for stamp_ns in range(5):
            fields = {"encoding": "bgr8"}
            publisher.publish("image", Kind.IMAGE, (array,), stamp_ns=stamp_ns, fields=fields)
        while min(map(len, heard.values())) < 5 and CLOCK.now_ns() < until_ns:
            publisher.wait(5 * NS_PER_MS)
            publisher.serve()
            for name, end in (("near", near), ("far", far)):
                heard[name] += [item.message for item in end.drain() if item.message]
        assert [item.header.seq for item in heard["far"]] == list(range(5))
        assert all((item.array() == array).all() for item in heard["near"])
        assert {item.header.fields["encoding"] for item in heard["far"]} == {"jpeg"}
        pictures = [decoded(item.array().data, "bgr8") for item in heard["far"]]
        assert all(np.abs(item.astype(int) - array).mean() < 4 for item in pictures)
        counted = {"near": near, "far": far}
        nbytes = {name: end.counters()["eye/image"]["bytes"] for name, end in counted.items()}
        assert nbytes["far"] < nbytes["near"] / 8
        for end in (near, far, publisher):
            end.close()
        remove_pools(Path(folder).name)
