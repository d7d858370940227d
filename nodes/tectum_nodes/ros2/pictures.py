"""Pictures in the encodings of ROS to those of ours; no pixel is changed where one fits.

Encodings without one of ours are converted: alpha goes, Bayer patterns and YUV 4:2:2 become bgr8
(OpenCV). See sensor_msgs/image_encodings.hpp.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tectum.errors import DataError
from tectum.message import AnyArray

__all__ = ["compressed_picture", "raw_picture"]

_PLAIN = {
    "mono8": ("mono8", "u1", 1), "8UC1": ("mono8", "u1", 1),
    "rgb8": ("rgb8", "u1", 3), "bgr8": ("bgr8", "u1", 3), "8UC3": ("bgr8", "u1", 3),
    "mono16": ("mono16", "u2", 1), "16UC1": ("mono16", "u2", 1), "32FC1": ("32FC1", "f4", 1),
}  # fmt: skip
"""Encoding of ROS -> ours, the type of a number, and numbers per pixel."""
_CONVERTED = {
    "rgba8": (4, "COLOR_RGBA2BGR"), "bgra8": (4, "COLOR_BGRA2BGR"), "8UC4": (4, "COLOR_BGRA2BGR"),
    "bayer_rggb8": (1, "COLOR_BayerBG2BGR"), "bayer_bggr8": (1, "COLOR_BayerRG2BGR"),
    "bayer_gbrg8": (1, "COLOR_BayerGR2BGR"), "bayer_grbg8": (1, "COLOR_BayerGB2BGR"),
    "yuv422": (2, "COLOR_YUV2BGR_UYVY"), "uyvy": (2, "COLOR_YUV2BGR_UYVY"),
    "yuv422_yuy2": (2, "COLOR_YUV2BGR_YUY2"), "yuyv": (2, "COLOR_YUV2BGR_YUY2"),
}  # fmt: skip
"""Encoding of ROS -> bytes per pixel, and OpenCV's conversion (its Bayer names are of the second
row and column, so they look swapped)."""


def raw_picture(
    data: AnyArray, encoding: str, size: tuple[int, int, int], *, big_endian: bool
) -> tuple[str, AnyArray]:
    """Return (encoding of ours, picture) of the bytes of a `sensor_msgs/Image`.

    Args:
        data: uint8, rows of `step` bytes.
        encoding: as ROS calls it.
        size: height, width, step.
        big_endian: of numbers of two or four bytes.

    Raises:
        DataError: the encoding has no picture of ours, or the bytes are too few.
    """
    ours, dtype, depth = _PLAIN.get(encoding, ("bgr8", "u1", _CONVERTED.get(encoding, (0, ""))[0]))
    if not depth:
        allowed = ", ".join([*_PLAIN, *_CONVERTED])
        msg = f"a picture has the encoding {encoding!r}, which is not read; read are {allowed}"
        raise DataError(msg)
    height, width, step = size
    row_bytes = width * depth * int(dtype[1])
    if step < row_bytes or data.size < height * step or not row_bytes * height:
        msg = (
            f"a picture of {width} x {height} {encoding} has {data.size} bytes "
            f"in rows of {step}, which do not hold it"
        )
        raise DataError(msg)
    rows = np.ascontiguousarray(data[: height * step].reshape(height, step)[:, :row_bytes])
    if encoding in _CONVERTED:
        pixels = rows.reshape((height, width, depth) if depth > 1 else (height, width))
        return "bgr8", _converted(pixels, _CONVERTED[encoding][1])
    numbers = rows.view((">" if big_endian else "<") + dtype).astype(dtype, copy=False)
    return ours, numbers.reshape((height, width, depth) if depth > 1 else (height, width))


def compressed_picture(data: AnyArray, described: str) -> tuple[str, AnyArray]:
    """Return (encoding of ours, picture) of the bytes of a `sensor_msgs/CompressedImage`.

    JPEG stays as it is; PNG is decoded, 16-bit ones as mono16.

    Raises:
        DataError: it is neither.
    """
    if data[:3].tobytes() == b"\xff\xd8\xff":
        return "jpeg", data
    if data[:4].tobytes() == b"\x89PNG" and "compressedDepth" not in described:
        picture = _png(data)
        depth = {("uint8", 2): "mono8", ("uint16", 2): "mono16", ("uint8", 3): "bgr8"}
        encoding = depth.get((picture.dtype.name, picture.ndim))
        if encoding is not None:
            return encoding, picture
    msg = f"a compressed picture is of the form {described!r}; read are JPEG and PNG"
    raise DataError(msg)


def _png(data: AnyArray) -> AnyArray:
    import cv2  # noqa: PLC0415 - heavy

    given: Any = data
    picture = cv2.imdecode(given, cv2.IMREAD_UNCHANGED)
    if picture is None:
        msg = f"{data.nbytes} bytes are not a PNG picture that can be decoded"
        raise DataError(msg)
    found: AnyArray = picture[:, :, :3] if picture.ndim == 3 else picture
    return np.ascontiguousarray(found)


def _converted(pixels: AnyArray, conversion: str) -> AnyArray:
    import cv2  # noqa: PLC0415 - heavy

    given: Any = pixels
    picture: AnyArray = cv2.cvtColor(given, getattr(cv2, conversion))
    return picture
