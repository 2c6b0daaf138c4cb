"""Validation of data from outside, such as configuration files: conversion to models, or a list of all problems."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, dataclass_transform, get_args, get_origin

import msgspec
from msgspec import Meta, Struct, StructMeta, structs
from msgspec.inspect import is_struct_type

from .protocol import PandaError

T = TypeVar("T")

Location = tuple[int | str, ...]

#: The problem of a required key that is not given.
MISSING = "this key is required"

#: Numbers from here on are left out of messages.
_LONG = 10**80

#: What users call the types in messages of msgspec.
_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


class Problem(NamedTuple):
    """A problem, and the keys that lead to it."""

    where: Location
    what: str

    def __str__(self) -> str:
        text = f"{'.'.join(map(str, self.where))}: {self.what}" if self.where else self.what
        return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)  # one line


class InvalidError(PandaError, ValueError):
    """Invalid data.

    Attributes:
        problems: all that is wrong; the message has a line for each
    """

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class _Validating(StructMeta):
    """Validates what code constructs too, which msgspec does not; values may be plain data, as in a file."""

    def __call__(self: Any, *values: Any, **named: Any) -> Any:
        return validated({**dict(zip(self.__struct_fields__, values, strict=False)), **named}, self)


class Checked(Struct, metaclass=_Validating, frozen=True, forbid_unknown_fields=True):
    """Base class of models: immutable; construction raises InvalidError for wrong values and unknown keys.

    For checks across fields, `__post_init__` raises ValueError, or InvalidError to name the key.
    """


def rule(problem: str | Callable[[Any], str], **constraints: Any) -> Meta:
    """Return constraints for `Annotated`, with a message: a text, or a function of the wrong value."""
    return Meta(extra={"problem": problem}, **constraints)


def validated(content: Any, kind: type[T], *, strict: bool = True) -> T:
    """Convert plain data to a model.

    Args:
        content: dictionaries, lists and scalars
        kind: model, dataclass or annotated type
        strict: whether numbers in text and numbers for booleans are refused

    Raises:
        InvalidError: the content is invalid
    """
    try:
        return msgspec.convert(content, kind, strict=strict, dec_hook=_as_path)
    except msgspec.ValidationError as error:  # it names one problem only
        raise InvalidError(*_problems(content, kind, strict=strict)) from error


def schema(model: type[Checked]) -> dict[str, Any]:
    """Return the JSON schema of a model."""
    whole = msgspec.json.schema(model, schema_hook=lambda _: {"type": "string", "minLength": 1})
    rest = whole["$defs"]
    return {**rest.pop(model.__name__), "$defs": rest}


def _as_path(_: type, value: object) -> Path:
    """Convert text to a path, the only type of a model that msgspec does not know."""
    if isinstance(value, Path):
        return value
    if not isinstance(value, str):
        raise TypeError("must be text")
    if not value:  # Path("") is the working directory
        raise ValueError("a path must not be empty")
    if "\0" in value:  # such a path would fail where it is used
        raise ValueError(f"a path must not have a null character: {value!r:.80}")
    return Path(value)


def _problems(content: Any, kind: Any, where: Location = (), *, strict: bool) -> list[Problem]:
    """Return the problems of the parts; if there are none, those of the whole."""
    kind = _without_none(kind) if content is not None else kind
    found = [Problem((*where, key), what) for key, what in _wrong_keys(content, kind)]
    for key, part, part_kind in _parts(content, kind):
        found += _problems(part, part_kind, (*where, key), strict=strict)
    if found:
        return found
    try:
        msgspec.convert(content, kind, strict=strict, dec_hook=_as_path)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, InvalidError):
            return [Problem((*where, *inner.where), inner.what) for inner in error.__cause__.problems]
        return [Problem(where, _message(str(error), content, kind))]
    return []


def _bare(kind: Any) -> Any:
    """Return a type without its annotations."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _without_none(kind: Any) -> Any:
    """Return X for X | None, also if it is annotated."""
    if get_origin(_bare(kind)) in {Union, UnionType}:
        return next(choice for choice in get_args(_bare(kind)) if choice is not type(None))
    return kind


def _wrong_keys(content: Any, kind: Any) -> Iterator[tuple[Any, str]]:
    """Yield missing and unknown keys, each with the message."""
    if is_struct_type(_bare(kind)) and isinstance(content, dict):
        fields = {field.name: field for field in structs.fields(_bare(kind))}
        yield from ((name, MISSING) for name, field in fields.items() if field.required and name not in content)
        yield from ((key, f"unknown key: use {', '.join(fields)}") for key in content if key not in fields)


def _parts(content: Any, kind: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Yield the key, the content and the type of each part."""
    bare = _bare(kind)
    origin, arguments = get_origin(bare), get_args(bare)
    if is_struct_type(bare) and isinstance(content, dict):
        yield from (
            (field.name, content[field.name], field.type) for field in structs.fields(bare) if field.name in content
        )
    elif origin is dict and isinstance(content, dict):
        yield from ((key, key, arguments[0]) for key in content)
        yield from ((key, value, arguments[1]) for key, value in content.items())
    elif origin in {list, tuple} and isinstance(content, list | tuple):
        yield from ((number, item, arguments[0]) for number, item in enumerate(content))


def _message(message: str, content: Any, kind: Any) -> str:
    """Return a message of msgspec about a value in plain words."""
    metas = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    own = [meta.extra["problem"] for meta in metas if isinstance(meta, Meta) and meta.extra]
    if own and ", got " not in message:  # the type is right
        return str(own[0](content) if callable(own[0]) else own[0])
    if get_origin(_bare(kind)) is Literal and isinstance(content, str):
        return f"must be {' or '.join(get_args(_bare(kind)))}, not {content!r:.80}"
    if not message.startswith("Expected "):
        return message
    plain = re.sub("`(.*?)`", lambda name: _TYPES.get(name[1], name[1].removeprefix("$.")), message)
    wanted, got, rest = plain.partition(", got ")
    if isinstance(content, bool | float | str):
        rest = f"text {content!r:.80}" if isinstance(content, str) else str(content).lower()
    elif isinstance(content, int) and not got and abs(content) < _LONG:  # out of range
        rest = str(content)
    return wanted.replace("Expected", "must be", 1) + (f", not {rest}" if rest else "")
