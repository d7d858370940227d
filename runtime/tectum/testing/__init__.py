"""Helpers for tests of Tectum and of code built on it."""

from tectum.testing.clock import FakeClock

__all__ = ["FakeClock"]
