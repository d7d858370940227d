"""Tectum: streaming real-time sensor fusion.

Fused answers, aligned and on time, with a reason for every one that is not.
"""

__version__ = "0.1.0"
