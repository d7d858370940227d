"""A sensor can be tried by itself: what it lists, and what a source gives."""

import json
import wave
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tectum.errors import ConfigError
from tectum_launch.cli import main
from tectum_launch.probe import devices_of, probed


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.zeros(8_000, "<i2").tobytes())
    return path


@pytest.mark.realtime
def test_what_a_source_gives_is_shown(sound: Path) -> None:
    result = CliRunner().invoke(
        main, ["nodes", "probe", "microphone", f"path={sound}", "--for", "2s", "--json"]
    )

    assert result.exit_code == 0, result.output
    audio = json.loads(result.stdout)["audio"]
    assert audio["messages"] == 25
    assert audio["rate_hz"] == 50.0
    assert audio["buffers"] == ["int16 320x1"]
    assert audio["fields"]["rate_hz"] == 16_000


def test_cameras_are_listed_and_a_node_without_devices_says_so() -> None:
    assert isinstance(devices_of("camera"), list)
    assert devices_of("velodyne") is None
    shown = CliRunner().invoke(main, ["nodes", "probe", "velodyne"])
    assert "lists no devices: give it settings" in shown.output


@pytest.mark.parametrize(
    ("run", "setting", "words"),
    [
        ("microphone", "devcie=0", "unknown key 'devcie'; did you mean 'device'"),
        ("camera", "device", "expected KEY=VALUE"),
        ("camera", "url=x", "url must begin with rtsp"),
        ("recorder", "path=x", "is not a sensor"),
    ],
)
def test_wrong_settings_are_said(run: str, setting: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        probed(run, [setting], 1)


@pytest.mark.realtime
def test_a_probe_knows_nothing_of_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is played begins anew, whatever another probe has left in the temporary folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "playback_begin").write_text("1000")
    (tmp_path / "velodyne").mkdir()
    for frame in range(3):
        np.zeros((2, 4), np.float32).tofile(tmp_path / f"velodyne/{frame:06}.bin")
    found = probed("kitti_lidar", [f"folder={tmp_path}"], 2_000_000_000)
    assert found["points"]["messages"] == 3
