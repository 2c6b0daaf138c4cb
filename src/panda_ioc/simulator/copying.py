"""A real PandA as a device file: what it says of itself, put into the form that this simulator serves.

It asks nothing: whoever has a client gives it the answers.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

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
from .spec import FIELD_TYPES, BlockSpec, DeviceSpec, FieldSpec, MetadataSpec


class CannotCopyError(PandaError):
    """A PandA that says of itself what makes no sense."""


@dataclass(frozen=True)
class Answers:
    """What a PandA says of itself.

    Attributes:
        identity: its versions
        blocks, fields: of what kind they are
        bits, positions: the two buses, in order
        captures: the ways to capture a position
        metadata: all of it
        state: all its settings, as `GetState` gives them
        readings: the values of all fields that are only read
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
    """Make a device of what a PandA says.

    Returns:
        the device, and what was left out of it: fields of types that the simulator does not know

    Raises:
        CannotCopyError: it makes no sense
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
        return DeviceSpec.model_validate({**device.model_dump(), **orders}), left_out
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise CannotCopyError(f"the PandA says of itself what makes no sense: {where}: {first['msg']}") from error


def as_text(device: DeviceSpec) -> str:
    """A device as the text of a device file."""
    return yaml.dump(device.model_dump(mode="json", exclude_defaults=True), Dumper=_Dumper, sort_keys=False, width=120)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - nothing is ever an alias
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
    """Which word of the bit bus: its name ends in the number."""
    number = re.search(r"\d{1,3}$", name)
    return {"word": int(number[0]) if number else 0}


def _metadata(answers: Answers) -> dict[str, Any]:
    """The keys besides the labels of blocks, which every device has; what cannot be written is not in the state."""
    keys = {key: value for key, value in answers.metadata.items() if not key.startswith("LABEL_")}
    written = {line.partition("=")[0] for line in answers.state if line.startswith("*METADATA.")}
    return {
        "lines": tuple(key for key, value in keys.items() if isinstance(value, list)),
        "text": tuple(key for key in keys if f"*METADATA.{key}" in written),
        "fixed": {
            key: value for key, value in keys.items() if isinstance(value, str) and f"*METADATA.{key}" not in written
        },
    }


#: What a FieldSpec needs besides type and description, by what the protocol tells of a field.
_MEMBERS: Mapping[type[FieldInfo], Callable[[str, Any], dict[str, Any]]] = {
    UintFieldInfo: lambda _, info: {"max": info.max_value},
    ScalarFieldInfo: lambda _, info: {"units": info.units, "scale": info.scale, "offset": info.offset},
    EnumFieldInfo: lambda _, info: {"labels": info.labels},
    BitMuxFieldInfo: lambda _, info: {"max_delay": info.max_delay},
    ExtOutBitsFieldInfo: _word,
    TableFieldInfo: _table,
}
