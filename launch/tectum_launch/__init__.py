"""Graph files to checked plans to running processes; the command line; embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tectum_launch.embedded_log import embed_log
    from tectum_launch.embedding import embed

__all__ = ["embed", "embed_log"]


def __getattr__(name: str) -> object:
    """Load what embeds when it is asked for: the command line starts without it."""
    if name == "embed":
        from tectum_launch.embedding import embed  # noqa: PLC0415

        return embed
    if name == "embed_log":
        from tectum_launch.embedded_log import embed_log  # noqa: PLC0415

        return embed_log
    msg = f"module 'tectum_launch' has no attribute {name!r}"
    raise AttributeError(msg)
