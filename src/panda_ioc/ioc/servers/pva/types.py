"""The structures that PVA clients see.

They are those that EPICS' own server gave these records, with what that had no room for: texts of any length,
all choices in full, the reason of an alarm as its message.
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

#: p4p's codes for the dtypes of numpy.
CODES = {
    "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I",
    "i8": "l", "u8": "L", "f4": "f", "f8": "d", "str": "s",
}  # fmt: skip

_SCALARS = {Kind.AI: "d", Kind.AO: "d", Kind.LONGIN: "i", Kind.LONGOUT: "i"}

#: The kinds of alarm as PV Access groups them: 1 is the device, 2 its driver, 6 a value that is not known.
_STATUS = {Status.NO_ALARM: 0, Status.READ: 1, Status.WRITE: 1, Status.STATE: 1, Status.COMM: 2, Status.UDF: 6}

_FORMS = ("Default", "String", "Binary", "Decimal", "Hex", "Exponential", "Engineering")


def fill(update: Any, value: Any, state: Alarm, time_ns: int) -> None:
    """Fill in what changes with each update; None for no value."""
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
    """Return the structure of a record or table."""
    if isinstance(planned, Table):
        return NTTable.buildType([(column.name, f"a{CODES[column.dtype]}") for column in planned.columns])
    if planned.kind.is_choice:
        return _choice()
    if planned.kind.is_array:
        return _scalar(f"a{CODES[planned.dtype]}")
    return _scalar(_SCALARS.get(planned.kind, "s"))


def properties(planned: Record | Table) -> dict[str, Any]:
    """Return all of a structure that is not its value."""
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
    """Return a structure of texts, with the time and an alarm."""
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
