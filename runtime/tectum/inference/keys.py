"""A mapping from a YAML file that knows its place and fails on keys nobody asked for.

Each key is taken once, with its type; `finish` refuses what is left. Every error names the file,
the key path, the value, what is allowed and, for a misspelt key, the nearest known one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from tectum.errors import ConfigError, nearest_name
from tectum.units import parse_duration_ns

__all__ = ["Keys"]

T = TypeVar("T")

_NAMES: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
}


class Keys:
    """The keys of one mapping, taken one by one."""

    def __init__(self, document: object, place: str, path: str = "") -> None:
        """Wrap `document`, found in file `place` under key path `path`.

        Raises:
            ConfigError: it is not a mapping with text keys.
        """
        self.place, self.path = place, path
        if not isinstance(document, Mapping):
            raise self.error(document, "", _NAMES[dict])
        self._left: dict[str, Any] = {str(key): value for key, value in document.items()}
        self._known: list[str] = []

    def at(self, key: str) -> str:
        """Return the key path of `key`, as in `inputs[0].shape`."""
        return f"{self.path}.{key}" if self.path and key else self.path or key

    def error(self, value: object, key: str, allowed: str) -> ConfigError:
        """Return the error that says `value` stands at `key` where `allowed` is expected."""
        return ConfigError(
            f"{self.place}: {self.at(key) or 'the file'}: {value!r} is not {allowed}"
        )

    def need(self, key: str, kind: type[T]) -> T:
        """Return the value of `key`, which must be there and of `kind`."""
        if key not in self._left:
            close = nearest_name(key, self._left)
            msg = f"{self.place}: {self.at(key)} is missing: give {_NAMES[kind]}{close}"
            raise ConfigError(msg)
        return self._take(key, kind)

    def get(self, key: str, kind: type[T], default: T) -> T:
        """Return the value of `key` if it is there, which must then be of `kind`."""
        self._known.append(key)
        return self._take(key, kind) if key in self._left else default

    def duration_ns(self, key: str, default: int) -> int:
        """Return the time at `key`: text with a unit (`40ms`), or nanoseconds; above 0."""
        value = self.get(key, object, default)
        try:
            found = value if isinstance(value, int) else parse_duration_ns(value)
        except ConfigError as error:
            raise self.error(value, key, "a time with its unit, as in 40ms") from error
        if found <= 0 and found != default:
            raise self.error(value, key, "a time above 0")
        return found

    def choice(self, key: str, allowed: Sequence[str], default: str | None = None) -> str:
        """Return the text at `key`, one of `allowed`."""
        value = self.need(key, str) if default is None else self.get(key, str, default)
        if value not in allowed:
            what = f"one of {', '.join(allowed)}{nearest_name(value, allowed)}"
            raise self.error(value, key, what)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the list of texts at `key`; empty where it is absent."""
        values = self.get(key, list, [])
        if not all(isinstance(value, str) for value in values):
            raise self.error(values, key, "a list of texts")
        return tuple(values)

    def rows(self, key: str, *, required: bool = False) -> list[Keys]:
        """Return the mappings of the list at `key`, each with its own path."""
        values = self.need(key, list) if required else self.get(key, list, [])
        return [
            Keys(value, self.place, f"{self.at(key)}[{index}]")
            for index, value in enumerate(values)
        ]

    def below(self, key: str) -> Keys:
        """Return the mapping at `key`, empty where it is absent."""
        return Keys(self.get(key, dict, {}), self.place, self.at(key))

    def rest_of(self, key: str) -> object:
        """Return the value of `key` as it is, whatever its type; None where it is absent."""
        self._known.append(key)
        return self._left.pop(key, None)

    def rest(self) -> dict[str, Any]:
        """Return what is left, and leave nothing."""
        left, self._left = self._left, {}
        return left

    def finish(self) -> None:
        """Refuse keys that nobody asked for.

        Raises:
            ConfigError: there are some.
        """
        for key, value in self._left.items():
            known = ", ".join(sorted(set(self._known)))
            close = nearest_name(key, self._known)
            msg = (
                f"{self.place}: {self.at(key)}: unknown key (value {value!r}); "
                f"allowed here: {known}{close}"
            )
            raise ConfigError(msg)

    def _take(self, key: str, kind: type[T]) -> T:
        self._known.append(key)
        value = self._left.pop(key)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return kind(value)  # type: ignore[call-arg]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.error(value, key, _NAMES[kind])
        return value
