"""Which other hosts are there, and what is said when one goes or comes back."""

from tectum.transport.presence import Presence

CAMERA, LIDAR, DESK = "tcp://10.0.0.2:1", "tcp://10.0.0.2:2", "tcp://10.0.0.3:1"
HOSTS = {CAMERA: "robot", LIDAR: "robot", DESK: "desk"}


def test_a_host_is_gone_with_its_last_connection_and_back_with_its_first():
    presence = Presence("perception", HOSTS)
    assert [presence.joined(3, CAMERA), presence.joined(4, LIDAR), presence.joined(5, DESK)] == [
        "", "", "",
    ]  # fmt: skip
    assert presence.left(3) == ""
    assert presence.left(4).startswith("perception has lost its connection to robot: it tries")
    assert presence.joined(4, LIDAR) == "perception is connected to robot again"
    assert presence.joined(3, CAMERA) == ""


def test_what_happens_again_and_again_is_said_when_its_count_doubles():
    presence = Presence("perception", HOSTS)
    said = []
    for count in range(1, 9):
        presence.joined(3, DESK)
        if presence.left(3):
            said.append(count)
    assert said == [1, 2, 4, 8]


def test_what_never_was_a_connection_is_no_loss():
    assert Presence("perception", HOSTS).left(9) == ""


def test_who_is_at_no_known_endpoint_is_called_by_it():
    presence = Presence("perception", {})
    presence.joined(3, CAMERA)
    assert f"its connection to {CAMERA}:" in presence.left(3)
