"""What tests of models share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tectum.testing.file_server import FileServer, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server on loopback that no proxy stands before."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with serving() as state:
        yield state
