"""A record and what the PandA says of it: which value and alarm follow."""

from collections.abc import Mapping
from typing import Any, Protocol

from ...protocol import Command
from ..link.known import Known
from ..plan.alarm import NO_ALARM, Alarm, Severity, Status
from ..plan.codecs import DecodeError, LabelCodec, Refusal, Value
from ..plan.record import STRING_BYTES, Content, Kind, Record, shorten


class Pv(Protocol):
    """What serves a record."""

    def post(
        self, value: Content, alarm: Alarm = NO_ALARM, fields: Mapping[str, str] | None = None, *, show: bool = True
    ) -> None:
        """Give it a value, an alarm and other fields, to be seen now or with what is shown next."""


class Binding:
    """What is known of one record.

    Args:
        record: how it is planned
        pv: what serves it
        known: what is known of the PandA
    """

    def __init__(self, record: Record, pv: Pv, known: Known) -> None:
        self.record = record
        self.putting = False
        self._pv = pv
        self._known = known
        self._value: Value = "" if record.kind.is_text else 0
        self._units = record.units
        self._precision = record.precision
        self._defined = not record.sources  # what cannot be read is as it was put last, and no alarm until then

    @property
    def is_of_the_panda(self) -> bool:
        """Whether the PandA has to do with it at all."""
        return bool(self.record.sources or self.record.target)

    def begin(self) -> None:
        """Post what the initial value of the record does not show: alarms, and units that differ."""
        alarm, fields = self._update(), self._changed_fields()
        if fields or alarm is not NO_ALARM:
            self._pv.post(self._value, alarm, fields)

    def refresh(self) -> None:
        """Post what is known; while a put is under way, clients see it when that ends."""
        alarm = self._update()
        self._pv.post(self._value, alarm, self._changed_fields(), show=not self.putting)

    def pulse(self) -> None:
        """Post that a bit left its value and came back to it."""
        self._update()
        self._pv.post(int(not self._value))
        self.refresh()

    def command(self, value: Any) -> Command[None] | None:
        """The command that puts a value; None if there is nothing to do.

        Raises:
            Refusal: the value is not one that may be sent
        """
        record = self.record
        current = self._known.texts.get(record.sources[0]) if record.sources else None
        if record.kind is Kind.STRINGOUT and record.sources:
            value = self._whole(value, current)
        return record.codec.command(record.target or "", value, current)

    def _whole(self, value: str, current: str | None) -> str:
        """The text that a client means, which in a string record may have room for its beginning only."""
        shown = None if current is None else str(self.record.codec.decode(current))
        if shown is not None and value == shorten(shown, STRING_BYTES):
            return shown
        if len(value.encode(errors="replace")) >= STRING_BYTES and not isinstance(self.record.codec, LabelCodec):
            raise Refusal(f"text of {STRING_BYTES} bytes may have been cut by EPICS: put it to {self.record.name}:TEXT")
        return value

    def accepted(self, value: Value) -> None:
        """A put was accepted; what the PandA reads back, it has told already."""
        self._defined = True
        if not self.record.sources:
            self._value = self.record.codec.after_put(value)

    def initial(self) -> Value | None:
        """The value to start with; None if the PandA has not told any."""
        self._read()
        return self._value if self._defined else None

    def _update(self) -> Alarm:
        """Bring the value up to date; return the alarm that goes with it."""
        alarm = self._read()
        lost = self._known.lost if self.is_of_the_panda else ""
        return Alarm(Severity.INVALID, Status.COMM, lost) if lost else alarm

    def _read(self) -> Alarm:
        """Read what the PandA said last, whether it is still there or not."""
        known = self._known
        if not known.in_error.isdisjoint(self.record.sources):
            return Alarm(Severity.INVALID, Status.READ, "the PandA could not read it")
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
        """What the PandA says of all sources, with line breaks between; None if it did not say it of each."""
        texts = [self._known.texts.get(source) for source in self.record.sources]
        known = [text for text in texts if text is not None]
        return "\n".join(known) if texts and len(known) == len(texts) else None

    def _changed_fields(self) -> dict[str, str]:
        """Return what has changed of the units, and of the digits that the value needs."""
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
