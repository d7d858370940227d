"""What all tests share: recorded data, a sound server, and how many examples properties get.

`TECTUM_HYPOTHESIS=deep` tries each property on ten times as many.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tectum.testing.sound import SoundServer, sound_server, why_no_sound

settings.register_profile("deep", max_examples=10 * settings().max_examples)
settings.load_profile(os.environ.get("TECTUM_HYPOTHESIS", "default"))


@pytest.fixture
def data_folder(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recordings and models that TECTUM_DATA names, else `../shared/data` beside the checkout.

    TECTUM_DATA is set for the test, so that what it starts finds them too.
    """
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TECTUM_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no recorded data: {folder} is not a folder; set TECTUM_DATA to one")
    monkeypatch.setenv("TECTUM_DATA", str(folder))
    return folder


@pytest.fixture(name="sound_server")
def running_sound_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundServer]:
    """A running server, to which the environment of the test points; skips where it cannot be."""
    if why_no_sound():
        pytest.skip(why_no_sound())
    with sound_server() as server:
        for key, value in server.environment.items():
            monkeypatch.setenv(key, value)
        yield server
