"""A message as it came: its header taken apart, its bytes wherever they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tectum.message import Header, Payload
from tectum.transport.reference import Reference

__all__ = ["Come"]


@dataclass(slots=True)
class Come:
    """One message on its way to who asked for it."""

    header: Header
    reference: Reference | None
    buffers: Sequence[bytes | memoryview]
    payloads: tuple[Payload, ...] | None = None
    """Where they were leased before the bytes were there."""
    cut_off: bool = False
    """The connection ended before they were."""
