"""The PV names that pandablocks-ioc 0.11.6 serves, which the screens and scripts of beamlines use.

They are a table of observed names, independent of the rules of the plan, so that the two can be compared.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ...protocol import ExtOutBitsFieldInfo, FieldInfo, TableFieldInfo
from .model import Model

if TYPE_CHECKING:
    from .plan import Plan

#: Suffixes after `BLOCK:FIELD` in the names of a field's records, by field type; no suffix for other types.
_SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "time": ("", ":UNITS"),
    "bit_mux": ("", ":DELAY"),
    "pos_out": ("", ":SCALED", ":SCALE", ":OFFSET", ":UNITS", ":CAPTURE", ":DATASET"),
    "ext_out": (":CAPTURE", ":DATASET"),
    "table": (":PV", ":LABELS", ":MODE", ":MODE:SUBMIT", ":MODE:EDIT"),
}

_SCALED = re.compile(r"\w+:\w+:SCALED")

_OF_BLOCKS = ("LABEL", "PVI_PV", "PVI:DESCRIPTION")
_OF_POSITIONS = ("NAME", "VAL", "UNITS", "SCALE", "OFFSET", "CAPTURE", "DATASET")

_ALONE = (
    *("Status", "STATUS", "PCAP:ARM", "BITS:LABEL", "BITS:PVI_PV", "BITS:PVI:DESCRIPTION"),
    *(f"SYSTEM:{version}_VERSION" for version in ("FPGA", "IOC", "PANDA_SW", "ROOTFS")),
    *(f"DATA:DATASETS:{column}" for column in ("Name", "DType", "LABELS", "PV")),
    *("DATA:PVI_PV", "DATA:PVI:DESCRIPTION"),
    *("DATA:CAPTURE", "DATA:CAPTURE_MODE", "DATA:CREATE_DIRECTORY", "DATA:DIRECTORY_EXISTS", "DATA:FLUSH_PERIOD"),
    *("DATA:HDF_DIRECTORY", "DATA:HDF_FILE_NAME", "DATA:HDF_FULL_FILE_PATH", "DATA:NUM_CAPTURE"),
    *("DATA:NUM_CAPTURED", "DATA:NUM_RECEIVED", "DATA:STATUS"),
    *("DATA:Capture", "DATA:CaptureMode", "DATA:CreateDirectory", "DATA:DirectoryExists", "DATA:FlushPeriod"),
    *("DATA:HDFDirectory", "DATA:HDFFileName", "DATA:HDFFullFilePath", "DATA:NumCapture"),
    *("DATA:NumCaptured", "DATA:NumReceived", "DATA:Status"),
)


def known_names(model: Model) -> set[str]:
    """Return all names that pandablocks-ioc serves for a PandA, without the prefix."""
    return {*_ALONE, *_blocks(model), *_fields(model), *_rows(model)}


def listed_in_pvi(model: Model) -> frozenset[str]:
    """Return the names, without the prefix, that the PVI of pandablocks-ioc lists for a PandA."""
    tables = {f"{instance}:{field}" for instance, field, info in model.fields() if isinstance(info, TableFieldInfo)}
    tables.add("DATA:DATASETS")
    listed = (name for name in known_names(model) if name.rpartition(":")[0].removesuffix(":MODE") not in tables)
    return frozenset({name for name in listed if not _SCALED.fullmatch(name) and name != "Status"} | tables)


def missing_names(model: Model, plan: "Plan") -> list[str]:
    """Return the names that pandablocks-ioc serves and the plan does not, sorted."""
    served = {name for record in plan.records for name in (record.name, *record.aliases)}
    served |= {table.name for table in plan.tables}
    return sorted(known_names(model) - served)


def _blocks(model: Model) -> Iterator[str]:
    for block in model.blocks.values():
        for instance in block.instances():
            yield from (f"{instance}:{name}" for name in _OF_BLOCKS)


def _fields(model: Model) -> Iterator[str]:
    for instance, field, info in model.fields():
        yield from (f"{instance}:{field}{suffix}" for suffix in _suffixes(info))
        if isinstance(info, TableFieldInfo):
            yield from (f"{instance}:{field}:{column.upper()}" for column in info.columns)


def _suffixes(info: FieldInfo) -> tuple[str, ...]:
    # A param with subtype time has units as well.
    return _SUFFIXES.get("time" if info.subtype == "time" else info.type, ("",))


def _rows(model: Model) -> Iterator[str]:
    positions = sum(info.type == "pos_out" for _, _, info in model.fields())
    for row in range(positions):
        yield from (f"POSITIONS:{row}:{name}" for name in _OF_POSITIONS)
    words = {
        f"{instance}.{field}": info for instance, field, info in model.fields() if isinstance(info, ExtOutBitsFieldInfo)
    }
    for number, (_, info) in enumerate(sorted(words.items(), key=lambda item: item[0])):
        for offset, bit in enumerate(info.bits):
            row = 32 * number + offset
            yield f"BITS:{row}:CAPTURE"
            if bit:
                yield from (f"BITS:{row}:NAME", f"BITS:{row}:VAL")
