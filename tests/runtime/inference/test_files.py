from __future__ import annotations

import os
from pathlib import Path

import pytest

from tectum.errors import ModelError
from tectum.inference.files import check_hash, find_file, users_folder
from tectum.inference.manifest import Manifest, read_manifest
from tectum.testing.models import ENCODER, ENCODER_GRAPH, write_model

SOURCE = {"file": "det.onnx", "where": "the project example/det"}


def _third_party(folder: Path, **variant: str) -> Manifest:
    entry = {"name": "fp32", "source": SOURCE, **variant}
    return read_manifest(write_model(folder, ENCODER_GRAPH, ENCODER, variants=[entry]))


def test_a_shipped_file_lies_beside_its_manifest(tmp_path: Path) -> None:
    manifest = read_manifest(write_model(tmp_path, ENCODER_GRAPH, ENCODER))
    assert find_file(manifest, manifest.variant("fp32"), {}) == tmp_path / "model.onnx"


def test_other_peoples_files_are_searched_in_tectum_models_first(tmp_path: Path) -> None:
    manifest = _third_party(tmp_path / "model")
    for folder in ("own", "data/models"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "det.onnx").touch()
    environ = {
        "TECTUM_MODELS": f"{tmp_path / 'none'}{os.pathsep}{tmp_path / 'own'}",
        "TECTUM_DATA": str(tmp_path / "data"),
    }
    variant = manifest.variant("fp32")
    assert find_file(manifest, variant, environ) == tmp_path / "own" / "det.onnx"
    del environ["TECTUM_MODELS"]
    assert find_file(manifest, variant, environ) == tmp_path / "data" / "models" / "det.onnx"


def test_a_file_that_is_nowhere_is_told_with_where_to_get_it(tmp_path: Path) -> None:
    manifest = _third_party(tmp_path / "model")
    with pytest.raises(ModelError) as caught:
        find_file(
            manifest, manifest.variant("fp32"), {"TECTUM_DATA": "some/data", "XDG_DATA_HOME": "own"}
        )
    message = str(caught.value)
    assert "test/camera needs det.onnx, which Tectum does not ship" in message
    assert "Get it from the project example/det" in message
    assert "TECTUM_MODELS" in message
    assert message.endswith("looked in own/tectum/models, some/data/models")


def test_the_users_own_folder_of_models_is_in_the_home_folder(tmp_path: Path) -> None:
    manifest = _third_party(tmp_path / "model")
    own = tmp_path / ".local" / "share" / "tectum" / "models"
    own.mkdir(parents=True)
    (own / "det.onnx").touch()
    environ = {"HOME": str(tmp_path)}
    assert users_folder(environ) == own
    assert find_file(manifest, manifest.variant("fp32"), environ) == own / "det.onnx"


def test_a_shipped_file_that_is_gone_is_told_with_the_way_out(tmp_path: Path) -> None:
    manifest = read_manifest(write_model(tmp_path, ENCODER_GRAPH, ENCODER))
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(ModelError, match=r"model\.onnx is missing: .*install Tectum again"):
        find_file(manifest, manifest.variant("fp32"), {})


def test_a_hash_may_be_given_in_full_or_by_its_first_digits(tmp_path: Path) -> None:
    manifest = read_manifest(write_model(tmp_path, ENCODER_GRAPH, ENCODER))
    variant = manifest.variant("fp32")
    path = find_file(manifest, variant, {})
    assert check_hash(manifest, variant, path) == variant.sha256
    short = _third_party(tmp_path, sha256=variant.sha256[:16])
    assert check_hash(short, short.variant("fp32"), path) == variant.sha256


def test_a_truncated_file_is_told_by_its_hash(tmp_path: Path) -> None:
    manifest = read_manifest(write_model(tmp_path, ENCODER_GRAPH, ENCODER))
    path = tmp_path / "model.onnx"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError) as caught:
        check_hash(manifest, manifest.variant("fp32"), path)
    message = str(caught.value)
    assert "model.onnx (100 bytes) has SHA-256" in message
    assert "truncated, damaged or another version" in message
