"""One end of a connection in a process of its own, for `transport.py`; told by JSON on its line.

A publisher fills its source as a driver would, notes the time and sends; a subscriber notes the
time when it has the array in hand, and reads every byte after that where it is asked to. Both print
one JSON line when they are ready and one at the end, and use as many bytes as the sensors do.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import select
import signal
import sys
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zmq

import tectum.transport.publisher
from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.message import Kind, Message
from tectum.transport.endpoint import ipc_endpoint
from tectum.transport.pool_file import SHARED_MEMORY
from tectum.transport.publisher import ZmqPublisher
from tectum.transport.subscriber import ZmqSubscriber

CLOCK = GraphClock(0)
TOPIC = "source/data"
POLL_NS = 100 * NS_PER_MS
"""How often a subscriber looks whether it shall stop: rarely, so that transports are measured and
not the looking."""
LIVE_NS = 60 * NS_PER_S
"""An end that nobody stops ends by itself."""


def say(**facts: Any) -> None:
    """Print one line for the benchmark."""
    print(json.dumps(facts), flush=True)


def cpu_s() -> float:
    """Return the processor time of this process, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def memory_mb() -> float:
    """Return anonymous memory: shared pages of a pool are counted in the pool."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


class Source:
    """A driver: writes each capture anew into memory of its own, or where it is told to."""

    def __init__(self, nbytes: int) -> None:
        chance = np.random.default_rng(7)
        self.nbytes = nbytes
        self._scenes = [chance.integers(0, 256, nbytes, np.uint8) for _ in range(2)]
        self._own = np.empty(nbytes, np.uint8)

    def capture(self, index: int, into: Any = None) -> Any:
        """Write capture `index` as a driver would and return it."""
        goal = self._own if into is None else into
        np.copyto(goal, self._scenes[index % 2])
        goal[:8] = np.frombuffer(index.to_bytes(8, "little"), np.uint8)
        return goal


class PlainPublisher:
    """pyzmq alone: PUB, at most four messages on their way."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._copy = job["transport"] == "pyzmq copy"
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.XPUB)
        self._socket.set(zmq.SNDHWM, 4)
        self._socket.set(zmq.XPUB_VERBOSE, 1)
        self._socket.bind(f"ipc://{job['folder']}/plain")
        for _ in range(job["subscribers"]):
            self._socket.recv()

    def loan(self, nbytes: int) -> Any:
        """Return new memory where it is lent to the socket, which may be read for a while."""
        return None if self._copy else np.empty(nbytes, np.uint8)

    def send(self, index: int, array: Any, crc: int) -> None:
        """Send one message."""
        stamp = (CLOCK.now_ns()).to_bytes(8, "little") + crc.to_bytes(4, "little")
        self._socket.send_multipart([TOPIC.encode(), stamp, array], copy=self._copy)

    def serve(self) -> None:
        """Do the loop's housekeeping."""

    def close(self) -> dict[str, Any]:
        """Close; return what is known at the end."""
        self._socket.close(500)
        return {}


class PlainSubscriber:
    """pyzmq alone: SUB."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._copy = job["transport"] == "pyzmq copy"
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        self._socket.set(zmq.RCVHWM, 4)
        self._socket.connect(f"ipc://{job['folder']}/plain")
        self._socket.subscribe(TOPIC.encode())

    def take(self, timeout_ns: int) -> Iterator[tuple[int, int, Any]]:
        """Yield time of sending, checksum and array of what has come."""
        if self._socket.poll(timeout_ns // NS_PER_MS):
            _, stamp, data = self._socket.recv_multipart(copy=self._copy)
            head = bytes(stamp if self._copy else stamp.buffer)
            array = np.frombuffer(data if self._copy else data.buffer, np.uint8)
            yield int.from_bytes(head[:8], "little"), int.from_bytes(head[8:], "little"), array

    def close(self) -> dict[str, Any]:
        """Close; return what is known at the end."""
        self._socket.close(0)
        return {}


class BarePublisher:
    """Nothing but one piece of shared memory and a pipe to each reader; it may be overwritten."""

    def __init__(self, job: dict[str, Any]) -> None:
        folder, nbytes = Path(job["folder"]), job["nbytes"]
        pipes = sorted(folder.glob("*.pipe"))
        assert len(pipes) == job["subscribers"], pipes
        with (SHARED_MEMORY / folder.name).open("wb+") as file:
            file.truncate(nbytes)
            self._memory = np.frombuffer(mmap.mmap(file.fileno(), nbytes), np.uint8)
        self._pipes = [os.open(pipe, os.O_WRONLY) for pipe in pipes]

    def loan(self, nbytes: int) -> Any:
        """Return the memory."""
        return self._memory[:nbytes]

    def send(self, index: int, array: Any, crc: int) -> None:
        """Tell everybody."""
        stamp = CLOCK.now_ns().to_bytes(8, "little") + crc.to_bytes(4, "little")
        for pipe in self._pipes:
            os.write(pipe, stamp)

    def serve(self) -> None:
        """Do the loop's housekeeping."""

    def close(self) -> dict[str, Any]:
        """Close; return what is known at the end. Who began the benchmark removes the memory."""
        return {}


