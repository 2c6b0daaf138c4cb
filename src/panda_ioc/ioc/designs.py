"""Designs as process variables: the whole setup of the PandA, saved and loaded by name."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import designfile
from ..client import AsyncioClient
from ..protocol import Changes, PandaError
from .alarm import NO_ALARM, Alarm, Severity, Status
from .codecs import Refusal
from .designplan import LIST, LOAD, LOADED, MOST_DESIGNS, NAME, SAVE, STATUS
from .kept import Kept
from .record import Content
from .served import Pv
from .services import Refresh

_ENDING = ".design"
_GOOD_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. +-]{0,99}")


class Designs:
    """The service that owns them.

    Args:
        directory: where designs are
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pvs: Mapping[str, Pv] = {}
        self._panda: AsyncioClient | None = None
        self._name = ""
        self._turn = asyncio.Lock()

    def initial_values(self) -> Mapping[str, Content]:
        return {NAME: "", SAVE: 0, LOAD: 0, LIST: [], STATUS: "", LOADED: ""}

    def kept(self) -> Mapping[str, Kept]:
        return {}

    def bind(self, pvs: Mapping[str, Pv]) -> None:
        self._pvs = pvs
        self._pvs[LIST].post(self._names())

    def connected(self, client: AsyncioClient, refresh: Refresh, changes: Changes) -> None:  # noqa: ARG002
        self._panda = client

    def disconnected(self, reason: str) -> None:  # noqa: ARG002 - a put will tell
        self._panda = None

    def apply(self, changes: Changes) -> None:
        """Nothing here follows the PandA."""

    async def put(self, name: str, value: Any) -> None:
        if name == NAME:
            if value and not _GOOD_NAME.fullmatch(value):
                raise Refusal(f"{value!r} is no name of a design: letters, digits, _ . + - and blanks are")
            self._name = value
            self._pvs[LIST].post(self._names())
        elif name in {SAVE, LOAD}:
            if value:
                await self._do(name)
            value = 0
        else:
            raise Refusal(f"{name} can only be read")
        self._pvs[name].post(value)

    async def close(self) -> None:
        """Nothing is left open."""

    async def _do(self, what: str) -> None:
        if not self._name:
            raise Refusal(f"there is no name in {NAME}")
        path = self._directory / f"{self._name}{_ENDING}"
        try:
            async with self._turn:
                await self._with_panda(what, path)
        except PandaError as error:
            self._pvs[STATUS].post(str(error), Alarm(Severity.MAJOR, Status.WRITE, str(error)))
            raise
        self._pvs[STATUS].post(f"{'saved' if what == SAVE else 'loaded'} {self._name}", NO_ALARM)
        self._pvs[LIST].post(self._names())
        if what == LOAD:
            self._pvs[LOADED].post(self._name)

    async def _with_panda(self, what: str, path: Path) -> None:
        """Save or load by a connection of its own: the one that polls must not count anything as told."""
        if self._panda is None:
            raise designfile.DesignError("there is no connection to the PandA")
        async with AsyncioClient(self._panda.host, self._panda.control_port, self._panda.data_port) as client:
            await (designfile.save if what == SAVE else designfile.load)(client, path)

    def _names(self) -> list[str]:
        try:
            return sorted(path.name.removesuffix(_ENDING) for path in self._directory.glob(f"*{_ENDING}"))[
                :MOST_DESIGNS
            ]
        except OSError:
            return []
