"""Shared memory: written once, read in place, and never given away under a reader's feet."""

import fcntl
import logging
import os
import random
import secrets
import subprocess
import sys

import numpy as np
import pytest

from tectum.errors import ContractError, WireError
from tectum.message import BufferSpec
from tectum.transport import pool, pool_file
from tectum.transport.lease import OvertakenError, PoolReader
from tectum.transport.outbox import NoSlotError
from tectum.transport.pool import Pools
from tectum.transport.pool_file import (
    MARKS,
    PoolFile,
    holders,
    leftover_pools,
    lock,
    remove_pools,
)
from tectum.transport.reference import offsets

pytestmark = pytest.mark.skipif(
    not pool_file.pools_are_possible(), reason="needs Linux: open-file-description locks"
)
SIZE = 100_000
SPECS = (BufferSpec("uint8", (SIZE,)),)
LOAN = (BufferSpec("uint8", (SIZE,)), SIZE)


@pytest.fixture
def run():
    """A name for a run; nothing of it is left afterwards."""
    name = f"test{secrets.token_hex(4)}"
    yield name
    remove_pools(name)
    assert files(name) == []


@pytest.fixture
def pools(run):
    made = Pools(run, "camera", secrets.randbits(63))
    made.holds = 2
    yield made
    made.close()


def frame(value):
    return np.full(SIZE, value % 251, np.uint8)


def place(pools, value):
    return pools.place("camera/image", [frame(value)])


def read(reader, reference):
    (payload,) = reader.payloads(reference, SPECS)
    return payload


def files(run):
    return sorted(path.name for path in pool_file.SHARED_MEMORY.glob(f"tectum-{run}-*"))


def test_what_is_placed_is_read_where_it_lies(pools):
    reader = PoolReader(4)
    points = np.random.default_rng(1).random((1000, 4), dtype=np.float32)
    flag = np.array([True, False, True])
    reference = pools.place("camera/image", [points, flag, frame(7)])
    specs = (BufferSpec("float32", (1000, 4)), BufferSpec("bool", (3,)), *SPECS)
    begins, end = offsets([spec.nbytes for spec in specs])
    assert (begins, end, reference.nbytes) == ([0, 16_000, 16_064], 116_064, 116_064)
    first, second, third = (item.array() for item in reader.payloads(reference, specs))
    np.testing.assert_array_equal(first, points)
    np.testing.assert_array_equal(second, flag)
    np.testing.assert_array_equal(third, frame(7))
    assert first.flags.aligned
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 1


def test_a_slot_is_not_written_again_while_a_reader_holds_it(pools):
    reader = PoolReader(100)
    held = [read(reader, place(pools, value)) for value in range(4)]
    with pytest.raises(NoSlotError):
        place(pools, 4)
    for value, payload in enumerate(held):
        np.testing.assert_array_equal(payload.array(), frame(value))
    held[2].release()
    slot = place(pools, 5).slot
    np.testing.assert_array_equal(held[1].array(), frame(1))
    assert slot == 2


def test_an_array_that_outlives_its_message_keeps_the_slot(pools):
    reader = PoolReader(100)
    payload = read(reader, place(pools, 1))
    part = payload.array().reshape(1000, 100)[::2, 5:]
    payload.release()
    with pytest.raises(ContractError, match="was released"):
        payload.array()
    for value in range(2, 20):
        place(pools, value)
    assert (part == 1).all()
    del part
    slots = {place(pools, value).slot for value in range(20, 30)}
    assert 0 in slots


def test_a_payload_that_several_share_is_given_back_by_the_last(pools):
    payload = read(PoolReader(100), place(pools, 1))
    payload.retain()
    payload.release()
    np.testing.assert_array_equal(payload.array(), frame(1))
    payload.release()
    with pytest.raises(ContractError):
        payload.array()


def test_who_comes_late_is_overtaken_and_never_sees_another_frame(pools):
    reader = PoolReader(4)
    references = [place(pools, value) for value in range(20)]
    outcomes = []
    for value, reference in enumerate(references):
        try:
            np.testing.assert_array_equal(read(reader, reference).array(), frame(value))
            outcomes.append(value)
        except OvertakenError:
            pass
    assert outcomes == [16, 17, 18, 19]  # as many as there are slots: 2 and what may be held
    assert len(outcomes) == pool.slots_needed(pools.holds)


