"""Sessions of one process: inputs that name the same model share one, and its memory."""

from __future__ import annotations

from tectum.inference.device import CPU, Device
from tectum.inference.manifest import Manifest
from tectum.inference.session import Session, SessionOptions

__all__ = ["Sessions"]


class Sessions:
    """Where stages get their sessions. Loads each variant of a model once per device."""

    def __init__(self) -> None:
        """Begin with none."""
        self._loaded: list[Session] = []

    def get(
        self,
        manifest: Manifest,
        variant: str,
        device: Device = CPU,
        options: SessionOptions | None = None,
    ) -> Session:
        """Return the session of `variant`, loaded now or before; raises what `Session` raises."""
        wanted = options or SessionOptions()
        for session in self._loaded:
            same_file = session.manifest == manifest and session.variant == variant
            if same_file and session.device == device and session.options == wanted:
                return session
        self._loaded.append(Session(manifest, variant, device, wanted))
        return self._loaded[-1]
