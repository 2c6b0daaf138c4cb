"""Functions of EPICS base that softioc does not offer, by ctypes with the structures of the public headers."""

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

#: Event masks of caeventmask.h.
DBE_VALUE, DBE_LOG, DBE_PROPERTY = 1, 2, 8

#: initHookAfterFinishDevSup of initHooks.h: support is initialised, clients cannot connect yet.
_AFTER_FINISH_DEV_SUP = 8

#: notifyError of dbNotify.h.
_NOTIFY_ERROR = 2

#: priorityLow of callback.h: the queue of the thread cbLow, which completes puts with completion.
_PRIORITY_LOW = 0

#: Seconds between attempts to add a callback to a full queue of EPICS.
_QUEUE_RETRY = 0.001

#: From dbAddr.h and dbFldTypes.h: a size larger than a DBADDR, the type of strings and their size.
_ADDRESS_BYTES, _DBR_STRING, _TEXT_BYTES = 256, 0, 40

#: Numeric types of puts by DBR type of db_access.h.
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
    """The record support of a record type: typed_rset of recSup.h."""

    _fields_ = (
        ("number", ctypes.c_long),
        ("before", ctypes.c_void_p * 3),
        ("process", _Process),
        ("after", ctypes.c_void_p * 14),
    )


class _Notify(ctypes.Structure):
    """A pending put with completion: the first members of processNotify of dbNotify.h."""

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
    """A callback in a thread of EPICS: epicsCallback of callback.h."""

    _fields_ = (
        ("function", _Called),
        ("priority", ctypes.c_int),
        ("user", ctypes.c_void_p),
        ("timer", ctypes.c_void_p),
    )


class TrapWrite(ctypes.Structure):
    """A message of EPICS before or after a put: asTrapWriteMessage of asTrapWrite.h."""

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
        """Number in the put, before EPICS converts it to the type of the field; None for anything else."""
        kind = _NUMBERS.get(self.dbr_type)
        return float(kind.from_address(self.data).value) if kind and self.data and self.count == 1 else None

    @property
    def text(self) -> str | None:
        """Text in the put; None for anything else."""
        is_text = self.dbr_type == _DBR_STRING and self.data and self.count == 1
        return text_of(ctypes.string_at(self.data, _TEXT_BYTES).partition(b"\0")[0]) if is_text else None

    @property
    def channel_name(self) -> str:
        """Name of the channel as the client has it: a record, optionally with a dot and a field."""
        return text_of(ctypes.cast(self.channel, ctypes.POINTER(ctypes.c_char_p)).contents.value)


_TrapListener = ctypes.CFUNCTYPE(None, ctypes.POINTER(TrapWrite), ctypes.c_int)
_InitHook = ctypes.CFUNCTYPE(None, ctypes.c_int)
_ErrorListener = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)

#: Callbacks that EPICS keeps until the process ends; the references prevent their garbage collection.
_called_by_epics: list[Any] = []


def text_of(data: bytes | None) -> str:
    """Return a C string as text."""
    return (data or b"?").decode(errors="replace")


@contextmanager
def locked(record: Any) -> Iterator[None]:
    """Hold the lock of a record, so that no other thread puts to it, processes it or reads a partial update."""
    # ctypes releases the GIL while it waits, so a thread that holds the lock can run Python code.
    dbCore.dbScanLock(record)
    try:
        yield
    finally:
        dbCore.dbScanUnlock(record)


@contextmanager
def without_notify(record: Any) -> Iterator[None]:
    """Prevent that processing of a locked record completes the put of a waiting client."""
    waiting, record.PPN = record.PPN, None
    try:
        yield
    finally:
        record.PPN = waiting


def notify_channel(record: Any) -> tuple[int | None, bool]:
    """Return the channel of the pending put with completion (None: no put) and whether EPICS refused its value.

    EPICS processes a record even after a value that it could not convert.
    """
    notify = record.PPN
    if not notify:
        return None, False
    pending = _Notify.from_address(notify)
    return pending.channel, pending.status == _NOTIFY_ERROR


def complete(record: Any, *, refused: bool) -> None:
    """Complete the put with completion of a locked record, as successful or refused."""
    if not record.PPN:
        return
    if refused:  # clients get ECA_PUTFAIL
        _Notify.from_address(record.PPN).status = _NOTIFY_ERROR
    dbCore.dbNotifyCompletion(record)


def put_field(name: str, text: str) -> None:
    """Put a text of at most 39 bytes to a field or link, like a client."""
    address = ctypes.create_string_buffer(_ADDRESS_BYTES)
    if not dbCore.dbNameToAddr(name.encode(), address):
        dbCore.dbPutField(address, _DBR_STRING, ctypes.create_string_buffer(text.encode(), _TEXT_BYTES), 1)


