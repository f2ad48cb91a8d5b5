# SPDX-License-Identifier: Apache-2.0
"""The known type of a value in a template: by its annotation, and by the value itself if there is one.

`Known` None is any type, whose attributes are not checked. An attribute is missing if no annotation, property, method,
assignment to self or live value has it.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, TypeAliasType, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

NOTHING: Any = object()
ABSENT = (types.NoneType, msgspec.UnsetType)  # a template first tests whether a value is there
MOST_LOOKED_AT = 5  # values checked in a container without an annotation
_SELF = re.compile(r"\bself\.(\w+)(?::[^=\n]+)? =|\bself\.(\w+), self")


@dataclass(frozen=True)
class Of:
    """A value of an annotated type; `live` is an example. `row`: an element of a list, with the keys of the others."""

    hint: Any
    live: Any = NOTHING
    row: bool = False


@dataclass(frozen=True)
class Keys:
    """A dict written in a template, or the names of a module of macros."""

    each: dict[str, Known]


@dataclass(frozen=True)
class Each:
    """A list written in a template."""

    of: Known


Option = Of | Keys | Each
Known = tuple[Option, ...] | None


class MissingError(Exception):
    """The type has no such attribute."""


def known_of_value(value: Any) -> Known:
    return None if value is None or value is msgspec.UNSET else (Of(type(value), value),)


def known_of_hint(hint: Any) -> Known:
    origin = get_origin(hint)
    if isinstance(hint, TypeAliasType):
        return known_of_hint(hint.__value__)
    if origin is typing.Annotated:
        return known_of_hint(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return union(known_of_hint(each) for each in get_args(hint) if each not in ABSENT)
    if origin is typing.Literal:
        return tuple(Of(kind) for kind in dict.fromkeys(type(each) for each in get_args(hint)))
    if hint in (Any, object) or isinstance(hint, TypeVar) or hint in ABSENT:
        return None
    return (Of(hint),) if isinstance(origin or hint, type) else None


def union(all_: Iterable[Known]) -> Known:
    found: list[Option] = []
    for known in all_:
        if known is None:
            return None
        found += [each for each in known if not any(each is other for other in found)]
    return tuple(found) or None


@cache
def hints_of(kind: type) -> dict[str, Any]:
    try:
        return get_type_hints(kind, include_extras=True)
    except (NameError, TypeError):
        return {}


@cache
def assigned(kind: type) -> frozenset[str]:
    """Names assigned to self in its methods and those of its bases."""
    found: set[str] = set()
    for base in kind.__mro__[:-1]:
        try:
            found |= {name for pair in _SELF.findall(inspect.getsource(base)) for name in pair}
        except (OSError, TypeError):
            continue
    return frozenset(found)


def returned(function: Any) -> Known:
    try:
        return known_of_hint(get_type_hints(function).get("return", Any))
    except (NameError, TypeError, AttributeError):
        return None


def attribute(option: Option, name: str) -> Known:
    """The type of `value.name` by Jinja's rule: an attribute, otherwise an item. MissingError if there is neither."""
    if isinstance(option, Keys):
        if name in option.each:
            return option.each[name]
        if hasattr(dict, name):
            return None
        raise MissingError(f"{{{', '.join(sorted(option.each))}}}")
    if isinstance(option, Each):
        if hasattr(list, name):
            return None
        raise MissingError("list")
    if isinstance(option.live, types.ModuleType | type):
        if hasattr(option.live, name):
            return known_of_value(getattr(option.live, name))
        raise MissingError(str(option.live))
    kind = get_origin(option.hint) or option.hint
    if typing.is_typeddict(option.hint):
        return _of_keys(option, hints_of(option.hint), name)
    if issubclass(kind, Mapping):
        return _of_mapping(option, kind, name)
    return _of_class(option, kind, name)


def _of_keys(option: Of, hints: dict[str, Any], name: str) -> Known:
    if name in hints:
        return known_of_hint(hints[name])
    if hasattr(dict, name):
        return None
    raise MissingError(option.hint.__name__)


def _of_mapping(option: Of, kind: type, name: str) -> Known:
    if option.live is not NOTHING and name in option.live:
        return known_of_value(option.live[name])
    if hasattr(kind, name):
        return None
    if option.live is not NOTHING and (option.row or kind is not dict):
        raise MissingError(f"{kind.__name__} of {', '.join(map(str, list(option.live)[:20]))}")
    return item(option)


def _of_class(option: Of, kind: type, name: str) -> Known:
    live = NOTHING if option.live is NOTHING else getattr(option.live, name, NOTHING)
    if name in (hints := hints_of(kind)):
        known = known_of_hint(hints[name])
        if live is NOTHING or live is None:
            return known
        return known_of_value(live) if known is None else _lit(known, live)
    static = inspect.getattr_static(kind, name, NOTHING)
    if isinstance(static, property) and static.fget is not None:
        return returned(static.fget)
    if isinstance(static, cached_property):
        return returned(static.func)
    if static is not NOTHING:
        return None if callable(static) or inspect.isdatadescriptor(static) else known_of_value(static)
    if live is not NOTHING:
        return known_of_value(live)
    if name in assigned(kind) or inspect.getattr_static(kind, "__getattr__", None) is not None:
        return None
    raise MissingError(kind.__name__)


def _lit(known: Known, live: Any) -> Known:
    """The same, with the live value if its type matches."""
    options = []
    for option in known or ():
        kind = get_origin(option.hint) or option.hint if isinstance(option, Of) else None
        fits = isinstance(kind, type) and not typing.is_typeddict(kind) and isinstance(live, kind)
        options.append(Of(option.hint, live) if fits and isinstance(option, Of) else option)
    return tuple(options)


def item(option: Option, key: Any = NOTHING) -> Known:
    """An element, or the value of a key."""
    if isinstance(option, Keys):
        return option.each.get(key) if isinstance(key, str) else None
    if isinstance(option, Each):
        return option.of
    args, kind = get_args(option.hint), get_origin(option.hint) or option.hint
    if typing.is_typeddict(option.hint):
        return known_of_hint(hints_of(option.hint).get(key, Any))
    if issubclass(kind, Mapping):
        if option.live is not NOTHING and isinstance(key, str) and key in option.live:
            return known_of_value(option.live[key])
        if len(args) == 2:
            return known_of_hint(args[1])
        return _some(option.live.values()) if option.live is not NOTHING else None
    if issubclass(kind, tuple) and args and args[-1] is not ...:
        return known_of_hint(args[key]) if isinstance(key, int) and key < len(args) else _hints(args)
    if args:
        return known_of_hint(args[0])
    if isinstance(option.live, list | tuple):
        return _some(option.live[key : key + 1]) if isinstance(key, int) else _some(option.live)
    return None


def pairs(option: Option) -> Known:
    """The type of `items()`: a key and its value."""
    if isinstance(option, Of) and issubclass(get_origin(option.hint) or option.hint, Mapping):
        args = get_args(option.hint)
        key = known_of_hint(args[0]) if len(args) == 2 else None
        return (Keys({"0": key, "1": item(option)}),)
    return None


def _some(values: Iterable[Any]) -> Known:
    """The type of the first few values, assumed for the rest."""
    first = [value for _, value in zip(range(MOST_LOOKED_AT), values, strict=False) if value is not None]
    return tuple(Of(type(value), value, row=True) for value in first) or None


def _hints(args: Iterable[Any]) -> Known:
    return union(known_of_hint(each) for each in args)
