"""Opening a page where there is a browser: on a screen, not in a terminal."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Mapping

__all__ = ["has_browser", "open_page"]


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
