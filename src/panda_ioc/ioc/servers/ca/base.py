"""EPICS base by ctypes: what softioc does not offer, with the layouts of base's public headers."""

import ctypes
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from epicscorelibs.ioc import Com, dbCore
from softioc.imports import get_field_offsets

for _name in ("dbScanLock", "dbScanUnlock", "dbProcess", "dbNotifyCompletion"):
    getattr(dbCore, _name).argtypes = (ctypes.c_void_p,)
dbCore.dbNameToAddr.argtypes = (ctypes.c_char_p, ctypes.c_void_p)
dbCore.dbPutField.argtypes = (ctypes.c_void_p, ctypes.c_short, ctypes.c_void_p, ctypes.c_long)
dbCore.dbPutField.restype = ctypes.c_long
dbCore.callbackRequest.argtypes = (ctypes.c_void_p,)
dbCore.db_post_events.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint)

#: What a monitor asks for, from caeventmask.h: the value, what an archiver wants, and what describes the value.
DBE_VALUE, DBE_LOG, DBE_PROPERTY = 1, 2, 8

#: From initHooks.h: record and device support are there, and no client is yet.
_AFTER_FINISH_DEV_SUP = 8

#: From dbNotify.h.
_NOTIFY_ERROR = 2

#: From callback.h: the queue of the thread cbLow, which tells clients of puts with completion that these are done.
_PRIORITY_LOW = 0

#: Seconds from one attempt to add to a full queue of EPICS to the next.
_QUEUE_RETRY = 0.001

#: From dbAddr.h and dbFldTypes.h: more than an address takes, and what a text is.
_ADDRESS_BYTES, _DBR_STRING, _TEXT_BYTES = 256, 0, 40

#: The numbers that clients put, by their types in db_access.h.
_NUMBERS: Mapping[int, type[Any]] = {
    1: ctypes.c_int16,
    2: ctypes.c_float,
    3: ctypes.c_uint16,
    4: ctypes.c_uint8,
    5: ctypes.c_int32,
    6: ctypes.c_double,
}

_Process = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p)


class _RecordSupport(ctypes.Structure):
    """What EPICS does with a type of record: typed_rset of recSup.h."""

    _fields_ = (
        ("number", ctypes.c_long),
        ("before", ctypes.c_void_p * 3),
        ("process", _Process),
        ("after", ctypes.c_void_p * 14),
    )


class _Notify(ctypes.Structure):
    """A put with completion under way: the beginning of processNotify of dbNotify.h."""

    _fields_ = (
        ("restart_node", ctypes.c_void_p * 2),
        ("is_on_list", ctypes.c_int),
        ("private", ctypes.c_void_p),
        ("status", ctypes.c_int),
        ("was_processed", ctypes.c_int),
        ("request_type", ctypes.c_int),
        ("channel", ctypes.c_void_p),
    )


_Called = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Callback(ctypes.Structure):
    """What a thread of EPICS calls: epicsCallback of callback.h."""

    _fields_ = (
        ("function", _Called),
        ("priority", ctypes.c_int),
        ("user", ctypes.c_void_p),
        ("timer", ctypes.c_void_p),
    )


class TrapWrite(ctypes.Structure):
    """What EPICS says of a put, before and after it: asTrapWriteMessage of asTrapWrite.h."""

    _fields_ = (
        ("user", ctypes.c_char_p),
        ("host", ctypes.c_char_p),
        ("channel", ctypes.c_void_p),
        ("private", ctypes.c_void_p),
        ("dbr_type", ctypes.c_int),
        ("count", ctypes.c_int),
        ("data", ctypes.c_void_p),
    )

    @property
    def number(self) -> float | None:
        """The number that the client puts, before EPICS fits it to the field; None if it is none."""
        kind = _NUMBERS.get(self.dbr_type)
        return float(kind.from_address(self.data).value) if kind and self.data and self.count == 1 else None

    @property
    def text(self) -> str | None:
        """The text that the client puts; None if it is none."""
        is_text = self.dbr_type == _DBR_STRING and self.data and self.count == 1
        return text_of(ctypes.string_at(self.data, _TEXT_BYTES).partition(b"\0")[0]) if is_text else None

    @property
    def channel_name(self) -> str:
        """What the client called it: a record, and a field after a point."""
        return text_of(ctypes.cast(self.channel, ctypes.POINTER(ctypes.c_char_p)).contents.value)


_TrapListener = ctypes.CFUNCTYPE(None, ctypes.POINTER(TrapWrite), ctypes.c_int)
_InitHook = ctypes.CFUNCTYPE(None, ctypes.c_int)
_ErrorListener = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)

#: EPICS calls these for as long as the process lives, so they are never given up.
_called_by_epics: list[Any] = []


def text_of(data: bytes | None) -> str:
    """Return text that EPICS has."""
    return (data or b"?").decode(errors="replace")


@contextmanager
def locked(record: Any) -> Iterator[None]:
    """Hold the lock of a record: nobody else puts to it, processes it, or reads half of it."""
    # ctypes lets other threads run while it waits for the lock, so one that holds it may call Python.
    dbCore.dbScanLock(record)
    try:
        yield
    finally:
        dbCore.dbScanUnlock(record)


@contextmanager
def without_notify(record: Any) -> Iterator[None]:
    """Process a record whose lock is held without completing the put that some client waits for."""
    waiting, record.PPN = record.PPN, None
    try:
        yield
    finally:
        record.PPN = waiting


