"""Steps of pre- and postprocessing: small pure functions with named settings, found in a table.

A manifest writes a step as `resize: {width: 320, height: 192}`. `read_steps` looks the name up,
checks the settings against the function's own signature, and gives something to call; a wrong
name or setting is an error of the manifest, found before anything runs.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tectum.errors import ConfigError, nearest_name
from tectum.inference.manifest import StepEntry
from tectum.message import AnyArray

__all__ = ["Step", "View", "read_steps"]


class View(NamedTuple):
    """What becomes of a sample on its way into a model, and where it came from.

    For images, pixel `(x, y)` of the view is pixel `(left + x * scale_x, top + y * scale_y)` of
    the source, in coordinates where the first pixel spans 0 to 1.
    """

    array: AnyArray
    left: float = 0.0
    top: float = 0.0
    scale_x: float = 1.0
    scale_y: float = 1.0
    size: tuple[int, int] | None = None
    """Width and height of the source image."""
    box: tuple[float, float, float, float] | None = None
    """What a detector found and the model is about: x1 y1 x2 y2 in pixels of the source."""

    def having(self, array: AnyArray) -> View:
        """Return the view with other numbers at the same place."""
        return self._replace(array=array)

    def part(self, array: AnyArray, x: float, y: float) -> View:
        """Return the part that begins at pixel `(x, y)` of this view."""
        left, top = self.left + x * self.scale_x, self.top + y * self.scale_y
        return self._replace(array=array, left=left, top=top)

    def zoomed(self, array: AnyArray, by_x: float, by_y: float) -> View:
        """Return the view with `by_x` times as many pixels across and `by_y` times down."""
        scale_x, scale_y = self.scale_x / by_x, self.scale_y / by_y
        return self._replace(array=array, scale_x=scale_x, scale_y=scale_y)


@dataclass(frozen=True, slots=True)
class Step:
    """A function of the table with the settings of one manifest."""

    name: str
    function: Callable[..., Any]
    settings: Mapping[str, Any]

    def __call__(self, value: Any) -> Any:
        """Return what the step makes of `value`."""
        return self.function(value, **self.settings)


def read_steps(
    entries: Sequence[StepEntry], table: Mapping[str, Callable[..., Any]], place: str
) -> tuple[Step, ...]:
    """Return the steps that `entries` of the manifest at `place` name.

    Raises:
        ConfigError: a step or setting is unknown, missing, or of the wrong type.
    """
    return tuple(_read(entry, table, place) for entry in entries)


def _read(entry: StepEntry, table: Mapping[str, Callable[..., Any]], place: str) -> Step:
    if entry.name not in table:
        known, close = ", ".join(table), nearest_name(entry.name, table)
        msg = f"{place}: {entry.path}: unknown step {entry.name!r}; there are: {known}{close}"
        raise ConfigError(msg)
    function = table[entry.name]
    parameters = list(inspect.signature(function).parameters.values())[1:]
    types = typing.get_type_hints(function)
    names = [parameter.name for parameter in parameters]
    for key, value in entry.params.items():
        if key not in names:
            close = nearest_name(key, names)
            msg = (
                f"{place}: {entry.path}.{key}: unknown setting (value {value!r}); "
                f"{entry.name} takes: {', '.join(names) or 'none'}{close}"
            )
            raise ConfigError(msg)
        if not _fits(value, types[key]):
            what = getattr(types[key], "__name__", str(types[key]))
            msg = f"{place}: {entry.path}.{key}: {value!r} is not of type {what}"
            raise ConfigError(msg)
    for parameter in parameters:
        if parameter.default is parameter.empty and parameter.name not in entry.params:
            msg = f"{place}: {entry.path}.{parameter.name} is missing: {entry.name} needs it"
            raise ConfigError(msg)
    return Step(entry.name, function, dict(entry.params))


def _fits(value: object, wanted: Any) -> bool:
    """Return whether a value from YAML has the type of a step's parameter."""
    origin = typing.get_origin(wanted)
    if origin is not None and origin is not Sequence:
        return any(_fits(value, part) for part in typing.get_args(wanted))
    if origin is Sequence:
        inner = typing.get_args(wanted)[0]
        return isinstance(value, list) and all(_fits(item, inner) for item in value)
    if wanted is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
