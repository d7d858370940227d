"""Real messages, and what becomes of them on bad wires and in bad hands: seeded, without end.

For whoever reads the wire with code of his own, and for the tests of ours.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

import msgpack
import numpy as np
import zmq

from tectum.message import Kind, Value
from tectum.transport.publisher import ZmqPublisher

__all__ = ["Frames", "mutations", "overheard", "publish_all"]

Frames = list[bytes]
"""Topic, header, buffers."""

WRONG: tuple[object, ...] = (
    None, True, -1, 2**63, 2**64 - 1, 1.5, float("nan"), "x", "x" * 70_000, b"x", [], [[]], {},
    {"a": 1}, [1] * 300,
)  # fmt: skip
"""Values of a wrong type or size for most keys."""


def publish_all(publisher: ZmqPublisher, number: int) -> None:
    """Say one thing of every sort; the second image is large enough for shared memory."""
    say, at = publisher.publish, number
    small, large = np.zeros((4, 5, 3), np.uint8), np.full((400, 500, 3), number % 256, np.uint8)
    say("image", Kind.IMAGE, (small,), fields={"encoding": "bgr8"}, stamp_ns=at)
    say("image", Kind.IMAGE, (large,), fields={"encoding": "bgr8"}, stamp_ns=at)
    audio: dict[str, Value] = {"rate_hz": 16_000, "first": 320 * number}
    say("audio", Kind.AUDIO, (np.zeros((320, 1), np.int16),), fields=audio, stamp_ns=at)
    names: dict[str, Value] = {"names": ["x", "y", "z"]}
    say("points", Kind.POINTS, (np.zeros((20, 3), np.float32),), fields=names, stamp_ns=at)
    say("pose", Kind.POSE, (np.zeros(7),), fields={"child_frame_id": "rig"}, stamp_ns=at)
    boxes = (np.zeros((2, 4), np.float32), np.zeros(2, np.float32), np.zeros(2, np.int32))
    say("boxes", Kind.BOXES, boxes, fields={"labels": ["car"]}, stamp_ns=at)
    words: dict[str, Value] = {"text": "words", "deep": [{"a": [1, {"b": None}]}]}
    say("text", Kind.TEXT, fields=words, stamp_ns=at)
    publisher.promise("image", number, begun=True)


def overheard(socket: zmq.Socket[bytes], publisher: ZmqPublisher, number: int) -> list[Frames]:
    """Return what `publish_all` puts on the wire, as it lies there."""
    publish_all(publisher, number)
    found = []
    while socket.poll(200):
        found.append(socket.recv_multipart())
    return found


def mutations(real: Sequence[Frames], chance: random.Random) -> Iterator[tuple[Frames, bool]]:
    """Yield mutated messages, each of another life, and of each whether it is surely malformed."""
    kinds: tuple[tuple[Callable[[Frames, random.Random], Frames], bool], ...] = (
        (_cut, False),
        (_flipped, False),
        (_longer_header, True),
        (_fewer_frames, False),
        (_more_frames, True),
        (_shuffled, False),
        (_another_version, True),
        (_wrong_type, False),
        (_huge_length, True),
        (_deep, True),
        (_false_shape, True),
        (_false_topic, True),
        (_false_pool, False),
        (_noise, True),
    )
    while True:
        mutate, surely = chance.choice(kinds)
        frames = _changed(list(chance.choice(real)), i=chance.getrandbits(63))
        yield mutate(frames, chance), surely


def _cut(frames: Frames, chance: random.Random) -> Frames:
    which = chance.randrange(len(frames))
    frames[which] = frames[which][: chance.randrange(len(frames[which]))]
    return frames


def _flipped(frames: Frames, chance: random.Random) -> Frames:
    for _ in range(chance.randint(1, 8)):
        which = chance.randrange(len(frames))
        content = bytearray(frames[which])
        if content:
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        frames[which] = bytes(content)
    return frames


def _longer_header(frames: Frames, chance: random.Random) -> Frames:
    frames[1] += chance.randbytes(chance.randrange(1, 40))
    return frames


def _fewer_frames(frames: Frames, chance: random.Random) -> Frames:
    return frames[: chance.randrange(1, len(frames) + 1)]


def _more_frames(frames: Frames, chance: random.Random) -> Frames:
    return frames + [chance.randbytes(chance.randrange(50))] * chance.randint(1, 100)


def _shuffled(frames: Frames, chance: random.Random) -> Frames:
    chance.shuffle(frames)
    return frames


def _changed(frames: Frames, **changes: object) -> Frames:
    frames[1] = msgpack.packb(msgpack.unpackb(frames[1]) | changes)
    return frames


def _another_version(frames: Frames, chance: random.Random) -> Frames:
    return _changed(frames, v=chance.choice([0, 2, 3, 255, 2**40, -1, "1", None, True, [1], 1.0]))


def _wrong_type(frames: Frames, chance: random.Random) -> Frames:
    return _changed(frames, **{chance.choice("vkiqtsbdefxp"): chance.choice(WRONG)})


def _huge_length(frames: Frames, chance: random.Random) -> Frames:
    header = chance.choice([b"\xdf", b"\xdd", b"\xdb", b"\xc6", b"\xc9"])
    frames[1] = header + (2**32 - chance.randrange(1, 2**20)).to_bytes(4, "big") + frames[1]
    return frames


def _deep(frames: Frames, chance: random.Random) -> Frames:
    depth = chance.choice([33, 60, 500, 5000, 100_000])
    head = msgpack.packb(msgpack.unpackb(frames[1]) | {"x": 0})
    nested = b"\x91" * depth + b"\xc0"
    frames[1] = head.replace(b"\xa1x\x00", b"\xa1x\x81\xa1a" + nested)
    return frames


def _false_shape(frames: Frames, chance: random.Random) -> Frames:
    shape = chance.choice([[2**62, 4], [-1, -1], [3, 2**31], [0.5], ["4"], [7] * 9, 12, None])
    return _changed(frames, b=[["uint8", shape]] * max(1, len(frames) - 2))


def _false_topic(frames: Frames, chance: random.Random) -> Frames:
    name, *_ = frames[0].split(b"\0")
    ends = [b"", b"\0\0", b"\0x\0", b"/x\0", b"\xff\0", b" \0", b"x" * 300 + b"\0", b"\n\0"]
    frames[0] = name + chance.choice(ends)
    return frames


def _false_pool(frames: Frames, chance: random.Random) -> Frames:
    document = msgpack.unpackb(frames[1])
    name, *numbers = document.get("p") or ["tectum-x-eye-0000.0", 1, 0, 1, 600_000]
    which = chance.randrange(5)
    if which == 4:
        name = chance.choice(
            ["", "/etc/passwd", "../../etc/passwd", f"{name}\0", "x" * 5000, f"{name}.locks", "."]
        )
    else:
        numbers[which] = chance.choice([0, 1, 2**40, 2**62, numbers[which] + 1])
    return _changed(frames, p=[name, *numbers])


def _noise(frames: Frames, chance: random.Random) -> Frames:
    head = bytes([chance.choice([0xC1, 0xC4, 0xD4, 0x90, 0x00, 0xE0])])
    return [frames[0], head + chance.randbytes(chance.randrange(200)), *frames[2:]]
