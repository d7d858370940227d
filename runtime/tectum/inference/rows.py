"""Rows: a batch taken apart inside the memory of its device.

ONNX Runtime has no view of a part of a tensor, so a tiny model does it: `row = Gather(x, index)`.
It is written here byte by byte, as the format has it (onnx.proto3), since nothing else that runs
needs the package `onnx`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tectum.inference.buffers import Buffers, DeviceTensor, Turn, resident
from tectum.inference.device import Device
from tectum.inference.manifest import InputTensor, OutputTensor
from tectum.inference.opening import SessionOptions, open_model
from tectum.inference.stage import Held

__all__ = ["Rows"]

_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "float16": 10, "float64": 11}
"""NumPy's name -> number of the type in onnx.proto3."""


class Rows:
    """Takes batches of one shape and type apart."""

    def __init__(self, batch: OutputTensor, device: Device, turn: Turn) -> None:
        """Prepare for `batch`, an output of a model."""
        self._device, self._turn = device, turn
        sizes = tuple(batch.shape[1:])
        session = open_model(_model(batch.dtype), "rows", device, SessionOptions())
        inputs = (
            InputTensor("x", "tensor", batch.dtype, ("batch", *sizes)),
            InputTensor("index", "tensor", "int64", (1,)),
        )
        row = OutputTensor("row", "tensor", batch.dtype, (1, *sizes), "row")
        self._buffers = Buffers(session, device, turn, inputs, (row,))
        self._indices: list[DeviceTensor] = []

    def split(self, batch: DeviceTensor, count: int, options: Any) -> list[Held]:
        """Return the first `count` rows, each with its batch axis. The caller has the turn."""
        while len(self._indices) < count:
            index = np.array([len(self._indices)], np.int64)
            self._indices.append(resident(index, self._device))
        rows: list[Held] = []
        for index_of in self._indices[:count]:
            feeds: Mapping[str, Any] = {"x": batch, "index": index_of}
            rows.append(self._buffers.run(feeds, options, ("row",))[1]["row"])
        return rows


def _model(dtype: str) -> bytes:
    """Return ModelProto of `row = Gather(x, index)` along the first axis."""
    tensors = (_info("x", _TYPES[dtype]), _info("index", _TYPES["int64"]))
    node = _text(1, "x") + _text(1, "index") + _text(2, "row") + _text(4, "Gather")
    graph = _bytes(1, node) + _text(2, "rows")
    graph += b"".join(_bytes(11, tensor) for tensor in tensors)
    graph += _bytes(12, _info("row", _TYPES[dtype]))
    opset = _number(2, 18)
    return _number(1, 10) + _bytes(7, graph) + _bytes(8, opset)


def _info(name: str, kind: int) -> bytes:
    """Return ValueInfoProto of a tensor of any shape."""
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, kind)))


def _number(field: int, value: int) -> bytes:
    return bytes([field << 3]) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])