class BareSubscriber:
    """The other end."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._memory: Any = None
        folder = Path(job["folder"])
        self._path, self._nbytes = SHARED_MEMORY / folder.name, job["nbytes"]
        pipe = folder / f"{job['name']}.pipe"
        os.mkfifo(pipe)
        self._pipe = os.open(pipe, os.O_RDWR)

    def take(self, timeout_ns: int) -> Iterator[tuple[int, int, Any]]:
        """Yield time of sending, checksum and array of what has come."""
        if not select.select([self._pipe], [], [], timeout_ns / NS_PER_S)[0]:
            return
        stamp = os.read(self._pipe, 12)
        if self._memory is None:
            with self._path.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), self._nbytes, prot=mmap.PROT_READ)
            self._memory = np.frombuffer(mapped, np.uint8)
        head, tail = stamp[:8], stamp[8:]
        yield int.from_bytes(head, "little"), int.from_bytes(tail, "little"), self._memory

    def close(self) -> dict[str, Any]:
        """Close; return what is known at the end."""
        os.close(self._pipe)
        return {}


class TectumPublisher:
    """Ours."""

    def __init__(self, job: dict[str, Any]) -> None:
        endpoint = ipc_endpoint(Path(job["folder"]), "source")
        self._publisher = ZmqPublisher("source", endpoint, CLOCK)
        self._in_place = job["transport"] == "tectum in place"
        until_ns = CLOCK.now_ns() + 10 * NS_PER_S
        while len(self._publisher.joined()) < job["subscribers"] and CLOCK.now_ns() < until_ns:
            self._publisher.wait(5 * NS_PER_MS)
            self._publisher.serve()

    def loan(self, nbytes: int) -> Any:
        """Return memory to capture into; None: the source's own."""
        return self._publisher.loan("data", "uint8", (nbytes,)) if self._in_place else None

    def send(self, index: int, array: Any, crc: int) -> None:
        """Send one message."""
        self._publisher.publish(
            "data", Kind.TENSOR, (array,), stamp_ns=CLOCK.now_ns(), fields={"crc": crc}
        )

    def serve(self) -> None:
        """Do the loop's housekeeping."""
        self._publisher.serve()

    def close(self) -> dict[str, Any]:
        """Close; return what is known at the end."""
        facts = {"lost": dict(self._publisher._lost), "sent": self._publisher._next.get(TOPIC, 0)}
        self._publisher.close()
        return facts


class TectumSubscriber:
    """Ours; keeps as many messages as a synchronizer would."""

    def __init__(self, job: dict[str, Any]) -> None:
        endpoint = ipc_endpoint(Path(job["folder"]), "source")
        self._subscriber = ZmqSubscriber(
            job["name"], [endpoint], [TOPIC], CLOCK,
            hold=job.get("hold", 2), delivery=job.get("delivery", "each"), queue=1024,
        )  # fmt: skip
        if "really_holds" in job:
            self._subscriber._reader._hold = job["really_holds"]
        self._kept: deque[tuple[Message, int]] = deque()
        self._keep = job.get("keep", 0)
        self.gaps = 0

    def take(self, timeout_ns: int) -> Iterator[tuple[int, int, Any]]:
        """Yield time of sending, checksum and array of what has come."""
        if not self._subscriber.wait(timeout_ns):
            return
        for item in self._subscriber.drain():
            self.gaps += item.gap.missing if item.gap else 0
            if item.message is None:
                continue
            header = item.message.header
            crc = header.fields["crc"]
            assert isinstance(crc, int), crc
            yield header.stamp_ns, crc, item.message.array()
            self._kept.append((item.message, crc))
            while len(self._kept) > self._keep:
                message, sent = self._kept.popleft()
                if self._keep and sent and zlib.crc32(message.array().data) != sent:
                    say(wrong="a byte of a message that was held changed")
                message.release()

    def close(self) -> dict[str, Any]:
        """Close; return what is known at the end."""
        until_ns = CLOCK.now_ns() + NS_PER_S
        while not self._subscriber.counters()[TOPIC]["final"] and CLOCK.now_ns() < until_ns:
            list(self.take(20 * NS_PER_MS))
        row = self._subscriber.counters()[TOPIC]
        self._subscriber.close()
        return {"books": row}


def _ends_of(transport: str) -> tuple[type, type]:
    """Return the two ends of a transport."""
    if transport == "iceoryx2":
        from transport_iceoryx import IceoryxPublisher, IceoryxSubscriber  # noqa: PLC0415

        return IceoryxPublisher, IceoryxSubscriber
    if transport == "bare memory":
        return BarePublisher, BareSubscriber
    if transport.startswith("pyzmq"):
        return PlainPublisher, PlainSubscriber
    return TectumPublisher, TectumSubscriber


