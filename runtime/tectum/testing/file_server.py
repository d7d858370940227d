"""A real HTTP server on loopback that serves files as well, or as badly, as a test wants it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """What is served, how, and what was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    """Path -> content."""
    cuts: list[int] = field(default_factory=list)
    """After so many bytes of the body the connection is broken; one for each answer to come."""
    statuses: list[int] = field(default_factory=list)
    """Answers to come that are just this status."""
    ranges: bool = True
    """Answer requests for a part; otherwise with the whole file."""
    endless: bool = False
    """Say no length, and go on after the end."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """(path, Range) of every request."""
    port: int = 0
    """Of 127.0.0.1."""

    def url(self, path: str) -> str:
        """Return the address of a file."""
        return f"http://127.0.0.1:{self.port}{path}"


class _Handler(BaseHTTPRequestHandler):
    state: FileServer

    def do_GET(self) -> None:
        """Answer, as the state says."""
        state, wanted = self.state, self.headers.get("Range", "")
        state.asked.append((self.path, wanted))
        if state.statuses:
            self.send_error(state.statuses.pop(0))
        elif self.path in state.files:
            self._answer(state.files[self.path], wanted)
        else:
            self.send_error(404)

    def _answer(self, content: bytes, wanted: str) -> None:
        state, begin = self.state, 0
        if wanted and state.ranges:
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
            if begin >= len(content):
                self.send_error(416)
                return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        if not state.endless:
            self.send_header("Content-Length", str(len(content) - begin))
        kind = "text/html" if content.startswith(b"<!DOCTYPE") else "application/octet-stream"
        self.send_header("Content-Type", kind)
        self.end_headers()
        body = content[begin:] + content * state.endless
        self.wfile.write(body[: state.cuts.pop(0)] if state.cuts else body)

    def log_message(self, *_: object) -> None:
        """Say nothing: tests look at `asked`."""


@contextmanager
def serving() -> Iterator[FileServer]:
    """Give a server that answers until the block ends."""
    state = FileServer()
    handler = type("Handler", (_Handler,), {"state": state})
    listening = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    listening.daemon_threads = True
    state.port = listening.server_address[1]
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield state
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()
