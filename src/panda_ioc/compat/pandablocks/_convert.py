"""Conversion between the data classes of panda_ioc and those of pandablocks."""

from collections.abc import Callable, Mapping
from typing import Any

from ... import protocol as ours
from ...protocol.acquisition import COLUMN_TYPES
from . import responses as theirs

#: Column type of the server for each numpy dtype.
_TYPES = {str(ours.FieldCapture("", "", kind).dtype): kind for kind in COLUMN_TYPES}

_REASONS = {reason.value: reason for reason in theirs.EndReason}


def data(given: ours.Data) -> theirs.Data:
    """Convert an event of a data connection to pandablocks."""
    match given:
        case ours.ReadyData():
            return theirs.ReadyData()
        case ours.StartData():
            return _start(given)
        case ours.FrameData():
            # pandablocks scripts may write to the array; nothing else uses its memory.
            given.data.flags.writeable = True
            return theirs.FrameData(given.data)
        case ours.EndData():
            reason = _REASONS.get(given.reason, theirs.EndReason.UNKNOWN_EXCEPTION)
            return theirs.EndData(given.samples, reason)


def _start(start: ours.StartData) -> theirs.StartData:
    return theirs.StartData(
        [
            theirs.FieldCapture(
                field.name,
                field.dtype,
                field.capture,
                field.scale,
                field.offset,
                field.units if field.has_scale_or_offset else None,
            )
            for field in start.fields
        ],
        start.missed,
        start.process,
        start.format,
        start.sample_bytes,
        start.arm_time or None,
        start.start_time or None,
        start.hw_time_offset_ns,
    )


def start_of(start: theirs.StartData) -> ours.StartData:
    """Convert the start of an acquisition from pandablocks."""
    return ours.StartData(
        tuple(
            ours.FieldCapture(
                field.name, field.capture, _TYPES[str(field.type)], field.scale, field.offset, field.units or ""
            )
            for field in start.fields
        ),
        start.missed,
        start.process,
        start.sample_bytes,
        start.arm_time or "",
        start.start_time or "",
        start.hw_time_offset_ns,
        start.format,
    )


def _table(info: ours.TableFieldInfo) -> dict[str, Any]:
    fields = {
        name: theirs.TableFieldDetails(
            column.subtype,
            column.bit_low,
            column.bit_high,
            column.description,
            list(column.labels) if column.subtype == "enum" else None,
        )
        for name, column in info.columns.items()
    }
    return {
        "max_length": info.max_length,
        "fields": fields,
        "row_words": info.row_words,
        "has_mode": "MODE" in info.attributes,
    }


def table_of(info: theirs.TableFieldInfo) -> ours.TableFieldInfo:
    """Convert the description of a table from pandablocks."""
    columns = {
        name: ours.TableColumn(
            column.subtype, column.bit_low, column.bit_high, column.description or "", tuple(column.labels or ())
        )
        for name, column in info.fields.items()
    }
    return ours.TableFieldInfo(
        info.type, info.subtype, info.description or "", (), info.max_length, info.row_words, columns
    )


#: pandablocks class of each panda_ioc class, and its members other than type, subtype and description.
_MEMBERS: Mapping[type[ours.FieldInfo], tuple[type[theirs.FieldInfo], Callable[[Any], dict[str, Any]]]] = {
    ours.FieldInfo: (theirs.FieldInfo, lambda _: {}),
    ours.UintFieldInfo: (theirs.UintFieldInfo, lambda info: {"max_val": info.max_value}),
    ours.ScalarFieldInfo: (
        theirs.ScalarFieldInfo,
        lambda info: {"units": info.units, "scale": info.scale, "offset": info.offset},
    ),
    ours.TimeFieldInfo: (theirs.TimeFieldInfo, lambda info: {"units_labels": list(info.unit_labels)}),
    ours.EnumFieldInfo: (theirs.EnumFieldInfo, lambda info: {"labels": list(info.labels)}),
    ours.BitOutFieldInfo: (
        theirs.BitOutFieldInfo,
        lambda info: {"capture_word": info.capture_word, "offset": info.offset},
    ),
    ours.BitMuxFieldInfo: (
        theirs.BitMuxFieldInfo,
        lambda info: {"max_delay": info.max_delay, "labels": list(info.labels)},
    ),
    ours.PosMuxFieldInfo: (theirs.PosMuxFieldInfo, lambda info: {"labels": list(info.labels)}),
    ours.PosOutFieldInfo: (theirs.PosOutFieldInfo, lambda info: {"capture_labels": list(info.capture_labels)}),
    ours.ExtOutFieldInfo: (theirs.ExtOutFieldInfo, lambda info: {"capture_labels": list(info.capture_labels)}),
    ours.ExtOutBitsFieldInfo: (
        theirs.ExtOutBitsFieldInfo,
        lambda info: {"capture_labels": list(info.capture_labels), "bits": list(info.bits)},
    ),
    ours.TableFieldInfo: (theirs.TableFieldInfo, _table),
}


def field_info(info: ours.FieldInfo) -> theirs.FieldInfo:
    """Convert the description of a field to pandablocks."""
    kind, members = _MEMBERS[type(info)]
    if kind is theirs.TimeFieldInfo and info.subtype is not None:
        kind = theirs.SubtypeTimeFieldInfo
    return kind(info.type, info.subtype, info.description, **members(info))
