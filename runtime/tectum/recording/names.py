"""How the files of one recording are called."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["life_path", "lives_named", "part_path", "parts_of", "without_number"]

_DIGITS = 5


def part_path(path: Path, number: int) -> Path:
    """Return the name of file `number`, from 1, of a series: `drive-00001.mcap`."""
    return path.with_name(f"{path.stem}-{number:0{_DIGITS}}{path.suffix}")


def life_path(path: Path, number: int) -> Path:
    """Return the name of the log of a recorder's life: `drive.mcap`, `drive-2.mcap`, ..."""
    return path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")


def parts_of(path: Path) -> dict[Path, int]:
    """Return the files that are there of the series `path`, in their order, with their numbers."""
    return _numbered(path, rf"\d{{{_DIGITS},}}")


def lives_named(path: Path) -> dict[Path, int]:
    """Return the files that are called like further lives of `path`, in their order."""
    return {file: number for file, number in _numbered(path, r"[1-9]\d*").items() if number > 1}


def without_number(path: Path) -> Path | None:
    """Return the recording whose part or further life `path` is called like, or None."""
    match = re.fullmatch(r"(.+)-([1-9]\d*|\d{5,})", path.stem)
    return path.with_name(f"{match.group(1)}{path.suffix}") if match else None


def _numbered(path: Path, number: str) -> dict[Path, int]:
    pattern = rf"{re.escape(path.stem)}-({number}){re.escape(path.suffix)}"
    try:
        names = [re.fullmatch(pattern, file.name) for file in path.parent.iterdir()]
    except OSError:
        return {}
    found = {path.with_name(match.group()): int(match.group(1)) for match in names if match}
    return dict(sorted(found.items(), key=lambda item: item[1]))
