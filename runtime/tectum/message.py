"""Messages: a header and zero or more buffers. Pure data, no transport.

A `Message` is what nodes publish and receive. Its buffers sit behind the `Payload` protocol, so
that inline bytes, shared memory and in-process arrays behave alike: `array()` is a read-only view
that stays valid until the message is released. A `Sample` is all that deciding code may know of a
message: no decision depends on the content of a payload.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "AnyArray",
    "ArrayPayload",
    "BufferSpec",
    "Header",
    "Kind",
    "Message",
    "Payload",
    "Sample",
    "SampleRef",
    "Value",
    "first_of",
    "sample_index",
    "sample_of",
]

Value = None | bool | int | float | str | bytes | Sequence["Value"] | Mapping[str, "Value"]
AnyArray = NDArray[np.generic]

DTYPES = ("uint8", "int8", "uint16", "int16", "int32", "int64", "float32", "float64", "bool")
"""The dtypes that a buffer may have; little-endian, C order."""
ITEM_BYTES = {name: np.dtype(name).itemsize for name in DTYPES}


class Kind(StrEnum):
    """What a message is; each kind has its own header fields (`Header.fields`)."""

    IMAGE = "image"
    """`encoding`: mono8, mono16, rgb8, bgr8, 32FC1 (buffer H x W [x 3]) or jpeg (buffer bytes)."""
    AUDIO = "audio"
    """`rate_hz`: int, `first`: index of its first sample; buffer int16 (samples, channels)."""
    POINTS = "points"
    """`names`: field names, x y z first; buffer float32 (points, fields)."""
    TENSOR = "tensor"
    """`names`: one name per buffer; buffers of any dtype and shape."""
    POSE = "pose"
    """Buffer float64 (7,): x y z in metres, then the quaternion x y z w; `child_frame_id`."""
    TEXT = "text"
    """`text`."""
    BOXES = "boxes"
    """`labels`; buffers float32 (n, 4) x1 y1 x2 y2, float32 (n,) score, int32 (n,) label index."""
    RESULT = "result"
    """`result`: the document of docs/results.md; arrays in the buffers that it names."""
    LEDGER = "ledger"
    """`rows`: closed rows of the ledger."""
    JOURNAL = "journal"
    """`events`: events in the order in which the pipeline took them up."""
    HEALTH = "health"
    """`state` and counters of a node, at a fixed rate even when nothing else is said."""
    STATEMENT = "statement"
    """`published`: topic -> count, `lost`: topic -> {cause: count}, `final`: the node has ended."""
    LATCHED = "latched"
    """A constant fact (`fact`: calibration, labels, plan ...), sent to every late subscriber."""
    PROMISE = "promise"
    """On a data topic: nothing with a stamp before `stamp_ns` follows; `begun`: bool, a capture
    with exactly this stamp has started. Takes no sequence number."""
    END = "end"
    """On a data topic: the source has ended, nothing follows. Takes no sequence number."""


class BufferSpec(NamedTuple):
    """Dtype name and shape of one buffer."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Return the size in bytes that dtype and shape imply."""
        return math.prod(self.shape) * ITEM_BYTES[self.dtype]


class Header(NamedTuple):
    """What is said of a message besides its buffers. Times in ns on the graph clock.

    A named tuple because one is made for each message on each side, which costs a frozen dataclass
    four times as much.
    """

    topic: str
    """`node/output`, as written in the graph."""
    kind: Kind
    seq: int
    """0, 1, 2 ... without a gap per topic and incarnation; a gap means loss."""
    stamp_ns: int
    """Start of the capture."""
    span_ns: int = 0
    """How long the capture lasted: exposure, sweep, chunk."""
    error_ns: int = 0
    """Bound on the stamp's uncertainty."""
    sent_ns: int = 0
    incarnation: int = 0
    """Random number of the publisher's process life; changes when it restarts."""
    frame_id: str = ""
    """Coordinate frame of spatial data."""
    fields: Mapping[str, Value] = MappingProxyType({})
    """The fields of the kind; see `Kind`."""
    buffers: tuple[BufferSpec, ...] = ()


