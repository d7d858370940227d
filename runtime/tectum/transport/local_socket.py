"""Unix sockets for local links: where they lie, and that both ends belong to one user (Linux).

A publisher's link lies beside its endpoint: `<node>.lnk` beside `<node>.pub`. It is bound under a
passing name and moved into place when somebody listens there, so that who finds it can connect;
what a killed publisher leaves refuses connections until its successor takes the name.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import struct
from pathlib import Path

__all__ = ["connected_to", "link_path", "listening_at", "next_peer", "take_away"]

BACKLOG = 128
SEND_BYTES = 1024 * 1024
"""What a socket may hold for its reader; the kernel allows less where `wmem_max` is smaller."""
_CREDENTIALS = struct.Struct("3i")


def link_path(endpoint: str) -> Path:
    """Return where the publisher that has this `ipc://` endpoint accepts links."""
    path = Path(endpoint.removeprefix("ipc://"))
    return path.with_name(f"{path.name.removesuffix('.pub')}.lnk")


def listening_at(path: Path) -> tuple[socket.socket, int]:
    """Return a socket that listens at `path`, for this user alone, and its file number.

    Raises:
        OSError: it cannot be bound there.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    draft = path.with_name(f".{secrets.token_hex(2)}")
    try:
        os.fchmod(listener.fileno(), 0o600)
        listener.setblocking(False)
        listener.bind(str(draft))
        listener.listen(BACKLOG)
        inode = draft.stat().st_ino
        draft.rename(path)
    except OSError:
        listener.close()
        draft.unlink(missing_ok=True)
        raise
    return listener, inode


def take_away(path: Path, inode: int) -> None:
    """Remove the name of a socket unless a successor has taken it."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_ino == inode:
            path.unlink()


def next_peer(listener: socket.socket) -> socket.socket | None:
    """Return the next connection that waits, None: there is none. Other users are hung up on."""
    with contextlib.suppress(OSError):  # none waits, it is gone again, or no descriptor is left
        while True:
            peer, _ = listener.accept()
            if _is_ours(peer):
                peer.setblocking(False)
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
                return peer
            peer.close()
    return None


def connected_to(path: Path) -> socket.socket:
    """Return a connection to who listens at `path`.

    Raises:
        FileNotFoundError: nobody ever did.
        ConnectionRefusedError: who did is gone.
        PermissionError: it is another user.
        OSError: no connection is possible.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.connect(str(path))
        if not _is_ours(made):
            msg = f"{path} belongs to another user"
            raise PermissionError(msg)
    except OSError:
        made.close()
        raise
    return made


def _is_ours(peer: socket.socket) -> bool:
    packed = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(packed)
    return bool(user == os.getuid())
