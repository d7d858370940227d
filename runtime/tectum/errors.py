"""The errors that Tectum raises on purpose.

    TectumError
    +-- ConfigError       a graph file, manifest or option is wrong: nothing was started
    +-- ModelError        a model file is missing, truncated or not what its manifest says
    +-- DeviceError       a camera, microphone, lidar or accelerator is absent or refuses
    +-- DataError         a recording or data folder is missing, cut or malformed
    +-- WireError         a message from outside is malformed: refused and counted, never fatal
    +-- ClosedError       the other side, or this one, has ended
    +-- ContractError     the caller broke a documented rule (a bug of the caller)

A message names the place, the value, what is allowed and the way out, in one sentence or two.
The command line prints it alone; any other exception that reaches it is a bug of ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ClosedError",
    "ConfigError",
    "ContractError",
    "DataError",
    "DeviceError",
    "ModelError",
    "TectumError",
    "WireError",
    "nearest_name",
]


class TectumError(Exception):
    """Base of every error that Tectum raises on purpose."""


class ConfigError(TectumError):
    """A graph file, manifest or option is wrong; nothing was started."""


class ModelError(TectumError):
    """A model file is missing, truncated, or differs from its manifest."""


class DeviceError(TectumError):
    """A sensor or accelerator is absent, busy, or refused by the system."""


class DataError(TectumError):
    """A recording or data folder is missing, cut short or malformed."""


class WireError(TectumError):
    """A message from outside breaks the wire format; it is refused and counted."""


class ClosedError(TectumError):
    """The resource has been closed, by this side or by its peer."""


class ContractError(TectumError):
    """The caller broke a documented rule; the fix is in the calling code."""


def nearest_name(wrong: str, known: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the closest of `known`, or an empty string."""
    close = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""
