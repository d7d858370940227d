"""How a message from outside is refused: what it says, and what is allowed, in one sentence."""

from __future__ import annotations

from typing import NoReturn

from tectum.errors import WireError

__all__ = ["refuse"]


def refuse(what: str, found: object, allowed: str) -> NoReturn:
    """Raise the `WireError` that names `what`, with what was found and what is allowed."""
    msg = f"{what} is {repr(found)[:80]}; allowed: {allowed}"
    raise WireError(msg)
