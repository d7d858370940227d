"""docs/wire.md is what the code does: its test vectors, limits and names of losses, both ways."""

import ast
import json
import re
import struct
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from tectum.message import BufferSpec, Header, Kind
from tectum.transport import clock_exchange, pool_file
from tectum.transport.inbox import MISSING_CAUSES, Inbox
from tectum.transport.joining import guest_of, joining
from tectum.transport.local_frames import BEGUN, DONE, SOON, Unpacker, packed
from tectum.transport.payload import FramePayload
from tectum.transport.pool_file import PoolFile, pool_name, pools_are_possible
from tectum.transport.reference import Reference
from tectum.transport.wire import decode_reference, encode

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "wire.md").read_text(encoding="utf-8")
VECTOR = re.compile(r"^### (.+?)\n.*?^```json\n(.+?)^```\n\n^```hex\n(.+?)^```", re.M | re.S)


def frames_of(block):
    """Return the frames of a block of hexadecimal, which lines with `#` begin."""
    frames = []
    for line in block.splitlines():
        if line.startswith("#") or not frames:
            frames.append(b"")
        if not line.startswith("#"):
            frames[-1] += bytes.fromhex(re.split(r"(?<=\S) {2,}", line)[0])
    return frames


def vectors(kind):
    section = TEXT[TEXT.index("## Test vectors") :]
    found = []
    for title, says, block in VECTOR.findall(section):
        ((what, document),) = json.loads(says).items()
        if what == kind:
            found.append(pytest.param(document, frames_of(block), id=title))
    return found


def table(heading):
    """Return the rows of the first table below a heading, without its head."""
    lines = TEXT[TEXT.index(f"# {heading}\n") :].splitlines()
    rows = [line for line in lines if line.startswith("|")]
    first = lines.index(rows[0])
    rows = [row for row in lines[first:] if row.startswith("|")][2:]
    end = next(i for i, line in enumerate(lines[first:]) if not line.startswith("|"))
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[: end - 2]]


def test_every_vector_of_the_page_is_one_that_is_tried():
    tried = ("message", "joining", "link", "begun", "clock", "pool")
    section = TEXT[TEXT.index("## Test vectors") :]
    assert section.count("\n### ") == section.count("```hex") == sum(map(len, map(vectors, tried)))
    assert all(vectors(kind) for kind in tried)


@pytest.mark.parametrize(("says", "frames"), vectors("message"))
def test_a_message_is_read_as_the_page_says_and_written_in_the_same_bytes(says, frames):
    says = dict(says)
    place = says.pop("reference", None)
    reference = None if place is None else Reference(*place)
    says["kind"] = Kind(says["kind"])
    buffers = [BufferSpec(dtype, tuple(shape)) for dtype, shape in says.pop("buffers", [])]
    header = Header(**says, buffers=tuple(buffers))
    assert decode_reference(frames) == (header, reference)
    assert list(encode(header, reference)) == frames[:2]
    assert re.search(rf"^# header, {len(frames[1])} bytes$", TEXT, re.M)


def test_the_buffers_of_the_page_are_what_their_remarks_say():
    frames = {param.id: param.values[1] for param in vectors("message")}
    picture, sound = frames["A picture"], frames["Sound"]
    for given, expected in (
        (picture, np.arange(18, dtype=np.uint8).reshape(2, 3, 3)),
        (sound, np.array([[0], [1], [-1], [256]], np.int16)),
    ):
        header, _ = decode_reference(given)
        found = FramePayload(given[2], len(given[2]), header.buffers[0]).array()
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("says", "frames"), vectors("joining"))
def test_a_joining_is_read_as_the_page_says_and_written_in_the_same_bytes(says, frames):
    ((begins, *rest),) = frames
    assert begins == 1
    assert guest_of(bytes(rest))._asdict() == says
    delivery = "lossless" if says["lossless"] else "each"
    assert b"\1" + joining(says["name"], says["hold"], delivery) == frames[0]


@pytest.mark.parametrize(("says", "frames"), vectors("link"))
def test_a_stream_is_read_as_the_page_says_and_written_in_the_same_bytes(says, frames):
    messages = [[part.encode("latin-1") for part in message] for message in says]
    assert Unpacker().feed(b"".join(frames)) == messages
    assert [packed(message) for message in messages] == frames


