"""Provider plugins: providers of ONNX Runtime that come as a Python package of their own.

A plugin is registered once a process, before its first session. What it finds on this machine is
ONNX Runtime's own word for it; an empty answer means that there is no adapter it would use.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

from tectum.errors import DeviceError

__all__ = ["adapters"]


@functools.cache
def adapters(package: str) -> tuple[Any, ...]:
    """Return ONNX Runtime's devices that the plugin in the Python package `package` serves.

    Raises:
        DeviceError: the package is not installed, or does not load.
    """
    try:
        plugin = importlib.import_module(package)
    except ImportError as error:
        wheel = package.replace("_", "-")
        msg = f"the package {wheel} is not installed"
        raise DeviceError(msg) from error
    import onnxruntime  # noqa: PLC0415 - heavy

    try:
        onnxruntime.register_execution_provider_library(package, plugin.get_library_path())
    except Exception as error:
        msg = f"{package} does not load: {str(error).strip().splitlines()[0]}"
        raise DeviceError(msg) from error
    name = plugin.get_ep_name()
    return tuple(found for found in onnxruntime.get_ep_devices() if found.ep_name == name)
