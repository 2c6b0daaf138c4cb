"""Which fields of records people may put to over the network.

Each field has an access security level, and a rule is for fields up to its own: `RULE(0, WRITE)` is for those of level
0 alone. Those of EPICS do not serve: a put to .DISA or .SIMM makes a record say OK to puts and pass none on. So here
operators' fields have level 0, and all others 1; the default rule lets people put to level 0. Fields by which puts
would be lost, or made more of, nobody may put to, whatever the rules say.
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

#: Fields that decide whether a put reaches the PandA, once and from whom: nobody may put to them.
_FIXED_FIELDS = frozenset({"SCAN", "DISA", "DISV", "SDIS", "SIMM", "SIML", "OMSL", "IVOA", "FLNK", "DTYP"})

#: Those of one type of record: HIGH of a bo has it put 0 by itself; of others it is a limit.
_FIXED_FIELDS_OF = {"bo": frozenset({"HIGH"})}

#: From special.h: EPICS lets nobody put to such a field over the network.
_NOT_TO_BE_CHANGED = 1


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
    """Say of each field of each type of record who may put to it; clients must not be there yet."""
    for record_type, field in _fields():
        name = (field.name or b"").decode()
        field.level = 0 if name in OPERATOR_FIELDS else 1
        if name in _FIXED_FIELDS or name in _FIXED_FIELDS_OF.get(record_type, ()):
            field.special = _NOT_TO_BE_CHANGED


def _fields() -> Iterator[tuple[str, _Field]]:
    """All fields of all types of records, with the name of the type."""
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
