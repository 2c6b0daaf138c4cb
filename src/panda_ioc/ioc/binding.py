"""A record and what the PandA says of it: which value and alarm follow."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

from .alarm import NO_ALARM, Alarm, Severity, Status
from .codecs import NotUnderstood, Time, Value
from .record import EGU_BYTES, STRING_BYTES, Kind, Record, shorten


class Pv(Protocol):
    """What serves a record."""

    def post(self, value: Value, alarm: Alarm = NO_ALARM) -> None:
        """Give it a value and an alarm."""

    def set_field(self, field: str, value: str) -> None:
        """Set another field of it."""


class Binding:
    """What is known of one record.

    Args:
        record: how it is planned
        pv: what serves it
        texts: what the PandA said last, by key; shared by all bindings, never written here
        in_error: the keys that the PandA could not read; shared likewise
    """

    def __init__(self, record: Record, pv: Pv, texts: Mapping[str, str], in_error: AbstractSet[str]) -> None:
        self.record = record
        self.refusal = ""
        self.lost = ""
        self.putting = 0
        self._pv = pv
        self._texts = texts
        self._in_error = in_error
        self._value: Value = "" if record.kind.is_text else 0
        self._units = record.units
        self._defined = False

    def begin(self) -> None:
        """Post what the initial value of the record does not show: alarms, and units that differ."""
        if self._update() is not NO_ALARM:
            self.refresh()
        else:
            self._follow_units()

    def refresh(self) -> None:
        """Post what is known, unless a put is under way: then it is posted when that ends."""
        if not self.putting:
            alarm = self._update()
            self._follow_units()
            self._pv.post(self._value, alarm)

    def pulse(self) -> None:
        """Post that a bit left its value and came back to it."""
        self._update()
        self._pv.post(int(not self._value))
        self.refresh()

    def accepted(self, value: Value) -> None:
        """A put was accepted; what the PandA reads back, it has told already."""
        self.refusal = ""
        self._defined = True
        if not self.record.sources:
            self._value = self.record.codec.after_put(value)

    def text_to_put(self, value: Any) -> Any:
        """The value to put: what a client read in a record that shows only its beginning means the whole."""
        if self.record.kind is Kind.STRINGOUT and self.record.sources:
            text = self._texts.get(self.record.sources[0], "")
            if value == shorten(text, STRING_BYTES):
                return text
        return value

    def initial(self) -> Value | None:
        """The value to start with; None if the PandA has not told any."""
        self._update()
        return self._value if self._defined else None

    def _update(self) -> Alarm:
        """Bring the value up to date; return the alarm that goes with it."""
        if self.lost:
            return Alarm(Severity.INVALID, Status.COMM, self.lost)
        texts = [self._texts.get(source) for source in self.record.sources]
        if not self._in_error.isdisjoint(self.record.sources):
            return Alarm(Severity.INVALID, Status.READ, "the PandA could not read it")
        known = [text for text in texts if text is not None]
        if texts and len(known) == len(texts):
            try:
                self._value = self.record.codec.decode("\n".join(known))
            except NotUnderstood as problem:
                return Alarm(Severity.INVALID, Status.READ, str(problem))
            self._defined = True
        if self.refusal:
            return Alarm(Severity.MAJOR, Status.WRITE, self.refusal)
        if not self._defined:
            return Alarm(Severity.INVALID, Status.UDF, "no value yet")
        if self.record.healthy is not None and known != [self.record.healthy]:
            return Alarm(Severity.MAJOR, Status.STATE, known[0])
        return NO_ALARM

    def _follow_units(self) -> None:
        units = self._texts.get(self.record.units_source, self._units) if self.record.units_source else self._units
        if units != self._units:
            self._units = units
            self._pv.set_field("EGU", shorten(units, EGU_BYTES))
            if isinstance(self.record.codec, Time):
                self._pv.set_field("PREC", str(self.record.codec.precision(units)))
