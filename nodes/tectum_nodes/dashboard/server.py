"""The dashboard's web server: the page's files, and one WebSocket per browser.

A thread of its own with an event loop; the node's loop thread fills the slots and answers
questions. A browser that does not read is waited for by its own task alone. Requests from pages of
other origins are refused (403), and so are names for this host that it does not know, so that no
foreign page gets at the data by way of DNS. Needs aiohttp (extra `ui`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from tectum.errors import ConfigError
from tectum_nodes.dashboard.frames import frame
from tectum_nodes.dashboard.questions import Answer
from tectum_nodes.dashboard.slots import Slots, Viewer

__all__ = ["Ask", "PageServer"]

Ask = Callable[[Mapping[str, Any]], "Future[Answer]"]
"""Asks whoever fills the slots; see `tectum_nodes.dashboard.questions`."""

PAGE = files("tectum_nodes.dashboard") / "page"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_COOKIE = "tectum_token"
_LARGEST_QUESTION = 4096
_PATIENCE_S = 10.0
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class PageServer:
    """Serves one dashboard. `open` and `close` are for the node's thread."""

    def __init__(
        self,
        slots: Slots,
        ask: Ask,
        *,
        host: str,
        port: int,
        token: str = "",
        metrics: bool = False,
    ) -> None:
        """Serve what is in `slots` on `host:port`; with a `token` only to those who know it.

        `metrics`: also give `/metrics`, which is asked for as `{"metrics": true}`.
        """
        self._slots, self._ask, self._metrics = slots, ask, metrics
        self._host, self._port, self._token = host, port, token
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="dashboard", daemon=True)
        self._stopped = asyncio.Event()
        self._ready: Future[None] = Future()
        self._socket: socket.socket | None = None

    def open(self) -> str:
        """Begin to serve and return the page's address.

        Raises:
            ConfigError: the port is taken, or the host is none of this machine's.
        """
        self._socket = _listening(self._host, self._port)
        self._port = self._socket.getsockname()[1]
        self._thread.start()
        self._ready.result(timeout=_PATIENCE_S)
        query = f"?token={self._token}" if self._token else ""
        shown = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{shown}:{self._port}/{query}"

    def close(self) -> None:
        """Say goodbye to all browsers and end the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join(_PATIENCE_S)
        else:
            self._loop.close()
            if self._socket is not None:
                self._socket.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._until_stopped())
        finally:
            self._loop.close()

    async def _until_stopped(self) -> None:
        application = web.Application(middlewares=[self._guard])
        application.router.add_get("/live", self._live)
        if self._metrics:
            application.router.add_get("/metrics", self._give_metrics)
        application.router.add_get("/", self._file)
        application.router.add_get("/{name}", self._file)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        assert self._socket is not None, "open binds before the thread starts"
        await web.SockSite(runner, self._socket).start()
        self._ready.set_result(None)
        await self._stopped.wait()
        await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Let through who comes from this page, and knows the token where there is one."""
        origin, host = request.headers.get("Origin"), request.headers.get("Host", "")
        if origin is not None and urlsplit(origin).netloc != host:
            raise web.HTTPForbidden(text=f"pages of {origin} may not read this dashboard\n")
        if not self._token and urlsplit(f"//{host}").hostname not in (*_LOOPBACK, self._host):
            raise web.HTTPForbidden(text=f"this dashboard is not called {host}\n")
        given = request.query.get("token") or request.cookies.get(_COOKIE, "")
        if self._token and not secrets.compare_digest(given.encode(), self._token.encode()):
            raise web.HTTPForbidden(text="this dashboard needs its token: /?token=...\n")
        response: web.StreamResponse = await handler(request)
        return response

    async def _file(self, request: web.Request) -> web.Response:
        """Give a file of the page; there are no others."""
        name = request.match_info.get("name") or "index.html"
        found = PAGE / name
        if Path(name).suffix not in _TYPES or not found.is_file():
            raise web.HTTPNotFound(text=f"there is no {name} here\n")
        response = web.Response(body=found.read_bytes(), headers=_HEADERS)
        response.content_type = _TYPES[Path(name).suffix]
        response.charset = "utf-8"
        if self._token:
            response.set_cookie(_COOKIE, self._token, httponly=True, samesite="Strict")
        return response

    async def _live(self, request: web.Request) -> web.WebSocketResponse:
        """Feed one browser, and answer its questions, until it goes."""
        browser = web.WebSocketResponse(max_msg_size=_LARGEST_QUESTION, heartbeat=20, timeout=1.0)
        await browser.prepare(request)
        news = asyncio.Event()
        viewer = self._slots.join(lambda: self._wake(news))
        feed = asyncio.create_task(_feed(browser, viewer, news))
        farewell = asyncio.create_task(self._farewell(browser))
        try:
            async for message in browser:
                if message.type is WSMsgType.TEXT:
                    await self._answer(browser, message.data)
        finally:
            self._slots.leave(viewer)
            for task in (feed, farewell):
                task.cancel()
            await asyncio.gather(feed, farewell, return_exceptions=True)
        return browser

    def _wake(self, news: asyncio.Event) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            self._loop.call_soon_threadsafe(news.set)

    async def _farewell(self, browser: web.WebSocketResponse) -> None:
        await self._stopped.wait()
        await browser.close(message=b"the graph has ended")

    async def _answer(self, browser: web.WebSocketResponse, text: str) -> None:
        """Answer a question, which is a JSON object; anything else is passed over."""
        try:
            question = json.loads(text)
        except ValueError:
            return
        if not isinstance(question, dict) or "metrics" in question:
            return
        answer = await self._asked(question)
        if answer is _BUSY:
            answer = {"t": "why", **question, "node": question.get("why"), "text": _BUSY["text"]}
        if answer is not None:
            await browser.send_bytes(frame(answer))

    async def _give_metrics(self, request: web.Request) -> web.Response:
        """Give the metrics in the text format of Prometheus."""
        del request
        answer = await self._asked({"metrics": True})
        if answer is None or answer is _BUSY:
            raise web.HTTPServiceUnavailable(text=_BUSY["text"])
        response = web.Response(text=answer["text"])
        response.headers["Content-Type"] = "text/plain; version=0.0.4; charset=utf-8"
        return response

    async def _asked(self, question: Mapping[str, Any]) -> Answer:
        try:
            return await asyncio.wait_for(asyncio.wrap_future(self._ask(question)), _PATIENCE_S)
        except TimeoutError:
            return _BUSY


_BUSY = {"text": "no answer: the dashboard is too busy; ask again\n"}
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


async def _feed(browser: web.WebSocketResponse, viewer: Viewer, news: asyncio.Event) -> None:
    """Send what is new, each frame when the one before has been taken."""
    while not browser.closed:
        news.clear()
        for data in viewer.fresh():
            await browser.send_bytes(data)
        await news.wait()


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        msg = (
            f"the dashboard cannot have port {port} of {host}: {error.strerror};"
            " set `port` to another one, or to 0 for any that is free"
        )
        raise ConfigError(msg) from error
    listening.listen(16)
    listening.setblocking(False)
    return listening
