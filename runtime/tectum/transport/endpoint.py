"""Endpoints: where a publisher of this host is found. Nothing here reaches beyond the machine."""

from __future__ import annotations

from pathlib import Path

from tectum.errors import ConfigError

__all__ = ["MAX_PATH_BYTES", "check_endpoint", "ipc_endpoint"]

MAX_PATH_BYTES = 107
"""The longest path of a Unix socket: `sun_path` has 108 bytes with its NUL (unix(7))."""


def ipc_endpoint(folder: Path, node: str) -> str:
    """Return the endpoint of `node` in the run directory `folder`.

    Raises:
        ConfigError: the path is too long for a Unix socket.
    """
    return check_endpoint(f"ipc://{folder / node}.pub")


def check_endpoint(endpoint: str) -> str:
    """Return `endpoint`.

    Raises:
        ConfigError: not `ipc://`, or its path is too long for a Unix socket.
    """
    path = endpoint.removeprefix("ipc://")
    if path == endpoint or not path.startswith("/"):
        msg = f"endpoint {endpoint!r} leaves this process by other means than ipc:///path; refused"
        raise ConfigError(msg)
    size = len(path.encode())
    if size > MAX_PATH_BYTES:
        msg = (
            f"socket path {path} has {size} bytes, at most {MAX_PATH_BYTES} are possible; "
            "set XDG_RUNTIME_DIR (or TMPDIR) to a shorter folder or shorten the node's name"
        )
        raise ConfigError(msg)
    return endpoint
