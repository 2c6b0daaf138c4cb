"""Commands that describe the blocks, fields and metadata of a PandA.

`_KINDS` maps each field type to a class, `_QUESTIONS` lists the requests that fill the class. Unknown types become a
plain `FieldInfo`, and attributes that the server does not have keep their defaults: both occur with older and newer
servers.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from .errors import LocalProtocolError, RemoteProtocolError
from .exchange import Command, Conversation, Reply, Request, ask, together
from .fields import (
    BitMuxFieldInfo,
    BitOutFieldInfo,
    BlockInfo,
    EnumFieldInfo,
    ExtOutBitsFieldInfo,
    ExtOutFieldInfo,
    FieldInfo,
    PosMuxFieldInfo,
    PosOutFieldInfo,
    ScalarFieldInfo,
    TableColumn,
    TableFieldInfo,
    TimeFieldInfo,
    UintFieldInfo,
)

#: Valid names. Other names that a server lists are kept, but nothing further is requested for them.
_NAME = re.compile(r"[A-Za-z0-9_]+")


@dataclass(frozen=True)
class GetBlockInfo(Command[dict[str, BlockInfo]]):
    """List the block types (`*BLOCKS?`). The response is a dict from name to `BlockInfo`, sorted by name.

    Args:
        skip_description: leave the descriptions empty, which saves a round trip

    Raises:
        RemoteProtocolError: a reply cannot be parsed
    """

    skip_description: bool = False

    def conversation(self) -> Conversation[dict[str, BlockInfo]]:
        reply = yield from ask("*BLOCKS?")
        numbers = {}
        for line in sorted(reply.multiline()):
            name, number, *_ = _split(reply, line, 2)
            numbers[name] = _number(reply, number)
        askable = [name for name in numbers if _NAME.fullmatch(name) and not self.skip_description]
        replies = yield [Request(f"*DESC.{name}?") for name in askable]
        descriptions = {name: _description(reply) for name, reply in zip(askable, replies, strict=True)}
        return {name: BlockInfo(number, descriptions.get(name, "")) for name, number in numbers.items()}


@dataclass(frozen=True)
class GetFieldInfo(Command[dict[str, FieldInfo]]):
    """List the fields of a block with their static metadata.

    The response is a dict from field name to a `FieldInfo` subclass, in display order.

    Args:
        block: block name without instance number: "SEQ"
        extended_metadata: False requests only the types, in one round trip. Each field is then a plain `FieldInfo`
            without description and attributes

    Raises:
        LocalProtocolError: `block` is not a valid name
        CommandError: the PandA does not have the block
        RemoteProtocolError: a reply cannot be parsed
    """

    block: str
    extended_metadata: bool = True

    def conversation(self) -> Conversation[dict[str, FieldInfo]]:
        if not _NAME.fullmatch(self.block):
            raise LocalProtocolError(f"invalid block name {self.block!r}: use letters, digits and '_'")
        reply = yield from ask(f"{self.block}.*?")
        listed = []
        for line in reply.multiline():
            name, index, kind, *subtype = _split(reply, line, 3)
            listed.append((_number(reply, index), name, kind, subtype[0] if subtype else None))
        listed.sort(key=lambda field: field[:2])
        if not self.extended_metadata:
            return {name: FieldInfo(kind, subtype) for _, name, kind, subtype in listed}
        infos = yield from together(_field_info(self.block, name, kind, subtype) for _, name, kind, subtype in listed)
        return {name: info for (_, name, _, _), info in zip(listed, infos, strict=True)}


@dataclass(frozen=True)
class GetPcapBitsLabels(Command[dict[str, tuple[str, ...]]]):
    """Get the signal names of all captured bits, in two round trips.

    The response is a dict from field name to 32 signal names, bit 0 first, "" for an unused bit:
    {"PCAP.BITS0": ("TTLIN1.VAL", ...), ...}.

    Raises:
        RemoteProtocolError: a reply cannot be parsed
    """

    def conversation(self) -> Conversation[dict[str, tuple[str, ...]]]:
        infos = yield from GetFieldInfo("PCAP", extended_metadata=False).conversation()
        names = [f"PCAP.{name}" for name, info in infos.items() if (info.type, info.subtype) == ("ext_out", "bits")]
        replies = yield [Request(f"{name}.BITS?") for name in names]
        return {name: _labels(reply) for name, reply in zip(names, replies, strict=True)}


@dataclass(frozen=True)
class GetMetadata(Command[dict[str, str | list[str]]]):
    """Read all metadata (`*METADATA`). The response is a dict from key to text or a list of lines, sorted by key."""

    def conversation(self) -> Conversation[dict[str, str | list[str]]]:
        keys = sorted((yield from ask("*METADATA.*?")).multiline())
        replies = yield [Request(f"*METADATA.{key}?") for key in keys]
        return {
            key: reply.line() if reply.lines is None else reply.multiline()
            for key, reply in zip(keys, replies, strict=True)
        }


class _From(Enum):
    """The request that answers a question."""

    ATTRIBUTE = "{block}1.{field}.{attribute}?"
    LABELS = "*ENUMS.{block}.{field}?"
    ATTRIBUTE_LABELS = "*ENUMS.{block}.{field}.{attribute}?"


@dataclass(frozen=True)
class _Question:
    """The request for one member of a FieldInfo class, and the conversion of its reply."""

    source: _From
    attribute: str = ""
    convert: Callable[[Reply], Any] = Reply.line


def _integer(reply: Reply) -> int:
    return _number(reply, reply.line())


def _positive(reply: Reply) -> int:
    number = _integer(reply)
    if number < 1:
        raise RemoteProtocolError(f"{reply.request!r} returned {number}, which must be at least 1")
    return number


def _float(reply: Reply) -> float:
    try:
        return float(reply.line())
    except ValueError:
        raise RemoteProtocolError(f"{reply.request!r} returned {reply.line()[:80]!r}, not a number") from None


def _labels(reply: Reply) -> tuple[str, ...]:
    return tuple(reply.multiline())


def _columns(reply: Reply) -> dict[str, TableColumn]:
    """Parse the FIELDS of a table: lines `high:low NAME [subtype]`, both bits inclusive."""
    columns = {}
    for line in reply.multiline():
        bits, name, *subtype = _split(reply, line, 2)
        match = re.fullmatch(r"(\d{1,6}):(\d{1,6})", bits)
        if not match:
            raise _invalid_line(reply, line)
        high, low = int(match[1]), int(match[2])
        if high < low or high // 32 != low // 32:
            raise _invalid_line(reply, line)
        columns[name] = TableColumn(subtype[0] if subtype else "uint", low, high)
    return columns


_CAPTURE = _Question(_From.ATTRIBUTE_LABELS, "CAPTURE", _labels)
_LABELS = _Question(_From.LABELS, convert=_labels)

#: Requests for the members of the classes in `fields`.
_QUESTIONS: Mapping[type[FieldInfo], Mapping[str, _Question]] = {
    UintFieldInfo: {"max_value": _Question(_From.ATTRIBUTE, "MAX", _integer)},
    ScalarFieldInfo: {
        "units": _Question(_From.ATTRIBUTE, "UNITS"),
        "scale": _Question(_From.ATTRIBUTE, "SCALE", _float),
        "offset": _Question(_From.ATTRIBUTE, "OFFSET", _float),
    },
    TimeFieldInfo: {
        "unit_labels": _Question(_From.ATTRIBUTE_LABELS, "UNITS", _labels),
    },
    EnumFieldInfo: {"labels": _LABELS},
    BitMuxFieldInfo: {"labels": _LABELS, "max_delay": _Question(_From.ATTRIBUTE, "MAX_DELAY", _integer)},
    PosMuxFieldInfo: {"labels": _LABELS},
    BitOutFieldInfo: {
        "capture_word": _Question(_From.ATTRIBUTE, "CAPTURE_WORD"),
        "offset": _Question(_From.ATTRIBUTE, "OFFSET", _integer),
    },
    PosOutFieldInfo: {"capture_labels": _CAPTURE},
    ExtOutFieldInfo: {"capture_labels": _CAPTURE},
    ExtOutBitsFieldInfo: {"capture_labels": _CAPTURE, "bits": _Question(_From.ATTRIBUTE, "BITS", _labels)},
    TableFieldInfo: {
        "max_length": _Question(_From.ATTRIBUTE, "MAX_LENGTH", _integer),
        "row_words": _Question(_From.ATTRIBUTE, "ROW_WORDS", _positive),
        "columns": _Question(_From.ATTRIBUTE, "FIELDS", _columns),
    },
}

_SUBTYPES: Mapping[str, type[FieldInfo]] = {
    "uint": UintFieldInfo,
    "scalar": ScalarFieldInfo,
    "time": TimeFieldInfo,
    "enum": EnumFieldInfo,
}

#: Class of each (type, subtype); plain FieldInfo for other pairs.
_KINDS: Mapping[tuple[str, str | None], type[FieldInfo]] = {
    **{(kind, subtype): cls for kind in ("param", "read", "write") for subtype, cls in _SUBTYPES.items()},
    ("time", None): TimeFieldInfo,
    ("bit_out", None): BitOutFieldInfo,
    ("bit_mux", None): BitMuxFieldInfo,
    ("pos_mux", None): PosMuxFieldInfo,
    ("pos_out", None): PosOutFieldInfo,
    ("ext_out", "timestamp"): ExtOutFieldInfo,
    ("ext_out", "samples"): ExtOutFieldInfo,
    ("ext_out", "bits"): ExtOutBitsFieldInfo,
    ("table", None): TableFieldInfo,
}


def _field_info(block: str, name: str, kind: str, subtype: str | None) -> Conversation[FieldInfo]:
    if not _NAME.fullmatch(name):
        return FieldInfo(kind, subtype)
    description, listed = yield [Request(f"*DESC.{block}.{name}?"), Request(f"{block}1.{name}.*?")]
    attributes = () if listed.error is not None else tuple(sorted(listed.multiline()))
    cls = _KINDS.get((kind, subtype), FieldInfo)
    questions = {
        member: question
        for member, question in _QUESTIONS.get(cls, {}).items()
        if not question.attribute or question.attribute in attributes
    }
    replies = yield [
        Request(question.source.value.format(block=block, field=name, attribute=question.attribute))
        for question in questions.values()
    ]
    members = {
        member: question.convert(reply)
        for (member, question), reply in zip(questions.items(), replies, strict=True)
        if reply.error is None
    }
    info = cls(kind, subtype, _description(description), attributes, **members)
    if isinstance(info, TableFieldInfo):
        return replace(info, columns=(yield from _described_columns(block, name, info.columns)))
    return info


def _described_columns(
    block: str, name: str, columns: Mapping[str, TableColumn]
) -> Conversation[dict[str, TableColumn]]:
    """Add the description of each column and the labels of each enum."""
    paths = {column: f"{block}.{name}[].{column}" for column in columns if _NAME.fullmatch(column)}
    descriptions = yield [Request(f"*DESC.{path}?") for path in paths.values()]
    enums = [column for column in paths if columns[column].subtype == "enum"]
    labels = yield [Request(f"*ENUMS.{paths[column]}?") for column in enums]
    labels_of = {column: _labels(reply) for column, reply in zip(enums, labels, strict=True) if reply.error is None}
    described = {column: _description(reply) for column, reply in zip(paths, descriptions, strict=True)}
    return {
        column: replace(info, description=described.get(column, ""), labels=labels_of.get(column, ()))
        for column, info in columns.items()
    }


def _description(reply: Reply) -> str:
    """Return a description; empty if the server has none, which it reports with an ERR."""
    return "" if reply.error is not None else reply.line().strip()


def _split(reply: Reply, line: str, at_least: int) -> Sequence[str]:
    parts = line.split(maxsplit=at_least)
    if len(parts) < at_least:
        raise _invalid_line(reply, line)
    return parts


def _number(reply: Reply, number: str) -> int:
    try:
        return int(number, 0)
    except ValueError:
        raise RemoteProtocolError(f"{reply.request!r} returned {number[:80]!r}, not an integer") from None


def _invalid_line(reply: Reply, line: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"invalid line in the reply to {reply.request!r}: {line[:80]!r}")
