"""Randomness without state: a number for (seed, stream, index), the same in every process.

The mixing function is SplitMix64 (Steele, Lea, Flood 2014). Streams keep uses apart, so that
asking for one more number somewhere never changes another.
"""

from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_GOLDEN, _MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_MASK = (1 << 64) - 1


def uniform(seed: int, stream: str, index: Ints) -> Floats:
    """Numbers in [0, 1), one per index.

    Args:
        seed: Seed of the drive.
        stream: Name of the use; different names are independent.
        index: int64, any shape but a scalar, any sign.
    """
    start = np.uint64(_mix(_key(seed, stream)))
    bits = index.astype(np.uint64) * np.uint64(_GOLDEN) + start
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(_MIX_1)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(_MIX_2)
    bits = bits ^ (bits >> np.uint64(31))
    return np.asarray((bits >> np.uint64(11)) * 2.0**-53)


def uniform_one(seed: int, stream: str, index: int) -> float:
    """The number of a single index; equal to what `uniform` gives for it."""
    bits = _mix((index * _GOLDEN + _mix(_key(seed, stream))) & _MASK)
    return (bits >> 11) * 2.0**-53


def generator(seed: int, stream: str, index: int = 0) -> np.random.Generator:
    """A numpy generator of its own for (seed, stream, index)."""
    entropy = (_key(seed, stream), index & 0xFFFFFFFFFFFFFFFF)
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(entropy)))


def _key(seed: int, stream: str) -> int:
    return ((seed & 0xFFFFFFFF) << 32) | crc32(stream.encode())


def _mix(bits: int) -> int:
    bits = ((bits ^ (bits >> 30)) * _MIX_1) & _MASK
    bits = ((bits ^ (bits >> 27)) * _MIX_2) & _MASK
    return bits ^ (bits >> 31)
