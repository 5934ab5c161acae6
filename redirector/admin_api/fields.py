"""Typed access to what the admin API answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar, get_type_hints

View = TypeVar("View")


class ViewError(ValueError):
    """An answer is not of the admin API's format."""


class Fields:
    """Typed access to one JSON object. What is missing or null has an empty value unless it is required."""

    def __init__(self, raw: object, what: str) -> None:
        if not isinstance(raw, dict):
            raise ViewError(f"{what}: not a JSON object")
        self._raw: dict[Any, Any] = raw
        self._what = what

    def names(self) -> list[str]:
        return [str(name) for name in self._raw]

    def text(self, name: str, *, required: bool = False) -> str:
        value = self._value(name, "", required=required)
        if not isinstance(value, str):
            raise ViewError(f"{self._what}: {name} is not a text")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._value(name, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ViewError(f"{self._what}: {name} is not a list of texts")
        return tuple(value)

    def count(self, name: str, *, required: bool = False) -> int:
        value = self._value(name, 0, required=required)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ViewError(f"{self._what}: {name} is not a whole number")
        return value

    def number(self, name: str) -> float | None:
        value = self._raw.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ViewError(f"{self._what}: {name} is not a number")
        return value

    def flag(self, name: str) -> bool:
        value = self._value(name, False)
        if not isinstance(value, bool):
            raise ViewError(f"{self._what}: {name} is neither true nor false")
        return value

    def objects(self, name: str) -> list[object]:
        """A list of what are to be objects; empty if it is missing."""
        value = self._value(name, [])
        if not isinstance(value, list):
            raise ViewError(f"{self._what}: {name} is not a list")
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        value = self._value(name, {})
        if not isinstance(value, dict):
            raise ViewError(f"{self._what}: {name} is not an object")
        return value

    def into(self, view: type[View], *required: str, **parsed: object) -> View:
        """A frozen dataclass of texts, whole numbers, numbers and flags that stand here under their own names.

        Args:
            view: the dataclass.
            required: its texts and whole numbers that must not be missing.
            parsed: its fields of other types, and those that stand here under another name.

        Raises:
            ViewError: a field is missing or of the wrong type.
        """
        read: Mapping[object, Callable[[str], object]] = {
            str: lambda name: self.text(name, required=name in required),
            int: lambda name: self.count(name, required=name in required),
            float: lambda name: self.number(name) or 0.0,
            float | None: self.number,
            bool: self.flag,
        }
        types = _types_of(view)  # type: ignore[arg-type]  # mypy takes no class for hashable
        found = {name: read[kind](name) for name, kind in types.items() if name not in parsed}
        return view(**found, **parsed)

    def _value(self, name: str, default: object, *, required: bool = False) -> object:
        value = self._raw.get(name)
        if value is None and required:
            raise ViewError(f"{self._what}: {name} is missing")
        return default if value is None else value


@cache
def _types_of(view: type) -> Mapping[str, object]:
    """A dataclass's fields with their types."""
    return get_type_hints(view)
