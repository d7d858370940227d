"""Windows that are longer than what a buffer keeps are told, with the size that would do."""

from __future__ import annotations

WINDOW = ("align: exact", "align: {window: {duration: 3s}}")


def test_a_window_that_the_buffer_cannot_hold_is_told(found) -> None:
    assert found(WINDOW) == []
    small = ("thermal/image, ", "thermal/image, buffer: {size: 10MB}, ")
    assert found(WINDOW, small) == [
        "nodes.perception.inputs.thermal.buffer: a set looks back 3.10 s, its budget included, "
        "which is 19.2 MB of thermal/image (600 kB every 100.0 ms), but the buffer keeps 10.0 MB: "
        "the oldest will be gone; buffer: {size: 20MB} would do"
    ]
    assert found(WINDOW, ("thermal/image, ", "thermal/image, buffer: {size: 20MB}, ")) == []


def test_sizes_that_nodes_do_not_tell_can_be_assumed(found) -> None:
    unknown = (", nbytes: 600000}", "}")
    assert found(WINDOW, unknown) == []
    (text,) = found(WINDOW, unknown, costs="perception: {bytes: {thermal: 20MB}}")
    assert text.endswith("buffer: {size: 640MB} would do")


def test_a_buffer_shorter_than_a_set_may_wait_is_told(found) -> None:
    assert found(("thermal/image, ", "thermal/image, buffer: {duration: 60ms}, ")) == [
        "nodes.perception.inputs.thermal.buffer: a set may stay open for the budget of 100.0 ms, "
        "but samples are kept only 60.0 ms longer than the alignment looks back: some will be "
        "gone; buffer: {duration: 100ms} would do"
    ]
    assert found(("thermal/image, ", "thermal/image, buffer: {duration: 100ms}, ")) == []
