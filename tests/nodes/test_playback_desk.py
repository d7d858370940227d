"""A player is told what to do over a private socket, and answers with where it is."""

import json
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tectum.errors import ConfigError, DataError
from tectum_nodes.playback_desk import PlaybackDesk, PlaybackOrder, parse_order, send_order

pytestmark = pytest.mark.realtime


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="t") as name:
        yield Path(name)


@pytest.fixture
def heard(folder: Path) -> Iterator[list[PlaybackOrder]]:
    """What a player hears who answers at once."""
    desk, orders, done = PlaybackDesk(folder, "player"), [], threading.Event()
    desk.open()

    def obey(order: PlaybackOrder) -> dict[str, object]:
        orders.append(order)
        return {"state": "paused", "at_ns": 7}

    def play() -> None:
        while not done.wait(0.005):
            desk.serve(obey)

    player = threading.Thread(target=play)
    player.start()
    yield orders
    done.set()
    player.join()
    desk.close()


def test_an_order_is_carried_out_and_answered(folder: Path, heard: list[PlaybackOrder]) -> None:
    order = PlaybackOrder("seek", to_ns=12)
    assert send_order(folder / "player.playback", order) == {"state": "paused", "at_ns": 7}
    assert heard == [order]


def test_nobody_else_may_use_the_desk(folder: Path, heard: list[PlaybackOrder]) -> None:
    assert heard == []
    assert stat.S_IMODE((folder / "player.playback").stat().st_mode) == 0o600


def test_nonsense_is_refused_and_the_desk_goes_on(folder: Path, heard: list[PlaybackOrder]) -> None:
    for line in (b"\xff\xfe\n", b"[]\n", b'{"order": "explode"}\n', b"x" * 10_000 + b"\n"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(folder / "player.playback"))
            connection.sendall(line)
            answer = json.loads(connection.makefile().readline())
        assert "error" in answer
    assert send_order(folder / "player.playback", PlaybackOrder("pause"))["state"] == "paused"
    assert heard == [PlaybackOrder("pause")]


def test_a_player_that_has_ended_is_told_so(folder: Path) -> None:
    desk = PlaybackDesk(folder, "player")
    desk.open()
    asked = desk.ask(PlaybackOrder("pause"))
    desk.close()
    assert asked.answer == {"error": "the player has ended"}
    with pytest.raises(DataError, match="the player player does not answer"):
        send_order(folder / "player.playback", PlaybackOrder("pause"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{}", "a line of JSON with a key 'order'"),
        (b'{"order": "fly"}', "does not know 'fly'; it knows pause, resume, toggle"),
        (b'{"order": "rate", "rate": 0}', "rate 0: a player takes 0.01 to 100"),
        (b'{"order": "step", "by_ns": -5}', "a step goes forward; seek goes back"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(line: bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_order(line)
