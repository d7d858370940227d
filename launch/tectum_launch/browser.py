"""Opening a page where there is a browser: on a screen, not in a terminal."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from collections.abc import Mapping

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.rundir import live_runs, read_run

__all__ = ["has_browser", "open_dashboard", "open_page"]

_LOOK_NS, _PATIENCE_NS = 100 * NS_PER_MS, 30 * NS_PER_S


def has_browser(environment: Mapping[str, str] | None = None) -> bool:
    """Return whether a page can be opened on a screen.

    A browser of the terminal, as `www-browser` may be, is none: it would take the console's place.
    """
    known = os.environ if environment is None else environment
    if sys.platform.startswith("linux"):
        screen = known.get("DISPLAY") or known.get("WAYLAND_DISPLAY")
        if not (screen or known.get("BROWSER")) or known.get("SSH_CONNECTION"):
            return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def open_page(address: str, wanted: bool | None = None) -> bool:
    """Open `address`; `wanted`: yes, no, or None for where there is a browser; return whether."""
    if wanted is False or (wanted is None and not has_browser()):
        return False
    return webbrowser.open(address)


def open_dashboard(node: str) -> threading.Thread:
    """Open the page of the dashboard `node` of the run that this process is about to launch."""
    thread = threading.Thread(target=_open_when_served, args=(node,), name="page", daemon=True)
    thread.start()
    return thread


def _open_when_served(node: str) -> None:
    clock = GraphClock()
    end_ns = clock.now_ns() + _PATIENCE_NS
    while clock.now_ns() < end_ns:
        address = _address(node)
        if address:
            open_page(address, wanted=True)
            return
        clock.sleep_until_ns(clock.now_ns() + _LOOK_NS)


def _address(node: str) -> str:
    for folder in live_runs():
        file = folder / f"{node}.url"
        if file.is_file() and read_run(folder)["pid"] == os.getpid():
            return file.read_text(encoding="utf-8").strip()
    return ""
