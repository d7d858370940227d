"""Preprocessing: the steps between a sample and the tensor that a model takes.

`STEPS` is the table that manifests name. A step takes a `View` and gives one, or several where it
cuts a sample into parts. `image_of` brings any image message to one encoding first. Our own models
need at most `resize`: casting and normalising are inside their graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tectum.errors import DataError, ModelError
from tectum.inference.steps import Step, View
from tectum.message import AnyArray, Kind, Message

__all__ = ["STEPS", "apply", "convert", "image_of"]


def apply(steps: Sequence[Step], view: View) -> list[View]:
    """Return the views that `steps` make of one sample."""
    views = [view]
    for step in steps:
        made = [step(view) for view in views]
        views = [part for item in made for part in (item if isinstance(item, list) else [item])]
    return views


def image_of(message: Message, encoding: str) -> AnyArray:
    """Return the image of `message` in `encoding`: uint8 (H, W, 3), or (H, W) where it is mono.

    Raises:
        ModelError: the message is not an image, or has no such conversion.
        DataError: its JPEG cannot be decoded.
    """
    if message.header.kind is not Kind.IMAGE:
        msg = f"{message.header.topic} carries {message.header.kind}, the model wants images"
        raise ModelError(msg)
    source = str(message.header.fields.get("encoding", "bgr8"))
    array = message.array()
    if source == "jpeg":
        array, source = _decoded(message), "bgr8"
    return array if source == encoding else convert(array, source, encoding)


def convert(image: AnyArray, source: str, target: str) -> AnyArray:
    """Return `image` in encoding `target`; the same array where nothing is to be done."""
    if source == target:
        return image
    import cv2  # noqa: PLC0415 - start-up time of those who convert nothing

    codes = {
        ("bgr8", "rgb8"): cv2.COLOR_BGR2RGB,
        ("rgb8", "bgr8"): cv2.COLOR_RGB2BGR,
        ("bgr8", "mono8"): cv2.COLOR_BGR2GRAY,
        ("rgb8", "mono8"): cv2.COLOR_RGB2GRAY,
        ("mono8", "bgr8"): cv2.COLOR_GRAY2BGR,
        ("mono8", "rgb8"): cv2.COLOR_GRAY2RGB,
    }
    if (source, target) not in codes:
        msg = f"an image in {source} cannot be turned into {target}"
        raise ModelError(msg)
    return np.asarray(cv2.cvtColor(_pixels(image), codes[source, target]))


def _decoded(message: Message) -> AnyArray:
    import cv2  # noqa: PLC0415

    image = cv2.imdecode(_pixels(message.array()), cv2.IMREAD_COLOR)
    if image is None:
        header = message.header
        msg = f"{header.topic} #{header.seq}: its {message.payloads[0].nbytes} bytes are not a JPEG"
        raise DataError(msg)
    return np.asarray(image)


def _pixels(image: AnyArray) -> NDArray[np.uint8]:
    """Return `image` as OpenCV's type stubs want it; nothing is converted."""
    return image  # type: ignore[return-value]


def resize(view: View, *, width: int, height: int) -> View:
    """Resize an image (H, W[, C]) by linear interpolation, its sides independently."""
    import cv2  # noqa: PLC0415

    rows, columns = view.array.shape[:2]
    if (columns, rows) == (width, height):
        return view
    array = cv2.resize(_pixels(view.array), (width, height), interpolation=cv2.INTER_LINEAR)
    return view.zoomed(np.asarray(array), width / columns, height / rows)


def letterbox(view: View, *, width: int, height: int, fill: int = 114) -> View:
    """Resize an image with its proportions kept, centred on a field of value `fill`."""
    rows, columns = view.array.shape[:2]
    factor = min(width / columns, height / rows)
    inner_w, inner_h = max(round(columns * factor), 1), max(round(rows * factor), 1)
    inner = resize(view, width=inner_w, height=inner_h)
    x, y = (width - inner_w) // 2, (height - inner_h) // 2
    field = np.full((height, width, *view.array.shape[2:]), fill, dtype=view.array.dtype)
    field[y : y + inner_h, x : x + inner_w] = inner.array
    return inner.part(field, -x, -y)


def crop(view: View, *, region: Sequence[float]) -> View:
    """Cut out `region`: left, top, right, bottom as shares of the image (0 to 1)."""
    rows, columns = view.array.shape[:2]
    x1, x2 = round(region[0] * columns), round(region[2] * columns)
    y1, y2 = round(region[1] * rows), round(region[3] * rows)
    return view.part(view.array[y1:y2, x1:x2], x1, y1)


