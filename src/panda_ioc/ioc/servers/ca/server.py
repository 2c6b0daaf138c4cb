"""The one place that knows softioc: serves a plan, posts values into records, hands puts on.

Importing this module starts EPICS. softioc is asked for its device support alone; where it offers nothing,
EPICS base is called:

- a value of the PandA must reach the monitors of a settable record without being taken for a put, so the
  record is processed here, under its lock, with `posting` set;
- a put that waits behind one in progress (RPRO) must not be overwritten by what the PandA said before it;
- the reason of an alarm (AMSG, which PVA shows) can only be written next to the record's alarm.
"""

import asyncio
import ctypes
import logging
import tempfile
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from epicscorelibs.ioc import dbCore
from softioc import autosave, device, softioc
from softioc.asyncio_dispatcher import AsyncioDispatcher
from softioc.fields import DBF_STRING
from softioc.imports import db_put_field_process

from ....calls import Calls
from ....protocol import PandaError
from ...log import PUT
from ...plan.alarm import NO_ALARM, Alarm
from ...plan.kept import Kept
from ...plan.plan import Plan
from ...plan.record import EGU_BYTES, STRING_BYTES, Content, Kind, Record, shorten
from .database import database, text_length, texts_with_macros
from .iocstats import corrections
from .puts import Puts, is_value

log = logging.getLogger(__name__)

OnPut = Callable[[str, Any, str], Awaitable[object]]

for _name in ("dbScanLock", "dbScanUnlock", "dbProcess"):
    getattr(dbCore, _name).argtypes = (ctypes.c_void_p,)

#: Bytes of the reason of an alarm.
_MESSAGE_BYTES = 39

#: The ending of the file with what is kept.
KEPT_ENDING: str = autosave.SAV_SUFFIX

#: Seconds from one save of what is kept to the next, if it has changed.
_SAVE_PERIOD = 5.0

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

#: How long what is written to a field may be.
_FIELD_BYTES = {"EGU": EGU_BYTES}


class EpicsError(PandaError):
    """EPICS does not start."""


