"""The parts of a header that came from outside, each taken only if it keeps the rules. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from tectum.message import DTYPES, BufferSpec, Value
from tectum.transport.reference import Reference, offsets
from tectum.transport.refusing import refuse
from tectum.transport.topic_frames import MAX_TOPIC_BYTES

__all__ = [
    "INT63",
    "MAX_BUFFERS",
    "NO_FIELDS",
    "SCALARS",
    "buffer_spec",
    "buffers_of",
    "fields_of",
    "reference_of",
    "text_of",
]

MAX_BUFFERS = 64
MAX_DIMS = 8
MAX_DEPTH = 32
INT63 = 2**63
NO_FIELDS: Mapping[str, Value] = MappingProxyType({})
_ITEM_BYTES = {name: np.dtype(name).itemsize for name in DTYPES}
SCALARS = frozenset({type(None), bool, int, float, str, bytes})
"""Types of values that hold nothing, and cannot be changed."""


def text_of(document: Mapping[str, Any], key: str) -> str:
    """Return the text under a key, which may be absent."""
    value = document.get(key, "")
    if not isinstance(value, str):
        refuse(f"text ({key})", value, "a string")
    return value


def fields_of(value: object) -> Mapping[str, Value]:
    """Return the kind's fields; a timestamp extension or a bomb of nested lists stops here."""
    if value is NO_FIELDS:
        return NO_FIELDS
    if not isinstance(value, dict):
        refuse("fields (x)", type(value).__name__, "a map")
    for key, item in value.items():
        if type(key) is not str or type(item) not in SCALARS:
            break
    else:
        return value
    level, depth = [cast("object", value)], 0
    while level:
        if depth == MAX_DEPTH:
            refuse("depth of fields (x)", f"more than {MAX_DEPTH}", f"at most {MAX_DEPTH}")
        level, depth = [item for container in level for item in _items(container)], depth + 1
    return value


def _items(container: object) -> list[object]:
    """Return the containers directly inside `container`."""
    if isinstance(container, dict):
        if not all(isinstance(key, str) for key in container):
            refuse("key of a field", "bytes", "a string")
        items: Sequence[object] = list(container.values())
    elif isinstance(container, list):
        items = container
    else:
        refuse("value of a field", type(container).__name__, "plain data")
    return [item for item in items if type(item) not in SCALARS]


def reference_of(value: object) -> Reference:
    """Return where the buffers lie."""
    if not isinstance(value, list) or len(value) != len(Reference._fields):
        refuse("reference (p)", value, "[pool, epoch, slot, sequence, bytes]")
    pool, *numbers = value
    if not isinstance(pool, str) or len(pool) > MAX_TOPIC_BYTES:
        refuse("pool (p)", pool, f"a name of at most {MAX_TOPIC_BYTES} bytes")
    for number in numbers:
        if type(number) is not int or not 0 <= number < INT63:
            refuse("number of a reference (p)", number, "0 to 2^63 - 1")
    return Reference(pool, *numbers)


def buffers_of(
    specs: object, frames: Sequence[bytes | memoryview], reference: Reference | None
) -> tuple[BufferSpec, ...]:
    """Return the buffers that a header declares, which are the frames from the third on."""
    count = len(frames) - 2
    expected = "at least one" if reference else f"{count}, one per frame"
    if not isinstance(specs, list) or not (
        0 < len(specs) <= MAX_BUFFERS and count == 0 if reference else len(specs) == count
    ):
        found = len(specs) if isinstance(specs, list) else type(specs).__name__
        refuse("buffers (b)", found, f"a list of {expected}")
    found_specs = tuple([_buffer(spec) for spec in specs])
    if reference:
        _, size = offsets([spec.nbytes for spec in found_specs])
        if size != reference.nbytes:
            refuse("size of a reference (p)", reference.nbytes, f"{size} bytes, as buffers imply")
        return found_specs
    for index, spec in enumerate(found_specs, 2):
        if spec.nbytes != len(frames[index]):
            what = f"{spec.nbytes} bytes, as {spec.dtype} {list(spec.shape)} implies"
            refuse("buffer size", len(frames[index]), what)
    return found_specs


def _buffer(spec: object) -> BufferSpec:
    if not isinstance(spec, list) or len(spec) != 2:
        refuse("buffer", spec, "[dtype, shape]")
    dtype, shape = spec
    if not isinstance(dtype, str) or dtype not in _ITEM_BYTES:
        refuse("dtype", dtype, f"one of {', '.join(_ITEM_BYTES)}")
    if not isinstance(shape, list) or len(shape) > MAX_DIMS:
        refuse("shape", shape, f"a list of at most {MAX_DIMS} extents")
    for extent in shape:
        if type(extent) is not int or not 0 <= extent < INT63:
            refuse("extent", extent, "0 to 2^63 - 1")
    return buffer_spec(dtype, *shape)


@lru_cache(maxsize=1024)
def buffer_spec(dtype: str, *shape: int) -> BufferSpec:
    """Return the one object for buffers of these: sensors send the same again and again."""
    return BufferSpec(dtype, shape)
