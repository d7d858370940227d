import re
from pathlib import Path

import pytest

from tectum.errors import ConfigError
from tectum_models.catalogue import find, names

DRIVING = ["driving/camera", "driving/head", "driving/lidar", "driving/siren"]


def test_every_shipped_model_is_found_by_its_name():
    assert names() == sorted(names())
    assert set(DRIVING) <= set(names())
    for name in names():
        assert (find(name) / "model.yaml").is_file()


def test_a_folder_of_ones_own_is_found_by_its_path(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.yaml").write_text("model: mine\n")
    assert find(str(tmp_path / "mine")) == tmp_path / "mine"
    monkeypatch.chdir(tmp_path)
    assert find("mine") == tmp_path / "mine"
    assert find("./mine").is_absolute()


def test_an_unknown_name_is_refused_with_the_nearest_known_one():
    with pytest.raises(ConfigError, match=r"'driving/camra' .* did you mean 'driving/camera'\?"):
        find("driving/camra")


def test_a_folder_without_a_manifest_is_refused_with_what_it_lacks(tmp_path: Path):
    with pytest.raises(ConfigError, match=re.escape("has no model.yaml")):
        find(str(tmp_path))