def publisher(job: dict[str, Any]) -> None:
    """Be the publishing end."""
    tectum.transport.publisher.SHARED_FROM_BYTES = job.get(
        "shared_from", tectum.transport.publisher.SHARED_FROM_BYTES
    )
    source = Source(job["nbytes"])
    end: Any = _ends_of(job["transport"])[0](job)
    acks = _acks(job)
    say(ready=True)
    longest_ns, begin_cpu, begin_mb = 0, cpu_s(), memory_mb()
    begin_ns = CLOCK.now_ns()
    on_way = 0
    index = 0
    while index < job["count"]:
        if job["rate"]:
            _pace(end, begin_ns + round(index * NS_PER_S / job["rate"]))
        while acks is not None and on_way >= job["on_way"]:
            on_way -= _acked(acks)
        lent = end.loan(job["nbytes"])
        array = source.capture(index, lent)
        crc = zlib.crc32(array) if job["checked"] else 0
        before_ns = CLOCK.now_ns()
        end.send(index, array, crc)
        longest_ns = max(longest_ns, CLOCK.now_ns() - before_ns)
        on_way += job["subscribers"]
        index += 1
        if index % 8 == 0 and not job["rate"]:
            end.serve()
        if index == 20:
            begin_mb = memory_mb()
        del lent, array
    took_s = (CLOCK.now_ns() - begin_ns) / NS_PER_S
    grown = memory_mb() - begin_mb
    cpu = cpu_s() - begin_cpu
    facts = end.close()
    say(cpu_s=cpu, longest_ms=longest_ns / 1e6, grown_mb=grown, took_s=took_s, **facts)


def _pace(end: Any, due_ns: int) -> None:
    while CLOCK.now_ns() < due_ns:
        end.serve()
        CLOCK.sleep_until_ns(min(due_ns, CLOCK.now_ns() + 50 * NS_PER_MS))


def _acks(job: dict[str, Any]) -> Any:
    """Return the socket on which subscribers say that they are done, where the pace is theirs."""
    if job["rate"]:
        return None
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PULL)
    socket.bind(f"ipc://{job['folder']}/acks")
    return socket


def _acked_to(job: dict[str, Any]) -> Any:
    """Return the socket on which a subscriber says that it is done, where the pace is its own."""
    if job["rate"]:
        return None
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUSH)
    socket.connect(f"ipc://{job['folder']}/acks")
    socket.set(zmq.LINGER, 0)
    return socket


def _acked(acks: Any) -> int:
    if not acks.poll(2000):
        return 1  # one was lost
    acks.recv()
    return 1


def subscriber(job: dict[str, Any]) -> None:
    """Be the receiving end."""
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    end: Any = _ends_of(job["transport"])[1](job)
    acks = _acked_to(job)
    say(ready=True)
    one_way: list[int] = []
    wrong, last_ns = 0, CLOCK.now_ns()
    first_after, begin_cpu, begin_mb = -1.0, 0.0, memory_mb()
    until_ns = CLOCK.now_ns() + LIVE_NS
    while not stop and len(one_way) < job["count"] and CLOCK.now_ns() < until_ns:
        for stamp_ns, crc, array in end.take(POLL_NS):
            now_ns = CLOCK.now_ns()
            if not one_way:
                begin_cpu = cpu_s()
                begin_ns = now_ns
            one_way.append(now_ns - stamp_ns)
            if now_ns - last_ns > NS_PER_S:
                first_after = (now_ns - stamp_ns) / 1e6
            last_ns = now_ns
            if job["touch"]:
                int(array.view(np.uint64 if array.nbytes % 8 == 0 else np.uint8).sum())
            if crc and zlib.crc32(array) != crc:
                wrong += 1
            if job.get("tell"):
                say(at_ns=now_ns, sent_ns=stamp_ns)
            if job.get("slow_ms"):
                CLOCK.sleep_until_ns(CLOCK.now_ns() + round(job["slow_ms"] * NS_PER_MS))
            del array
            if acks is not None:
                acks.send(b"")
    cpu, took_s = cpu_s() - begin_cpu, (last_ns - begin_ns) / NS_PER_S if one_way else 0.0
    grown = memory_mb() - begin_mb
    facts = end.close()
    if acks is not None:
        acks.close()
    say(
        cpu_s=cpu, one_way_us=[value / 1000 for value in one_way], wrong=wrong, took_s=took_s,
        first_after_ms=first_after, grown_mb=grown, **facts,
    )  # fmt: skip


if __name__ == "__main__":
    sys.setswitchinterval(0.0005)
    told = json.loads(sys.argv[1])
    if told.get("cpu"):
        os.sched_setaffinity(0, told["cpu"])
    (publisher if told["role"] == "publisher" else subscriber)(told)
    sys.stdout.flush()
    os._exit(0)
