"""A record over Channel Access: softioc's device support, and how values reach it and puts leave it."""

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
from .database import text_length
from .fitting import element, fit, timestamp
from .gathering import Gathering
from .puts import Completion, Puts, Write

log = logging.getLogger(__name__)

#: Bytes of the reason of an alarm.
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

#: The numbers that a record has room for; EPICS wraps others, or makes the lowest of them.
_ROOM = {
    Kind.LONGOUT: (-(2**31), 2**31 - 1),
    Kind.BO: (0, 2**16 - 1),
    Kind.MBBO: (0, 2**16 - 1),
}

#: The fields that change with the value, and how each is made of its text.
_FIELDS: Mapping[str, Callable[[str], Any]] = {"EGU": lambda text: shorten(text, EGU_BYTES), "PREC": int}


class CaPv:
    """A record that is served over Channel Access.

    Args:
        record: how it is planned
        name: its full name
        initial: its value until the first post; None leaves it undefined, in alarm
        on_put: does what clients put
        puts: all puts under way
        gathering: decides when monitors are told
        never_busy: keeps it from being busy with a put
    """

    def __init__(
        self,
        record: Record,
        name: str,
        initial: Content | None,
        on_put: OnPut,
        *,
        puts: Puts,
        gathering: Gathering,
        never_busy: base.NeverBusy,
    ) -> None:
        self._record = record
        self._name = name
        self._names = frozenset(name.removesuffix(record.name) + each for each in (record.name, *record.aliases))
        self._on_put = on_put
        self._puts = puts
        self._gathering = gathering
        self._waits: Update | None = None  # of which monitors are to be told
        self._never_busy = never_busy
        self._loop = asyncio.get_running_loop()
        self._waiting: set[asyncio.Task[None]] = set()
        self._posts_in = threading.get_ident()
        self._write: Write | None = None  # for which the record is being processed
        self._before: Any = None  # what softioc had for its value before that
        self._completes: Completion | None = None
        self._shown: tuple[Content, Alarm] | None = None
        self._dtype = element(record)
        self._device = self._make_device(initial)

    @property
    def disabled(self) -> bool:
        """Whether DISP disables puts, which all records have that can only be read."""
        return self._record.kind.is_out and bool(self._fields.DISP)

    def post(self, update: Update) -> None:
        """Show an update: whoever reads sees it when this returns; monitors have been told, or are soon."""
        if self._may_wait(update) and self._gathering.takes(self._show_waiting):
            self._waits, self._shown = update, (update.value, update.alarm)
            with base.locked(self._fields):
                self._set_out(self._fields, update)
        else:
            self._show(update)

    def _may_wait(self, update: Update) -> bool:
        """Whether nothing but the value of a settable record changes: that can be read before monitors are told."""
        return (
            self._record.kind.is_out
            and not self._record.kind.is_array
            and not update.fields
            and self._shown is not None
            and self._shown[1] == update.alarm
        )

    def _show_waiting(self) -> None:
        if self._waits is not None:
            self._show(self._waits)

    def _show(self, update: Update) -> None:
        self._waits = None
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
            if changed:  # only now, as whoever gets the new field gets the value with it
                dbCore.db_post_events(fields, None, base.DBE_PROPERTY)

    def _set_out(self, fields: Any, update: Update) -> None:
        """Set what a settable record shows once it is processed."""
        severity, status = int(update.alarm.severity), int(update.alarm.status)
        self._device.set(fit(self._record, update.value), process=False, severity=severity, alarm=status)
        fields.TIME = timestamp(update.time_ns)

    def set_field(self, field: str, value: str) -> None:
        """Set a field that is text before clients are there."""
        data = ctypes.create_string_buffer(shorten(value, STRING_BYTES).encode(errors="replace"), STRING_BYTES + 1)
        # Not by softioc's own set_field, which is a put that DISP refuses.
        db_put_field_process(f"{self._name}.{field}", DBF_STRING, ctypes.addressof(data), 1, False)  # noqa: FBT003

    def keep_disabled(self) -> bool:
        """Disable puts again, after a put to DISP, if the record can only be read; return whether that is so."""
        if self._record.kind.is_out:
            return False
        base.put_field(f"{self._name}.DISP", "1")
        return True

    def begins(self, write: Write) -> None:
        """Called in the client's thread, before EPICS looks at its put.

        A put with completion waits in EPICS until the one before it is done. Where the plan says that it must not, as
        it may be what ends the other, it is made now; EPICS completes it in its turn. That holds for each of them:
        whether one is before it, nobody knows here.
        """
        if not self._record.at_once or self.disabled:
            return
        value = self._choice_in(write)
        if value is not None and write.is_of_the_value and not write.processes:
            self._call(self._begin_ahead, Put(self._record.name, value, write.originator, "CA"), write)

    def _choice_in(self, write: Write) -> int | None:
        """The choice that a client puts, as EPICS understands it; None if it is none."""
        labels = self._record.labels
        if write.text in labels:
            return labels.index(write.text)
        number = write.number
        if write.text is not None and write.text.isdecimal():
            number = int(write.text)
        return int(number) if number is not None and number in range(len(labels)) else None

    def initialised(self) -> None:
        """EPICS has made the record, and clients cannot reach it yet."""
        if self._record.kind.is_out:
            self._never_busy.give(self._fields)

    @property
    def _fields(self) -> Any:
        """The fields of the record, by name, in the memory of EPICS."""
        return self._device._record  # noqa: SLF001 - softioc gives them no other way

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
            # softioc would turn every text of an array into a string and back whenever it is posted.
            made._value_to_epics = made._epics_to_value = lambda value: value  # noqa: SLF001
        return made

    def _is_processed_by_a_client(self) -> bool:
        """Asked by softioc as the record is processed, in the thread that does it and under the record's lock."""
        if threading.get_ident() == self._posts_in:  # for what is posted, here or to a record that a link leads from
            return False
        self._before = self._device._value  # noqa: SLF001
        channel, refused = base.notify_channel(self._fields)
        self._write = write = self._puts.take(channel)
        # It is processed for a put of its value, if that is not known to be one of another field; a put to another
        # record processes this one by a link.
        puts_the_value = write is None or write.is_of_the_value or write.record not in self._names
        if refused and (write is None or write.channel == channel):
            puts_the_value = False
            if write is not None:
                write.taken = False
        if not puts_the_value and write is not None and channel not in {None, write.channel}:
            self._never_busy.leave_waiting(self._fields)
        # Only a value makes the record wait for its device: all else EPICS completes by itself.
        self._device._blocking = puts_the_value  # noqa: SLF001
        return True

    def _take(self, value: Any) -> None:
        """Called by softioc next, in the same thread and under the same lock, with the record's value."""
        if not self._device._blocking:  # noqa: SLF001 - but a limit, say, to which EPICS may have fitted the value
            device, fields = self._device, self._fields
            device._value = self._before  # noqa: SLF001
            device._write_value(fields, self._before[0])  # noqa: SLF001
            self._call(self._show_again)
            return
        write = self._write
        put = Put(self._record.name, self._put_value(value, write), write.originator if write else "", "CA")
        channel, _ = base.notify_channel(self._fields)
        # A client that waits for one put can make another on the same channel for which it does not wait.
        waits_already = self._completes is not None and self._completes.is_of(channel)
        if channel is not None and not waits_already and (write is None or write.channel == channel):
            self._completes = Completion(put, channel, write)
        self._never_busy.handed_on(self._fields)
        self._call(self._begin, put, write)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function in the event loop, if that still runs: else the process ends, and its clients see that."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    def _show_again(self) -> None:
        if self._shown is not None:
            value, alarm = self._shown
            self.post(Update(value, alarm, time.time_ns()))

    def _begin(self, put: Put, write: Write | None) -> None:
        self._keep(self._loop.create_task(self._finish(put, write)))

    def _begin_ahead(self, put: Put, write: Write) -> None:
        write.ahead = self._keep(self._loop.create_task(self._do(put)))

    def _keep(self, task: asyncio.Task[Any]) -> asyncio.Task[Any]:
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return task

    async def _finish(self, put: Put, write: Write | None) -> None:
        """Do a put for which the record was processed, or wait for it if it was begun ahead; tell its client."""
        if write is None or write.ahead is None:
            reason = await self._do(put)
        else:
            reason = await write.ahead
            self._show_again()  # the record has what was put, which may be long past
        self._complete(put, refused=bool(reason))

    async def _do(self, put: Put) -> str:
        """Do a put; return the reason of a refusal."""
        try:
            return await self._on_put(put)
        except Exception:
            log.exception("an error of the IOC in a put to %s", put.name)  # and its client must not wait for ever
            return "an error of the IOC"

    def _complete(self, put: Put, *, refused: bool) -> None:
        """Tell the client that waits for a put that it is done."""
        fields = self._fields
        with base.locked(fields):
            if self._completes is not None and self._completes.put is put:
                self._completes = None
                base.complete(fields, refused=refused)

    def _process(self, fields: Any) -> None:
        """Process a settable record for what was posted, whatever put it is busy with."""
        with base.without_notify(fields):
            dbCore.dbProcess(fields)

    def _put_value(self, value: Any, write: Write | None) -> Any:
        """Return what a client put as services take it, also where EPICS has made another number of it."""
        number = write.number if write is not None and write.record in self._names and not write.processes else None
        room = _ROOM.get(self._record.kind)
        if room is not None and number is not None and not room[0] <= number <= room[1]:  # or it is NaN
            return number
        if self._record.kind.is_array and self._record.dtype == "str":
            return [text.partition(b"\0")[0].decode(errors="replace") for text in value.tolist()]
        return value

    def _set_fields(self, changed: Mapping[str, str]) -> tuple[str, ...]:
        """Set other fields without telling anybody yet; return their names."""
        fields = self._fields
        for field, text in changed.items():
            setattr(fields, field, _FIELDS[field](text))
        return tuple(changed)
