"""Fields of records as PVs, such as `PREFIX:PULSE1:DELAY.EGU`, like the PV Access server of EPICS.

A field is created at the first request of a client. Fields are read-only, except for `.VAL`, which is the record.
"""

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from p4p import Value as Structure
from p4p.nt import NTScalar
from p4p.server.raw import SharedPV

from ...plan.alarm import NO_ALARM
from ...plan.plan import Plan
from ...plan.record import Record
from .pv import PvaPv
from .types import fill

_TEXT, _NUMBER = NTScalar.buildType("s"), NTScalar.buildType("i")

#: The fields, with type and initial value.
_FIELDS: Mapping[str, tuple[Any, Callable[[str, Record], Any]]] = {
    "NAME": (_TEXT, lambda name, _: name),
    "RTYP": (_TEXT, lambda _, record: record.kind.record_type),
    "DESC": (_TEXT, lambda _, record: record.description),
    "EGU": (_TEXT, lambda _, record: record.units),
    "PREC": (_NUMBER, lambda _, record: record.precision or 0),
}


class Fields:
    """A provider of fields for p4p, which calls it in several threads.

    Args:
        plan: the planned records and tables
        pvs: their PVs by name
    """

    def __init__(self, plan: Plan, pvs: Mapping[str, PvaPv]) -> None:
        self._plan = plan
        self._served = {
            plan.pv(name): (record, pvs[record.name])
            for record in plan.records
            for name in (record.name, *record.aliases)
        }
        self._made: dict[tuple[str, str], SharedPV] = {}
        self._lock = threading.Lock()
        for record in plan.records:
            pvs[record.name].on_field = partial(self._changed, record.name)

    def testChannel(self, name: str) -> bool:  # noqa: N802 - as p4p calls it
        """Return whether the field exists."""
        of, _, field = name.rpartition(".")
        return of in self._served and (field in _FIELDS or field == "VAL")

    def makeChannel(self, name: str, _peer: str) -> SharedPV | None:  # noqa: N802 - as p4p calls it
        """Return the PV of a field; None if it does not exist."""
        if not self.testChannel(name):
            return None
        of, _, field = name.rpartition(".")
        record, pv = self._served[of]
        if field == "VAL":
            return pv.shared
        with self._lock:
            key = record.name, field
            if key not in self._made:
                type_, value = _FIELDS[field]
                now = pv.fields.get(field, value(self._plan.pv(record.name), record))
                self._made[key] = SharedPV(initial=_structure(type_, now))
            return self._made[key]

    def _changed(self, name: str, field: str, value: Any) -> None:
        """Post the changed value of a field, if its PV has been created."""
        with self._lock:
            made = self._made.get((name, field))
            if made is not None:
                made.post(_structure(_FIELDS[field][0], value))


def _structure(type_: Any, value: Any) -> Any:
    structure = Structure(type_, {})
    fill(structure, value, NO_ALARM, time.time_ns())
    return structure
