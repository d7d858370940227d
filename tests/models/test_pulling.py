"""Pulling models: from a real server on loopback, a folder, and a package of this machine's pip."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tectum.errors import ConfigError, ModelError
from tectum.inference.files import find_file
from tectum.inference.manifest import Manifest, read_manifest
from tectum.testing.file_server import FileServer
from tectum.testing.models import ENCODER, ENCODER_GRAPH, write_model
from tectum_launch.cli import main
from tectum_models.catalogue import find, names
from tectum_models.pulling import Pulled, pull

CONTENT = bytes(range(256)) * 2000  # half a megabyte: several reads
DIGEST = hashlib.sha256(CONTENT).hexdigest()
PATH = "/some/det.onnx"


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "pulled"


def model(folder: Path, digest: str = DIGEST, **source: Any) -> Manifest:
    """Return a manifest whose one file comes from elsewhere."""
    where = {"file": "det.onnx", "where": "made by example/det", **source}
    entry = {"name": "fp32", "sha256": digest, "source": where}
    return read_manifest(write_model(folder / "model", ENCODER_GRAPH, ENCODER, variants=[entry]))


def on_server(folder: Path, server: FileServer, digest: str = DIGEST) -> Manifest:
    server.files[PATH] = CONTENT
    return model(folder, digest, url=server.url(PATH), bytes=len(CONTENT))


def bring(manifest: Manifest, into: Path, environ: dict[str, str] | None = None) -> Pulled:
    (pulled,) = pull(manifest, into=into, environ=environ or {"HOME": str(into.parent)})
    return pulled


def left_in(folder: Path) -> list[str]:
    """Return what is in a folder, locks aside."""
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in paths if not path.endswith(".lock"))


def test_a_file_is_fetched_checked_and_installed_once(
    tmp_path: Path, into: Path, server: FileServer
) -> None:
    manifest, told = on_server(tmp_path, server), []
    (pulled,) = pull(manifest, lambda *told_of: told.append(told_of), into, {"HOME": "/nowhere"})
    assert pulled == Pulled("fp32", into / "det.onnx", server.url(PATH), len(CONTENT))
    assert pulled.path.read_bytes() == CONTENT
    assert left_in(into) == ["det.onnx"]
    assert told[-1] == ("det.onnx", len(CONTENT), len(CONTENT))
    assert [have for _, have, _ in told] == sorted(have for _, have, _ in told)
    again = bring(manifest, into)
    assert (again.origin, again.path) == ("", pulled.path)
    assert server.asked == [(PATH, "")]


def test_it_goes_into_the_users_folder_where_graphs_find_it(
    tmp_path: Path, server: FileServer
) -> None:
    manifest = on_server(tmp_path, server)
    environ = {"XDG_DATA_HOME": str(tmp_path / "share")}
    (pulled,) = pull(manifest, environ=environ)
    assert pulled.path == tmp_path / "share" / "tectum" / "models" / "det.onnx"
    assert find_file(manifest, manifest.variant("fp32"), environ) == pulled.path


def test_a_cut_download_goes_on_where_it_was(
    tmp_path: Path, into: Path, server: FileServer
) -> None:
    manifest = on_server(tmp_path, server)
    server.cuts = [100_000, 200_000]
    bring(manifest, into)
    assert (into / "det.onnx").read_bytes() == CONTENT
    assert server.asked == [(PATH, ""), (PATH, "bytes=100000-"), (PATH, "bytes=300000-")]


def test_what_has_arrived_is_kept_for_the_next_call_but_not_under_its_name(
    tmp_path: Path, into: Path, server: FileServer
) -> None:
    manifest = on_server(tmp_path, server)
    server.cuts = [150_000, 0, 0, 0]
    with pytest.raises(ModelError) as caught:
        bring(manifest, into)
    assert "150,000 of 512,000 bytes are here: pull again, which goes on" in str(caught.value)
    assert not (into / "det.onnx").exists()
    server.asked.clear()
    bring(manifest, into)
    assert server.asked == [(PATH, "bytes=150000-")]
    assert (into / "det.onnx").read_bytes() == CONTENT


def test_a_server_without_ranges_is_asked_for_all_of_it(
    tmp_path: Path, into: Path, server: FileServer
) -> None:
    manifest = on_server(tmp_path, server)
    server.ranges, server.cuts = False, [100_000]
    bring(manifest, into)
    assert (into / "det.onnx").read_bytes() == CONTENT


def test_a_passing_fault_of_the_server_is_waited_out_by_asking_again(
    tmp_path: Path, into: Path, server: FileServer
) -> None:
    manifest = on_server(tmp_path, server)
    server.statuses = [503, 502]
    bring(manifest, into)
    assert len(server.asked) == 3


def test_a_file_with_another_hash_is_refused_and_nothing_is_kept(
    tmp_path: Path, into: Path, server: FileServer
) -> None:
    manifest = on_server(tmp_path, server, digest="ab" * 32)
    with pytest.raises(ModelError) as caught:
        bring(manifest, into)
    message = str(caught.value)
    assert message.startswith(f"{server.url(PATH)} has SHA-256 {DIGEST[:16]}..., but ")
    assert "says abababababababab...: it is damaged, another version or not" in message
    assert left_in(into) == []


def test_the_rest_of_another_file_is_not_put_behind_what_is_here(
    tmp_path: Path, into: Path, server: FileServer
) -> None:
    manifest = on_server(tmp_path, server)
    (into / ".partial").mkdir(parents=True)
    (into / ".partial" / f"det.onnx.{DIGEST[:16]}").write_bytes(b"another" * 10_000)
    bring(manifest, into)
    assert server.asked == [(PATH, "bytes=70000-"), (PATH, "")]
    assert (into / "det.onnx").read_bytes() == CONTENT


def test_more_than_the_file_is_asked_for_anew(
    tmp_path: Path, into: Path, server: FileServer
) -> None:
    manifest = on_server(tmp_path, server)
    (into / ".partial").mkdir(parents=True)
    (into / ".partial" / f"det.onnx.{DIGEST[:16]}").write_bytes(CONTENT * 2)
    bring(manifest, into)
    assert (into / "det.onnx").read_bytes() == CONTENT


@pytest.mark.parametrize("size", [len(CONTENT) - 1, len(CONTENT) + 1])
def test_a_file_of_another_size_is_refused_before_it_is_read(
    tmp_path: Path, into: Path, server: FileServer, size: int
) -> None:
    manifest = on_server(tmp_path, server)
    server.files[PATH] = (CONTENT + b"!")[:size]
    with pytest.raises(ModelError, match=rf"of {size:,} bytes, but the manifest says 512,000"):
        bring(manifest, into)
    assert left_in(into) == []


def test_a_file_without_an_end_is_given_up_where_it_should_end(
    tmp_path: Path, into: Path, server: FileServer
) -> None:
    manifest = on_server(tmp_path, server)
    server.endless = True
    with pytest.raises(ModelError, match="does not end where the manifest says"):
        bring(manifest, into)
    assert left_in(into) == []


def test_a_file_that_is_gone_is_told_at_once(
    tmp_path: Path, into: Path, server: FileServer
) -> None:
    manifest = model(tmp_path, url=server.url("/gone"), bytes=7)
    with pytest.raises(ModelError, match=r"/gone: the server answers 404 Not Found; get the file"):
        bring(manifest, into)
    assert server.asked == [("/gone", "")]
    assert left_in(into) == []


def test_a_server_that_is_not_there_is_named_with_the_way_out(tmp_path: Path, into: Path) -> None:
    manifest = model(tmp_path, url="http://127.0.0.1:9/det.onnx", bytes=7)
    with pytest.raises(ModelError) as caught:
        bring(manifest, into)
    assert "127.0.0.1:9/det.onnx: Connection refused; 0 of 7 bytes are here" in str(caught.value)
    assert "a folder that TECTUM_MODELS names" in str(caught.value)


def test_a_folder_of_the_users_stands_in_for_the_network(
    tmp_path: Path, into: Path, server: FileServer
) -> None:
    manifest, mirror = on_server(tmp_path, server), tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "det.onnx").write_bytes(CONTENT)
    environ = {"TECTUM_MODELS": f"{tmp_path / 'none'}{os.pathsep}{mirror}"}
    assert bring(manifest, into, environ).origin == str(mirror)
    assert (into / "det.onnx").read_bytes() == CONTENT
    assert server.asked == []


def test_a_wrong_file_in_that_folder_is_refused_and_not_passed_over(
    tmp_path: Path, into: Path, server: FileServer
) -> None:
    manifest, mirror = on_server(tmp_path, server), tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "det.onnx").write_bytes(CONTENT[:-1])
    with pytest.raises(ModelError, match=rf"{mirror}/det.onnx has SHA-256 "):
        bring(manifest, into, {"TECTUM_MODELS": str(mirror)})
    assert left_in(into) == []
    assert server.asked == []


def test_a_file_that_was_damaged_here_is_told_with_what_to_do(
    tmp_path: Path, into: Path, server: FileServer
) -> None:
    manifest = on_server(tmp_path, server)
    into.mkdir()
    (into / "det.onnx").write_bytes(b"half")
    with pytest.raises(ModelError, match="remove it and run `tectum models pull test/camera`"):
        bring(manifest, into)


def test_what_nobody_publishes_is_told_with_how_it_is_made(tmp_path: Path, into: Path) -> None:
    manifest = model(tmp_path)
    with pytest.raises(ModelError) as caught:
        bring(manifest, into, {"TECTUM_MODELS": str(tmp_path)})
    message = str(caught.value)
    assert (
        "nobody publishes det.onnx, so it cannot be fetched. It is made by example/det" in message
    )
    assert str(tmp_path) in message
    own = tmp_path / ".local/share/tectum/models"
    with pytest.raises(ModelError, match=r"TECTUM_MODELS names \(looked in none: it names none\)"):
        bring(manifest, own, {"HOME": str(tmp_path)})


def test_two_pulls_of_one_file_do_not_mix(tmp_path: Path, into: Path, server: FileServer) -> None:
    manifest = on_server(tmp_path, server)
    (into / ".partial").mkdir(parents=True)
    with (into / ".partial" / "det.onnx.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ModelError, match=r"det\.onnx is being pulled already"):
            bring(manifest, into)


def wheel(folder: Path, content: bytes = CONTENT) -> Path:
    """Write a wheel by hand that ships a file; return it."""
    path, info = folder / "some_models-1.2.0-py3-none-any.whl", "some_models-1.2.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("some_models/data/det.onnx", content)
        archive.writestr("some_models/__init__.py", "raise SystemExit('this must not run')\n")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: some-models\nVersion: 1.2.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


PACKAGED = {"package": "some-models==1.2.0", "member": "some_models/data/det.onnx",
            "bytes": len(CONTENT)}  # fmt: skip


@pytest.fixture
def index(tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> FileServer:
    """A package index on loopback, which pip's configuration names."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", server.url("/simple/"))
    made = wheel(tmp_path)
    server.files[f"/files/{made.name}"] = made.read_bytes()
    link = f'<!DOCTYPE html><a href="/files/{made.name}">{made.name}</a>'
    server.files["/simple/some-models/"] = link.encode()
    return server


