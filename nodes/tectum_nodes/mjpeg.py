"""MJPEG over HTTP, read by hand: JPEG files as the parts of an endless answer, with their stamps.

OpenCV and FFmpeg drop the headers of the parts; some cameras put the time of capture there
(`X-Timestamp`, seconds since 1970). A part without `Content-Length` is read up to the next
boundary.
"""

from __future__ import annotations

import base64
import http.client
from collections.abc import Generator
from typing import IO, NoReturn
from urllib.parse import unquote, urlsplit

import numpy as np

from tectum.clock import NS_PER_S, Clock
from tectum.errors import DeviceError
from tectum_nodes.camera_sources import Frame, Wish, without_password

__all__ = ["mjpeg_frames"]

_LARGEST_PART = 64 << 20
_LARGEST_LINE = 8 << 10
_MOST_HEADERS = 64
_STAMPS = ("x-timestamp", "x-time-stamp")


def mjpeg_frames(url: str, wish: Wish, clock: Clock) -> Generator[Frame, None, None]:
    """Yield the pictures of an `http://` or `https://` address as JPEG.

    Raises:
        DeviceError: nobody answers, the answer is no MJPEG stream, stalls, or ends.
    """
    shown = without_password(url)
    connection = _connection(url, wish.timeout_ns / NS_PER_S)
    try:
        connection.request("GET", _target(url), headers=_headers(url))
        with connection.getresponse() as answer:
            parts = _Parts(answer, _boundary(answer, shown), shown)
            while True:
                headers, data = parts.next()
                yield Frame(np.frombuffer(data, np.uint8), True, clock.now_ns(), _stamp_ns(headers))
    except TimeoutError as error:
        msg = f"{shown} has sent nothing for {wish.timeout_ns / NS_PER_S:.1f} s"
        raise DeviceError(msg) from error
    except (OSError, http.client.HTTPException) as error:
        msg = f"{shown} cannot be read: {getattr(error, 'strerror', None) or error}"
        raise DeviceError(msg) from error
    finally:
        connection.close()


def _connection(url: str, timeout_s: float) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    make = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    return make(parts.hostname or "", parts.port, timeout=timeout_s)


def _target(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"


def _headers(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _boundary(answer: http.client.HTTPResponse, shown: str) -> bytes:
    if answer.status != http.client.OK:
        hint = "; put user and password into the address" if answer.status == 401 else ""
        msg = f"{shown} answers {answer.status} {answer.reason}{hint}"
        raise DeviceError(msg)
    if answer.headers.get_content_maintype() != "multipart":
        found = answer.headers.get_content_type()
        msg = f"{shown} is {found}, not an MJPEG stream (multipart/x-mixed-replace)"
        raise DeviceError(msg)
    name = str(answer.headers.get_param("boundary") or "")
    return b"--" + name.removeprefix("--").encode()


class _Parts:
    """Cuts an answer into its parts."""

    def __init__(self, stream: IO[bytes], boundary: bytes, shown: str) -> None:
        self._stream, self._boundary, self._shown = stream, boundary, shown
        self._at_boundary = False

    def next(self) -> tuple[dict[str, str], bytes]:
        """Return the headers and the body of the next part."""
        while not self._at_boundary:
            self._line()
        self._at_boundary = False
        headers = self._headers()
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > 0:
            return headers, self._exactly(int(length))
        return headers, self._until_boundary()

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        while line := self._line().strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
            if len(headers) > _MOST_HEADERS:
                self._fail(f"sends more than {_MOST_HEADERS} headers with a picture")
        return headers

    def _line(self) -> bytes:
        line = self._stream.readline(_LARGEST_LINE)
        if not line:
            self._fail("has ended")
        self._at_boundary = line.startswith(self._boundary)
        return line

    def _exactly(self, length: int) -> bytes:
        if length > _LARGEST_PART:
            self._fail(f"announces {length} bytes of a picture; at most {_LARGEST_PART} are read")
        data = self._stream.read(length)
        if len(data) < length:
            self._fail("has ended")
        return data

    def _until_boundary(self) -> bytes:
        data = bytearray()
        while True:
            line = self._line()
            if self._at_boundary:
                return bytes(data)
            data += line
            if len(data) > _LARGEST_PART:
                self._fail(f"sends a picture of more than {_LARGEST_PART} bytes")

    def _fail(self, why: str) -> NoReturn:
        msg = f"{self._shown} {why}"
        raise DeviceError(msg)


def _stamp_ns(headers: dict[str, str]) -> int | None:
    for name in _STAMPS:
        whole, _, part = headers.get(name, "").partition(".")
        if whole.isdigit() and (part.isdigit() or not part):
            return int(whole) * NS_PER_S + int(part[:9].ljust(9, "0") or "0")
    return None
