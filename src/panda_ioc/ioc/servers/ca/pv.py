"""A record over Channel Access, based on the device support of softioc."""

import asyncio
import contextlib
import ctypes
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from epicscorelibs.ioc import dbCore
from softioc import device
from softioc.fields import DBF_STRING
from softioc.imports import db_put_field_process

from ...plan.alarm import NO_ALARM, Alarm
from ...plan.record import EGU_BYTES, STRING_BYTES, Content, Kind, Record, shorten
from ..put import OnPut, Put
from ..served import Update
from . import base
from .batching import MonitorBatcher
from .database import text_length
from .fitting import element, fit, timestamp
from .puts import Completion, Puts, Write

log = logging.getLogger(__name__)

#: Limit of an alarm message in bytes.
_MESSAGE_BYTES = 39

_DEVICES = {
    Kind.AI: device.ai,
    Kind.AO: device.ao,
    Kind.LONGIN: device.longin,
    Kind.LONGOUT: device.longout,
    Kind.BI: device.bi,
    Kind.BO: device.bo,
    Kind.MBBI: device.mbbi,
    Kind.MBBO: device.mbbo,
    Kind.STRINGIN: device.stringin,
    Kind.STRINGOUT: device.stringout,
    Kind.TEXTIN: device.long_stringin,
    Kind.TEXTOUT: device.long_stringout,
    Kind.ARRAYIN: device.waveform,
    Kind.ARRAYOUT: device.waveform_out,
}

#: Ranges of record values; EPICS wraps other numbers or replaces them with the lowest value.
_RANGES = {
    Kind.LONGOUT: (-(2**31), 2**31 - 1),
    Kind.BO: (0, 2**16 - 1),
    Kind.MBBO: (0, 2**16 - 1),
}

#: Fields that an update may change, and the conversion of their text.
_FIELDS: Mapping[str, Callable[[str], Any]] = {"EGU": lambda text: shorten(text, EGU_BYTES), "PREC": int}


