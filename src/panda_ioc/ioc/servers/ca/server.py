"""The Channel Access server: creates the records of a plan, starts EPICS and receives puts.

Importing this module loads EPICS. Only the device support of softioc is used; `base` has all other functions.
"""

import asyncio
import ctypes
import logging
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

from epicscorelibs.ioc import dbCore
from softioc import softioc

from ....protocol import PandaError
from ...log import PUT, Bounded, escape_nonprintable, warn_of_client
from ...plan.plan import Plan
from ...plan.record import Content
from ..put import OnPut
from . import base
from .batching import MonitorBatcher
from .database import database, texts_with_macros
from .fields import set_levels
from .iocstats import corrections
from .puts import Puts, Write
from .pv import CaPv

log = logging.getLogger(__name__)

#: Time limit in s for the thread of EPICS that completes puts.
_COMPLETION_TIMEOUT = 10.0

#: EPICS may repeat a message without a limit.
_epics_log = Bounded(lambda text: log.warning("EPICS: %s", text))


class EpicsError(PandaError):
    """Error at the start of EPICS."""


class CaServer:
    """The Channel Access server. A process can have only one, which stops with the process.

    Args:
        rules: text of the access security file
    """

    def __init__(self, rules: str) -> None:
        self._rules = rules
        self._puts = Puts()
        self._completions = base.Completions()
        self._pvs: dict[str, CaPv] = {}
        self._by_full_name: dict[str, CaPv] = {}
        self._texts: tuple[tuple[str, str, str], ...] = ()
        #: Set when the records are initialised, or when the start has failed.
        self.initialised = asyncio.Event()

    def load(self, plan: Plan, initial: Mapping[str, Content], on_put: OnPut) -> Mapping[str, CaPv]:
        """Create the records of a plan."""
        never_busy, batcher = base.NeverBusy(), MonitorBatcher(base.circuits)
        for record in plan.records:
            name, first = plan.pv(record.name), initial.get(record.name)
            pv = CaPv(record, name, first, on_put, puts=self._puts, batcher=batcher, never_busy=never_busy)
            self._pvs[record.name] = pv
            self._by_full_name.update((plan.pv(each), pv) for each in (record.name, *record.aliases))
        self._texts = tuple(texts_with_macros(plan))
        with _file(database(plan)) as name:
            softioc.dbLoadDatabase(name)
        softioc.devIocStats(plan.prefix)
        with _file(corrections(plan)) as name:
            softioc.dbLoadDatabase(name)
        base.listen_for_puts(self._trap_put)
        base.before_clients(self._initialised)
        return self._pvs

    async def start(self) -> None:
        """Start EPICS, in a thread, as it sleeps for 0.5 s after it has initialised the records.

        Raises:
            EpicsError: EPICS does not start
            OSError: the temporary file for the access rules cannot be written
        """
        try:
            await self._init()
        finally:
            self.initialised.set()
        if not ctypes.c_int.in_dll(dbCore, "interruptAccept").value:  # softioc does not check the result
            base.flush_errors()
            raise EpicsError(
                "EPICS does not start: see its messages above; asInit reports errors of the access security file"
            )
        base.listen_for_errors(_log_error)
        ctypes.CDLL(None).fflush(None)  # messages of EPICS in the buffer of C must precede later log lines

    def clients(self) -> int:
        """Return the number of client connections."""
        return base.circuits()

    async def stop(self) -> None:
        """Do nothing: EPICS stops with the process, and clients with pending puts see a disconnect."""

    async def _init(self) -> None:
        loop = asyncio.get_running_loop()
        base.before_clients(partial(loop.call_soon_threadsafe, self.initialised.set))
        # With permission, EPICS would lock 170 MB of memory into RAM for real-time use, which is not needed here.
        ctypes.c_int.in_dll(dbCore, "dbThreadRealtimeLock").value = 0
        with _file(self._rules) as name:
            dbCore.asSetFilename(name.encode())
            await loop.run_in_executor(None, partial(softioc.iocInit, _call, enable_pva=False))

    def _initialised(self) -> None:
        set_levels()
        for pv in self._pvs.values():
            pv.initialised()
        for name, field, text in self._texts:
            self._pvs[name].set_field(field, text)

    def _trap_put(self, message: base.TrapWrite, after: bool) -> None:  # noqa: FBT001 - as it is called
        """Handle a report of EPICS before or after a put."""
        if not after:
            record, _, field = message.channel_name.partition(".")
            originator = f"{base.text_of(message.user)}@{base.text_of(message.host)}"
            begun = Write(message.channel, record, field, originator, message.number, message.text)
            message.private = self._puts.begin(begun)
            if record in self._by_full_name:
                self._by_full_name[record].before_put(begun)
            return
        write = self._puts.end(message.private or 0)
        if write is None:
            return
        # The client has no reply yet. It cannot be removed meanwhile, as EPICS waits for this thread before it does so.
        if threading.get_ident() != write.thread and not self._completions.wait(_COMPLETION_TIMEOUT):
            log.error("EPICS has not completed a put within %g s: its thread cbLow is stuck", _COMPLETION_TIMEOUT)
        what = f"put {write.record}{write.field and f'.{write.field}'} by {write.originator} over CA"
        pv = self._by_full_name.get(write.record)
        if pv is None or not write.is_to_value:
            log.log(PUT, "%s, if EPICS accepted it", what)
            # Clients may set DISP of settable records only; access rules cannot distinguish these from readbacks.
            if pv is not None and write.plain_field == "DISP" and pv.keep_disabled():
                warn_of_client(f"{write.record}.DISP stays 1: the record is read-only")
        elif not write.processed:
            warn_of_client(f"refused {what}: EPICS rejected the value, DISP disables puts, or the client disconnected")


def _call(function: Callable[..., Any], func_args: tuple[Any, ...] = (), **_: Any) -> None:
    """Call a function of softioc during processing immediately, in the same thread."""
    function(*func_args)


def _log_error(message: str) -> None:
    """Log an error message of EPICS with escaped line breaks, as text of clients in it could forge log lines."""
    _epics_log.tell(escape_nonprintable(message.strip()))


@contextmanager
def _file(text: str) -> Iterator[str]:
    """Create a temporary file with a text for EPICS; yield its name."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        yield file.name


def stop(code: int) -> NoReturn:
    """End the process after stopping the threads of EPICS and running its exit handlers."""
    softioc.safeEpicsExit(code)
    raise SystemExit(code)
