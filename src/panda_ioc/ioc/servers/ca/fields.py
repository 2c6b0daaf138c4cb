"""Which fields of records people may put to over the network: access security levels.

Each field has a level, and a rule of access security is for fields up to its own: `RULE(0, WRITE)` is for those of
level 0 alone. Those of EPICS do not serve: a put to .DISA or .SIMM makes a record say OK to puts and pass none on. So
here operators' fields have level 0, and all others 1; the default rule lets people put to level 0.
"""

import ctypes
from collections.abc import Iterator

from epicscorelibs.ioc import dbCore

_SEVERITIES_OF_STATES = ("ZR", "ON", "TW", "TH", "FR", "FV", "SX", "SV", "EI", "NI", "TE", "EL", "TV", "TT", "FT", "FF")

#: Fields that people may put to by default: the value, what describes it, alarms, dead bands, whether puts are taken.
OPERATOR_FIELDS = frozenset(
    {
        *("VAL", "DESC", "EGU", "PREC", "DISP", "PROC"),
        *("HIHI", "HIGH", "LOW", "LOLO", "HHSV", "HSV", "LSV", "LLSV", "HYST", "ADEL", "MDEL"),
        *("HOPR", "LOPR", "DRVH", "DRVL"),
        *("ZSV", "OSV", "COSV", "UNSV", *(f"{state}SV" for state in _SEVERITIES_OF_STATES)),
        *("ACKS", "ACKT"),
    }
)


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
    """Give each field of each type of record its level; clients must not be there yet."""
    for field in _fields():
        field.level = 0 if (field.name or b"").decode() in OPERATOR_FIELDS else 1


def _fields() -> Iterator[_Field]:
    dbCore.dbAllocEntry.restype = ctypes.POINTER(_Entry)
    dbCore.dbAllocEntry.argtypes = (ctypes.c_void_p,)
    entry = dbCore.dbAllocEntry(ctypes.c_void_p.in_dll(dbCore, "pdbbase"))
    try:
        no_type = dbCore.dbFirstRecordType(entry)
        while not no_type:
            no_field = dbCore.dbFirstField(entry, 0)
            while not no_field:
                yield entry.contents.field.contents
                no_field = dbCore.dbNextField(entry, 0)
            no_type = dbCore.dbNextRecordType(entry)
    finally:
        dbCore.dbFreeEntry(entry)