@pytest.mark.realtime
def test_a_file_of_a_package_comes_from_the_index_that_pip_is_set_to(
    tmp_path: Path, into: Path, index: FileServer
) -> None:
    pulled = bring(model(tmp_path, **PACKAGED), into)
    assert pulled.origin == "the Python package some-models==1.2.0"
    assert (into / "det.onnx").read_bytes() == CONTENT
    assert left_in(into) == ["det.onnx"]
    assert index.asked[0] == ("/simple/some-models/", "")


@pytest.mark.realtime
@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            {"package": "some-models==9.9"},
            "pip does not get the package some-models==9.9: No match",
        ),
        ({"member": "some_models/other.onnx"}, "has no file some_models/other.onnx: it is not the"),
        ({"bytes": 5}, "has 512,000 bytes, but the manifest says 5: it is another version"),
    ],
)
def test_a_package_that_is_not_the_one_that_is_meant_is_refused(
    tmp_path: Path, into: Path, index: FileServer, source: dict[str, Any], words: str
) -> None:
    with pytest.raises(ModelError) as caught:
        bring(model(tmp_path, **{**PACKAGED, **source}), into)
    assert words in str(caught.value)
    assert left_in(into) == []


@pytest.mark.realtime
def test_a_packaged_file_with_another_hash_is_refused(
    tmp_path: Path, into: Path, index: FileServer
) -> None:
    with pytest.raises(ModelError, match=r"det\.onnx of some-models==1\.2\.0 has SHA-256 "):
        bring(model(tmp_path, "cd" * 32, **PACKAGED), into)
    assert left_in(into) == []


