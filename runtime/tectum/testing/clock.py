"""A clock that stands still until it is told to go on."""

from __future__ import annotations

from tectum.errors import ContractError

__all__ = ["FakeClock"]


class FakeClock:
    """A graph clock for tests: `advance` moves it, sleeping jumps it, nothing else does."""

    def __init__(self, now_ns: int = 1_000_000_000_000) -> None:
        """Start at `now_ns`."""
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """Return the instant that was set."""
        return self._now_ns

    def sleep_until_ns(self, instant_ns: int) -> None:
        """Jump to `instant_ns` if it lies ahead."""
        self._now_ns = max(self._now_ns, instant_ns)

    def advance(self, duration_ns: int) -> int:
        """Go on by `duration_ns` and return the new instant.

        Raises:
            ContractError: `duration_ns` is negative; time never goes back.
        """
        if duration_ns < 0:
            msg = f"time cannot go back: advance({duration_ns})"
            raise ContractError(msg)
        self._now_ns += duration_ns
        return self._now_ns
