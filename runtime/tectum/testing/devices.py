"""A device with memory of its own, for tests on machines that have none."""

from __future__ import annotations

from tectum.inference.device import CPU, Device

__all__ = ["APART"]


class Apart(Device):
    """The CPU, treated as if its memory were elsewhere: bound buffers, copies up and down."""

    is_gpu = True


APART = Apart("apart", CPU.providers)
