"""The demo: a simulated drive fused in front of a newcomer, and what is left of it to look at.

It launches the shipped graph `driving` with the console, a recorder and the truth of the drive, and
where there is a browser with the dashboard. In the middle the camera says nothing for a while, so
that partial answers are seen with their reason. Report, recording and picture are left in one
folder; those of an earlier demo there are replaced.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import ConfigError
from tectum_launch.browser import open_dashboard
from tectum_launch.ledgers import Ledger, read_ledgers
from tectum_launch.overrides import Addition
from tectum_launch.session import Session, run_session

__all__ = ["Demo", "DemoFiles", "run_demo"]

_PAGE = Addition("page", {"run": "dashboard", "port": 0}, "the demo")
_LEAST_NS = 4 * NS_PER_S
"""A shorter drive has no middle worth a fault."""


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """Where the demo leaves what it leaves."""

    folder: Path

    @property
    def report(self) -> Path:
        """Return the path of the report."""
        return self.folder / "report.json"

    @property
    def recording(self) -> Path:
        """Return the path of the recording."""
        return self.folder / "drive.mcap"

    @property
    def picture(self) -> Path:
        """Return the path of the picture."""
        return self.folder / "picture.png"

    def make_room(self) -> None:
        """Make the folder, and remove what an earlier demo left in it.

        Raises:
            ConfigError: the folder cannot be made or written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for path in (self.report, self.recording, self.picture):
                path.unlink(missing_ok=True)
            self.recording.touch()
            self.recording.unlink()
        except OSError as error:
            msg = f"the demo cannot write to {self.folder}: {error.strerror}; name another --folder"
            raise ConfigError(msg) from error


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo that is over."""

    files: DemoFiles
    report: dict[str, Any]
    ledger: Ledger
    exit_code: int


def run_demo(
    folder: Path,
    *,
    duration_ns: int,
    seed: int,
    weather: str,
    graph: str = "driving",
    page: bool = False,
) -> Demo:
    """Drive for `duration_ns`, leave the files in `folder`, and return what came of it.

    Args:
        folder: made if need be.
        duration_ns: at least 4 s.
        seed: of the simulated world.
        weather: day, dusk, fog or rain.
        graph: one with the nodes and parameters of `driving`.
        page: show the drive in a browser, too; needs the extra `ui`.

    Raises:
        ConfigError: the duration is too short, the weather unknown, or the folder not writable.
        DataError: the fusion node ended before it gave a result.
    """
    if duration_ns < _LEAST_NS:
        msg = f"the demo needs a --duration of at least {_LEAST_NS // NS_PER_S}s"
        raise ConfigError(msg)
    files = DemoFiles(folder)
    files.make_room()
    session = Session(
        graph,
        (f"seed={seed}", f"weather={weather}", _fault(duration_ns)),
        duration_ns=duration_ns,
        record=files.recording,
        console=True,
        additions=(_truth(seed, weather), *([_PAGE] if page else ())),
    )
    if page:
        open_dashboard(_PAGE.name)
    launched = run_session(session)
    files.report.write_text(json.dumps(launched.report, indent=1) + "\n", encoding="utf-8")
    (ledger,) = read_ledgers(str(files.recording))
    _draw(files, ledger)
    return Demo(files, launched.report, ledger, launched.exit_code)


def _fault(duration_ns: int) -> str:
    """Return the setting that silences the camera for a fifth of the drive, in its middle."""
    at_ms, lasts_ms = (duration_ns * share // NS_PER_MS // 20 for share in (9, 4))
    return f"nodes.camera.faults=[{{kind: silent, at: {at_ms}ms, lasts: {lasts_ms}ms}}]"


def _truth(seed: int, weather: str) -> Addition:
    entry = {"run": "simulated_truth", "seed": seed, "weather": weather}
    return Addition("truth", entry, "the demo")


def _draw(files: DemoFiles, ledger: Ledger) -> None:
    import cv2  # noqa: PLC0415 - heavy, and only needed at the end

    from tectum_launch.demo_picture import draw_demo  # noqa: PLC0415
    from tectum_launch.demo_scenes import read_drive  # noqa: PLC0415

    cv2.imwrite(str(files.picture), draw_demo(read_drive(files.recording, ledger)))
