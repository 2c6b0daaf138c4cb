"""Channel Access, by softioc: makes records of a plan, starts EPICS, and listens for puts.

Importing this module starts EPICS. softioc is asked for its device support alone; `base` has what it does not offer.
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
from ...log import PUT, Bounded, escape_nonprintable
from ...plan.plan import Plan
from ...plan.record import Content
from ..put import OnPut
from . import base
from .database import database, texts_with_macros
from .fields import set_levels
from .gathering import Gathering
from .iocstats import corrections
from .puts import Puts, Write
from .pv import CaPv

log = logging.getLogger(__name__)

#: Seconds that the thread of EPICS that completes puts may take for one.
_COMPLETION_TIMEOUT = 10.0

#: Libraries may say the same without end.
_of_epics = Bounded(lambda text: log.warning("EPICS: %s", text))


class EpicsError(PandaError):
    """EPICS does not start."""


class CaServer:
    """Serves a plan over Channel Access; there can be one in a process, and it ends with that.

    Args:
        rules: who may put, as EPICS access security
    """

    def __init__(self, rules: str) -> None:
        self._rules = rules
        self._puts = Puts()
        self._completions = base.Completions()
        self._pvs: dict[str, CaPv] = {}
        self._by_full_name: dict[str, CaPv] = {}
        self._texts: tuple[tuple[str, str, str], ...] = ()

    def load(self, plan: Plan, initial: Mapping[str, Content], on_put: OnPut) -> Mapping[str, CaPv]:
        """Make the records of a plan."""
        never_busy, gathering = base.NeverBusy(), Gathering(base.circuits)
        for record in plan.records:
            name, first = plan.pv(record.name), initial.get(record.name)
            pv = CaPv(record, name, first, on_put, puts=self._puts, gathering=gathering, never_busy=never_busy)
            self._pvs[record.name] = pv
            self._by_full_name.update((plan.pv(each), pv) for each in (record.name, *record.aliases))
        self._texts = tuple(texts_with_macros(plan))
        with _file(database(plan)) as name:
            softioc.dbLoadDatabase(name)
        softioc.devIocStats(plan.prefix)
        with _file(corrections(plan)) as name:
            softioc.dbLoadDatabase(name)
        base.listen_for_puts(self._told)
        base.before_clients(self._initialised)
        return self._pvs

    async def start(self) -> None:
        """Start EPICS. It sleeps for half a second meanwhile, which others may use.

        Raises:
            EpicsError: it does not start
        """
        loop = asyncio.get_running_loop()
        # EPICS would lock its memory into RAM where it may, which takes 170 MB; nothing here needs real time.
        ctypes.c_int.in_dll(dbCore, "dbThreadRealtimeLock").value = 0
        with _file(self._rules) as name:
            dbCore.asSetFilename(name.encode())
            await loop.run_in_executor(None, partial(softioc.iocInit, _call, enable_pva=False))
        if not ctypes.c_int.in_dll(dbCore, "interruptAccept").value:  # softioc does not look at what became of it
            base.flush_errors()
            raise EpicsError("EPICS does not start, and says above why; asInit is about the access security file")
        base.listen_for_errors(_log_error)
        ctypes.CDLL(None).fflush(None)  # what EPICS says of itself comes before what is logged, and not at the end

    def clients(self) -> int:
        """Return how many connections clients have."""
        return base.circuits()

    async def stop(self) -> None:
        """Serve on until the process ends: EPICS cannot stop before, and clients see that their puts are not done."""

    def _initialised(self) -> None:
        set_levels()
        for pv in self._pvs.values():
            pv.initialised()
        for name, field, text in self._texts:
            self._pvs[name].set_field(field, text)

    def _told(self, message: base.TrapWrite, after: bool) -> None:  # noqa: FBT001 - as it is called
        """Take what EPICS says of a put, before and after it."""
        if not after:
            record, _, field = message.channel_name.partition(".")
            originator = f"{base.text_of(message.user)}@{base.text_of(message.host)}"
            begun = Write(message.channel, record, field, originator, message.number, message.text)
            message.private = self._puts.begins(begun)
            if record in self._by_full_name:
                self._by_full_name[record].begins(begun)
            return
        write = self._puts.ends(message.private or 0)
        if write is None:
            return
        # Its client has no reply yet, and cannot leave meanwhile: EPICS waits for this thread then.
        if threading.get_ident() != write.thread and not self._completions.wait(_COMPLETION_TIMEOUT):
            log.error("EPICS has not completed a put within %g s: its thread cbLow is stuck", _COMPLETION_TIMEOUT)
        what = f"put {write.record}{write.field and f'.{write.field}'} by {write.originator} over CA"
        pv = self._by_full_name.get(write.record)
        if pv is None or not write.is_of_the_value:
            log.log(PUT, "%s, if EPICS took it", what)
            # For settable records it is operators' own, and a type of record is for both: access rules cannot tell.
            if pv is not None and write.plain_field == "DISP" and pv.keep_disabled():
                log.warning("%s.DISP stays 1: the record can only be read", write.record)
        elif not write.taken:
            log.warning(
                "refused %s: EPICS does not take it, DISP disables puts, or the client left before its turn", what
            )


def _call(function: Callable[..., Any], func_args: tuple[Any, ...] = (), **_: Any) -> None:
    """Call what softioc wants to be called as a record is processed: at once, in that thread."""
    function(*func_args)


def _log_error(message: str) -> None:
    """Log what EPICS says of an error, which may have a client's text in it: each line by itself, and none forged."""
    _of_epics.tell(escape_nonprintable(message.strip()))


@contextmanager
def _file(text: str) -> Iterator[str]:
    """Make a file with a text, as EPICS wants to read it; give its name."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        yield file.name


def stop(code: int) -> NoReturn:
    """End the process as EPICS wants it: its threads stopped, its exit handlers run."""
    softioc.safeEpicsExit(code)
    raise SystemExit(code)
