"""Which formats can be imported: the table, and which of them a path is.

A new format is a file with a `Source` and a line here. The order is that of recognizing.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tectum.errors import ConfigError, DataError, nearest_name
from tectum_nodes.importing.base import Source

__all__ = ["FORMATS", "format_class", "opened_source"]

FORMATS: Mapping[str, str] = {
    "ros2": "tectum_nodes.importing.ros_bag:RosBag",
    "kitti": "tectum_nodes.importing.kitti:KittiSource",
    "nuscenes": "tectum_nodes.importing.nuscenes:NuScenes",
    "pcap": "tectum_nodes.importing.capture_file:CaptureFile",
    "media": "tectum_nodes.importing.media:MediaFile",
    "sounds": "tectum_nodes.importing.sound_folder:SoundFolder",
}


def format_class(name: str) -> type[Source]:
    """Return the class of a format.

    Raises:
        ConfigError: there is no such format.
    """
    if name not in FORMATS:
        near = nearest_name(name, FORMATS)
        msg = f"no format is called {name!r}{near}; there are {', '.join(FORMATS)}"
        raise ConfigError(msg)
    module, _, class_name = FORMATS[name].partition(":")
    found: type[Source] = getattr(import_module(module), class_name)
    return found


def opened_source(path: Path, name: str, settings: Mapping[str, Any]) -> tuple[str, Source]:
    """Return the format and the source of `path`; `name`: its format, `""`: to be found out.

    Raises:
        ConfigError: there is no such path, nobody recognizes it, or a setting is wrong.
        DataError: it cannot be read.
    """
    if not path.exists():
        msg = f"there is no file or folder {path} to import"
        raise ConfigError(msg)
    name = name or _recognized(path)
    found = format_class(name)
    try:
        config = found.Config.model_validate(dict(settings))
    except ValidationError as error:
        known = found.Config.model_fields
        words = "; ".join(_fault(item, known) for item in error.errors(include_url=False))
        msg = f"--set for the format {name}: {words}; its keys are {', '.join(known) or 'none'}"
        raise ConfigError(msg) from None
    try:
        return name, found(path, config)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise DataError(msg) from error


def _recognized(path: Path) -> str:
    for name in FORMATS:
        if format_class(name).recognizes(path):
            return name
    known = "; ".join(f"{name}: {format_class(name).title}" for name in FORMATS)
    msg = f"{path} is nothing that is recognized here. Name it with --format ({known})"
    raise ConfigError(msg)


def _fault(item: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return f"unknown key {where!r}{nearest_name(where, known)}"
    text = str(item["msg"]).removeprefix("Value error, ")
    return f"{where}: {text}" if where else text
