"""From a cut of an input to the array that a model's preprocessing begins with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tectum.errors import ModelError
from tectum.inference.audio import assemble
from tectum.inference.manifest import InputTensor, sizes_of
from tectum.inference.preprocess import image_of
from tectum.inference.stage import Cut
from tectum.message import AnyArray, ArrayPayload, BufferSpec, Header, Kind, Message, Value

__all__ = ["SENSED", "SampleArray", "comes_as_fed", "plausible_cut", "sample_array"]

SENSED = ("image", "audio", "points", "tensor")
"""Kinds of model inputs that a sample feeds."""


class SampleArray(NamedTuple):
    """A sample as one array, and what the answer should say of it."""

    array: AnyArray
    facts: dict[str, Value]
    size: tuple[int, int] | None = None
    """Width and height of an image, in pixels."""


def sample_array(cut: Cut, tensor: InputTensor) -> SampleArray:
    """Return what `cut` holds, in the form that `tensor` begins with; no copy where none is needed.

    image: uint8 in the tensor's encoding. audio: int16 mono, gaps zero, fact `gap` in samples.
    points: float32 (N, C), columns chosen by the tensor's `fields`.

    Raises:
        ModelError: the messages are of another kind, rate, or lack a field.
    """
    if tensor.kind == "audio":
        sound = assemble(cut, tensor.rate_hz)
        return SampleArray(sound.samples, {"gap": sound.gap})
    message = cut.messages[-1]
    frame_id = message.header.frame_id
    if tensor.kind == "image":
        image = image_of(message, tensor.encoding)
        height, width = image.shape[:2]
        size = width, height
        return SampleArray(image, {"frame_id": frame_id, "size": size}, size)
    if tensor.kind == "points":
        return SampleArray(_points(message, tensor), {"frame_id": frame_id})
    return SampleArray(message.array(), {"frame_id": frame_id})


def comes_as_fed(cut: Cut, tensor: InputTensor) -> bool:
    """Return whether `sample_array` has nothing to do but look: no sound to cut, nothing to decode.

    Columns that are chosen, and colours that change their order, are work.
    """
    fields = cut.messages[-1].header.fields
    if tensor.kind == "image":
        return fields.get("encoding", "bgr8") == tensor.encoding
    if tensor.kind == "points":
        return not tensor.fields or fields.get("names") in (tensor.fields, [*tensor.fields])
    return tensor.kind == "tensor"


def _points(message: Message, tensor: InputTensor) -> AnyArray:
    header = message.header
    if header.kind is not Kind.POINTS:
        msg = f"{header.topic} carries {header.kind}, the model wants points"
        raise ModelError(msg)
    names = header.fields.get("names", ())
    given = [str(name) for name in names] if isinstance(names, (list, tuple)) else []
    if not tensor.fields or list(tensor.fields) == given:
        return message.array()
    missing = [name for name in tensor.fields if name not in given]
    if missing:
        msg = f"{header.topic} has the fields {given}, the model also wants {missing}"
        raise ModelError(msg)
    return message.array()[:, [given.index(name) for name in tensor.fields]]


def plausible_cut(tensor: InputTensor, *, prepared: bool) -> Cut:
    """Return an empty sample of the tensor's kind, for warm-up.

    `prepared`: preprocessing follows, so that an image need not have the model's size.
    """
    sizes = sizes_of(tensor.shape)
    if tensor.kind == "image":
        mono = tensor.encoding.startswith("mono")
        size = (480, 640) if prepared else tuple(sizes[1:3])
        array: AnyArray = np.zeros(size if mono else (*size, 3), np.uint8)
        return _cut(Kind.IMAGE, array, {"encoding": tensor.encoding})
    if tensor.kind == "audio":
        array = np.zeros((sizes[-1] - tensor.context, 1), np.int16)
        return _cut(Kind.AUDIO, array, {"rate_hz": tensor.rate_hz, "first": 0})
    if tensor.kind == "points":
        names = tensor.fields or tuple("xyzrabcdefgh"[: sizes[-1]])
        return _cut(Kind.POINTS, np.ones((1024, len(names)), np.float32), {"names": names})
    return _cut(Kind.TENSOR, np.zeros(sizes, tensor.dtype), {"names": (tensor.name,)})


def _cut(kind: Kind, array: AnyArray, fields: dict[str, Value]) -> Cut:
    buffers = (BufferSpec(str(array.dtype), array.shape),)
    header = Header("warm-up/sample", kind, 0, 0, fields=fields, buffers=buffers)
    return Cut((Message(header, (ArrayPayload(array),)),))