class CaPv:
    """A record that is served over Channel Access.

    Args:
        record: the planned record
        name: full name of the record
        initial: initial value; None leaves the record undefined, in alarm, until the first post
        on_put: executes puts
        puts: all pending puts
        batcher: decides when monitors get updates
        never_busy: record support that accepts puts while another put is pending
    """

    def __init__(
        self,
        record: Record,
        name: str,
        initial: Content | None,
        on_put: OnPut,
        *,
        puts: Puts,
        batcher: MonitorBatcher,
        never_busy: base.NeverBusy,
    ) -> None:
        self._record = record
        self._name = name
        self._names = frozenset(name.removesuffix(record.name) + each for each in (record.name, *record.aliases))
        self._on_put = on_put
        self._puts = puts
        self._batcher = batcher
        self._deferred: Update | None = None  # to send with the next batch
        self._never_busy = never_busy
        self._loop = asyncio.get_running_loop()
        self._waiting: set[asyncio.Task[None]] = set()
        self._posts_in = threading.get_ident()
        self._write: Write | None = None  # the put for which the record is being processed
        self._before: Any = None  # the value in softioc before that
        self._completion: Completion | None = None
        self._shown: tuple[Content, Alarm] | None = None
        self._dtype = element(record)
        self._device = self._make_device(initial)

    @property
    def disabled(self) -> bool:
        """Whether DISP disables puts; always False for read-only records."""
        return self._record.kind.is_out and bool(self._fields.DISP)

    def post(self, update: Update) -> None:
        """Send an update. Reads after this call return the new value; monitors may get it with the next batch."""
        if self._may_defer(update) and self._batcher.defer(self._show_deferred):
            self._deferred, self._shown = update, (update.value, update.alarm)
            with base.locked(self._fields):
                self._set_out(self._fields, update)
        else:
            self._show(update)

    def _may_defer(self, update: Update) -> bool:
        """Whether only the value of a settable record changes, which can be set without an update of monitors."""
        return (
            self._record.kind.is_out
            and not self._record.kind.is_array
            and not update.fields
            and self._shown is not None
            and self._shown[1] == update.alarm
        )

    def _show_deferred(self) -> None:
        if self._deferred is not None:
            self._show(self._deferred)

    def _show(self, update: Update) -> None:
        self._deferred = None
        value, alarm = update.value, update.alarm
        if not self._record.kind.is_array:
            self._shown = value, alarm
        fields = self._fields
        with base.locked(fields):
            fields.NAMSG = shorten(alarm.message, _MESSAGE_BYTES)
            changed = self._set_fields(update.fields)
            if self._record.kind.is_out:
                self._set_out(fields, update)
                self._process(fields)
            else:
                self._device.set(
                    fit(self._record, value), int(alarm.severity), int(alarm.status), timestamp(update.time_ns)
                )
                dbCore.dbProcess(fields)
            for field in changed:
                offset = fields.fields[field][0]
                dbCore.db_post_events(fields, fields.record.value + offset, base.DBE_VALUE | base.DBE_LOG)
            if changed:  # last, as clients read the value together with the new field
                dbCore.db_post_events(fields, None, base.DBE_PROPERTY)

    def _set_out(self, fields: Any, update: Update) -> None:
        """Set value, alarm and time stamp of a settable record, to be sent when it is processed."""
        severity, status = int(update.alarm.severity), int(update.alarm.status)
        self._device.set(fit(self._record, update.value), process=False, severity=severity, alarm=status)
        fields.TIME = timestamp(update.time_ns)

    def set_field(self, field: str, value: str) -> None:
        """Set a text field before clients can connect."""
        data = ctypes.create_string_buffer(shorten(value, STRING_BYTES).encode(errors="replace"), STRING_BYTES + 1)
        # set_field of softioc is refused by DISP.
        db_put_field_process(f"{self._name}.{field}", DBF_STRING, ctypes.addressof(data), 1, False)  # noqa: FBT003

    def keep_disabled(self) -> bool:
        """Disable puts to a read-only record again, after a put to DISP; return whether the record is read-only."""
        if self._record.kind.is_out:
            return False
        base.put_field(f"{self._name}.DISP", "1")
        return True

    def before_put(self, write: Write) -> None:
        """Start a put early if necessary; called in the thread of the client, before EPICS handles the put.

        In EPICS, a put with completion waits for a pending one. For some records, the second put may have to end the
        first one, such as a put that stops an acquisition. Each put to such a record is executed now, as it is
        unknown here whether another one is pending; EPICS completes it later.
        """
        if not self._record.at_once or self.disabled:
            return
        value = self._choice_in(write)
        if value is not None and write.is_to_value and not write.processes:
            self._call(self._begin_early, Put(self._record.name, value, write.originator, "CA"), write)

    def _choice_in(self, write: Write) -> int | None:
        """Return the index of the choice in a put, as EPICS converts it; None if it is invalid."""
        labels = self._record.labels
        if write.text in labels:
            return labels.index(write.text)
        number = write.number
        if write.text is not None and write.text.isdecimal():
            number = int(write.text)
        return int(number) if number is not None and number in range(len(labels)) else None

    def initialised(self) -> None:
        """Complete the record after its initialisation by EPICS, before clients can connect."""
        if self._record.kind.is_out:
            self._never_busy.install(self._fields)

    @property
    def _fields(self) -> Any:
        """Fields of the record in the memory of EPICS, as attributes."""
        return self._device._record  # noqa: SLF001 - softioc has no public access

    def _make_device(self, initial: Content | None) -> Any:
        record = self._record
        options: dict[str, Any] = {}
        if record.kind.is_long_text:
            options.update(_wf_nelm=text_length(record), _wf_dtype=np.dtype("uint8"))
            initial = initial if initial is not None else ""
        if record.kind.is_array:
            options.update(_wf_nelm=max(record.length, 1), _wf_dtype=self._dtype)
            initial = initial if initial is not None else np.empty(0, self._dtype)
        if initial is not None:
            options["initial_value"] = fit(self._record, initial)
        if record.kind.is_out:
            options.update(
                validate=lambda _record, _value: self._is_processed_by_a_client(),
                on_update=self._take,
                always_update=True,
                blocking=True,
            )
        made = _DEVICES[record.kind](self._name, **options)
        if not record.kind.is_out:
            made.set_alarm(0, 0, timestamp(time.time_ns()))
        if initial is not None and not record.kind.is_array:
            self._shown = initial, NO_ALARM
        if record.kind.is_array and record.dtype == "str":
            # softioc would convert each element of a text array at each post.
            made._value_to_epics = made._epics_to_value = lambda value: value  # noqa: SLF001
        return made

    def _is_processed_by_a_client(self) -> bool:
        """Validate a put; called by softioc during processing, with the record locked."""
        if threading.get_ident() == self._posts_in:  # a post to this record or to one linked to it
            return False
        self._before = self._device._value  # noqa: SLF001
        channel, refused = base.notify_channel(self._fields)
        self._write = write = self._puts.current(channel)
        # It is a put to the value unless it is known to be a put to another field. A put to another record may process
        # this one by a link.
        is_to_value = write is None or write.is_to_value or write.record not in self._names
        if refused and (write is None or write.channel == channel):
            is_to_value = False
            if write is not None:
                write.processed = False
        if not is_to_value and write is not None and channel not in {None, write.channel}:
            self._never_busy.leave_waiting(self._fields)
        # Only puts to the value wait for the device; EPICS completes all others itself.
        self._device._blocking = is_to_value  # noqa: SLF001
        return True

    def _take(self, value: Any) -> None:
        """Pass a put to the event loop; called by softioc after the validation, in the same thread and lock."""
        if not self._device._blocking:  # noqa: SLF001 - EPICS may have clipped the value to a new limit
            device, fields = self._device, self._fields
            device._value = self._before  # noqa: SLF001
            device._write_value(fields, self._before[0])  # noqa: SLF001
            self._call(self._show_again)
            return
        write = self._write
        put = Put(self._record.name, self._put_value(value, write), write.originator if write else "", "CA")
        channel, _ = base.notify_channel(self._fields)
        # After a put with completion, the client may put without completion on the same channel.
        waits_already = self._completion is not None and self._completion.is_for(channel)
        if channel is not None and not waits_already and (write is None or write.channel == channel):
            self._completion = Completion(put, channel, write)
        self._never_busy.put_passed(self._fields)
        self._call(self._begin, put, write)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function in the event loop; do nothing after its end, as the process ends then."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    def _show_again(self) -> None:
        if self._shown is not None:
            value, alarm = self._shown
            self.post(Update(value, alarm, time.time_ns()))

    def _begin(self, put: Put, write: Write | None) -> None:
        self._keep(self._loop.create_task(self._finish(put, write)))

    def _begin_early(self, put: Put, write: Write) -> None:
        write.early = self._keep(self._loop.create_task(self._execute(put)))

    def _keep(self, task: asyncio.Task[Any]) -> asyncio.Task[Any]:
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return task

    async def _finish(self, put: Put, write: Write | None) -> None:
        """Execute a put after processing of the record, or wait for its early execution; complete it."""
        if write is None or write.early is None:
            reason = await self._execute(put)
        else:
            reason = await write.early
            self._show_again()  # processing has set the record to the value of the put, which may be outdated
        self._complete(put, refused=bool(reason))

    async def _execute(self, put: Put) -> str:
        """Execute a put; return the reason of a refusal."""
        try:
            return await self._on_put(put)
        except Exception:
            log.exception("internal error in a put to %s", put.name)  # a waiting client must get a reply
            return "internal error of the IOC: see its log"

    def _complete(self, put: Put, *, refused: bool) -> None:
        """Complete a put with completion."""
        fields = self._fields
        with base.locked(fields):
            if self._completion is not None and self._completion.put is put:
                self._completion = None
                base.complete(fields, refused=refused)

    def _process(self, fields: Any) -> None:
        """Process a settable record for a post without completing a pending put."""
        with base.without_notify(fields):
            dbCore.dbProcess(fields)

    def _put_value(self, value: Any, write: Write | None) -> Any:
        """Return the value of a put for the services, which is the original number if EPICS has changed it."""
        number = write.number if write is not None and write.record in self._names and not write.processes else None
        limits = _RANGES.get(self._record.kind)
        if limits is not None and number is not None and not limits[0] <= number <= limits[1]:  # true for NaN
            return number
        if self._record.kind.is_array and self._record.dtype == "str":
            return [text.partition(b"\0")[0].decode(errors="replace") for text in value.tolist()]
        return value

    def _set_fields(self, changed: Mapping[str, str]) -> tuple[str, ...]:
        """Set other fields without an update of monitors; return their names."""
        fields = self._fields
        for field, text in changed.items():
            setattr(fields, field, _FIELDS[field](text))
        return tuple(changed)
