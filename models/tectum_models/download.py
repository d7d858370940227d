"""One file over HTTP: resumed where it was cut, never longer than it should be.

What has arrived lies in a file of its own until all of it is there, so that a cut download goes on
from there, within this call and in the next one. Whether it is the right file is for the caller to
see, by its hash.
"""

from __future__ import annotations

import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

from tectum.errors import ModelError

__all__ = ["Told", "download"]

Told = Callable[[int], None]
"""Is called with how many bytes are there."""

_TIMEOUT_S = 30
_CHUNK = 64 * 1024
_PATIENCE = 3
"""So many cuts in a row without a new byte end it."""
_RETRIED = (408, 429, 500, 502, 503, 504)
"""HTTP: not now."""


class _CutError(Exception):
    """The connection broke, or the server has a passing fault: going on may help."""


def download(url: str, part: Path, nbytes: int, told: Told) -> None:
    """Bring the file at `url` to `part`, from where it ends; it then has exactly `nbytes`.

    Raises:
        ModelError: the server has no such file, or one of another size (`part` is removed then), or
            cannot be reached or keeps breaking off (`part` keeps what has arrived).
    """
    idle, cut = 0, ""
    while idle < _PATIENCE:
        had = _size(part)
        if had == nbytes:
            return
        try:
            _go_on(url, part, had if had < nbytes else 0, nbytes, told)
        except _CutError as error:
            cut = str(error)
            idle = 0 if _size(part) > had else idle + 1
        else:
            return
    msg = (
        f"{url}: {cut}; {_size(part):,} of {nbytes:,} bytes are here: pull again, which goes on "
        "from there, or put the file into a folder that TECTUM_MODELS names"
    )
    raise ModelError(msg)


def _go_on(url: str, part: Path, had: int, nbytes: int, told: Told) -> None:
    """Get the bytes from `had` on; a server that only gives all of them gives all of them."""
    headers = {"User-Agent": "tectum", "Accept-Encoding": "identity"}
    if had:
        headers["Range"] = f"bytes={had}-"
    try:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
            begin = _begin(response, had)
            _refuse_other_size(url, part, begin, response, nbytes)
            with part.open("ab" if begin else "wb") as file:
                _copy(url, response, file, nbytes - begin, lambda more: told(begin + more))
    except urllib.error.HTTPError as error:
        _judge(url, part, error)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise _CutError(_words(error)) from error


def _begin(response: http.client.HTTPResponse, had: int) -> int:
    """Return which byte of the file the answer begins with."""
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if response.status != http.HTTPStatus.PARTIAL_CONTENT or found is None:
        return 0
    if int(found[1]) != had:
        msg = f"the server gave bytes from {found[1]} on where those from {had} on were asked for"
        raise _CutError(msg)
    return had


def _refuse_other_size(
    url: str, part: Path, begin: int, response: http.client.HTTPResponse, nbytes: int
) -> None:
    length = response.headers.get("Content-Length", "")
    if length.isdigit() and begin + int(length) != nbytes:
        part.unlink(missing_ok=True)
        msg = (
            f"{url} is a file of {begin + int(length):,} bytes, but the manifest says {nbytes:,}: "
            "it is another version, and nothing was kept"
        )
        raise ModelError(msg)


def _copy(
    url: str, response: http.client.HTTPResponse, file: IO[bytes], wanted: int, told: Told
) -> None:
    got = 0
    while chunk := response.read(min(_CHUNK, wanted - got + 1)):
        got += len(chunk)
        if got > wanted:
            Path(file.name).unlink(missing_ok=True)
            msg = f"{url} does not end where the manifest says: it is another file; nothing kept"
            raise ModelError(msg)
        file.write(chunk)
        told(got)
    if got < wanted:
        msg = "the connection was cut"
        raise _CutError(msg)


def _judge(url: str, part: Path, error: urllib.error.HTTPError) -> None:
    """Raise what an HTTP status means."""
    status = f"the server answers {error.code} {error.reason}"
    if error.code in _RETRIED:
        raise _CutError(status) from error
    if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        part.unlink(missing_ok=True)
        msg = "the server's file is shorter than what is here"
        raise _CutError(msg) from error
    msg = (
        f"{url}: {status}; get the file elsewhere, and put it into a folder that TECTUM_MODELS "
        "names"
    )
    raise ModelError(msg) from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _words(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return f"{getattr(reason, 'strerror', None) or reason or type(error).__name__}"
