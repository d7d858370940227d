"""Randomness without state: a number for (seed, stream, index), the same in every process.

The mixing function is SplitMix64 (Steele, Lea, Flood 2014). Streams keep uses apart, so that
asking for one more number somewhere never changes another.
"""

from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def uniform(seed: int, stream: str, index: Ints) -> Floats:
    """Numbers in [0, 1), one per index.

    Args:
        seed: Seed of the drive.
        stream: Name of the use; different names are independent.
        index: int64, any shape, any sign.
    """
    key = np.array(_key(seed, stream), np.uint64)
    bits = _mix(index.astype(np.uint64) * _GOLDEN + _mix(key))
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def uniform_one(seed: int, stream: str, index: int) -> float:
    """The number of a single index."""
    return float(uniform(seed, stream, np.array([index], np.int64))[0])


def generator(seed: int, stream: str, index: int = 0) -> np.random.Generator:
    """A numpy generator of its own for (seed, stream, index)."""
    entropy = (_key(seed, stream), index & 0xFFFFFFFFFFFFFFFF)
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(entropy)))


def _key(seed: int, stream: str) -> int:
    return ((seed & 0xFFFFFFFF) << 32) | crc32(stream.encode())


def _mix(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX_1
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX_2
    return np.asarray(bits ^ (bits >> np.uint64(31)))