def notify_channel(record: Any) -> tuple[int | None, bool]:
    """Return the channel whose put with completion a record is busy with, and whether EPICS has refused its value.

    There may be no such put. EPICS processes a record also for a value that it could not convert.
    """
    notify = record.PPN
    if not notify:
        return None, False
    said = _Notify.from_address(notify)
    return said.channel, said.status == _NOTIFY_ERROR


def complete(record: Any, *, refused: bool) -> None:
    """Complete the put that a client waits for at a record whose lock is held, as done or as refused."""
    if not record.PPN:
        return
    if refused:  # which clients are told as ECA_PUTFAIL
        _Notify.from_address(record.PPN).status = _NOTIFY_ERROR
    dbCore.dbNotifyCompletion(record)


def put_field(name: str, text: str) -> None:
    """Put a text of at most 39 bytes to a field as a client does, also to a link."""
    address = ctypes.create_string_buffer(_ADDRESS_BYTES)
    if not dbCore.dbNameToAddr(name.encode(), address):
        dbCore.dbPutField(address, _DBR_STRING, ctypes.create_string_buffer(text.encode(), _TEXT_BYTES), 1)


def circuits() -> int:
    """Return how many connections clients have."""
    channels, number = ctypes.c_uint(), ctypes.c_uint()
    dbCore.casStatsFetch(ctypes.byref(channels), ctypes.byref(number))
    return number.value


def listen_for_puts(told: Callable[[TrapWrite, bool], None]) -> None:
    """Have a function called in the thread of each client before (False) and after (True) each of its puts.

    Only puts that an access rule with TRAPWRITE allows are told.
    """
    listener = _TrapListener(lambda message, after: told(message.contents, bool(after)))
    _called_by_epics.append(listener)
    dbCore.asTrapWriteRegisterListener(listener)


def listen_for_errors(told: Callable[[str], None]) -> None:
    """Have a function called with what EPICS would write to standard error, in a thread of EPICS' own."""
    listener = _ErrorListener(lambda _, message: told(text_of(message)))
    _called_by_epics.append(listener)
    Com.errlogAddListener(listener, None)
    Com.eltc(0)


def flush_errors() -> None:
    """Wait until all that EPICS says of errors has been told."""
    Com.errlogFlush()


def before_clients(call: Callable[[], None]) -> None:
    """Have a function called when EPICS has initialised its records and before any client can reach them."""

    def hook(state: int) -> None:
        if state == _AFTER_FINISH_DEV_SUP:
            call()

    listener = _InitHook(hook)
    _called_by_epics.append(listener)
    Com.initHookRegister(listener)


class Completions:
    """The thread of EPICS that completes puts, cbLow: it takes what it has to do from one queue, in order.

    It hands a completion to another thread, which replies to the client, and uses the memory of the put after that.
    EPICS frees this memory when a client has the reply and leaves, and gives it to the next put, which is then lost,
    or the process crashes. Without real-time priorities the other threads often are the faster ones.
    """

    def __init__(self) -> None:
        self._pending: dict[int, tuple[_Callback, threading.Event]] = {}
        self._function = _Called(self._passed)

    def wait(self, timeout: float) -> bool:
        """Wait until the thread has finished all that it was given before; return whether it has.

        It must not be called with the lock of a record, or in that thread.
        """
        deadline = time.monotonic() + timeout
        passed, callback = threading.Event(), _Callback(self._function, _PRIORITY_LOW)
        address = ctypes.addressof(callback)
        self._pending[address] = callback, passed
        while dbCore.callbackRequest(address):  # which is not 0 while the queue is full
            if time.monotonic() > deadline:
                del self._pending[address]
                return False
            time.sleep(_QUEUE_RETRY)
        return passed.wait(deadline - time.monotonic())  # after that, the thread may still come to it

    def _passed(self, address: int) -> None:
        _, passed = self._pending.pop(address)
        passed.set()


class NeverBusy:
    """Lets records take the next put while the last one is not done.

    A record whose device is at work is busy (PACT) until that has an answer, and EPICS merges all puts that come
    meanwhile into one, with the last value or with none. So each record is given support of its own, which says that
    it is not busy once EPICS has handed a put on; a client that waits for completion goes on waiting.
    """

    def __init__(self) -> None:
        self._supports: dict[int, _RecordSupport] = {}
        self._handed_on: set[int] = set()
        self._waited_for: dict[int, tuple[Any, int]] = {}
        self._busy_at: int = get_field_offsets("ao")["PACT"][0]  # which all types of records have in one place

    def give(self, record: Any) -> None:
        """Give a record of softioc such support; clients must not reach it yet."""
        original = record.RSET
        if original not in self._supports:
            self._supports[original] = self._support(original)
        record.RSET = ctypes.addressof(self._supports[original])

    def handed_on(self, record: Any) -> None:
        """The device of a record, which is being processed, hands a put on."""
        self._handed_on.add(record.record.value)

    def leave_waiting(self, record: Any) -> None:
        """A record is processed, but not for the put that some client waits for: that is not completed by it."""
        self._waited_for[record.record.value] = record, record.PPN
        record.PPN = None

    def _support(self, original: int) -> _RecordSupport:
        of_epics = _RecordSupport.from_address(original)
        process_of_epics = of_epics.process
        support = _RecordSupport.from_buffer_copy(of_epics)

        def process(record: int) -> int:
            status: int = process_of_epics(record)
            if record in self._handed_on:
                self._handed_on.discard(record)
                ctypes.c_ubyte.from_address(record + self._busy_at).value = 0
            fields, waiting = self._waited_for.pop(record, (None, 0))
            if fields is not None:
                fields.PPN = waiting
            return status

        support.process = _Process(process)
        return support
