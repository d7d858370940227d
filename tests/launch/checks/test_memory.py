"""Memory that the machine does not have is told before anything is started."""

from __future__ import annotations

from tectum_launch.checks import Machine, this_machine

RECORDER = ("  perception:", "  recorder: {run: recorder}\n  perception:")


def test_pools_that_do_not_fit_in_shared_memory_are_told_with_what_they_need(found) -> None:
    assert found(machine=Machine(8, shared_bytes=70_000_000)) == []
    (text,) = found(machine=Machine(8, shared_bytes=64_000_000))
    assert text == (
        "nodes.camera: payloads in transit need 66.0 MB of shared memory, most of it for "
        "camera/image (10 slots of 6.0 MB), but 64.0 MB are free: some will go through sockets, "
        "which is slower; smaller messages, or /dev/shm with 67MB free would do (in a container: "
        "--shm-size)"
    )


def test_everybody_who_hears_a_topic_needs_slots_of_its_pool(found) -> None:
    (text,) = found(RECORDER, machine=Machine(8, shared_bytes=70_000_000))
    assert "camera/image (18 slots of 6.0 MB)" in text


def test_buffers_that_do_not_fit_in_memory_are_told_with_the_size_that_would_do(found) -> None:
    assert found(machine=Machine(8, memory_bytes=150_000_000)) == []
    (text,) = found(machine=Machine(8, memory_bytes=100_000_000))
    assert text == (
        "nodes.perception.inputs.camera.buffer: the buffers of the graph can grow to 138.6 MB, "
        "and 126.0 MB of it is camera/image (2.00 s and what the alignment looks back), but this "
        "machine has 100.0 MB left; buffer: {size: 87MB} would do"
    )
    smaller = ("camera/image, ", "camera/image, buffer: {size: 87MB}, ")
    assert found(smaller, machine=Machine(8, memory_bytes=100_000_000)) == []


def test_what_this_machine_has_is_read_from_it() -> None:
    machine = this_machine()
    assert machine.cores > 0
    assert machine.memory_bytes > 1_000_000
