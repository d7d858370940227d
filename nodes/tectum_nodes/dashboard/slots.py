"""Slots: what browsers are to be shown, one slot per topic, and per viewer how much it has seen.

Latest wins: a slot holds one frame, a new one takes its place, and a viewer that does not read
finds the newest when it reads again. Nothing queues up for anybody. Slots are filled by one thread;
viewers may live in another, since every step here is a single assignment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

__all__ = ["Slot", "Slots", "Viewer"]


class Slot(Protocol):
    """What one topic has to show."""

    @property
    def version(self) -> int:
        """Return a number that grows with every change."""
        ...

    def frame_after(self, seen: int) -> bytes:
        """Return what a viewer needs who has seen the version `seen` (-1: none)."""
        ...


class _Newest:
    """A slot that holds one whole frame."""

    __slots__ = ("_frame", "version")

    def __init__(self, version: int, frame: bytes) -> None:
        self.version, self._frame = version, frame

    def frame_after(self, seen: int) -> bytes:
        """Return the frame, whatever was seen before."""
        del seen
        return self._frame


class Slots:
    """All slots, and who looks at them."""

    def __init__(self) -> None:
        """Begin empty."""
        self._slots: dict[str, Slot] = {}
        self._viewers: tuple[Viewer, ...] = ()

    @property
    def watched(self) -> bool:
        """Return whether anybody looks."""
        return bool(self._viewers)

    def wanted(self, key: str) -> bool:
        """Return whether some viewer has seen what is there, so that a new frame is worth making.

        One that does not read wants nothing.
        """
        slot = self._slots.get(key)
        if slot is None:
            return bool(self._viewers)
        return any(viewer.seen(key) >= slot.version for viewer in self._viewers)

    def put(self, key: str, frame: bytes) -> None:
        """Let `frame` take the place of what was in the slot."""
        slot = self._slots.get(key)
        self._slots[key] = _Newest(slot.version + 1 if slot else 0, frame)

    def add(self, key: str, slot: Slot) -> None:
        """Add a slot that fills itself."""
        self._slots = {**self._slots, key: slot}

    def keys(self) -> tuple[str, ...]:
        """Return the keys of all slots as they are now."""
        return tuple(self._slots)

    def slot(self, key: str) -> Slot:
        """Return what is in a slot now."""
        return self._slots[key]

    def join(self, wake: Callable[[], None]) -> Viewer:
        """Return a new viewer; `wake` is called, from any thread, when there is something new."""
        viewer = Viewer(self, wake)
        self._viewers = (*self._viewers, viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer."""
        self._viewers = tuple(other for other in self._viewers if other is not viewer)

    def wake(self) -> None:
        """Tell all viewers that there is something new."""
        for viewer in self._viewers:
            viewer.wake()


class Viewer:
    """One browser."""

    def __init__(self, slots: Slots, wake: Callable[[], None]) -> None:
        """Have seen nothing of `slots`."""
        self._slots = slots
        self._seen: dict[str, int] = {}
        self.wake = wake

    def seen(self, key: str) -> int:
        """Return the version that this viewer has been given; -1: none."""
        return self._seen.get(key, -1)

    def fresh(self) -> Iterator[bytes]:
        """Yield each slot's frame that is newer than what was seen, as it is when its turn comes.

        A pass visits every slot at most once, so that none keeps another waiting.
        """
        for key in self._slots.keys():  # noqa: SIM118 - a method, not a mapping
            slot, seen = self._slots.slot(key), self.seen(key)
            version = slot.version
            if version > seen:
                self._seen[key] = version
                yield slot.frame_after(seen)