def test_a_slot_that_is_being_written_is_no_ones_to_read(pools):
    reference = place(pools, 1)
    reader = PoolReader(4)
    read(reader, reference).release()
    writer = os.open(pool_file.SHARED_MEMORY / f"{reference.pool}.lock", os.O_RDWR)
    assert lock(writer, fcntl.F_WRLCK, reference.slot)
    with pytest.raises(OvertakenError):
        read(reader, reference)
    os.close(writer)
    np.testing.assert_array_equal(read(reader, reference).array(), frame(1))


def test_a_reader_that_keeps_up_is_served_from_one_slot(pools):
    pools.holds = 30
    reader = PoolReader(30)
    slots = []
    for value in range(50):
        reference = place(pools, value)
        slots.append(reference.slot)
        read(reader, reference).release()
    assert set(slots) == {0}


def test_a_slot_is_free_when_the_last_of_its_readers_is_done(pools):
    pools.holds = 30
    quick, slow = PoolReader(8), PoolReader(8)
    slots, waiting = [], []
    for value in range(12):
        reference = pools.place("camera/image", [frame(value)], readers=2)
        slots.append(reference.slot)
        read(quick, reference).release()
        waiting.append(reference)
        if len(waiting) == 3:  # two more have come since: nothing was overtaken
            read(slow, waiting.pop()).release()
            while waiting:
                slow.pass_over(waiting.pop())
    assert set(slots) == {0, 1, 2}


def test_each_reader_has_a_mark_of_its_own_and_a_dead_ones_is_free(pools):
    pools.holds = 30
    reference = place(pools, 0)
    readers = [PoolReader(1) for _ in range(MARKS + 1)]
    for reader in readers:
        read(reader, reference).release()
    name = reference.pool
    marks = [reader._pools[name]._file._mark for reader in readers]
    assert sorted(marks) == [-1, *range(MARKS)]
    gone = marks.index(5)
    del readers[gone], reader
    newcomer = PoolFile.open(name)
    assert newcomer._mark == 5


def test_where_readers_are_more_than_marks_slots_are_used_again_by_age(pools):
    pools.holds = 4
    readers = [PoolReader(1) for _ in range(MARKS + 1)]
    slots = []
    for value in range(14):
        reference = pools.place("camera/image", [frame(value)], readers=len(readers))
        slots.append(reference.slot)
        for reader in readers:
            payload = read(reader, reference)
            assert payload.array()[0] == value
            payload.release()
    assert slots[6:12] == slots[:6] == list(range(6))


def backed(reference):
    return (pool_file.SHARED_MEMORY / reference.pool).stat().st_blocks * 512


def test_slots_that_only_a_stall_needed_give_their_memory_back(pools):
    pools.holds = 8
    reader = PoolReader(8)
    old = [place(pools, value) for value in range(6)]
    held = [read(reader, reference) for reference in old]
    slot_bytes = backed(old[0]) // 6
    for payload in held[1:]:
        payload.release()
    for value in range(pool.KEPT_FOR + 6):
        reference = place(pools, value)
        read(reader, reference).release()
        pools.give_back()
    assert backed(reference) == 2 * slot_bytes, "the one in use, and the one that is held"
    assert (held[0].array() == 0).all()
    with pytest.raises(OvertakenError):
        read(reader, old[1])
    later = [place(pools, value) for value in range(20, 25)]
    assert [int(read(reader, item).array()[0]) for item in later] == list(range(20, 25))
    assert backed(reference) == 6 * slot_bytes


def test_what_exceeds_the_hold_is_copied_out(pools, run):
    reader = PoolReader(2)
    held = [read(reader, place(pools, value)) for value in range(10)]
    assert [len(slots) for slots in holders(files(run)[0]).values()] == [2]
    for value, payload in enumerate(held):
        np.testing.assert_array_equal(payload.array(), frame(value))
        assert not payload.array().flags.writeable
    held[0].release()
    again = read(reader, place(pools, 10))
    assert [len(slots) for slots in holders(files(run)[0]).values()] == [2]
    again.release()


def test_a_loan_is_published_where_it_was_filled(pools):
    array = pools.loan("camera/image", *LOAN)
    array[:] = 9
    reference = pools.place("camera/image", [array])
    seen = read(PoolReader(4), reference).array()
    array[0] = 77  # forbidden, and here the proof that it is the same memory
    assert (seen[0], seen[1]) == (77, 9)


