"""Endpoints stay on this host and fit into a Unix socket's address."""

from pathlib import Path

import pytest

from tectum.clock import GraphClock
from tectum.errors import ConfigError
from tectum.transport.endpoint import MAX_PATH_BYTES, check_endpoint, ipc_endpoint
from tectum.transport.publisher import ZmqPublisher


def test_an_endpoint_lies_in_the_runs_directory():
    assert ipc_endpoint(Path("/run/user/1/tectum/ab"), "camera") == (
        "ipc:///run/user/1/tectum/ab/camera.pub"
    )


def test_the_longest_path_binds_and_one_byte_more_is_refused_with_the_way_out(tmp_path):
    folder = tmp_path / "f"
    folder.mkdir()
    room = MAX_PATH_BYTES - len(str(folder)) - len("/.pub")
    endpoint = ipc_endpoint(folder, "n" * room)
    ZmqPublisher("n", endpoint, GraphClock()).close()
    with pytest.raises(ConfigError, match="108 bytes, at most 107 are possible; set XDG_RUNTIME_"):
        ipc_endpoint(folder, "n" * (room + 1))


@pytest.mark.parametrize("endpoint", ["tcp://0.0.0.0:5555", "tcp://127.0.0.1:1", "ipc://@x", ""])
def test_an_endpoint_elsewhere_is_refused(endpoint):
    with pytest.raises(ConfigError, match="refused"):
        check_endpoint(endpoint)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    endpoint = ipc_endpoint(tmp_path / "gone", "n")
    with pytest.raises(ConfigError, match=r"n cannot publish on ipc://.*gone/n\.pub: "):
        ZmqPublisher("n", endpoint, GraphClock())