class Payload(Protocol):
    """One buffer of a message, wherever its bytes live."""

    @property
    def nbytes(self) -> int:
        """Return the size in bytes."""
        ...

    def array(self) -> AnyArray:
        """Return a read-only array of the declared dtype and shape.

        To be asked for before `release`.
        """
        ...

    def retain(self) -> None:
        """Ask for one more `release`: somebody else uses the same payload."""
        ...

    def release(self) -> None:
        """Give the bytes back once everybody has; further calls do nothing.

        Arrays that were handed out stay valid as long as they live, and keep a lease alive.
        """
        ...


class ArrayPayload:
    """A payload in this process's own memory."""

    __slots__ = ("_array",)

    def __init__(self, array: AnyArray) -> None:
        """Take `array` as it is: the caller no longer writes to it."""
        view = array.view()
        view.flags.writeable = False
        self._array = view

    @property
    def nbytes(self) -> int:
        """Return the size in bytes."""
        return self._array.nbytes

    def array(self) -> AnyArray:
        """Return the read-only array."""
        return self._array

    def retain(self) -> None:
        """Do nothing: the garbage collector owns the array."""

    def release(self) -> None:
        """Do nothing: the garbage collector owns the array."""


@dataclass(frozen=True, slots=True)
class Message:
    """A header with its payloads, in the order of `header.buffers`."""

    header: Header
    payloads: tuple[Payload, ...] = ()

    def array(self, index: int = 0) -> AnyArray:
        """Return the read-only array of buffer `index`."""
        return self.payloads[index].array()

    def retain(self) -> None:
        """Ask for one more `release`: one message may serve several inputs."""
        for payload in self.payloads:
            payload.retain()

    def release(self) -> None:
        """Release every payload."""
        for payload in self.payloads:
            payload.release()


class SampleRef(NamedTuple):
    """Which message: an input of the graph, the publisher's life, its sequence number."""

    input: str
    incarnation: int
    seq: int


class Sample(NamedTuple):
    """All that deciding code may know of a message. Times in ns on the graph clock."""

    ref: SampleRef
    stamp_ns: int
    span_ns: int = 0
    error_ns: int = 0
    nbytes: int = 0
    first: int = -1
    """Audio: index of the first sample on the source's timeline; -1 for other kinds."""
    count: int = 0  # type: ignore[assignment]  # shadows tuple.count, of no use here
    """Audio: number of samples per channel."""
    rate_hz: int = 0
    """Audio: samples per second."""


def sample_of(header: Header, input_name: str) -> Sample:
    """Return what deciding code may know of a message that arrived at `input_name`."""
    ref = SampleRef(input_name, header.incarnation, header.seq)
    nbytes = 0
    for spec in header.buffers:
        nbytes += spec.nbytes
    if header.kind is not Kind.AUDIO:
        return Sample(ref, header.stamp_ns, header.span_ns, header.error_ns, nbytes)
    rate_hz = header.fields.get("rate_hz", 0)
    return Sample(
        ref,
        header.stamp_ns,
        header.span_ns,
        header.error_ns,
        nbytes,
        first=first_of(header),
        count=header.buffers[0].shape[0] if header.buffers else 0,
        rate_hz=rate_hz if isinstance(rate_hz, int) else 0,
    )


def first_of(header: Header) -> int:
    """Return the index of the first sample of audio; where none is given, that of its stamp.

    So that a window finds lost blocks of such a source as gaps, to within what its stamps jitter;
    `tectum.sync.block_index` makes better ones.
    """
    first, rate_hz = header.fields.get("first"), header.fields.get("rate_hz")
    if isinstance(first, int):
        return first
    return sample_index(header.stamp_ns, rate_hz) if isinstance(rate_hz, int) else 0


def sample_index(stamp_ns: int, rate_hz: int) -> int:
    """Return the index of the sample at an instant, of a timeline that began in 1970."""
    return max(0, (2 * stamp_ns * rate_hz + 1_000_000_000) // 2_000_000_000)
