"""A copy of a real PandA as a device file: converts its introspection into the format of this simulator.

This module sends nothing: the caller collects the replies with a client.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from msgspec import NODEFAULT, Struct, structs

from ..protocol import (
    BitMuxFieldInfo,
    BlockInfo,
    EnumFieldInfo,
    ExtOutBitsFieldInfo,
    FieldInfo,
    Identity,
    PandaError,
    ScalarFieldInfo,
    TableFieldInfo,
    UintFieldInfo,
)
from ..validation import InvalidError
from .spec import FIELD_TYPES, BlockSpec, DeviceSpec, FieldSpec, MetadataSpec


class CannotCopyError(PandaError):
    """A PandA whose introspection is inconsistent, so that it cannot be copied."""


@dataclass(frozen=True)
class Answers:
    """The replies of a PandA to introspection.

    Attributes:
        identity: versions
        blocks, fields: descriptions of blocks and fields, by name
        bits, positions: the two buses, in order
        captures: ways to capture a position
        metadata: all keys with their values
        state: all settings, as `GetState` returns them
        readings: values of all read-only fields
    """

    identity: Identity
    blocks: Mapping[str, BlockInfo]
    fields: Mapping[str, Mapping[str, FieldInfo]]
    bits: Sequence[str]
    positions: Sequence[str]
    captures: Sequence[str]
    metadata: Mapping[str, str | list[str]]
    state: Sequence[str]
    readings: Mapping[str, str]


def device_of(answers: Answers, name: str) -> tuple[DeviceSpec, list[str]]:
    """Convert replies to a device description.

    Args:
        answers: replies of a PandA
        name: name of the device

    Returns:
        the description, and the fields that it lacks because the simulator does not have their type

    Raises:
        CannotCopyError: the replies are inconsistent
    """
    left_out: list[str] = []
    try:
        blocks = {
            block: BlockSpec(
                count=info.number,
                description=info.description,
                fields=dict(_fields(block, answers.fields.get(block, {}), left_out)),
            )
            for block, info in answers.blocks.items()
        }
        device = DeviceSpec(
            name=name,
            software=answers.identity.software,
            fpga=answers.identity.fpga,
            rootfs=answers.identity.rootfs,
            metadata=MetadataSpec(**_metadata(answers)),
            captures=tuple(answers.captures),  # type: ignore[arg-type]
            blocks=blocks,
            settings=tuple(answers.state),
            readings=dict(answers.readings),
        )
        orders: dict[str, tuple[str, ...]] = {}
        if list(answers.bits) != device.bus("bit_out"):
            orders["bits"] = tuple(answers.bits)
        if list(answers.positions) != device.bus("pos_out"):
            orders["positions"] = tuple(answers.positions)
        return DeviceSpec(**{**structs.asdict(device), **orders}), left_out
    except InvalidError as error:
        raise CannotCopyError(f"the description of the PandA is inconsistent: {error.problems[0]}") from error


def as_text(device: DeviceSpec) -> str:
    """Return the text of the device file."""
    return yaml.dump(_content(device), Dumper=_Dumper, sort_keys=False, width=120)


def _content(value: Any) -> Any:
    """Return a value as plain data, without defaults."""
    if isinstance(value, Struct):
        defaults = {
            field.name: field.default if field.default_factory is NODEFAULT else field.default_factory()
            for field in structs.fields(value)
        }
        value = {name: one for name, one in structs.asdict(value).items() if one != defaults[name]}
    if isinstance(value, dict):
        return {key: _content(one) for key, one in value.items()}
    return [_content(one) for one in value] if isinstance(value, tuple) else value


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - write every value in full
        return True


def _fields(block: str, fields: Mapping[str, FieldInfo], left_out: list[str]) -> Iterator[tuple[str, FieldSpec]]:
    for name, info in fields.items():
        kind = f"{info.type} {info.subtype}" if info.subtype else info.type
        members = _MEMBERS.get(type(info), _nothing)(name, info)
        complete = not (isinstance(info, TableFieldInfo) and not info.columns) and (
            info.subtype != "enum" or bool(members.get("labels"))
        )
        if kind in FIELD_TYPES and complete:
            yield name, FieldSpec(type=kind, description=info.description, **members)
        else:
            left_out.append(f"{block}.{name} ({kind})")


def _nothing(_name: str, _info: Any) -> dict[str, Any]:
    return {}


def _table(_name: str, info: Any) -> dict[str, Any]:
    columns = {
        name: {
            "bits": f"{column.bit_high}:{column.bit_low}",
            "type": column.subtype,
            "labels": column.labels,
            "description": column.description,
        }
        for name, column in info.columns.items()
    }
    return {"max_length": info.max_length, "row_words": info.row_words, "columns": columns}


def _word(name: str, _info: Any) -> dict[str, Any]:
    """Return the word of the bit bus, which is the number at the end of the name."""
    number = re.search(r"\d{1,3}$", name)
    return {"word": int(number[0]) if number else 0}


def _metadata(answers: Answers) -> dict[str, Any]:
    """Return the keys except for the labels of blocks, which every device has; read-only keys are not in the state."""
    keys = {key: value for key, value in answers.metadata.items() if not key.startswith("LABEL_")}
    written = {line.partition("=")[0] for line in answers.state if line.startswith("*METADATA.")}
    return {
        "lines": tuple(key for key, value in keys.items() if isinstance(value, list)),
        "text": tuple(key for key in keys if f"*METADATA.{key}" in written),
        "fixed": {
            key: value for key, value in keys.items() if isinstance(value, str) and f"*METADATA.{key}" not in written
        },
    }


#: The members of a FieldSpec in addition to type and description, by class of FieldInfo.
_MEMBERS: Mapping[type[FieldInfo], Callable[[str, Any], dict[str, Any]]] = {
    UintFieldInfo: lambda _, info: {"max": info.max_value},
    ScalarFieldInfo: lambda _, info: {"units": info.units, "scale": info.scale, "offset": info.offset},
    EnumFieldInfo: lambda _, info: {"labels": info.labels},
    BitMuxFieldInfo: lambda _, info: {"max_delay": info.max_delay},
    ExtOutBitsFieldInfo: _word,
    TableFieldInfo: _table,
}
