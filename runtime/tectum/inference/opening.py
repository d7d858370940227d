"""Opening: a model's file becomes a session of ONNX Runtime on a device.

What ONNX Runtime would do silently, fall back to the CPU, is refused here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tectum.errors import DeviceError, ModelError
from tectum.inference.device import Device
from tectum.inference.plugins import adapters

__all__ = ["SessionOptions", "open_model"]

_ERRORS_ONLY = 3
"""ONNX Runtime's severity: its warnings repeat per session what `placement` tells once."""


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How a session runs."""

    threads: int = 1
    """ONNX Runtime's own default, one per core, is 3 to 4 times slower with several sessions."""
    spinning: bool = False


def open_model(source: str | bytes, model: str, device: Device, options: SessionOptions) -> Any:
    """Return ONNX Runtime's session of the file at the path `source`, or of its bytes.

    Raises:
        ModelError: the file cannot be loaded, or the provider refuses an option.
        DeviceError: the model did not get on the device.
    """
    import onnxruntime  # noqa: PLC0415 - heavy

    settings = _settings(options)
    providers: list[Any] = []
    if device.plugin and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # finds CUDA and cuDNN that pip installed
    try:
        if device.package:
            given = dict(device.options.get(device.providers[0], {}))
            settings.add_provider_for_devices(list(adapters(device.package)[:1]), given)
        else:
            providers = [(name, dict(device.options.get(name, {}))) for name in device.providers]
        # Otherwise what fails on its device, now or in a run, is done again on the CPU.
        session = onnxruntime.InferenceSession(
            source, settings, providers=providers or None, enable_fallback=0
        )
    except DeviceError:
        raise
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        where = f" on {device.name}" if device.is_gpu else ""
        told = source if isinstance(source, str) else model
        msg = f"{told} cannot be loaded{where}: {first}{_asked_of(device)}"
        raise ModelError(msg) from error
    _check_device(device, session, model)
    return session


def _asked_of(device: Device) -> str:
    """Return the options that were given: a provider seldom says which of them it refuses."""
    given = [f"{key}: {value}" for of in device.options.values() for key, value in of.items()]
    if not given:
        return ""
    return f" (its provider was given {{{', '.join(given)}}}: are these options of it?)"


def _settings(options: SessionOptions) -> Any:
    import onnxruntime  # noqa: PLC0415 - heavy

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = _ERRORS_ONLY
    spinning = "1" if options.spinning else "0"
    settings.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    settings.add_session_config_entry("session.inter_op.allow_spinning", spinning)
    settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return settings


def _check_device(device: Device, session: Any, model: str) -> None:
    wanted, given = device.providers[0], session.get_providers()
    if wanted not in given:
        msg = (
            f"{model} should run on {device.name}, but ONNX Runtime gave it only "
            f"{', '.join(given)}: its libraries do not load; run `tectum doctor`"
        )
        raise DeviceError(msg)