def test_loans_that_are_dropped_come_back(pools):
    for _ in range(50):
        assert pools.loan("camera/image", *LOAN) is not None
    kept = [pools.loan("camera/image", *LOAN) for _ in range(4)]
    assert all(array is not None for array in kept)
    assert pools.loan("camera/image", *LOAN) is None
    with pytest.raises(NoSlotError):
        place(pools, 1)
    kept.pop()
    place(pools, 1)


def test_a_view_of_a_loan_lies_in_place_if_it_begins_where_that_does(pools):
    array = pools.loan("camera/image", *LOAN)
    array[:] = frame(7)
    image = array.reshape(100, -1)[:50]
    reference = pools.place("camera/image", [image])
    reader = PoolReader(2)
    (payload,) = reader.payloads(reference, (BufferSpec("uint8", image.shape),))
    array[0] = 99  # the same bytes
    assert payload.array()[0, 0] == 99
    other = pools.loan("camera/image", *LOAN)
    tail = other[1000:]
    tail[:] = 3
    copied = pools.place("camera/image", [tail])
    (payload,) = reader.payloads(copied, (BufferSpec("uint8", tail.shape),))
    other[1000] = 98
    assert payload.array()[0] == 3


def test_a_loan_that_was_published_is_copied_when_it_is_sent_again(pools):
    array = pools.loan("camera/image", *LOAN)
    array[:] = frame(7)
    first = pools.place("camera/image", [array])
    again = pools.place("camera/image", [array])
    assert first.slot != again.slot
    np.testing.assert_array_equal(read(PoolReader(2), again).array(), frame(7))


def test_a_loan_published_under_another_name_is_copied(pools):
    array = pools.loan("camera/image", *LOAN)
    array[:] = 3
    reference = pools.place("camera/other", [array])
    array[:] = 4
    np.testing.assert_array_equal(read(PoolReader(4), reference).array(), frame(3))


def test_a_larger_message_gets_a_larger_pool_and_the_former_is_still_read(pools):
    reader = PoolReader(4)
    small = place(pools, 1)
    large = pools.place("camera/image", [np.arange(SIZE, dtype=np.int64)])
    np.testing.assert_array_equal(read(reader, small).array(), frame(1))
    (payload,) = reader.payloads(large, (BufferSpec("int64", (SIZE,)),))
    np.testing.assert_array_equal(payload.array(), np.arange(SIZE))
    assert small.pool != large.pool


def test_memory_is_used_only_where_slots_are(pools, run):
    pools.holds = 100
    place(pools, 1)
    name = files(run)[0]
    status = (pool_file.SHARED_MEMORY / name).stat()
    assert status.st_blocks * 512 < 2 * SIZE < 100 * SIZE < status.st_size


def test_a_successor_removes_what_a_dead_publisher_left_and_its_lease_goes_on(run):
    code = f"""
import numpy as np, os, sys
from tectum.transport.pool import Pools
pools = Pools({run!r}, "camera", 5)
print(*pools.place("camera/image", [np.full({SIZE}, 6, np.uint8)]), flush=True)
sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    name, *numbers = process.stdout.readline().split()
    reference = pool.Reference(name, *map(int, numbers))
    reader = PoolReader(4)
    seen = read(reader, reference).array()
    assert leftover_pools(run) == []
    process.kill()
    process.communicate()
    assert leftover_pools(run) == [name]
    bystander = Pools(run, "camera-left", 7)  # begins like it, and is not it
    assert leftover_pools(run) == [name]
    successor = Pools(run, "camera", 6)
    assert leftover_pools(run) == []
    with pytest.raises(OvertakenError):
        read(PoolReader(4), reference)
    read(reader, successor.place("camera/image", [frame(8)]))
    np.testing.assert_array_equal(seen, frame(6))
    bystander.close()
    successor.close()


def test_the_leases_of_a_killed_reader_are_free(pools):
    reference = place(pools, 1)
    code = f"""
