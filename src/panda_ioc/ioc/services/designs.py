"""Designs as PVs: all settings of the PandA, saved and loaded by name."""

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ... import designfile
from ...calls import SerialExecutor
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

_SUFFIX = ".design"

#: Time limit at shutdown for a save or load in progress, in s.
_CLOSE_TIMEOUT = 20.0
_DONE = {SAVE: "saved", LOAD: "loaded", COMPARE: "compared with"}
_GOOD_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. +-]{0,99}")


class Designs(Service):
    """The service of the PVs `DESIGN:*`.

    Args:
        link: the connection to the PandA
        directory: directory of the design files
    """

    def __init__(self, link: PandaLink, directory: Path) -> None:
        self._link = link
        self._directory = directory
        self._pvs: Mapping[str, Pv] = {}
        self._name = ""
        self._skip_unknown = False
        self._lock = asyncio.Lock()
        self._disk = SerialExecutor()
        self._warning = Repeated(log.warning)
        self._first_listing: asyncio.Task[None] | None = None

    def initial_values(self) -> Mapping[str, Content]:
        texts: dict[str, Content] = {NAME: "", STATUS: "", LOADED: ""}
        return texts | {SAVE: 0, LOAD: 0, COMPARE: 0, SKIP_UNKNOWN: 0, LIST: [], LEFT_OUT: [], DIFF: []}

    def bind(self, pvs: Mapping[str, Pv]) -> None:
        self._pvs = pvs
        self._first_listing = asyncio.create_task(self._list())

    async def put(self, put: Put) -> None:
        name, value = put.name, put.value
        if name == NAME:
            if value and not _GOOD_NAME.fullmatch(value):
                raise Refusal(
                    f"invalid design name {value!r}: use up to 100 letters, digits, spaces and _ . + -, "
                    "beginning with a letter, a digit or _"
                )
            await self._list()
            self._name = value
        elif name == SKIP_UNKNOWN:
            self._skip_unknown = bool(value)
        elif name in {SAVE, LOAD, COMPARE}:
            if value:
                await self._run(name)
            value = 0
        else:
            raise Refusal(f"{name} is read-only")
        self._pvs[name].post(value)

    async def close(self) -> None:
        if self._first_listing is not None:
            self._first_listing.cancel()
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT), self._lock:
                pass  # a load must not stop halfway
        except TimeoutError:
            log.error(  # noqa: TRY400
                "stopped while saving or loading design %s: the settings of the PandA are unknown, load it again",
                self._name,
            )

    async def _run(self, action: str) -> None:
        name = self._name
        if not name:
            raise Refusal(f"no design name: put it to {NAME} first")
        path = self._directory / f"{name}{_SUFFIX}"
        try:
            async with self._lock:
                note = await self._execute(action, path)
        except PandaError as error:
            self._pvs[STATUS].post(str(error), Alarm(Severity.MAJOR, Status.WRITE, str(error)))
            raise
        done = f"{_DONE[action]} {name}"
        self._pvs[STATUS].post(f"{done}; {note}" if note else done, NO_ALARM)
        await self._list()
        if action == LOAD:
            self._pvs[LOADED].post(name)

    async def _execute(self, action: str, path: Path) -> str:
        """Save, load or compare a design.

        It uses a separate connection: the PandA reports each change once per connection, and the poll needs them.

        Returns:
            remarks for the user, such as settings that were rounded or left out; "" for none
        """
        if self._link.lost:
            raise designfile.DesignError(f"no connection to the PandA: {self._link.lost}")
        async with self._link.new_client() as client:
            if action == SAVE:
                return await designfile.save(client, path, self._disk)
            if action == COMPARE:
                return self._show(await designfile.differences(client, path, self._disk))
            left_out: list[str] = []
            try:
                left_out = await designfile.load(client, path, self._disk, skip_unknown=self._skip_unknown)
            finally:
                self._pvs[LEFT_OUT].post(left_out[:MAX_LEFT_OUT])
                # Update the readbacks, also after a failed load was undone.
                await self._link.try_refresh()
        if not left_out:
            return ""
        count = "1 setting" if len(left_out) == 1 else f"{len(left_out)} settings"
        return f"{count} left out, see {LEFT_OUT}"

    def _show(self, found: Sequence[Difference]) -> str:
        """Post the differences between the PandA and a design; return a summary."""
        self._pvs[DIFF].post([str(one) for one in found[:MAX_DIFFERENCES]])
        if not found:
            return "nothing differs"
        return "1 setting differs" if len(found) == 1 else f"{len(found)} settings differ"

    async def _list(self) -> None:
        """Post the names of the designs; log an error of the disk."""
        try:
            names = await self._disk.call(str(self._directory), self._names)
        except PandaError as error:
            self._warning.tell(f"cannot list the designs: {error}")
        except OSError as error:
            self._warning.tell(f"cannot list the designs in {self._directory}: {error.strerror}")
        else:
            self._pvs[LIST].post(names)

    def _names(self) -> list[str]:
        """Return the names of the designs; files whose names DESIGN:NAME does not accept are left out."""
        files = (path for path in self._directory.iterdir() if path.name.endswith(_SUFFIX))
        names = (path.name.removesuffix(_SUFFIX) for path in files)
        return sorted(name for name in names if _GOOD_NAME.fullmatch(name))[:MAX_DESIGNS]
