"""The graph `emotion` on live devices: a camera on the network, a microphone of the sound system.

Somebody comes, speaks and goes, again and again: seen by an MJPEG camera on loopback, heard through
PortAudio from a PulseAudio server. What is told is judged by its order, not by its moments.
"""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tectum.clock import NS_PER_S, GraphClock
from tectum.message import Kind, Message
from tectum.recording.reader import LogReader
from tectum.testing.sound import RATE, SoundServer

pytestmark = [pytest.mark.data, pytest.mark.realtime]

CLIP = "talking_faces/lbax4n.mpg"
HZ, EMPTY_S = 25, 3
SECONDS = 20


class RoomCamera:
    """An MJPEG camera on loopback: pictures of a film that never ends, each at its time."""

    def __init__(self, film: list[bytes]) -> None:
        clock, ending = GraphClock(), threading.Event()
        begin_ns = clock.now_ns()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                while not ending.wait(1 / HZ):
                    at = (clock.now_ns() - begin_ns) * HZ // NS_PER_S
                    data = film[at % len(film)]
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}"
                    try:
                        self.wfile.write(head.encode() + b"\r\n\r\n" + data + b"\r\n")
                    except OSError:
                        return

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/stream"
        self._ending = ending
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        """Go off."""
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _visit(clip: Path) -> tuple[list[bytes], np.ndarray]:
    """Return JPEGs and int16 sound of `clip` after some seconds of an empty, silent room."""
    with av.open(str(clip)) as source:
        frames = [frame.to_ndarray(format="bgr24") for frame in source.decode(video=0)]
    resampler, parts = av.AudioResampler("s16", "mono", RATE), []
    with av.open(str(clip)) as source:
        for frame in source.decode(audio=0):
            parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
    film = [np.full_like(frames[0], 110)] * (HZ * EMPTY_S) + frames
    sound = np.zeros(len(film) * RATE // HZ, np.int16)
    said = np.concatenate(parts)[: len(frames) * RATE // HZ]
    sound[EMPTY_S * RATE :][: len(said)] = said
    return [cv2.imencode(".jpg", picture)[1].tobytes() for picture in film], sound


@pytest.fixture
def room(data_folder: Path, sound_server: SoundServer) -> Iterator[str]:
    """Let somebody come and go; return the address of the camera."""
    film, sound = _visit(data_folder / CLIP)
    sound_server.listen_to("sink.monitor")
    camera = RoomCamera(film)
    sound_server.play(sound)
    yield camera.url
    camera.close()


def _labels(results: list[Message], name: str) -> list[str]:
    """Return the labels that held, each once for as long as it held."""
    said = []
    for message in results:
        output = message.header.fields["result"]["outputs"][name]
        said.append(output["labels"][int(message.array(output["buffer"])[0])])
    return [label for label, _ in groupby(said)]


def test_a_camera_and_a_microphone_tell_who_comes_speaks_and_goes(
    room: str, tmp_path: Path
) -> None:
    log, report = tmp_path / "log.mcap", tmp_path / "report.json"
    settings = (f"nodes.camera.url={room}", "nodes.microphone.device=pulse", "budget=none")
    command = [sys.executable, "-m", "tectum_launch", "launch", "emotion", "--duration"]
    command += [f"{SECONDS}s", "--record", str(log), "--report", str(report)]
    command += [part for setting in settings for part in ("--set", setting)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr

    with LogReader(log) as reader:
        messages = [record.message for record in reader.messages(["perception/result"])]
    results = [message for message in messages if message.header.kind is Kind.RESULT]
    found = json.loads(report.read_text())
    assert len(results) > SECONDS * 5 // 2  # loading models is part of the duration
    assert found["unexplained_loss"] == 0
    for name, yes, no in (
        ("view", "somebody in view", "nobody in view"),
        ("speaking", "somebody speaking", "nobody speaking"),
    ):
        told = _labels(results, name)
        assert (no, yes) in pairwise(told), told
        assert (yes, no) in pairwise(told), told
    assert {"neutral", "unsure"} <= set(_labels(results, "shown"))

    documents = [message.header.fields["result"] for message in results]
    together = [
        document
        for document in documents
        if all(document["inputs"][name]["status"] == "fresh" for name in ("face", "manner"))
    ]
    assert len(together) > len(results) // 2
    for message in results:
        output = message.header.fields["result"]["outputs"].get("expression")
        if output is not None:
            assert message.array(output["buffer"]).sum() == pytest.approx(1, abs=1e-3)