class Pv:
    """A record that is served.

    Args:
        record: how it is planned
        pv: its full name
        initial: its value until the first post; None leaves it undefined, in alarm
        on_put: is awaited for every put, with the record's name, the value, and who made it; the put completes after
    """

    def __init__(self, record: Record, pv: str, initial: Content | None, on_put: OnPut | None) -> None:
        self.record = record
        self._name = pv
        self._posting = False
        self._makers: deque[str | None] = deque()  # of puts on their way to `_put`, None where it was to another field
        self._shown: tuple[Content, Alarm] | None = None
        options: dict[str, Any] = {}
        if record.kind.is_long_text:
            options.update(_wf_nelm=text_length(record), _wf_dtype=np.dtype("uint8"))
            initial = initial if initial is not None else ""
        if record.kind.is_array:
            self._dtype = np.dtype("S40" if record.dtype == "str" else record.dtype)
            options.update(_wf_nelm=max(record.length, 1), _wf_dtype=self._dtype)
            initial = initial if initial is not None else np.empty(0, self._dtype)
        if initial is not None:
            options["initial_value"] = self._fit(initial)
        if record.kind.is_out:
            options.update(
                on_update=lambda value: self._put(value, on_put),
                validate=lambda _record, _value: self._is_put(),
                always_update=True,
                blocking=True,
            )
        self._device = _DEVICES[record.kind](pv, **options)
        if initial is not None and not record.kind.is_array:
            self._shown = initial, NO_ALARM
        if record.kind.is_array and record.dtype == "str":
            # softioc would turn every text of an array into a string and back whenever it is posted.
            self._device._value_to_epics = self._device._epics_to_value = lambda value: value  # noqa: SLF001

    def post(self, value: Content, alarm: Alarm = NO_ALARM) -> None:
        """Give the record a value and an alarm; monitors have been told when this returns.

        While a put of a client is under way, they are told when it completes; when another put waits behind
        that one, its value stays.
        """
        fields = self._device._record  # noqa: SLF001 - see the module's description
        if not self.record.kind.is_array:
            self._shown = value, alarm
        with self._locked():
            fields.NAMSG = shorten(alarm.message, _MESSAGE_BYTES)
            if not self.record.kind.is_out:
                self._device.set(self._fit(value), int(alarm.severity), int(alarm.status))
                dbCore.dbProcess(fields)
            elif not fields.RPRO:
                self._device.set(self._fit(value), process=False, severity=int(alarm.severity), alarm=int(alarm.status))
                if not fields.PACT:
                    self._posting = True
                    try:
                        dbCore.dbProcess(fields)
                    finally:
                        self._posting = False

    def set_field(self, field: str, value: str) -> None:
        """Set another field of the record, such as EGU; clients that watch properties are told."""
        cut = shorten(value, _FIELD_BYTES.get(field, STRING_BYTES))
        data = ctypes.create_string_buffer(cut.encode(errors="replace"), STRING_BYTES + 1)
        with self._locked():
            # Not by softioc's own set_field, which is a put that DISP refuses.
            db_put_field_process(f"{self._name}.{field}", DBF_STRING, ctypes.addressof(data), 1, False)  # noqa: FBT003

    def _is_put(self) -> bool:
        """Asked by softioc as the record is processed, in the thread that does it: whether that is to be told of."""
        if not self._posting:
            self._makers.append(_puts.maker(self._name))
        return not self._posting

    def _put(self, value: Any, on_put: OnPut | None) -> Awaitable[object] | None:
        """Called by softioc, in the event loop, in the order in which `_is_put` was."""
        maker = self._makers.popleft()
        if maker is None:  # a limit, say; EPICS may have fitted the value to it
            if self._shown is not None:
                self.post(*self._shown)
            return None
        return on_put(self.record.name, self._put_value(value), maker) if on_put else None

    def _fit(self, value: Content) -> Content:
        """Cut text and arrays to what the record holds."""
        if isinstance(value, str):
            return shorten(value, text_length(self.record) - 1 if self.record.kind.is_long_text else STRING_BYTES)
        if self.record.kind.is_array:
            return self._as_array(value)
        return value

    def _put_value(self, value: Any) -> Any:
        """What a client put, as services take it."""
        if self.record.kind.is_array and self.record.dtype == "str":
            return [text.partition(b"\0")[0].decode(errors="replace") for text in value.tolist()]
        return value

    def _as_array(self, value: Any) -> npt.NDArray[Any]:
        value = value[: max(self.record.length, 1)]
        if self._dtype.kind != "S" or (isinstance(value, np.ndarray) and value.dtype == self._dtype):
            return np.asarray(value, self._dtype)
        try:
            array = np.array(value, self._dtype)
        except UnicodeEncodeError:
            array = np.array([shorten(text, STRING_BYTES).encode(errors="replace") for text in value], self._dtype)
        array.view(np.uint8).reshape(-1, self._dtype.itemsize)[:, STRING_BYTES:] = 0  # EPICS wants an end to each
        return array

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # ctypes lets other threads run while it waits for the lock, so one that holds it may call Python.
        fields = self._device._record  # noqa: SLF001
        dbCore.dbScanLock(fields)
        try:
            yield
        finally:
            dbCore.dbScanUnlock(fields)


def keep(kept: Mapping[str, Kept], directory: Path, name: str) -> None:
    """Keep values on disk: within seconds of a change, and at the end.

    Args:
        kept: what to keep, by a name that is unique
        directory: where; it must exist when this is called
        name: of the file, without its ending
    """
    autosave.configure(directory, name, save_period=_SAVE_PERIOD, timestamped_backups=False)
    for key, value in kept.items():
        autosave.add_pv_to_autosave(value, key, fields=True)
    autosave.Autosave._save = _careful(autosave.Autosave._save, directory)  # noqa: SLF001


def stop_saving() -> None:
    """Let what is kept be saved a last time, and then no more."""
    autosave.Autosave._stop()  # noqa: SLF001