WRONG = [
    ({"file": "../det.onnx"}, "'../det.onnx' is not a file's name without its folder"),
    ({"url": "ftp://x/y", "bytes": 1}, "is not an address that begins with https:// or http://"),
    ({"package": "some-models", "member": "a", "bytes": 1}, "is not NAME==VERSION, as in silero"),
    ({"package": "some==1", "bytes": 1}, "source.member: '' is not a path in the wheel of `packag"),
    ({"url": "https://x/y"}, "source.bytes: 0 is not the size of what is fetched, above 0"),
]


@pytest.mark.parametrize(("source", "words"), WRONG)
def test_a_source_that_makes_no_sense_is_an_error_of_the_manifest(
    tmp_path: Path, source: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        model(tmp_path, **source)
    assert words in str(caught.value)


def test_what_is_fetched_needs_its_whole_hash(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="all 64 hex digits, which a fetched file needs"):
        model(tmp_path, DIGEST[:16], url="https://x/y", bytes=1)


def tectum(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["models", "pull", *arguments])


def test_the_command_says_what_came_from_where(
    tmp_path: Path, into: Path, server: FileServer
) -> None:
    folder = str(on_server(tmp_path, server).folder)
    result = tectum(folder, "--into", str(into))
    assert result.exit_code == 0, result.output
    said = f"test/camera (Apache-2.0): {into / 'det.onnx'} from {server.url(PATH)}\n"
    assert result.stdout == said
    again = tectum(folder, "--into", str(into), "--json")
    (pulled,) = json.loads(again.stdout)["pulled"]["test/camera"]
    assert pulled == {"variant": "fp32", "path": str(into / "det.onnx"), "origin": "",
                      "bytes": len(CONTENT)}  # fmt: skip


def test_the_command_refuses_what_comes_with_tectum_and_says_what_there_is() -> None:
    shipped = tectum("driving/camera")
    assert (shipped.exit_code, shipped.stderr) == (
        2, "tectum: driving/camera comes with Tectum: there is nothing to pull\n",
    )  # fmt: skip
    nothing = tectum()
    assert nothing.exit_code == 2
    assert "there are: third_party/fastestdet, third_party/mini_xception" in nothing.stderr


def test_the_command_ends_with_1_where_a_file_is_refused(
    tmp_path: Path, into: Path, server: FileServer
) -> None:
    folder = str(on_server(tmp_path, server, digest="ab" * 32).folder)
    result = tectum(folder, "--into", str(into))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"tectum: {server.url(PATH)} has SHA-256 ")


def test_every_foreign_model_has_its_whole_hash_and_a_place_that_does_not_move() -> None:
    foreign = [name for name in names() if name.startswith("third_party/")]
    assert {"fastestdet", "mini_xception", "silero", "ultraface", "yamnet", "yunet"} <= {
        name.removeprefix("third_party/") for name in foreign
    }
    for name in foreign:
        for variant in read_manifest(find(name)).variants:
            assert len(variant.sha256) == 64
            assert variant.source is not None
            commit = [part for part in variant.source.url.split("/") if len(part) == 40]
            assert len(commit) == bool(variant.source.url)


@pytest.mark.data
def test_every_foreign_model_is_pulled_from_a_folder_that_has_it(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TECTUM_MODELS", str(data_folder / "models"))
    result = tectum("--all", "--into", str(tmp_path))
    assert result.exit_code == 0, result.output
    foreign = [name for name in names() if name.startswith("third_party/")]
    assert len(left_in(tmp_path)) == len(foreign)
    sizes = {path.name: path.stat().st_size for path in tmp_path.glob("*.onnx")}
    for name in foreign:
        source = read_manifest(find(name)).variants[0].source
        assert source is not None
        assert not source.nbytes or source.nbytes == sizes[source.file]