import sys
from tectum.message import BufferSpec
from tectum.transport.lease import PoolReader
from tectum.transport.reference import Reference
payload = PoolReader(4).payloads(Reference(*{tuple(reference)!r}), (BufferSpec("uint8", ({SIZE},)),))
print(flush=True)
sys.stdin.read()
"""  # noqa: E501 - one line of a program
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    assert holders(reference.pool) == {process.pid: [reference.slot]}
    assert reference.slot not in {place(pools, value).slot for value in range(20)}
    process.kill()
    process.communicate()
    assert holders(reference.pool) == {}
    assert reference.slot in {place(pools, value).slot for value in range(20)}


def test_who_holds_all_slots_is_named_once(run, caplog):
    pools = Pools(run, "camera", 5, say=lambda pid: "recorder" if pid == os.getpid() else "?")
    pools.holds = 1
    reader = PoolReader(100)
    held = [read(reader, place(pools, value)) for value in range(3)]
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            with pytest.raises(NoSlotError):
                place(pools, 9)
    assert [record.getMessage() for record in caplog.records] == [
        "camera/image: no slot is free, messages are dropped and counted as no_slot "
        "(recorder holds 3)"
    ]
    del held
    pools.close()


def test_without_room_payloads_go_inline_with_one_warning_and_the_number_needed(
    run, caplog, tmp_path, monkeypatch
):
    monkeypatch.setattr(pool_file, "SHARED_MEMORY", tmp_path / "nowhere")
    monkeypatch.setattr(pool, "pools_are_possible", lambda: True)
    pools = Pools(run, "camera", 5)
    pools.holds = 8
    with caplog.at_level(logging.WARNING):
        assert place(pools, 1) is None
        assert place(pools, 2) is None
        assert pools.loan("camera/image", *LOAN) is None
    (record,) = caplog.records
    assert "this publisher needs 1 MB there" in record.getMessage()


@pytest.mark.parametrize(
    "change",
    [
        {"pool": "../../etc/passwd"},
        {"pool": "tectum-run-camera-x.0"},
        {"epoch": 1},
        {"slot": 9999},
        {"nbytes": 10**9},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_reference_that_fits_no_pool_is_refused(pools, change):
    reference = place(pools, 1)
    reader = PoolReader(4)
    with pytest.raises(WireError):
        reader.payloads(reference._replace(**change), SPECS)
    np.testing.assert_array_equal(read(reader, reference).array(), frame(1))


def test_files_that_are_no_pool_are_refused(run):
    name = f"tectum-{run}-camera-{5:016x}.0"
    path = pool_file.SHARED_MEMORY / name
    lock_path = path.with_name(f"{name}.lock")
    path.write_bytes(b"x" * 5000)
    for content in (b"", b"x" * 100, pool_file._HEAD.pack(pool_file.MAGIC, 5, 10**6, 10**9)):
        lock_path.write_bytes(content)
        with pytest.raises(WireError, match="is not a pool of this version"):
            PoolReader(4).payloads(pool.Reference(name, 5, 0, 1, SIZE), SPECS)
    lock_path.write_bytes(pool_file._HEAD.pack(pool_file.MAGIC, 5, 4, 4096))
    with pytest.raises(WireError, match="is cut short"):
        PoolReader(4).payloads(pool.Reference(name, 5, 0, 1, SIZE), SPECS)


def test_whatever_readers_do_no_one_sees_a_byte_of_another_frame(pools):
    chance = random.Random(20261124)
    pools.holds = 12
    readers = [PoolReader(3), PoolReader(3), PoolReader(6)]
    waiting, held, counts = [[], [], []], [[], [], []], {"read": 0, "overtaken": 0, "no_slot": 0}
    for value in range(3000):
        try:
            reference = pools.place("camera/image", [frame(value)], readers=3)
            for queue in waiting:
                queue.append((value, reference))
        except NoSlotError:
            counts["no_slot"] += 1
        for index in range(3):
            while waiting[index] and chance.random() < 0.6:
                number, reference = waiting[index].pop(0)
                try:
                    held[index].append((number, read(readers[index], reference)))
                    counts["read"] += 1
                except OvertakenError:
                    counts["overtaken"] += 1
            while held[index] and (len(held[index]) > 5 or chance.random() < 0.4):
                number, payload = held[index].pop(chance.randrange(len(held[index])))
                assert (payload.array()[:: SIZE // 50] == number % 251).all()
                payload.release()
    assert counts["read"] > 3000
    assert counts["overtaken"] > 0
    assert counts["no_slot"] == 0  # nobody holds more than was said
