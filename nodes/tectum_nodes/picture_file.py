"""JPEG files to pictures, by the fastest decoder that is installed (simplejpeg, else OpenCV)."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from tectum.errors import DataError
from tectum.message import AnyArray
from tectum.recording.jpeg import decoded

__all__ = ["decoded_jpeg"]


def decoded_jpeg(data: AnyArray) -> AnyArray:
    """Return the picture, bgr8 H x W x 3, of the bytes of a JPEG file.

    Raises:
        DataError: the bytes are not a whole picture.
    """
    quick = _simplejpeg()
    if quick is None:
        return decoded(data.data, "bgr8")
    try:
        picture: AnyArray = quick.decode_jpeg(data, colorspace="BGR")
    except ValueError as error:
        msg = f"{data.nbytes} bytes are not a picture that can be decoded: {error}"
        raise DataError(msg) from error
    return picture


@cache
def _simplejpeg() -> Any:
    """Return the module (three times as fast as OpenCV), or None where it is not installed."""
    try:
        return importlib.import_module("simplejpeg")
    except ImportError:
        return None
