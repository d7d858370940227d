"""JPEG files to pictures, by the fastest decoder that is installed (simplejpeg, else OpenCV)."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tectum.errors import DataError
from tectum.message import AnyArray
from tectum.recording.jpeg import decoded

__all__ = ["decoded_jpeg", "picture_size"]


def decoded_jpeg(
    data: AnyArray,
    room: Callable[[], AnyArray] | None = None,
    shape: tuple[int, ...] | None = None,
) -> AnyArray:
    """Return the picture, bgr8 H x W x 3, of the bytes of a JPEG file.

    Where it has `shape` and the decoder can, it lies in what `room` gives.

    Raises:
        DataError: the bytes are not a whole picture.
    """
    quick = _simplejpeg()
    if quick is None:
        return decoded(data.data, "bgr8")
    try:
        fits = room is not None and (*quick.decode_jpeg_header(data)[:2], 3) == shape
        into = room() if room is not None and fits else None
        picture: AnyArray = quick.decode_jpeg(data, colorspace="BGR", buffer=into)
        picture = picture if into is None else into
    except ValueError as error:
        msg = f"{data.nbytes} bytes are not a picture that can be decoded: {error}"
        raise DataError(msg) from error
    return picture


def picture_size(path: Path) -> tuple[int, int]:
    """Return the width and height of a JPEG file.

    Raises:
        DataError: it cannot be read, or is not a whole picture.
    """
    try:
        height, width = decoded_jpeg(np.fromfile(path, np.uint8)).shape[:2]
    except (OSError, DataError) as error:
        msg = f"{path} is not a picture that can be read: {error}"
        raise DataError(msg) from error
    return width, height


@cache
def _simplejpeg() -> Any:
    """Return the module (three times as fast as OpenCV), or None where it is not installed."""
    try:
        return importlib.import_module("simplejpeg")
    except ImportError:
        return None