def _careful(save: Callable[[], None], directory: Path) -> Callable[[], None]:
    """A save that says once what goes wrong: after an error, softioc would try for ever, and the process not end."""
    told = ""
    disk = Calls()

    def saving() -> None:
        nonlocal told
        problem = ""
        try:
            disk.wait(str(directory), save)
        except Exception as error:  # noqa: BLE001 - whatever it is, the process is to go on, and to end
            problem = str(error)
        if problem and problem != told:
            log.warning("settings cannot be kept in %s: %s", directory, problem)
        told = problem

    return saving


def load(plan: Plan, initial: Mapping[str, Content], on_put: OnPut) -> dict[str, Pv]:
    """Make the records of a plan for Channel Access, to be served by `start`. It can be done once in a process.

    Args:
        plan: what to serve
        initial: the first value of each record that has one, by the record's name
        on_put: see `Pv`

    Returns:
        the records by name
    """
    records = {record.name: record for record in plan.records}
    pvs = {name: Pv(record, plan.pv(name), initial.get(name), on_put) for name, record in records.items()}
    with _file(database(plan)) as name:
        softioc.dbLoadDatabase(name)
    softioc.devIocStats(plan.prefix)
    with _file(corrections(plan)) as name:
        softioc.dbLoadDatabase(name)
    _listen_for_puts(plan)
    return pvs


async def start(plan: Plan, pvs: Mapping[str, Pv], rules: str) -> None:
    """Start EPICS with the records that were loaded. It sleeps for half a second meanwhile, which others may use.

    Args:
        plan: what was loaded
        pvs: its records
        rules: who may put, as EPICS access security

    Raises:
        EpicsError: it does not start
    """
    loop = asyncio.get_running_loop()
    # EPICS would lock its memory into RAM where it may, which takes 170 MB; nothing here needs real time.
    ctypes.c_int.in_dll(dbCore, "dbThreadRealtimeLock").value = 0
    with _file(rules) as name:
        dbCore.asSetFilename(name.encode())
        await loop.run_in_executor(None, partial(softioc.iocInit, AsyncioDispatcher(loop=loop), enable_pva=False))
    if not ctypes.c_int.in_dll(dbCore, "interruptAccept").value:  # softioc does not look at what became of it
        raise EpicsError("EPICS does not start, and says above why; asInit is about the access security file")
    ctypes.CDLL(None).fflush(None)  # what EPICS says of itself comes before what is logged, and not at the end
    for name, field, text in texts_with_macros(plan):
        pvs[name].set_field(field, text)


@contextmanager
def _file(text: str) -> Iterator[str]:
    """A file with a text, as EPICS wants to read it; gives its name."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        yield file.name


class _Write(ctypes.Structure):
    """What EPICS tells of a put: asTrapWriteMessage, as far as it is used. The channel begins with its name."""

    _fields_ = (
        ("user", ctypes.c_char_p),
        ("host", ctypes.c_char_p),
        ("channel", ctypes.POINTER(ctypes.c_char_p)),
    )


_Listener = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Write), ctypes.c_int)
_listeners: list[Any] = []  # EPICS calls them for as long as the process lives
_puts = Puts()


def _listen_for_puts(plan: Plan) -> None:
    """Learn of puts; those that no service is told of are logged here: to fields, and to what EPICS itself has."""
    records = {plan.pv(name): record for record in plan.records for name in (record.name, *record.aliases)}

    def told(message: Any, after: int) -> None:
        write = message.contents
        channel = _text(write.channel.contents.value)
        name, _, field = channel.partition(".")
        maker = f"{_text(write.user)}@{_text(write.host)}"
        record = records.get(name)
        if not after:
            _puts.begins(plan.pv(record.name) if record else name, field, maker)
        elif record is None or not is_value(field):
            log.log(PUT, "put %s by %s, if EPICS took it", channel, maker)

    _listeners.append(_Listener(told))
    dbCore.asTrapWriteRegisterListener(_listeners[-1])


def _text(name: bytes | None) -> str:
    return (name or b"?").decode(errors="replace")


def stop(code: int) -> NoReturn:
    """End the process as EPICS wants it: its threads stopped, its exit handlers run."""
    softioc.safeEpicsExit(code)
    raise SystemExit(code)