def tiles(view: View, *, regions: Sequence[Sequence[float]]) -> list[View]:
    """Cut out several regions (see `crop`), for models that see small things only close up."""
    return [crop(view, region=region) for region in regions]


def around(view: View, *, margin: float = 0.0, square: bool = False) -> View:
    """Cut out the view's box, each side moved out by `margin` of its longer side.

    `square` widens the shorter side first. The cut ends at the image's edge. A view without a box
    stays whole, so that a model for faces also takes pictures of a face.
    """
    if view.box is None:
        return view
    x1, y1, x2, y2 = view.box
    width, height = x2 - x1, y2 - y1
    longer = max(width, height)
    out_x = margin * longer + (longer - width) / 2 * square
    out_y = margin * longer + (longer - height) / 2 * square
    rows, columns = view.array.shape[:2]
    left, right = _within(x1 - out_x, x2 + out_x, columns)
    top, bottom = _within(y1 - out_y, y2 + out_y, rows)
    return view.part(view.array[top:bottom, left:right], left, top)


def _within(low: float, high: float, size: int) -> tuple[int, int]:
    """Return the range of whole pixels inside an image of `size`, at least one of them."""
    begin = min(max(round(low), 0), size - 1)
    return begin, max(min(round(high), size), begin + 1)


def colour(view: View, *, source: str, target: str) -> View:
    """Convert between bgr8, rgb8 and mono8."""
    return view.having(convert(view.array, source, target))


def cast(view: View, *, dtype: str) -> View:
    """Change the dtype, keeping the values."""
    return view.having(view.array.astype(dtype))


def normalise(
    view: View,
    *,
    scale: float = 1.0,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
) -> View:
    """Return `(x * scale - mean) / std` in float32; lists are per channel (last axis)."""
    factor = np.float32(scale) / np.asarray(std, np.float32)
    shift = np.asarray(mean, np.float32) / np.asarray(std, np.float32)
    array = np.multiply(view.array, factor, dtype=np.float32)
    if np.any(shift):
        array -= shift
    return view.having(array)


def layout(view: View, *, order: str) -> View:
    """Change the axes: `hwc->chw`, or `hw->hwc` (adds a channel)."""
    if order == "hwc->chw":
        return view.having(np.ascontiguousarray(view.array.transpose(2, 0, 1)))
    if order == "hw->hwc":
        return view.having(view.array[..., None])
    msg = f"layout: {order!r} is not hwc->chw or hw->hwc"
    raise ModelError(msg)


def pcm(view: View) -> View:
    """Scale int16 sound to float32 in [-1, 1)."""
    return view.having(view.array.astype(np.float32) / np.float32(32768))


def pad_audio(view: View, *, samples: int) -> View:
    """Put zeros before the sound until it has `samples` samples; keep the newest of more."""
    array = view.array[-samples:]
    zeros = np.zeros(samples - len(array), dtype=array.dtype)
    return view.having(np.concatenate([zeros, array]))


def range_crop(
    view: View,
    *,
    x: Sequence[float] = (-1e9, 1e9),
    y: Sequence[float] = (-1e9, 1e9),
    z: Sequence[float] = (-1e9, 1e9),
) -> View:
    """Keep the points (N, C; x y z first) within the ranges `[low, high]`, in metres."""
    points = view.array.astype(np.float32, copy=False)
    low = np.array([x[0], y[0], z[0]], np.float32)
    high = np.array([x[1], y[1], z[1]], np.float32)
    inside = np.all((points[:, :3] >= low) & (points[:, :3] <= high), axis=1)
    return view.having(points[inside])


def pad_points(view: View, *, points: int) -> View:
    """Bring a cloud to exactly `points` rows: thinned evenly, or filled up with zeros."""
    count, columns = view.array.shape
    if count >= points:
        rows = np.linspace(0, count - 1, points).round().astype(np.int64)
        return view.having(view.array[rows])
    zeros = np.zeros((points - count, columns), dtype=view.array.dtype)
    return view.having(np.concatenate([view.array, zeros]))


STEPS: Mapping[str, Callable[..., Any]] = {
    "resize": resize,
    "letterbox": letterbox,
    "crop": crop,
    "tiles": tiles,
    "around": around,
    "colour": colour,
    "cast": cast,
    "normalise": normalise,
    "layout": layout,
    "pcm": pcm,
    "pad_audio": pad_audio,
    "range_crop": range_crop,
    "pad_points": pad_points,
}
