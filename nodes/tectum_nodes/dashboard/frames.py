"""Frames: messages as a browser gets them. Pure: messages in, bytes out.

A frame is the length of its head (uint32, little-endian), the head (JSON, padded to a multiple of
four bytes), and a body: a JPEG, int16 samples, int16 points, or float32 arrays end to end. Pictures
and clouds are thinned to what a page can show; nothing here is exact enough to compute with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tectum.errors import TectumError
from tectum.inference.preprocess import image_of
from tectum.message import AnyArray, Header, Message

__all__ = ["audio_frame", "frame", "image_frame", "points_frame", "result_frame"]

MOST_POINTS = 9_000
LARGEST_OUTPUT = 1 << 16
"""Numbers of one output that are sent; what is larger is described only."""
_QUALITY = 78
_ALREADY_SMALL = 300_000
"""Bytes up to which a JPEG is passed on as the camera made it."""


def frame(head: Mapping[str, Any], body: bytes | memoryview = b"") -> bytes:
    """Return a frame."""
    text = json.dumps(head, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    return b"".join((len(text).to_bytes(4, "little"), text, body))


def image_frame(message: Message, largest: int) -> bytes:
    """Return a picture whose longer side has at most `largest` pixels, as JPEG.

    Its head tells how large it was, since boxes are measured in those pixels; a JPEG that is
    passed on as it came tells that itself.

    Raises:
        TectumError: it cannot be decoded.
    """
    header = message.header
    head = {"t": "image", "topic": header.topic, "stamp_ns": header.stamp_ns, "seq": header.seq}
    if header.fields.get("encoding") == "jpeg" and message.payloads[0].nbytes <= _ALREADY_SMALL:
        return frame(head, message.array().tobytes())
    import cv2  # noqa: PLC0415 - start-up

    image = _colours(message)
    height, width = image.shape[:2]
    head |= {"width": width, "height": height}
    share = largest / max(height, width)
    if share < 1:
        size = (max(1, round(width * share)), max(1, round(height * share)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return frame(head, coded.tobytes())


def audio_frame(header: Header, recent: NDArray[np.int16]) -> bytes:
    """Return the latest samples: `recent`, of one channel, ends where the message `header` does."""
    first, rate_hz = header.fields.get("first", 0), header.fields.get("rate_hz", 16_000)
    end = (first if isinstance(first, int) else 0) + header.buffers[0].shape[0]
    head = {
        "t": "audio",
        "topic": header.topic,
        "stamp_ns": header.stamp_ns,
        "rate_hz": rate_hz,
        "first": end - len(recent),
    }
    return frame(head, recent.tobytes())


def points_frame(message: Message) -> bytes:
    """Return a cloud, thinned: x, y, z in centimetres and the fourth field as 0 to 255, int16."""
    cloud = np.asarray(message.array(), np.float32)
    step = -(-len(cloud) // MOST_POINTS) or 1
    cloud = cloud[::step]
    packed = np.zeros((len(cloud), 4), np.int16)
    with np.errstate(invalid="ignore"):
        packed[:, :3] = np.clip(np.nan_to_num(cloud[:, :3]) * 100, -32_000, 32_000)
        if cloud.shape[1] > 3:
            shade = np.nan_to_num(cloud[:, 3])
            top = float(shade.max(initial=0.0))
            packed[:, 3] = np.clip(shade * (255 if top <= 1.0 else 1), 0, 255)
    header = message.header
    head = {
        "t": "points", "topic": header.topic, "stamp_ns": header.stamp_ns,
        "count": len(packed), "of": int(header.buffers[0].shape[0]),
    }  # fmt: skip
    return frame(head, packed.tobytes())


def result_frame(message: Message, document: Mapping[str, Any]) -> bytes:
    """Return a result with the arrays of its outputs, float32, end to end."""
    bodies: list[bytes] = []
    outputs: dict[str, Any] = {}
    for name, output in document.get("outputs", {}).items():
        array: AnyArray = message.array(output["buffer"])
        shown = {key: value for key, value in output.items() if key != "buffer"}
        outputs[name] = {**shown, "shape": list(array.shape)}
        if array.size <= LARGEST_OUTPUT:
            outputs[name]["at"] = sum(map(len, bodies)) // 4
            bodies.append(np.asarray(array, np.float32).tobytes())
    kept = {key: value for key, value in document.items() if key not in ("outputs", "models")}
    return frame({"t": "result", **_finite(kept), "outputs": _finite(outputs)}, b"".join(bodies))


def _colours(message: Message) -> NDArray[np.uint8]:
    """Return any image as bgr8; depths and the like from near (dark) to far (bright)."""
    try:
        return np.ascontiguousarray(image_of(message, "bgr8"), np.uint8)
    except TectumError:
        if message.header.fields.get("encoding") == "jpeg":
            raise
    plane = np.nan_to_num(np.asarray(message.array(), np.float32), posinf=0.0, neginf=0.0)
    low, high = float(plane.min()), float(plane.max())
    scaled = (plane - low) * (255.0 / (high - low or 1.0))
    return np.repeat(scaled.astype(np.uint8)[..., None], 3, axis=2)


def _finite(value: Any) -> Any:
    """Return plain data in which what JSON cannot say (NaN, infinity, bytes) is null."""
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return None if isinstance(value, bytes) else value
