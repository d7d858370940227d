"""What goes to other hosts in less room: pictures as JPEG, on topics for which the graph asks.

A raw 720p camera at 30 Hz is 83 MB/s, as JPEG a tenth or less. What cannot become JPEG (depth,
16-bit, or JPEG already) goes as it is. Encoding is done once per message, in the publisher's loop,
and only while somebody on another host listens.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tectum.errors import DataError
from tectum.message import AnyArray, BufferSpec, Header, Kind
from tectum.recording.jpeg import JPEG_ENCODINGS, encoded

__all__ = ["for_the_link"]


def for_the_link(
    header: Header, arrays: tuple[AnyArray, ...], links: Mapping[str, int]
) -> tuple[Header, tuple[AnyArray, ...]]:
    """Return a message as it goes to other hosts; `links` has the JPEG quality of topics."""
    encoding, quality = header.fields.get("encoding"), links.get(header.topic)
    if quality is None or header.kind is not Kind.IMAGE or encoding not in JPEG_ENCODINGS:
        return header, arrays
    try:
        data = np.frombuffer(encoded(arrays[0], str(encoding), quality), np.uint8)
    except DataError:  # an empty picture
        return header, arrays
    fields = {**header.fields, "encoding": "jpeg"}
    buffers = (BufferSpec("uint8", data.shape),)
    return header._replace(fields=fields, buffers=buffers), (data,)
