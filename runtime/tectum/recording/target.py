"""The file that a log is written into: made with care; what the system refuses is a `DataError`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from tectum.errors import DataError

__all__ = ["disk_errors", "opened_to_write"]


def opened_to_write(path: Path, *, overwrite: bool) -> FileIO:
    """Create the file of a log; unbuffered, so that what was written is the system's.

    Raises:
        DataError: it exists, or its folder does not, or cannot be written to.
    """
    try:
        return path.open("wb" if overwrite else "xb", buffering=0)
    except FileExistsError:
        msg = f"{path} exists already: remove it, choose another path, or allow it with overwrite"
        raise DataError(msg) from None
    except FileNotFoundError:
        msg = f"{path} cannot be written: the folder {path.parent} does not exist; create it first"
        raise DataError(msg) from None
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror}; choose a path that can be"
        raise DataError(msg) from error


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Say what the system refuses (a full disk) as a `DataError`."""
    try:
        yield
    except OSError as error:
        msg = f"{path} cannot be written further: {error.strerror}"
        raise DataError(msg) from error
