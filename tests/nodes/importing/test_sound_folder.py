"""Sounds of a folder lie one after the other, and their labels are said beside them."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tectum.errors import ConfigError
from tectum_nodes.importing.base import UNDATED_NS
from tectum_nodes.importing.formats import opened_source

S = 1_000_000_000


def sound(path: Path, seconds: float, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.full(round(8000 * seconds), level, "<i2").tobytes())


def test_files_follow_each_other_and_the_time_between_is_a_gap(
    tmp_path: Path, imported: Any
) -> None:
    folder = tmp_path / "digits"
    sound(folder / "1_anna_0.wav", 0.5, 100)
    sound(folder / "7_bert_0.wav", 1.2, 700)
    log = imported(folder, audio_rate="8kHz", chunk="100ms")
    blocks, labels = log.of("microphone/audio"), log.of("labels/text")
    assert [m.header.fields["text"] for m in labels] == ["1", "7"]
    spans = [(m.header.stamp_ns - UNDATED_NS, m.header.span_ns) for m in labels]
    assert spans == [(0, S // 2), (2 * S, S * 6 // 5)]
    offsets = [m.header.stamp_ns - UNDATED_NS for m in blocks]
    assert offsets == [n * S // 10 for n in (*range(5), *range(20, 32))]
    assert [m.header.fields["first"] for m in blocks][:2] == [86_400 * 8000, 86_400 * 8000 + 800]
    levels = {int(np.median(m.array())) for m in blocks}
    assert levels == {100, 700}


def test_labels_come_from_subfolders_or_a_pattern(tmp_path: Path, imported: Any) -> None:
    folder = tmp_path / "words"
    for word in ("go", "stop"):
        sound(folder / word / "a_1.wav", 0.1, 1)
    assert [m.header.fields["text"] for m in imported(folder).of("labels/text")] == ["go", "stop"]
    other = tmp_path / "other"
    for word in ("go", "stop"):
        sound(other / word / "a_1.wav", 0.1, 1)
    log = imported(other, label=r"_(\d)\.wav")
    assert [m.header.fields["text"] for m in log.of("labels/text")] == ["1", "1"]


def test_a_broken_file_is_counted_and_a_wrong_pattern_refused(
    tmp_path: Path, imported: Any
) -> None:
    folder = tmp_path / "digits"
    sound(folder / "1_a.wav", 0.1, 1)
    (folder / "2_b.wav").write_bytes(b"no sound")
    log = imported(folder)
    assert len(log.of("labels/text")) == 1
    ((text, count),) = log.report.troubles.items()
    assert "2_b.wav is not a media file that can be read" in text
    assert count == 1
    with pytest.raises(ConfigError, match=r"label: .* must have one group, in brackets"):
        opened_source(folder, "", {"label": "abc"})


@pytest.mark.data
def test_recorded_digits_are_told_by_their_names(data_folder: Path, imported: Any) -> None:
    log = imported(data_folder / "spoken_digits", topics=("labels",))
    assert {m.header.fields["text"] for m in log.of("labels/text")} == set("0123456789")
    assert not log.report.troubles
