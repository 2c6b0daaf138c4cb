"""Structures of PVs over PV Access.

They are those of the PV Access server of EPICS, with texts of any length, unabridged choices, and the reason of an
alarm as its message.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from p4p import Type
from p4p import Value as Structure
from p4p.nt import NTEnum, NTScalar, NTTable
from p4p.nt.common import alarm, timeStamp

from ...plan.alarm import NO_ALARM, Alarm, Status
from ...plan.pvi import Tree
from ...plan.record import Kind, Record, Table

#: Type codes of p4p by dtype.
CODES = {
    "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I",
    "i8": "l", "u8": "L", "f4": "f", "f8": "d", "str": "s",
}  # fmt: skip

_SCALARS = {Kind.AI: "d", Kind.AO: "d", Kind.LONGIN: "i", Kind.LONGOUT: "i"}

#: Alarm status of PV Access: 1 is DEVICE, 2 is DRIVER, 6 is UNDEFINED.
_STATUS = {Status.NO_ALARM: 0, Status.READ: 1, Status.WRITE: 1, Status.STATE: 1, Status.COMM: 2, Status.UDF: 6}

_FORMS = ("Default", "String", "Binary", "Decimal", "Hex", "Exponential", "Engineering")


def fill(update: Any, value: Any, state: Alarm, time_ns: int) -> None:
    """Set value (unless None), time stamp and alarm of a structure."""
    if value is not None:
        update["value"] = value
    update["timeStamp"] = {"secondsPastEpoch": time_ns // 10**9, "nanoseconds": time_ns % 10**9}
    update["alarm"] = {"severity": int(state.severity), "status": _STATUS[state.status], "message": state.message}


@cache
def _scalar(code: str) -> Any:
    return NTScalar.buildType(code, display=True, control=True, form=True)


@cache
def _choice() -> Any:
    return NTEnum.buildType(extra=[("display", ("S", None, [("description", "s")]))])


def type_of(planned: Record | Table) -> Any:
    """Return the type of the structure of a record or table."""
    if isinstance(planned, Table):
        return NTTable.buildType([(column.name, f"a{CODES[column.dtype]}") for column in planned.columns])
    if planned.kind.is_choice:
        return _choice()
    if planned.kind.is_array:
        return _scalar(f"a{CODES[planned.dtype]}")
    return _scalar(_SCALARS.get(planned.kind, "s"))


def properties(planned: Record | Table) -> dict[str, Any]:
    """Return the metadata of a record or table."""
    if isinstance(planned, Table):
        return {"labels": [column.label for column in planned.columns], "descriptor": planned.description}
    if planned.kind.is_choice:
        return {"value": {"choices": planned.labels}, "display": {"description": planned.description}}
    display: dict[str, Any] = {"description": planned.description, "units": planned.units}
    if not type_of(planned).has("control"):
        return {"display": display}
    limits = {"limitLow": planned.low or 0, "limitHigh": planned.high or 0}
    display.update(limits, precision=planned.precision or 0, form={"choices": _FORMS})
    return {"display": display, "control": limits}


def structure(tree: Tree, time_ns: int) -> Any:
    """Return a structure of texts with alarm and time stamp."""
    made = Structure(Type([("alarm", alarm), ("timeStamp", timeStamp), *_members(tree)]), tree)
    fill(made, None, NO_ALARM, time_ns)
    return made


def _members(tree: Tree) -> list[tuple[str, Any]]:
    members: list[tuple[str, Any]] = []
    for name, inside in tree.items():
        if isinstance(inside, str):
            members.append((name, "s"))
        elif isinstance(inside, Mapping):
            members.append((name, ("S", None, _members(inside))))
        else:
            members.append((name, ("aS", None, _members(next(filter(None, inside))))))
    return members
