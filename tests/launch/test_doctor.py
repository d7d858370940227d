import json
import os
import sys

import pytest
from click.testing import CliRunner

from tectum_launch import doctor
from tectum_launch.cli import main


def test_every_examination_says_what_it_found_and_a_way_out_where_it_is_not_well():
    lines = doctor.examine()
    assert {"python", "cv2", "onnxruntime", "models run on", "runs"} <= {
        line.name for line in lines
    }
    for line in lines:
        assert line.state in ("ok", "warn", "fail")
        assert line.found
        assert line.way_out or line.state == "ok"


@pytest.fixture
def installed(monkeypatch):
    """Return a dictionary that stands for what is installed beside the real packages."""
    versions = {}
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: versions.get(name) or real(name))
    return versions


def test_two_flavours_are_told_with_the_command_that_repairs_them(installed):
    installed.update({"onnxruntime": "1.31.0", "onnxruntime-gpu": "1.31.1"})
    line = next(line for line in doctor.packages() if line.name == "onnxruntime")
    pip = f"{sys.executable} -m pip"
    assert line == doctor.Line(
        "onnxruntime",
        "fail",
        "onnxruntime and onnxruntime-gpu own one folder and break each other",
        f"run: {pip} uninstall --yes onnxruntime onnxruntime-gpu && "
        f"{pip} install --no-deps onnxruntime-gpu==1.31.1",
    )


def test_missing_screen_libraries_are_told_with_the_command_that_repairs_them(installed):
    installed["opencv-python"] = "5.0.0.93"
    way_out = doctor._repair(
        "opencv-python", "libxcb.so.1: cannot open shared object file: No such file or directory"
    )
    assert way_out.endswith("install --no-deps opencv-python-headless==5.0.0.93")


def test_a_runtime_folder_that_cannot_be_written_is_named(monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nowhere/at/all")
    line = next(iter(doctor.run_folder()))
    assert line.state == "warn"
    assert line.found.startswith("is /nowhere/at/all, which cannot be written: runs are kept in ")


def test_folders_of_dead_runs_are_counted(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = tmp_path / "tectum" / "abcdef"
    folder.mkdir(parents=True, mode=0o700)
    os.chmod(tmp_path / "tectum", 0o700)
    dead = {"version": 1, "pid": 2**22 + 1, "pid_started": 1, "nodes": {}}
    (folder / "run.json").write_text(json.dumps(dead))
    line = list(doctor.run_folder())[1]
    assert (line.state, line.way_out) == ("warn", "the next launch removes them")
    assert "1 folders of dead runs" in line.found


def test_a_data_folder_that_does_not_exist_fails(monkeypatch):
    monkeypatch.setenv("TECTUM_DATA", "/nowhere/at/all")
    line = next(iter(doctor.data()))
    assert line == doctor.Line(
        "TECTUM_DATA",
        "fail",
        "/nowhere/at/all is not a folder",
        "set TECTUM_DATA to one that exists",
    )


def test_the_command_prints_json_and_its_exit_code_tells_failures(monkeypatch):
    monkeypatch.setattr(doctor, "EXAMINATIONS", (doctor.python,))
    result = CliRunner().invoke(main, ["doctor", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)[0]["name"] == "python"
    monkeypatch.setattr(
        doctor, "EXAMINATIONS", (lambda: iter([doctor.Line("x", "fail", "y", "z")]),)
    )
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    assert result.stdout.splitlines() == ["FAIL  x  y", "         -> z"]


def test_other_peoples_models_that_are_not_here_are_told_with_how_to_get_them(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("TECTUM_MODELS", str(tmp_path))
    monkeypatch.delenv("TECTUM_DATA", raising=False)
    (tmp_path / "silero_vad.onnx").touch()
    (line,) = doctor.models()
    here, _, every = line.found.removesuffix(" are here").partition(" of ")
    assert (line.state, here) == ("ok", "1")
    assert len(line.way_out.split("third_party/")) == int(every)
    assert line.way_out.startswith("`tectum models pull third_party/fastestdet ")
    assert "third_party/silero" not in line.way_out
