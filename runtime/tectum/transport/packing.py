"""MessagePack as headers have it: plain data in, plain data out, no extension types. Pure."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, cast

import msgpack
import numpy as np

from tectum.errors import WireError
from tectum.transport.refusing import refuse

__all__ = ["MAX_HEADER_BYTES", "pack", "unpack"]

MAX_HEADER_BYTES = 4 * 1024 * 1024
_threads = threading.local()


def pack(value: object) -> bytes:
    """Return plain data packed; read-only maps and NumPy scalars count as plain.

    Raises:
        TypeError, ValueError, OverflowError: MessagePack has nothing for a value in it.
    """
    try:
        packer = _threads.packer  # a new one for each message costs as much as its packing
    except AttributeError:
        packer = _threads.packer = msgpack.Packer(use_bin_type=True, default=_plain)
    return cast("bytes", packer.pack(value))


def unpack(frame: bytes | memoryview) -> dict[str, Any]:
    """Return the map that a frame is, and nothing behind it.

    Raises:
        WireError: it is something else, or too long.
    """
    if len(frame) > MAX_HEADER_BYTES:
        refuse("header size", len(frame), f"at most {MAX_HEADER_BYTES} bytes")
    try:
        document = msgpack.unpackb(
            frame, raw=False, strict_map_key=True, ext_hook=_refuse_extension
        )
    except WireError:
        raise
    except Exception as error:  # msgpack raises a dozen kinds; all mean the same here
        msg = f"header is not MessagePack: {type(error).__name__}"
        raise WireError(msg) from error
    if not isinstance(document, dict):
        refuse("header", type(document).__name__, "a map")
    return document


def _plain(value: object) -> object:
    """Return what MessagePack can hold for read-only maps and NumPy scalars."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, np.generic):
        return value.item()
    msg = f"cannot send {type(value).__name__}"
    raise TypeError(msg)


def _refuse_extension(code: int, data: bytes) -> object:
    del data
    refuse("extension type", code, "none")
