"""Images as JPEG and back: what the recorder stores of raw pictures unless told otherwise.

Three cameras of 720p raw are 0.9 TB an hour. Only 8-bit pictures can become JPEG; depth and
16-bit pictures are stored as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tectum.errors import DataError
from tectum.message import AnyArray, BufferSpec

if TYPE_CHECKING:
    from tectum.recording.splice import Buffer

__all__ = ["JPEG_ENCODINGS", "JpegPayload", "decoded", "encoded"]

JPEG_ENCODINGS = ("bgr8", "rgb8", "mono8")
"""The image encodings that can be stored as JPEG."""


def encoded(image: AnyArray, encoding: str, quality: int) -> bytes:
    """Return the JPEG bytes of an image uint8 H x W [x 3] in one of `JPEG_ENCODINGS`.

    Raises:
        DataError: the encoder refuses the picture.
    """
    import cv2  # noqa: PLC0415 - heavy, and readers of logs without pictures never need it

    given: Any = image
    try:
        pixels = cv2.cvtColor(given, cv2.COLOR_RGB2BGR) if encoding == "rgb8" else given
        done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error as error:
        msg = f"an image of shape {image.shape} cannot become JPEG: {error.err}"
        raise DataError(msg) from error
    if not done:
        msg = f"an image of shape {image.shape} cannot become JPEG"
        raise DataError(msg)
    return data.tobytes()


def decoded(data: Buffer, encoding: str) -> AnyArray:
    """Return the picture, uint8 H x W [x 3], in one of `JPEG_ENCODINGS`.

    Raises:
        DataError: the bytes are not a whole picture.
    """
    import cv2  # noqa: PLC0415 - as above

    mode = cv2.IMREAD_GRAYSCALE if encoding == "mono8" else cv2.IMREAD_COLOR
    raw = np.frombuffer(data, np.uint8)
    image = cv2.imdecode(raw, mode | cv2.IMREAD_IGNORE_ORIENTATION) if len(raw) else None
    if image is None:
        msg = f"{len(raw)} bytes are not a picture that can be decoded"
        raise DataError(msg)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if encoding == "rgb8" else image


class JpegPayload:
    """A picture that was published raw and stored as JPEG: decoded when it is looked at."""

    __slots__ = ("_array", "_claims", "_data", "_encoding", "_spec")

    def __init__(self, data: Buffer, encoding: str, spec: BufferSpec) -> None:
        """Keep the stored bytes; `spec` is the buffer as it was published."""
        self._data: Buffer | None = data
        self._encoding, self._spec = encoding, spec
        self._array: AnyArray | None = None
        self._claims = 1

    @property
    def nbytes(self) -> int:
        """Return the size in bytes as published."""
        return self._spec.nbytes

    def array(self) -> AnyArray:
        """Return the read-only picture of the published shape.

        Raises:
            DataError: the stored bytes are not such a picture.
        """
        if self._array is None:
            image = decoded(self._data or b"", self._encoding)
            if image.nbytes != self._spec.nbytes or image.shape[:2] != self._spec.shape[:2]:
                msg = f"a stored picture is {image.shape}, but {self._spec.shape} was published"
                raise DataError(msg)
            image.flags.writeable = False
            self._array = image.reshape(self._spec.shape)
        return self._array

    def retain(self) -> None:
        """Ask for one more `release`."""
        self._claims += 1

    def release(self) -> None:
        """Drop the bytes and the picture once all have."""
        self._claims -= 1
        if self._claims > 0:
            return
        self._data, self._array = None, None
