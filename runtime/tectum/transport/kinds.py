"""What the header of each kind must say of its buffers, so that no consumer need doubt it.

The rules of `tectum.message.Kind`, for the kinds whose buffers others compute with. Kinds that are
documents (result, ledger, journal, health ...) are checked by who reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tectum.message import BufferSpec, Header, Kind, Value

__all__ = ["kind_trouble", "trouble_of"]

_Fields = Mapping[str, Value]
_Buffers = Sequence[BufferSpec]
_IMAGES: Mapping[object, tuple[str, int]] = {
    "mono8": ("uint8", 2),
    "mono16": ("uint16", 2),
    "rgb8": ("uint8", 3),
    "bgr8": ("uint8", 3),
    "32FC1": ("float32", 2),
    "jpeg": ("uint8", 1),
}


def kind_trouble(header: Header) -> str | None:
    """Return what is wrong with fields and buffers for the header's kind, or None."""
    return trouble_of(header.kind, header.fields, header.buffers)


def trouble_of(kind: Kind, fields: _Fields, buffers: _Buffers) -> str | None:
    """Return what is wrong with fields and buffers for a kind, or None."""
    rule = _RULES.get(kind)
    return rule(fields, buffers) if rule else None


def _image(fields: _Fields, buffers: _Buffers) -> str | None:
    encoding = fields.get("encoding")
    if not isinstance(encoding, str) or encoding not in _IMAGES:
        return f"image encoding is {encoding!r}; allowed: {', '.join(map(str, _IMAGES))}"
    dtype, dims = _IMAGES[encoding]
    if _is(buffers, dtype, dims) and (dims < 3 or buffers[0].shape[2] == 3):
        return None
    shape = {1: "(bytes,)", 2: "(height, width)", 3: "(height, width, 3)"}[dims]
    return f"image {encoding} has buffers {_shown(buffers)}; allowed: one {dtype} {shape}"


def _audio(fields: _Fields, buffers: _Buffers) -> str | None:
    for name, least in (("rate_hz", 1), ("first", 0)):
        value = fields.get(name)
        if type(value) is not int or value < least:
            return f"audio {name} is {value!r}; allowed: an integer from {least} on"
    if _is(buffers, "int16", 2) and buffers[0].shape[1] > 0:
        return None
    return f"audio has buffers {_shown(buffers)}; allowed: one int16 (samples, channels)"


def _points(fields: _Fields, buffers: _Buffers) -> str | None:
    names = fields.get("names")
    if not _is(buffers, "float32", 2):
        return f"points has buffers {_shown(buffers)}; allowed: one float32 (points, fields)"
    if not _are_names(names, buffers[0].shape[1]):
        return f"points names are {names!r}; allowed: a name for each of {buffers[0].shape[1]}"
    return None


def _tensor(fields: _Fields, buffers: _Buffers) -> str | None:
    names = fields.get("names")
    if names is not None and not _are_names(names, len(buffers)):
        return f"tensor names are {names!r}; allowed: one name per buffer ({len(buffers)})"
    return None


def _pose(fields: _Fields, buffers: _Buffers) -> str | None:
    del fields
    if _is(buffers, "float64", 1) and buffers[0].shape == (7,):
        return None
    return f"pose has buffers {_shown(buffers)}; allowed: one float64 (7,)"


def _boxes(fields: _Fields, buffers: _Buffers) -> str | None:
    del fields
    count = buffers[0].shape[0] if buffers and buffers[0].shape else 0
    right = (
        BufferSpec("float32", (count, 4)),
        BufferSpec("float32", (count,)),
        BufferSpec("int32", (count,)),
    )
    if tuple(buffers) == right:
        return None
    return f"boxes has buffers {_shown(buffers)}; allowed: float32 (n, 4), float32 (n,), int32 (n,)"


def _is(buffers: _Buffers, dtype: str, dims: int) -> bool:
    return len(buffers) == 1 and buffers[0].dtype == dtype and len(buffers[0].shape) == dims


def _are_names(value: object, count: int) -> bool:
    if not isinstance(value, (list, tuple)) or len(value) != count:
        return False
    return all(isinstance(name, str) for name in value)


def _shown(buffers: _Buffers) -> str:
    return "[" + ", ".join(f"{spec.dtype} {spec.shape}" for spec in buffers) + "]"


_RULES: Mapping[Kind, Callable[[_Fields, _Buffers], str | None]] = {
    Kind.IMAGE: _image,
    Kind.AUDIO: _audio,
    Kind.POINTS: _points,
    Kind.TENSOR: _tensor,
    Kind.POSE: _pose,
    Kind.BOXES: _boxes,
}
