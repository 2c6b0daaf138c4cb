"""The commands that ask a PandA what it has.

What is asked of a field follows from its type by one table, `_KINDS`. A type that is not in the table is
kept as a plain `FieldInfo`, and an attribute that a server does not have keeps its default: both happen
with servers older and newer than this library.
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

#: What can be asked for. Whatever else a server lists as a name is kept, but nothing is asked of it.
_NAME = re.compile(r"[A-Za-z0-9_]+")


@dataclass(frozen=True)
class GetBlockInfo(Command[dict[str, BlockInfo]]):
    """Ask which blocks there are; sorted by name, for servers tell no order.

    Args:
        skip_description: leave the descriptions empty, which saves a round trip
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
    """Ask which fields a block has, and all that does not change about them; in display order.

    Args:
        block: the name of the block without a number: "SEQ"
        extended_metadata: False asks for types alone, in one round trip: a plain `FieldInfo` for each field, without
            description and attributes
    """

    block: str
    extended_metadata: bool = True

    def conversation(self) -> Conversation[dict[str, FieldInfo]]:
        if not _NAME.fullmatch(self.block):
            raise LocalProtocolError(f"{self.block!r} is not the name of a block")
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
    """Ask which bit is where in the captured words: {"PCAP.BITS0": 32 names, ...}, "" for a bit that is not used.

    Two round trips; bit 0 comes first.
    """

    def conversation(self) -> Conversation[dict[str, tuple[str, ...]]]:
        infos = yield from GetFieldInfo("PCAP", extended_metadata=False).conversation()
        names = [f"PCAP.{name}" for name, info in infos.items() if (info.type, info.subtype) == ("ext_out", "bits")]
        replies = yield [Request(f"{name}.BITS?") for name in names]
        return {name: _labels(reply) for name, reply in zip(names, replies, strict=True)}


@dataclass(frozen=True)
class GetMetadata(Command[dict[str, str | list[str]]]):
    """Ask for the metadata: each key with its text, or with a list of lines; sorted by key."""

    def conversation(self) -> Conversation[dict[str, str | list[str]]]:
        keys = sorted((yield from ask("*METADATA.*?")).multiline())
        replies = yield [Request(f"*METADATA.{key}?") for key in keys]
        return {
            key: reply.line() if reply.lines is None else reply.multiline()
            for key, reply in zip(keys, replies, strict=True)
        }


class _From(Enum):
    """Where the answer to a question is found."""

    ATTRIBUTE = "{block}1.{field}.{attribute}?"
    LABELS = "*ENUMS.{block}.{field}?"
    ATTRIBUTE_LABELS = "*ENUMS.{block}.{field}.{attribute}?"


@dataclass(frozen=True)
class _Question:
    """How one member of a FieldInfo is asked for."""

    source: _From
    attribute: str = ""
    convert: Callable[[Reply], Any] = Reply.line


def _integer(reply: Reply) -> int:
    return _number(reply, reply.line())


def _positive(reply: Reply) -> int:
    number = _integer(reply)
    if number < 1:
        raise RemoteProtocolError(f"{reply.request!r} was answered with {number}, which must be at least 1")
    return number


def _float(reply: Reply) -> float:
    try:
        return float(reply.line())
    except ValueError:
        raise RemoteProtocolError(f"{reply.request!r} was answered with {reply.line()[:80]!r}, not a number") from None


def _labels(reply: Reply) -> tuple[str, ...]:
    return tuple(reply.multiline())


def _columns(reply: Reply) -> dict[str, TableColumn]:
    """Parse the FIELDS of a table: `left:right NAME [subtype]`, where both ends are included."""
    columns = {}
    for line in reply.multiline():
        bits, name, *subtype = _split(reply, line, 2)
        match = re.fullmatch(r"(\d{1,6}):(\d{1,6})", bits)
        if not match:
            raise _no_sense(reply, line)
        high, low = int(match[1]), int(match[2])
        if high < low or high // 32 != low // 32:
            raise _no_sense(reply, line)
        columns[name] = TableColumn(subtype[0] if subtype else "uint", low, high)
    return columns


_CAPTURE = _Question(_From.ATTRIBUTE_LABELS, "CAPTURE", _labels)
_LABELS = _Question(_From.LABELS, convert=_labels)

#: What is asked for each member of the classes in `fields`.
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

#: The class of each (type, subtype); a pair that is not here has a plain FieldInfo.
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
    """Add what is asked column by column: descriptions, and the labels of enums."""
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
    """A description, empty where the server has none: that it says with an ERR."""
    return "" if reply.error is not None else reply.line().strip()


def _split(reply: Reply, line: str, at_least: int) -> Sequence[str]:
    parts = line.split(maxsplit=at_least)
    if len(parts) < at_least:
        raise _no_sense(reply, line)
    return parts


def _number(reply: Reply, number: str) -> int:
    try:
        return int(number, 0)
    except ValueError:
        raise RemoteProtocolError(f"{reply.request!r} was answered with {number[:80]!r}, not an integer") from None


def _no_sense(reply: Reply, line: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"{reply.request!r} was answered with a line that makes no sense: {line[:80]!r}")
