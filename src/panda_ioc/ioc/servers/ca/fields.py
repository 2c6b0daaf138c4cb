"""Access security levels of the fields of records.

A rule applies to fields up to its level: `RULE(0, WRITE)` allows puts to fields of level 0. The default levels of EPICS
are unsuitable: after a put to .DISA or .SIMM, a record accepts puts but does not pass them to the PandA. Here, the
fields in OPERATOR_FIELDS have level 0 and all others level 1; the default rule allows puts to level 0. Puts to fields
that could suppress or multiply puts are never allowed.
"""

import ctypes
from collections.abc import Iterator

from epicscorelibs.ioc import dbCore

_SEVERITIES_OF_STATES = ("ZR", "ON", "TW", "TH", "FR", "FV", "SX", "SV", "EI", "NI", "TE", "EL", "TV", "TT", "FT", "FF")

#: Fields that clients may put to by default: value, description, alarm limits and severities, dead bands, DISP.
OPERATOR_FIELDS = frozenset(
    {
        *("VAL", "DESC", "EGU", "PREC", "DISP", "PROC"),
        *("HIHI", "HIGH", "LOW", "LOLO", "HHSV", "HSV", "LSV", "LLSV", "HYST", "ADEL", "MDEL"),
        *("HOPR", "LOPR", "DRVH", "DRVL"),
        *("ZSV", "OSV", "COSV", "UNSV", *(f"{state}SV" for state in _SEVERITIES_OF_STATES)),
        *("ACKS", "ACKT"),
    }
)

#: Read-only fields, because they control whether, how often and from where puts reach the PandA.
_FIXED_FIELDS = frozenset({"SCAN", "DISA", "DISV", "SDIS", "SIMM", "SIML", "OMSL", "IVOA", "FLNK", "DTYP"})

#: Read-only fields by record type. HIGH makes a bo put 0 after a delay; in other records it is an alarm limit.
_FIXED_FIELDS_OF = {"bo": frozenset({"HIGH"})}

#: SPC_NOMOD of special.h: EPICS refuses puts to such a field over the network.
_SPC_NOMOD = 1


class _Field(ctypes.Structure):
    """The beginning of dbFldDes of dbBase.h."""

    _fields_ = (
        ("prompt", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
        ("extra", ctypes.c_char_p),
        ("record_type", ctypes.c_void_p),
        ("index", ctypes.c_short),
        ("special", ctypes.c_short),
        ("field_type", ctypes.c_int),
        ("flags", ctypes.c_uint),
        ("base", ctypes.c_int),
        ("prompt_group", ctypes.c_short),
        ("interest", ctypes.c_short),
        ("level", ctypes.c_int),
    )


class _Entry(ctypes.Structure):
    """The beginning of dbEntry of dbStaticLib.h."""

    _fields_ = (
        ("base", ctypes.c_void_p),
        ("record_type", ctypes.c_void_p),
        ("field", ctypes.POINTER(_Field)),
    )


def set_levels() -> None:
    """Set the level of each field of all record types; call this before clients can connect."""
    for record_type, field in _fields():
        name = (field.name or b"").decode()
        field.level = 0 if name in OPERATOR_FIELDS else 1
        if name in _FIXED_FIELDS or name in _FIXED_FIELDS_OF.get(record_type, ()):
            field.special = _SPC_NOMOD


def _fields() -> Iterator[tuple[str, _Field]]:
    """Yield record type and field for all fields of all record types."""
    dbCore.dbGetRecordTypeName.restype = ctypes.c_char_p
    dbCore.dbGetRecordTypeName.argtypes = (ctypes.POINTER(_Entry),)
    dbCore.dbAllocEntry.restype = ctypes.POINTER(_Entry)
    dbCore.dbAllocEntry.argtypes = (ctypes.c_void_p,)
    entry = dbCore.dbAllocEntry(ctypes.c_void_p.in_dll(dbCore, "pdbbase"))
    try:
        no_type = dbCore.dbFirstRecordType(entry)
        while not no_type:
            record_type = dbCore.dbGetRecordTypeName(entry).decode()
            no_field = dbCore.dbFirstField(entry, 0)
            while not no_field:
                yield record_type, entry.contents.field.contents
                no_field = dbCore.dbNextField(entry, 0)
            no_type = dbCore.dbNextRecordType(entry)
    finally:
        dbCore.dbFreeEntry(entry)
