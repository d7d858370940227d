"""The dashboard node and its server, over real sockets: what a browser is given and refused."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import ConfigError
from tectum.ledger.codec import row_document
from tectum.ledger.row import InputRow, Outcome, Row, Status
from tectum.message import Kind
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan, plan_document
from tectum.testing import FakeClock, MemoryContext
from tectum.transport.memory import MemoryBus
from tectum_nodes.dashboard.node import DashboardNode

aiohttp = pytest.importorskip("aiohttp", reason="the dashboard's server needs aiohttp (extra ui)")

TOPICS = {
    "camera/image": "image",
    "lidar/points": "points",
    "microphone/audio": "audio",
    "perception/result": "result",
    "perception/health": "health",
    "perception/ledger": "ledger",
}
PLAN = Plan(
    "perception",
    (
        InputPlan("camera", "camera/image", AlignPlan("nearest", 40 * NS_PER_MS, 40 * NS_PER_MS)),
        InputPlan("lidar", "lidar/points", AlignPlan("exact")),
    ),
    (StagePlan("head"),),
    "head",
    trigger="lidar",
    budget_ns=100 * NS_PER_MS,
)
ROW = Row(
    3,
    5 * NS_PER_S,
    Outcome.PARTIAL,
    "input_silent",
    inputs=(
        InputRow("camera", reason="silent", silent_since_ns=2 * NS_PER_S),
        InputRow("lidar", Status.FRESH, seq=3, stamp_ns=5 * NS_PER_S),
    ),
    accepted_ns=5 * NS_PER_S + 10,
    deadline_ns=5 * NS_PER_S + 100 * NS_PER_MS,
    settled_ns=5 * NS_PER_S + 20,
    head_begin_ns=5 * NS_PER_S + 30,
    head_end_ns=5 * NS_PER_S + 40,
    emitted_ns=5 * NS_PER_S + 50,
    delivered_ns=5 * NS_PER_S + 60,
)
RESULT = {
    "node": "perception",
    "trigger": 3,
    "stamp_ns": 5 * NS_PER_S,
    "outcome": "partial",
    "reason": "input_silent",
    "latency_ms": 41.25,
    "phases_ms": {"receive": 17.0, "fuse": 5.5},
    "inputs": {},
    "outputs": {"siren": {"buffer": 0, "role": "probability", "labels": []}},
}


class Graph:
    """A graph in memory with a dashboard on a free port."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.bus = MemoryBus(FakeClock())
        topics = {
            name: {"node": name.partition("/")[0], "kind": kind} for name, kind in TOPICS.items()
        }
        names = ("camera", "lidar", "microphone", "perception", "dashboard")
        nodes: dict[str, Any] = {name: {"config": {}} for name in names}
        nodes["perception"]["config"] = {"plan": plan_document(PLAN)}
        run = {"id": "run-1", "nodes": nodes, "topics": topics, "description": {"graph": "drive"}}
        self.context = MemoryContext("dashboard", bus=self.bus, run=run, folder=folder)
        self.node = DashboardNode(DashboardNode.Config.model_validate({"port": 0, **config}))
        self.publishers = {name: self.bus.publisher(name) for name in names}
        self.folder = folder

    @property
    def address(self) -> str:
        return (self.folder / "dashboard.url").read_text().strip().partition("?")[0]

    def say(self, topic: str, kind: Kind, *arrays: np.ndarray, **fields: Any) -> None:
        node, _, output = topic.partition("/")
        now_ns = self.context.clock.now_ns()
        self.publishers[node].publish(output, kind, arrays, stamp_ns=now_ns, fields=fields)

    def turn(self) -> None:
        self.bus.clock.advance(50 * NS_PER_MS)  # type: ignore[attr-defined]
        self.node.turn(self.context)


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    made = Graph(tmp_path)
    made.node.open(made.context)
    yield made
    made.node.close()


def parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(data[:4], "little")
    return json.loads(data[4 : 4 + length]), data[4 + length :]


@asynccontextmanager
async def browser(graph: Graph) -> AsyncIterator[Any]:
    async with aiohttp.ClientSession() as session, session.ws_connect(graph.address + "live") as it:
        yield it


async def until(
    graph: Graph, it: Any, wanted: Callable[[dict[str, Any]], bool]
) -> tuple[dict[str, Any], bytes]:
    """Let the node turn until the browser is given a frame that is `wanted`."""
    for _ in range(500):
        graph.turn()
        try:
            message = await it.receive(timeout=0.05)
        except TimeoutError:
            continue
        head, body = parts(message.data)
        if wanted(head):
            return head, body
    pytest.fail("the frame never came")


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


def test_a_browser_is_told_of_the_graph_and_then_sees_what_comes(graph: Graph) -> None:
    async def look() -> None:
        async with browser(graph) as it:
            hello, _ = await until(graph, it, lambda head: head["t"] == "hello")
            assert hello["graph"] == "drive"
            assert hello["fusion"]["perception"] == {
                "budget_ms": 100,
                "trigger": "lidar",
                "inputs": {"camera": "camera/image", "lidar": "lidar/points"},
            }
            graph.say(
                "lidar/points", Kind.POINTS, np.ones((50, 3), np.float32), names=["x", "y", "z"]
            )
            graph.say(
                "microphone/audio", Kind.AUDIO, np.ones((9, 2), np.int16), rate_hz=16000, first=0
            )
            seen, body = await until(graph, it, lambda head: head["t"] == "points")
            assert (seen["count"], len(body)) == (50, 400)
            await until(graph, it, lambda head: head["t"] == "state")

    run(look())


def test_only_the_newest_picture_is_shown(graph: Graph) -> None:
    async def look() -> None:
        async with browser(graph) as it:
            await until(graph, it, lambda head: head["t"] == "hello")
            for shade in (10, 100, 240):
                picture = np.full((40, 60, 3), shade, np.uint8)
                graph.say("camera/image", Kind.IMAGE, picture, encoding="bgr8")
            seen, _ = await until(graph, it, lambda head: head["t"] == "image")
            assert seen["seq"] == 2

    run(look())


def test_an_outcome_is_explained_when_a_browser_asks(graph: Graph) -> None:
    async def look() -> None:
        async with browser(graph) as it:
            siren = np.array([0.5], np.float32)
            graph.say("perception/result", Kind.RESULT, siren, result=RESULT)
            graph.say("perception/ledger", Kind.LEDGER, rows=[row_document(ROW)], notes=[])
            outcomes, _ = await until(
                graph, it, lambda head: head["t"] == "outcomes" and bool(head["items"])
            )
            item = outcomes["items"][0]
            assert (item["outcome"], item["reason"], item["trigger"]) == (
                "partial", "input_silent", 3,
            )  # fmt: skip
            assert (outcomes["counts"], outcomes["on_time"]) == ({"partial": 1}, 1)
            await it.send_str("this is no question")
            await it.send_str(json.dumps({"why": "perception", "life": item["life"], "trigger": 3}))
            answer, _ = await until(graph, it, lambda head: head["t"] == "why")
            assert "camera" in answer["text"]
            assert "silent" in answer["text"] or "nothing on camera/image" in answer["text"]
            await it.send_str(json.dumps({"why": "perception", "life": 0, "trigger": 99}))
            answer, _ = await until(graph, it, lambda head: head["t"] == "why")
            assert "tectum why" in answer["text"]

    run(look())


