"""The protobuf schemas of a recording: Foxglove's well-known ones, and two of our own.

`tectum.Header` is the header of a message; `tectum.Message` is a header with its buffers, for the
kinds that have no well-known schema. Both are described here in a table and built at run time, and
their description is written into every file, so that others can read them without this code.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

__all__ = ["FOXGLOVE", "HEADER", "MESSAGE", "message_class", "schema_bytes"]

HEADER = "tectum.Header"
MESSAGE = "tectum.Message"
FOXGLOVE = "foxglove."

_TABLE: dict[str, tuple[tuple[int, str, str], ...]] = {
    "Buffer": ((1, "dtype", "string"), (2, "shape", "int64*")),
    "Header": (
        (1, "topic", "string"),
        (2, "kind", "string"),
        (3, "incarnation", "uint64"),
        (4, "seq", "int64"),
        (5, "stamp_ns", "int64"),
        (6, "span_ns", "int64"),
        (7, "error_ns", "int64"),
        (8, "sent_ns", "int64"),
        (9, "frame_id", "string"),
        (10, "buffers", "Buffer*"),
        (11, "fields", "bytes"),  # MessagePack map
    ),
    "Value": ((1, "key", "string"), (2, "number", "double"), (3, "text", "string")),
    "Message": (
        (1, "header", "Header"),
        (2, "buffers", "bytes*"),
        (3, "values", "Value*"),  # numbers and words of header.fields, for viewers
    ),
}
"""Message -> (number, name, type); `*` marks a repeated field."""


@cache
def message_class(name: str) -> Any:
    """Return the generated class of a schema: `tectum.Header`, `foxglove.PointCloud`.

    Raises:
        KeyError: there is no schema of this name.
    """
    package, _, short = name.partition(".")
    if package == "tectum" and short in _TABLE:
        return GetMessageClass(_pool().FindMessageTypeByName(name))
    try:
        module = import_module(f"foxglove_schemas_protobuf.{short}_pb2")
    except ModuleNotFoundError:
        raise KeyError(name) from None
    return getattr(module, short)


@cache
def schema_bytes(name: str) -> bytes:
    """Return the file descriptor set of a schema with all that it refers to."""
    from mcap_protobuf.schema import build_file_descriptor_set  # noqa: PLC0415 - writers only

    data: bytes = build_file_descriptor_set(message_class(name)).SerializeToString()
    return data


@cache
def _pool() -> DescriptorPool:
    file = FileDescriptorProto(name="tectum/log.proto", package="tectum", syntax="proto3")
    for name, rows in _TABLE.items():
        message = file.message_type.add(name=name)
        for number, field_name, type_name in rows:
            message.field.append(_field(number, field_name, type_name))
    pool = DescriptorPool()
    pool.Add(file)
    return pool


def _field(number: int, name: str, type_name: str) -> FieldDescriptorProto:
    single = type_name.removesuffix("*")
    proto = FieldDescriptorProto(name=name, number=number)
    proto.label = (
        FieldDescriptorProto.LABEL_REPEATED
        if type_name.endswith("*")
        else FieldDescriptorProto.LABEL_OPTIONAL
    )
    if single in _TABLE:
        proto.type = FieldDescriptorProto.TYPE_MESSAGE
        proto.type_name = f".tectum.{single}"
    else:
        proto.type = FieldDescriptorProto.Type.Value(f"TYPE_{single.upper()}")
    return proto
