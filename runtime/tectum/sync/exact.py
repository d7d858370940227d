"""`exact`: the sample whose reference point equals the trigger's, to the nanosecond."""

from __future__ import annotations

from tectum.sync.nearest import Nearest

__all__ = ["Exact"]


class Exact(Nearest):
    """Nearest with no tolerance: final as soon as the equal stamp is there or passed by."""

    def __init__(self) -> None:
        """Take no tolerance on either side."""
        super().__init__(before_ns=0, after_ns=0)
