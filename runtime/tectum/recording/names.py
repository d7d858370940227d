"""How the files of one recording are called, and which files belong together."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["files_of", "life_path", "missing_parts", "part_path", "parts_of", "series_in"]

_DIGITS = 5


def part_path(path: Path, number: int) -> Path:
    """Return the name of file `number`, from 1, of a series: `drive-00001.mcap`."""
    return path.with_name(f"{path.stem}-{number:0{_DIGITS}}{path.suffix}")


def life_path(path: Path, number: int) -> Path:
    """Return the name of the log of a recorder's life: `drive.mcap`, `drive-2.mcap`, ..."""
    return path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")


def parts_of(path: Path) -> dict[Path, int]:
    """Return the files that are there of the series `path`, in their order, with their numbers."""
    pattern = rf"{re.escape(path.stem)}-(\d{{{_DIGITS},}}){re.escape(path.suffix)}"
    try:
        names = [re.fullmatch(pattern, file.name) for file in path.parent.iterdir()]
    except OSError:
        return {}
    found = {path.with_name(match.group()): int(match.group(1)) for match in names if match}
    return dict(sorted(found.items(), key=lambda item: item[1]))


def files_of(path: Path) -> list[Path]:
    """Return the files of the recording `path`: itself, or where it is not there, its series."""
    return [path] if path.exists() else list(parts_of(path)) or [path]


def missing_parts(path: Path) -> list[str]:
    """Return in sentences which files are missing between the others of the series `path`."""
    if path.exists():
        return []
    numbers = list(parts_of(path).values())
    missing = sorted(set(range(1, max(numbers, default=0))) - set(numbers))
    return [f"{part_path(path, number).name} is missing" for number in missing]


def series_in(folder: Path) -> list[Path]:
    """Return the names of the recordings in a folder: of a series once, without its numbers."""
    pattern = rf"(.+)-\d{{{_DIGITS},}}"
    names: dict[Path, None] = {}
    for file in sorted(folder.glob("*.mcap")):
        match = re.fullmatch(pattern, file.stem)
        names[folder / f"{match.group(1)}{file.suffix}" if match else file] = None
    return list(names)
