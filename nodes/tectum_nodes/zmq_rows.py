"""Rows of numbers from somebody's ZeroMQ publisher, as datagrams: the last frame of each message.

This side only connects. A publisher on this machine (`ipc://`, `tcp://127.0.0.1:PORT`) needs no
key; one elsewhere is spoken to with CURVE, and only where its public key is known.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from typing import Any

import zmq

from tectum.clock import NS_PER_S, Clock
from tectum.errors import DeviceError
from tectum_nodes.datagrams import Datagram

__all__ = ["address_trouble", "zmq_rows"]

_LARGEST = 65_536
_POLL_MS = 100


def address_trouble(address: str, key: str) -> str:
    """Return what is wrong with an address, in words; nothing where it can be connected to."""
    if address.startswith("ipc:///"):
        return ""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    try:
        at = ipaddress.ip_address(host.strip("[]"))
        fits = address.startswith("tcp://") and 0 < int(port) < 65_536 and not at.is_unspecified
    except ValueError:
        fits = False
    if not fits:
        return f"zmq: {address!r} is no address; write ipc:///PATH or tcp://ADDRESS:PORT"
    if not at.is_loopback and not key:
        return f"zmq: {address} is another machine: give its `server_key`, so that it is encrypted"
    return ""


def zmq_rows(
    address: str,
    topic: str,
    key: str,
    clock: Clock,
    silence_ns: int,
    stopping: Callable[[], bool],
) -> Iterator[Datagram]:
    """Yield what a publisher says on topics that begin with `topic`, until `stopping`.

    Args:
        address: where it is bound.
        topic: of its first frame; empty: all.
        key: its public CURVE key in Z85, 40 characters; empty: not encrypted.
        clock: of the graph.
        silence_ns: after so long without a message it counts as gone.
        stopping: asked ten times a second.

    Raises:
        DeviceError: the key is none, or nothing has come for `silence_ns`.
    """
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
    try:
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.MAXMSGSIZE, _LARGEST)
        socket.set(zmq.RCVTIMEO, _POLL_MS)
        _encrypt(socket, key)
        socket.set(zmq.SUBSCRIBE, topic.encode())
        socket.connect(address)
        heard_ns = clock.now_ns()
        while not stopping():
            try:
                frames = socket.recv_multipart()
            except zmq.Again:
                if clock.now_ns() - heard_ns >= silence_ns:
                    seconds = silence_ns / NS_PER_S
                    msg = f"nothing from {address} for {seconds:.1f} s; is it on, does it publish?"
                    raise DeviceError(msg) from None
                continue
            heard_ns = clock.now_ns()
            yield Datagram(heard_ns, 0, frames[-1])
    finally:
        socket.close(0)


def _encrypt(socket: zmq.Socket[Any], key: str) -> None:
    if not key:
        return
    public, secret = zmq.curve_keypair()
    try:
        socket.set(zmq.CURVE_SERVERKEY, key.encode())
        socket.set(zmq.CURVE_PUBLICKEY, public)
        socket.set(zmq.CURVE_SECRETKEY, secret)
    except zmq.ZMQError as error:
        msg = f"server_key {key!r} is not a public CURVE key (40 characters, Z85): {error}"
        raise DeviceError(msg) from error
