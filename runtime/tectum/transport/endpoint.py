"""Endpoints: where a publisher is found, on this host or, with security, on another."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from tectum.errors import ConfigError

__all__ = ["MAX_PATH_BYTES", "check_endpoint", "check_remote", "ipc_endpoint", "tcp_endpoint"]

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


def tcp_endpoint(address: str, port: int) -> str:
    """Return the endpoint of a port of another host, or of this one for others.

    Raises:
        ConfigError: not one numeric address, or no port.
    """
    host = f"[{address}]" if ":" in address else address
    return check_remote(f"tcp://{host}:{port}")


def check_remote(endpoint: str) -> str:
    """Return `endpoint`, which only a socket with security may use.

    Raises:
        ConfigError: not `tcp://ADDRESS:PORT` with one numeric address that is not a wildcard.
    """
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    try:
        address = ipaddress.ip_address(host.strip("[]"))
        fits = endpoint.startswith("tcp://") and 0 < int(port) < 65536
    except ValueError:
        fits = False
    if not fits or address.is_unspecified or address.is_multicast:
        msg = f"endpoint {endpoint!r}: write tcp://ADDRESS:PORT with the one address that is meant"
        raise ConfigError(msg)
    return endpoint
