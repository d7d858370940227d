"""Tectum: streaming real-time sensor fusion.

Fused answers, aligned and on time, with a reason for every one that is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tectum.result_stream import Result, results

__version__ = "0.1.0"
__all__ = ["Result", "__version__", "results"]


def __getattr__(name: str) -> object:
    """Load `results` when it is asked for: the core itself needs no sockets."""
    if name in {"Result", "results"}:
        from tectum import result_stream  # noqa: PLC0415

        return getattr(result_stream, name)
    msg = f"module 'tectum' has no attribute {name!r}"
    raise AttributeError(msg)