@pytest.mark.parametrize(("says", "frames"), vectors("begun"))
def test_a_message_that_has_begun_is_done_when_the_word_of_the_page_comes(says, frames):
    message, unpacker = [part.encode("latin-1") for part in says], Unpacker()
    assert [SOON, packed(message, BEGUN), DONE] == frames
    assert unpacker.feed(frames[0] + frames[1]) == []
    assert unpacker.begun == message
    assert unpacker.feed(frames[2]) == [message]


@pytest.mark.parametrize(("says", "frames"), vectors("clock"))
def test_the_time_is_asked_and_told_in_the_bytes_of_the_page(says, frames):
    number, times = says["number"], (says["received_ns"], says["answered_ns"])
    request, reply = clock_exchange._REQUEST, clock_exchange._REPLY
    assert request.unpack(frames[0]) == (b"TCK1", number)
    assert reply.unpack(frames[1]) == (b"TCK1", number, *times)
    assert [request.pack(b"TCK1", number), reply.pack(b"TCK1", number, *times)] == frames
    assert struct.calcsize(request.format) == 12


@pytest.mark.skipif(not pools_are_possible(), reason="needs Linux")
@pytest.mark.parametrize(("says", "frames"), vectors("pool"))
def test_the_files_of_a_pool_are_as_the_page_says(says, frames, tmp_path, monkeypatch):
    monkeypatch.setattr(pool_file, "SHARED_MEMORY", tmp_path)
    name = pool_name("drive", "camera", says["epoch"], 0)
    assert name == "tectum-drive-camera-0123456789abcdef.0"
    made = PoolFile.create(name, says["epoch"], says["slots"], says["slot_bytes"])
    readers = [PoolFile.open(name) for _ in range(2)]
    for slot, (sequence, marks) in enumerate(zip(says["sequences"], says["marks"], strict=True)):
        made.sequences[slot] = sequence
        for reader, mark in zip(readers, marks, strict=False):
            reader.mark(slot, mark)
    assert (tmp_path / f"{name}.lock").read_bytes() == frames[0]
    made.unlink()
    del readers
    (tmp_path / f"{name}.lock").write_bytes(frames[0])
    (tmp_path / name).write_bytes(bytes(says["slots"] * says["slot_bytes"]))
    opened = PoolFile.open(name)
    assert (opened.epoch, opened.slots, opened.slot_bytes) == (
        says["epoch"], says["slots"], says["slot_bytes"]
    )  # fmt: skip
    assert opened.sequences.tolist() == says["sequences"]
    assert opened.marked(0) == says["marks"][0].count(says["sequences"][0])


def test_the_limits_of_the_page_are_those_of_the_code():
    rows = table("Limits")
    for what, most, place in rows:
        module, _, name = place.strip("`").partition(".")
        value = getattr(import_module(f"tectum.transport.{module}"), name)
        assert value == int(most.split()[0]), what
    named = {place.strip("`") for *_, place in rows}
    for path in (ROOT / "runtime" / "tectum" / "transport").glob("*.py"):
        for name in re.findall(r"^(MAX_\w+) = ", path.read_text(), re.M):
            assert f"{path.stem}.{name}" in named, f"{path.name}: {name} is not on the page"
    shared = import_module("tectum.transport.publisher").SHARED_FROM_BYTES
    assert f"Buffers of {shared} bytes and more" in TEXT
    announced = import_module("tectum.transport.publisher").ANNOUNCED_FROM_BYTES
    assert f"from {announced} bytes on" in TEXT


def test_the_names_of_losses_on_the_page_are_those_of_the_code():
    rows = {name.strip("`"): by for name, by, _ in table("Names of losses")}
    here = [name for name, by in rows.items() if by == "subscriber"]
    assert tuple(here) == MISSING_CAUSES
    counters = Inbox("ear", ["eye/text"]).counters()["eye/text"]
    assert set(MISSING_CAUSES) <= set(counters)
    assert f"published = received + {' + '.join(MISSING_CAUSES)}\n" in TEXT
    assert {name for name in rows if name not in here} == causes_that_nodes_name()


def causes_that_nodes_name():
    """Return the causes that are given by name to `name_loss` anywhere in runtime and nodes."""
    found = set()
    for path in [*(ROOT / "runtime").rglob("*.py"), *(ROOT / "nodes").rglob("*.py")]:
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "name_loss":
                cause = call.args[1]
                found |= {cause.value} if isinstance(cause, ast.Constant) else set()
    return found
