"""Conversion of fields of the PandA to the value and the alarm of a record."""

from collections.abc import Mapping
from typing import Any, Protocol

from ...protocol import Command
from ..link.known import Known
from ..plan.alarm import NO_ALARM, Alarm, Severity, Status
from ..plan.codecs import DecodeError, LabelCodec, Refusal, Value
from ..plan.record import STRING_BYTES, Content, Kind, Record, shorten


class PostablePv(Protocol):
    """A PV that values can be posted to."""

    def post(
        self, value: Content, alarm: Alarm = NO_ALARM, fields: Mapping[str, str] | None = None, *, show: bool = True
    ) -> None:
        """Set value, alarm and other fields. Clients see them immediately, or with `show` false at the next update."""


class Binding:
    """The connection between one record and the fields of the PandA that it shows.

    Args:
        record: the planned record
        pv: the PV of the record
        known: cached values of the PandA
    """

    def __init__(self, record: Record, pv: PostablePv, known: Known) -> None:
        self.record = record
        self.putting = False
        self._pv = pv
        self._known = known
        self._value: Value = "" if record.kind.is_text else 0
        self._units = record.units
        self._precision = record.precision
        self._defined = not record.sources  # a write-only field shows the last put, without an alarm before it

    @property
    def uses_panda(self) -> bool:
        """Whether the record reads or writes a field of the PandA."""
        return bool(self.record.sources or self.record.target)

    def begin(self) -> None:
        """Post what the initial value does not include: the alarm, and changed units or precision."""
        alarm, fields = self._update(), self._changed_fields()
        if fields or alarm is not NO_ALARM:
            self._pv.post(self._value, alarm, fields)

    def refresh(self) -> None:
        """Post the cached value; during a put, clients see it when the put ends."""
        alarm = self._update()
        self._pv.post(self._value, alarm, self._changed_fields(), show=not self.putting)

    def pulse(self) -> None:
        """Post the opposite value of a bit and then its value, for a pulse between two polls."""
        self._update()
        self._pv.post(int(not self._value))
        self.refresh()

    def command(self, value: Any) -> Command[None] | None:
        """Return the command that puts a value; None if no command is needed.

        Raises:
            Refusal: the value is invalid
        """
        record = self.record
        current = self._known.texts.get(record.sources[0]) if record.sources else None
        if record.kind is Kind.STRINGOUT and record.sources:
            value = self._complete(value, current)
        return record.codec.command(record.target or "", value, current)

    def _complete(self, value: str, current: str | None) -> str:
        """Return the text to send: the current one if the put is its beginning, as a string record shows it."""
        shown = None if current is None else str(self.record.codec.decode(current))
        if shown is not None and value == shorten(shown, STRING_BYTES):
            return shown
        if len(value.encode(errors="replace")) >= STRING_BYTES and not isinstance(self.record.codec, LabelCodec):
            raise Refusal(f"text of {STRING_BYTES} bytes may have been cut by EPICS: put it to {self.record.name}:TEXT")
        return value

    def accepted(self, value: Value) -> None:
        """Store the value of an accepted put if the field cannot be read back."""
        self._defined = True
        if not self.record.sources:
            self._value = self.record.codec.after_put(value)

    def initial(self) -> Value | None:
        """Return the initial value; None if the PandA has not reported one."""
        self._read()
        return self._value if self._defined else None

    def _update(self) -> Alarm:
        """Update the value; return the alarm, which is a loss of the PandA or that of the value."""
        alarm = self._read()
        lost = self._known.lost if self.uses_panda else ""
        return Alarm(Severity.INVALID, Status.COMM, lost) if lost else alarm

    def _read(self) -> Alarm:
        """Update the value from the cache, connected or not; return its alarm."""
        known = self._known
        if not known.in_error.isdisjoint(self.record.sources):
            return Alarm(Severity.INVALID, Status.READ, "the PandA cannot read this field")
        text = self._text()
        if text is not None:
            try:
                self._value = self.record.codec.decode(text)
            except DecodeError as problem:
                return Alarm(Severity.INVALID, Status.READ, str(problem))
            self._defined = True
        if not self._defined:
            return Alarm(Severity.INVALID, Status.UDF, "no value yet")
        if self.record.healthy is not None and text != self.record.healthy:
            return Alarm(Severity.MAJOR, Status.STATE, text or "")
        return NO_ALARM

    def _text(self) -> str | None:
        """Return the texts of all sources, joined by line breaks; None if one is missing."""
        texts = [self._known.texts.get(source) for source in self.record.sources]
        known = [text for text in texts if text is not None]
        return "\n".join(known) if texts and len(known) == len(texts) else None

    def _changed_fields(self) -> dict[str, str]:
        """Return EGU and PREC if they have changed."""
        fields = {}
        units = self._known.texts.get(self.record.units_source or "", self._units)
        if units != self._units:
            self._units = fields["EGU"] = units
        text = self._text()
        precision = None if text is None else self.record.codec.precision(text, units)
        if precision not in {None, self._precision}:
            self._precision = precision
            fields["PREC"] = str(precision)
        return fields
