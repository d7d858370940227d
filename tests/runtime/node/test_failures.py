"""What is said of a stage that fails: what, where in whose code, and not at every trigger."""

import logging

from tectum.errors import ModelError
from tectum.node.failures import FailureLog
from tectum.node.shell import Failure
from tectum.testing import FakeClock

SECOND_NS = 1_000_000_000


def failure(error):
    try:
        raise error
    except type(error) as raised:
        return Failure("encode_light", "default", raised)


def test_an_accident_in_code_of_a_users_own_is_told_with_its_kind_and_place(caplog):
    log = FailureLog(logging.getLogger("test"), FakeClock())
    log.add(failure(KeyError(0)))
    (record,) = caplog.records
    assert record.message.startswith(
        f"stage encode_light (default) failed: KeyError: 0 at {__file__}:"
    )


def test_an_error_that_was_meant_is_told_as_it_is(caplog):
    log = FailureLog(logging.getLogger("test"), FakeClock())
    log.add(failure(ModelError("the image is empty")))
    assert caplog.messages == ["stage encode_light (default) failed: the image is empty"]


def test_failures_are_said_once_a_second_and_counted(caplog):
    clock = FakeClock()
    log = FailureLog(logging.getLogger("test"), clock)
    for _ in range(5):
        log.add(failure(ModelError("no")))
    clock.advance(SECOND_NS)
    log.add(failure(ModelError("no")))
    assert [message.rpartition(":")[2] for message in caplog.messages] == [
        " no",
        " no (4 more times before)",
    ]
