"""Designs as process variables: the whole setup of the PandA, saved and loaded by name."""

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ... import designfile
from ...calls import Calls
from ...protocol import PandaError
from ...settings import Difference
from ..link.panda import PandaLink
from ..log import Repeated
from ..plan.alarm import NO_ALARM, Alarm, Severity, Status
from ..plan.codecs import Refusal
from ..plan.designs import (
    COMPARE,
    DIFF,
    LEFT_OUT,
    LIST,
    LOAD,
    LOADED,
    MAX_DESIGNS,
    MAX_DIFFERENCES,
    MAX_LEFT_OUT,
    NAME,
    SAVE,
    SKIP_UNKNOWN,
    STATUS,
)
from ..plan.record import Content
from ..servers.put import Put
from ..servers.served import Pv
from .service import Service

log = logging.getLogger(__name__)

_ENDING = ".design"

#: Seconds that saving or loading has left when the IOC ends.
_END_TIMEOUT = 20.0
_DONE = {SAVE: "saved", LOAD: "loaded", COMPARE: "compared with"}
_GOOD_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. +-]{0,99}")


class Designs(Service):
    """The service that owns them.

    Args:
        link: the PandA
        directory: where designs are
    """

    def __init__(self, link: PandaLink, directory: Path) -> None:
        self._link = link
        self._directory = directory
        self._pvs: Mapping[str, Pv] = {}
        self._name = ""
        self._skip_unknown = False
        self._turn = asyncio.Lock()
        self._disk = Calls()
        self._warning = Repeated(log.warning)
        self._first: asyncio.Task[None] | None = None  # lists them when the records are made

    def initial_values(self) -> Mapping[str, Content]:
        texts: dict[str, Content] = {NAME: "", STATUS: "", LOADED: ""}
        return texts | {SAVE: 0, LOAD: 0, COMPARE: 0, SKIP_UNKNOWN: 0, LIST: [], LEFT_OUT: [], DIFF: []}

    def bind(self, pvs: Mapping[str, Pv]) -> None:
        self._pvs = pvs
        self._first = asyncio.create_task(self._list())

    async def put(self, put: Put) -> None:
        name, value = put.name, put.value
        if name == NAME:
            if value and not _GOOD_NAME.fullmatch(value):
                raise Refusal(f"{value!r} is no name of a design: letters, digits, _ . + - and blanks are")
            await self._list()
            self._name = value
        elif name == SKIP_UNKNOWN:
            self._skip_unknown = bool(value)
        elif name in {SAVE, LOAD, COMPARE}:
            if value:
                await self._do(name)
            value = 0
        else:
            raise Refusal(f"{name} can only be read")
        self._pvs[name].post(value)

    async def close(self) -> None:
        if self._first is not None:
            self._first.cancel()
        try:
            async with asyncio.timeout(_END_TIMEOUT), self._turn:
                pass  # all or nothing: what is under way is to come to its end
        except TimeoutError:
            log.error("ending in the middle of saving or loading %s: it is not known what is set", self._name)  # noqa: TRY400

    async def _do(self, what: str) -> None:
        name = self._name
        if not name:
            raise Refusal(f"there is no name in {NAME}")
        path = self._directory / f"{name}{_ENDING}"
        try:
            async with self._turn:
                note = await self._with_panda(what, path)
        except PandaError as error:
            self._pvs[STATUS].post(str(error), Alarm(Severity.MAJOR, Status.WRITE, str(error)))
            raise
        done = f"{_DONE[what]} {name}"
        self._pvs[STATUS].post(f"{done}; {note}" if note else done, NO_ALARM)
        await self._list()
        if what == LOAD:
            self._pvs[LOADED].post(name)

    async def _with_panda(self, what: str, path: Path) -> str:
        """Save, load or compare by a connection of its own: the one that polls must not count anything as told.

        Returns:
            what people should know besides, such as what was not saved as it is, or not loaded; "" for nothing
        """
        if self._link.lost:
            raise designfile.DesignError("there is no connection to the PandA")
        async with self._link.another() as client:
            if what == SAVE:
                return await designfile.save(client, path, self._disk)
            if what == COMPARE:
                return self._show(await designfile.differences(client, path, self._disk))
            left_out: list[str] = []
            try:
                left_out = await designfile.load(client, path, self._disk, skip_unknown=self._skip_unknown)
            finally:
                self._pvs[LEFT_OUT].post(left_out[:MAX_LEFT_OUT])
                # What is shown is to be true, also where all was brought back.
                await self._link.refresh_if_there()
        return f"{len(left_out)} left out, see {LEFT_OUT}" if left_out else ""

    def _show(self, found: Sequence[Difference]) -> str:
        """Show how the PandA differs from a design; return it in a word."""
        self._pvs[DIFF].post([str(one) for one in found[:MAX_DIFFERENCES]])
        if not found:
            return "nothing differs"
        return "1 setting differs" if len(found) == 1 else f"{len(found)} settings differ"

    async def _list(self) -> None:
        """Show which designs there are; a disk that does not answer is told in the log."""
        try:
            names = await self._disk.call(str(self._directory), self._names)
        except PandaError as error:
            self._warning.tell(f"the list of designs is not known: {error}")
        except OSError as error:
            self._warning.tell(f"the list of designs is not known: {self._directory}: {error.strerror}")
        else:
            self._pvs[LIST].post(names)

    def _names(self) -> list[str]:
        """The names of designs that can be loaded; files that have others were not made here."""
        files = (path for path in self._directory.iterdir() if path.name.endswith(_ENDING))
        names = (path.name.removesuffix(_ENDING) for path in files)
        return sorted(name for name in names if _GOOD_NAME.fullmatch(name))[:MAX_DESIGNS]
