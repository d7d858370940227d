"""What all tests share: the folder of recorded data, where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


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
