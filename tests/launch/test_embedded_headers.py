"""What is filled in for arrays that a program pushes."""

import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.clock import NS_PER_S
from tectum.errors import ContractError
from tectum.message import BufferSpec, Header, Kind, Value
from tectum_launch.embedded_headers import Headers

NOW_NS = 1_000 * NS_PER_S


@pytest.fixture
def headers() -> Headers:
    return Headers({"mic/audio": Kind.AUDIO, "camera/image": Kind.IMAGE})


def sound(stamp_ns: int = NOW_NS, count: int = 320, **fields: Value) -> Header:
    buffers = (BufferSpec("int16", (count, 1)),)
    return Header("mic/audio", Kind.TENSOR, 0, stamp_ns, fields=fields, buffers=buffers)


def test_messages_are_numbered_per_topic(headers: Headers) -> None:
    image = Header(
        "camera/image", Kind.TENSOR, 0, NOW_NS, buffers=(BufferSpec("uint8", (4, 6, 3)),)
    )
    made = [headers.complete(one, stamped=True) for one in (image, sound(), image)]
    assert [header.seq for header in made] == [0, 0, 1]
    assert made[0].fields == {"encoding": "bgr8"}
    assert made[0].incarnation == made[1].incarnation != 0


def test_a_message_that_is_refused_takes_no_number(headers: Headers) -> None:
    with pytest.raises(ContractError, match="does not fit mic/audio: audio rate_hz is 0"):
        headers.complete(sound(rate_hz=0), stamped=True)
    assert headers.complete(sound(), stamped=True).seq == 0


def test_lost_audio_is_found_by_its_stamps(headers: Headers) -> None:
    stamps = [NOW_NS + n * 20 * MS for n in (0, 1, 4, 5)]
    made = [headers.complete(sound(stamp_ns), stamped=True) for stamp_ns in stamps]
    firsts = [int(str(header.fields["first"])) for header in made]
    assert [first - firsts[0] for first in firsts] == [0, 320, 1280, 1600]
    assert {header.span_ns for header in made} == {20 * MS}


def test_the_index_that_the_source_gives_is_taken(headers: Headers) -> None:
    made = headers.complete(sound(first=77), stamped=True)
    assert made.fields["first"] == 77


def test_audio_without_stamps_goes_on_and_has_just_ended(headers: Headers) -> None:
    late = [headers.complete(sound(NOW_NS + n * 90 * MS), stamped=False) for n in range(3)]
    firsts = [int(str(header.fields["first"])) for header in late]
    assert [first - firsts[0] for first in firsts] == [0, 320, 640]
    assert late[0].stamp_ns == NOW_NS - 20 * MS


def test_another_rate_is_another_timeline(headers: Headers) -> None:
    headers.complete(sound(), stamped=True)
    other = headers.complete(sound(NOW_NS + 20 * MS, 160, rate_hz=8000), stamped=True)
    assert other.fields["first"] == (NOW_NS + 20 * MS) * 8000 // NS_PER_S
    assert other.span_ns == 20 * MS