def test_a_browser_that_does_not_read_keeps_nobody_else_from_seeing(graph: Graph) -> None:
    async def look() -> None:
        noise = np.random.default_rng(0).integers(0, 255, (720, 720, 3)).astype(np.uint8)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(graph.address[17:-1]))
        writer.write(
            b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert b"101" in await reader.readuntil(b"\r\n\r\n")  # and reads nothing more
        async with browser(graph) as it:
            for number in range(60):  # some 20 MB: far more than sockets hold
                graph.say("camera/image", Kind.IMAGE, noise, encoding="bgr8")
                seen, _ = await until(graph, it, lambda head: head["t"] == "image")
                assert seen["seq"] == number
        writer.close()
        await writer.wait_closed()

    run(look())


async def asked(address: str, **headers: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(address, headers=headers) as answer:
        await answer.read()
        return int(answer.status)


@pytest.mark.parametrize("path", ["", "live"])
def test_pages_of_other_origins_and_other_names_are_refused(graph: Graph, path: str) -> None:
    async def knock() -> None:
        address = graph.address + path
        assert await asked(address, Origin="http://elsewhere.example") == 403
        assert await asked(address, Origin="null") == 403
        assert await asked(address, Host="rebound.example") == 403
        own = graph.address.rstrip("/")
        assert await asked(graph.address, Origin=own) == 200

    run(knock())


@pytest.mark.parametrize("path", ["node.py", "..%2Fnode.py", "%2Fetc%2Fpasswd", "nothing.js"])
def test_only_the_files_of_the_page_are_given(graph: Graph, path: str) -> None:
    async def knock() -> None:
        assert await asked(graph.address + path) == 404

    run(knock())


def test_the_page_asks_no_other_host(graph: Graph) -> None:
    from tectum_nodes.dashboard.server import PAGE

    names = [file.name for file in PAGE.iterdir()]
    assert {"index.html", "app.js", "style.css"} <= set(names)
    for name in names:
        text = (PAGE / name).read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, name
        assert "https://" not in text, name


def test_with_a_token_only_those_who_know_it_are_let_in(tmp_path: Path) -> None:
    graph = Graph(tmp_path, token="open-sesame")
    graph.node.open(graph.context)

    async def knock() -> None:
        assert await asked(graph.address) == 403
        assert await asked(graph.address + "?token=open-sesamf") == 403
        assert await asked(graph.address + "?token=open-sesame") == 200
        assert await asked(graph.address, Cookie="tectum_token=open-sesame") == 200

    try:
        run(knock())
    finally:
        graph.node.close()


def test_metrics_are_given_where_they_were_asked_for_and_nowhere_else(tmp_path: Path) -> None:
    for metrics in (True, False):
        folder = tmp_path / str(metrics)
        folder.mkdir()
        graph = Graph(folder, metrics=metrics)
        graph.node.open(graph.context)

        async def collect(graph: Graph = graph) -> tuple[int, str]:
            async with aiohttp.ClientSession() as session:
                asked = asyncio.create_task(session.get(graph.address + "metrics"))
                while not asked.done():
                    graph.turn()
                    await asyncio.sleep(0.01)
                answer = asked.result()
                return answer.status, await answer.text()

        siren = np.array([0.5], np.float32)
        graph.say("perception/result", Kind.RESULT, siren, result=RESULT)
        status, text = asyncio.run(asyncio.wait_for(collect(), 20))
        graph.node.close()
        assert status == (200 if metrics else 404)
        line = 'tectum_triggers_total{node="perception",outcome="partial"} 1'
        assert (line in text) is metrics


def test_a_port_that_is_taken_is_named_with_the_way_out(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        graph = Graph(tmp_path, port=port)
        with pytest.raises(ConfigError, match=f"port {port} of 127.0.0.1: Address already in use"):
            graph.node.open(graph.context)
        graph.node.close()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"host": "0.0.0.0"}, "can be reached from elsewhere: set a `token`"),
        ({"host": "0.0.0.0", "token": "short"}, "set a `token`"),
        ({"host": "my-robot"}, "'my-robot' is no address"),
        ({"port": 70000}, "less than or equal to 65535"),
    ],
)
def test_a_door_that_stands_open_is_refused(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        DashboardNode.Config.model_validate(config)