def circuits() -> int:
    """Return the number of client connections."""
    channels, number = ctypes.c_uint(), ctypes.c_uint()
    dbCore.casStatsFetch(ctypes.byref(channels), ctypes.byref(number))
    return number.value


def listen_for_puts(callback: Callable[[TrapWrite, bool], None]) -> None:
    """Register a callback that is called before (False) and after (True) each put, in the thread of the client.

    It is called only for puts that an access rule with TRAPWRITE allows.
    """
    listener = _TrapListener(lambda message, after: callback(message.contents, bool(after)))
    _called_by_epics.append(listener)
    dbCore.asTrapWriteRegisterListener(listener)


def listen_for_errors(callback: Callable[[str], None]) -> None:
    """Register a callback for error messages of EPICS, called in a thread of EPICS; stop their output to stderr."""
    listener = _ErrorListener(lambda _, message: callback(text_of(message)))
    _called_by_epics.append(listener)
    Com.errlogAddListener(listener, None)
    Com.eltc(0)


def flush_errors() -> None:
    """Wait until EPICS has written all error messages."""
    Com.errlogFlush()


def before_clients(callback: Callable[[], object]) -> None:
    """Register a callback that is called after the initialisation of the records, before clients can connect."""

    def hook(state: int) -> None:
        if state == _AFTER_FINISH_DEV_SUP:
            callback()

    listener = _InitHook(hook)
    _called_by_epics.append(listener)
    Com.initHookRegister(listener)


class Completions:
    """The thread of EPICS that completes puts, cbLow. It works through one queue, in order.

    cbLow passes a completion to the thread of the client, which replies, and accesses the memory of the put after that.
    When the client disconnects after the reply, EPICS frees this memory and reuses it for the next put, which is then
    lost, or the process crashes. Without real-time priorities, the thread of the client is often the faster one.
    """

    def __init__(self) -> None:
        self._pending: dict[int, tuple[_Callback, threading.Event]] = {}
        self._function = _Called(self._passed)

    def wait(self, timeout: float) -> bool:
        """Wait until cbLow has finished its present work; return False after the timeout in seconds.

        Do not call this with a record locked, or in cbLow.
        """
        deadline = time.monotonic() + timeout
        passed, callback = threading.Event(), _Callback(self._function, _PRIORITY_LOW)
        address = ctypes.addressof(callback)
        self._pending[address] = callback, passed
        while dbCore.callbackRequest(address):  # not 0 while the queue is full
            if time.monotonic() > deadline:
                del self._pending[address]
                return False
            time.sleep(_QUEUE_RETRY)
        return passed.wait(deadline - time.monotonic())  # cbLow may still call it after the timeout

    def _passed(self, address: int) -> None:
        _, passed = self._pending.pop(address)
        passed.set()


class NeverBusy:
    """Record support that lets a record accept the next put while the last one is pending.

    With asynchronous device support, a record is active (PACT) until its device completes, and EPICS merges all puts in
    this time into one, with the last value or without a value. The modified record support resets PACT as soon as the
    put has been passed to the IOC. A client that waits for completion continues to wait.
    """

    def __init__(self) -> None:
        self._supports: dict[int, _RecordSupport] = {}
        self._passed: set[int] = set()
        self._waited_for: dict[int, tuple[Any, int]] = {}
        self._pact_offset: int = get_field_offsets("ao")["PACT"][0]  # the same in all record types

    def install(self, record: Any) -> None:
        """Install the support in a record of softioc; call this before clients can connect."""
        original = record.RSET
        if original not in self._supports:
            self._supports[original] = self._support(original)
        record.RSET = ctypes.addressof(self._supports[original])

    def put_passed(self, record: Any) -> None:
        """Note that the device of the record that is being processed has passed a put to the IOC."""
        self._passed.add(record.record.value)

    def leave_waiting(self, record: Any) -> None:
        """Prevent that the current processing completes the put of a client that waits for another put."""
        self._waited_for[record.record.value] = record, record.PPN
        record.PPN = None

    def _support(self, original: int) -> _RecordSupport:
        of_epics = _RecordSupport.from_address(original)
        process_of_epics = of_epics.process
        support = _RecordSupport.from_buffer_copy(of_epics)

        def process(record: int) -> int:
            status: int = process_of_epics(record)
            if record in self._passed:
                self._passed.discard(record)
                ctypes.c_ubyte.from_address(record + self._pact_offset).value = 0
            fields, waiting = self._waited_for.pop(record, (None, 0))
            if fields is not None:
                fields.PPN = waiting
            return status

        support.process = _Process(process)
        return support
