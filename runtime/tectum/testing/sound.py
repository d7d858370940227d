"""A PulseAudio server of a test's own, with virtual microphones that real PortAudio can open."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock

__all__ = ["RATE", "SoundServer", "Speaker", "sound_server", "why_no_sound"]

RATE = 16_000
PIECE = RATE // 100


def why_no_sound() -> str:
    """Return what is missing for a sound server, or nothing."""
    needed = ("pulseaudio", "pactl", "pacat")
    missing = [name for name in needed if shutil.which(name) is None]
    missing += [] if ctypes.util.find_library("portaudio") else ["libportaudio2"]
    plugins = list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so"))
    missing += [] if plugins else ["libasound2-plugins"]
    return f"no virtual microphone: {', '.join(missing)} missing; see .ci/audio" if missing else ""


class SoundServer:
    """A running server and its folder."""

    def __init__(self, folder: Path) -> None:
        """Start a server whose socket, pipe and settings lie in `folder`."""
        self.folder = folder
        self.environment = {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "PULSE_SERVER": f"unix:{folder}/native",
        }
        (folder / ".asoundrc").write_text(
            "pcm.!default { type pulse }\nctl.!default { type pulse }\n"
        )
        command = [
            "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disallow-exit",
            "--use-pid-file=no",
            "-L", f"module-native-protocol-unix auth-anonymous=1 socket={folder}/native",
            "-L", f"module-null-sink sink_name=sink rate={RATE} channels=1 format=s16le",
            "-L", f"module-pipe-source source_name=pipe file={folder}/fifo rate={RATE} channels=1 "
            "format=s16le",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, env={**os.environ, **self.environment}, stderr=subprocess.DEVNULL
        )
        self._players: list[subprocess.Popen[bytes]] = []

    def ready(self) -> bool:
        """Return whether the server answers and has the virtual microphones."""
        asked = subprocess.run(
            ["pactl", "list", "short", "sources"],
            env={**os.environ, **self.environment}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return "pipe" in asked.stdout and "sink.monitor" in asked.stdout

    def listen_to(self, source: str) -> None:
        """Make `pipe` or `sink.monitor` the system's microphone."""
        subprocess.run(
            ["pactl", "set-default-source", source],
            env={**os.environ, **self.environment}, check=True,
        )  # fmt: skip

    def play(self, samples: NDArray[np.int16]) -> None:
        """Play int16 samples into the sink, again and again."""
        sound = self.folder / "sound.raw"
        sound.write_bytes(samples.astype("<i2").tobytes() * 20)
        command = ["pacat", "--latency-msec=20", "--device=sink", f"--rate={RATE}"]
        command += ["--channels=1", "--format=s16le", str(sound)]
        self._players.append(subprocess.Popen(command, env={**os.environ, **self.environment}))

    def speak(self, clock: GraphClock) -> Speaker:
        """Write clicks into the pipe from now on."""
        return Speaker(self, clock)

    def pause(self) -> None:
        """Let the server stand still."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        """End the server and who plays."""
        self.resume()
        for process in (*self._players, self._process):
            process.terminate()
            process.wait()


@contextmanager
def sound_server() -> Iterator[SoundServer]:
    """Run a server for as long as the context lasts; see first that `why_no_sound` says nothing."""
    clock = GraphClock()
    with tempfile.TemporaryDirectory(prefix="pa") as name:
        server = SoundServer(Path(name))
        try:
            until_ns = clock.now_ns() + 10 * NS_PER_S
            while not server.ready():
                assert clock.now_ns() < until_ns, "PulseAudio does not start"
                clock.sleep_until_ns(clock.now_ns() + 50 * NS_PER_MS)
            yield server
        finally:
            server.close()


class Speaker:
    """Writes a click every half second into the pipe, paced by the clock; says when."""

    def __init__(self, server: SoundServer, clock: GraphClock) -> None:
        """Begin to write."""
        self.clicks_ns: list[int] = []
        self._path, self._clock = server.folder / "fifo", clock
        self._ending = False
        self._thread = threading.Thread(target=self._speak)
        self._thread.start()

    def close(self) -> None:
        """Fall silent."""
        self._ending = True
        self._thread.join()

    def _speak(self) -> None:
        pipe = os.open(self._path, os.O_WRONLY)
        begin_ns, piece = self._clock.now_ns(), 0
        while not self._ending:
            samples = np.zeros(PIECE, "<i2")
            if piece % 50 == 25:
                samples[0] = 20_000
                self.clicks_ns.append(begin_ns + piece * 10 * NS_PER_MS)
            piece += 1
            self._clock.sleep_until_ns(begin_ns + piece * 10 * NS_PER_MS)
            os.write(pipe, samples.tobytes())
        os.close(pipe)
