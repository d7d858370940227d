"""Between two messages: values linear, rotations along the great circle. Small arrays, no images.

A pose is moved on a straight line and turned by spherical linear interpolation, the short way
(Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tectum.errors import DataError
from tectum.inference.stage import Cut
from tectum.message import AnyArray, ArrayPayload, Kind, Message

__all__ = ["blended", "slerp"]

_PPM = 1_000_000
_NEARLY_PARALLEL = 1 - 1e-9


def blended(cut: Cut) -> Cut:
    """Return `cut` with its two messages made into the one between them, where it asks for that.

    Raises:
        DataError: the messages are neither poses nor tensors, or differ in shape.
    """
    if cut.weight_ppm < 0:
        return cut
    one, other = cut.messages
    if one.header.kind not in (Kind.POSE, Kind.TENSOR) or one.header.kind is not other.header.kind:
        msg = (
            f"{one.header.topic} carries {one.header.kind}: only poses and tensors can be "
            "interpolated; align: nearest would do"
        )
        raise DataError(msg)
    weight = cut.weight_ppm / _PPM
    header = one.header
    between = other.header._replace(
        stamp_ns=header.stamp_ns + round((other.header.stamp_ns - header.stamp_ns) * weight),
        error_ns=max(header.error_ns, other.header.error_ns),
    )
    pairs = zip(one.payloads, other.payloads, strict=True)
    arrays = [_blend(header.kind, a.array(), b.array(), weight) for a, b in pairs]
    return Cut((Message(between, tuple([ArrayPayload(array) for array in arrays])),))


def slerp(one: NDArray[np.float64], other: NDArray[np.float64], weight: float) -> AnyArray:
    """Return the unit quaternion (x y z w) `weight` of the way from `one` to `other`."""
    dot = float(np.dot(one, other))
    if dot < 0:  # the same rotation, written so that the way is short
        other, dot = -other, -dot
    if dot > _NEARLY_PARALLEL:
        mixed = one + weight * (other - one)
    else:
        angle = math.acos(dot)
        mixed = (math.sin((1 - weight) * angle) * one + math.sin(weight * angle) * other) / (
            math.sin(angle)
        )
    return np.asarray(mixed / np.linalg.norm(mixed))


def _blend(kind: Kind, one: AnyArray, other: AnyArray, weight: float) -> AnyArray:
    if one.shape != other.shape:
        msg = f"cannot interpolate between arrays of shapes {one.shape} and {other.shape}"
        raise DataError(msg)
    a, b = one.astype(np.float64), other.astype(np.float64)
    mixed = a + weight * (b - a)
    if kind is Kind.POSE:
        mixed[3:7] = slerp(a[3:7], b[3:7], weight)
    if one.dtype.kind in "iu":
        mixed = np.rint(mixed)
    return mixed.astype(one.dtype)
