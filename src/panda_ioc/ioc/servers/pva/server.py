"""The PV Access server: serves the records and tables of a plan, and the PVI structures that list them."""

import asyncio
import os
import time
from collections.abc import Mapping

from p4p import _p4p, listRefs
from p4p.server import DynamicProvider, StaticProvider
from p4p.server import Server as P4pServer
from p4p.server.raw import SharedPV

from ...plan.plan import Plan
from ...plan.record import Content, Record
from ..access import MayPut
from ..put import OnPut
from .fields import Fields
from .pv import PvaPv, make_pvs
from .types import structure

#: Name of client connections in the reference counts of p4p.
_CONNECTION = "ServerConn"

#: Time limit for informing clients about cancelled puts, in s.
_CANCEL_TIMEOUT = 2.0


class PvaServer:
    """The PV Access server; `EPICS_PVAS_...` and `EPICS_PVA_...` set its addresses and ports.

    Args:
        may_put: checks the permission of a client
    """

    def __init__(self, may_put: MayPut) -> None:
        self._may_put = may_put
        self._provider = StaticProvider("panda-ioc")
        self._fields: DynamicProvider | None = None
        self._pvs: dict[str, PvaPv] = {}
        self._server: P4pServer | None = None

    def load(self, plan: Plan, initial: Mapping[str, Content], on_put: OnPut) -> Mapping[str, PvaPv]:
        """Create the PVs of a plan."""
        self._pvs = make_pvs(plan, initial, on_put, self._may_put)
        for pv in self._pvs.values():
            aliases = pv.planned.aliases if isinstance(pv.planned, Record) else ()
            for name in (pv.planned.name, *aliases):
                self._provider.add(plan.pv(name), pv.shared)
        now = time.time_ns()
        for name, tree in plan.structures.items():
            self._provider.add(plan.pv(name), SharedPV(initial=structure(tree, now)))
        self._fields = DynamicProvider("panda-ioc fields", Fields(plan, self._pvs))
        return self._pvs

    async def start(self) -> None:
        """Start serving."""
        if "PVXS_LOG" not in os.environ:
            # Without free descriptors, libevent logs each failed accept, without a pause. The messages hold the GIL and
            # would block the thread that solves the problem, see `ioc.process.descriptors`.
            _p4p.logger_level_set("pvxs.ev", _p4p.logLevelOff)
        self._server = P4pServer(providers=[provider for provider in (self._provider, self._fields) if provider])

    def clients(self) -> int:
        """Return the number of client connections."""
        connections: int = listRefs().get(_CONNECTION, 0)
        return connections

    async def stop(self) -> None:
        """Cancel pending puts, disconnect all clients and stop serving."""
        if self._server is None:
            return
        cancelled = [task for pv in self._pvs.values() for task in pv.cancel_puts()]
        if cancelled:
            await asyncio.wait(cancelled, timeout=_CANCEL_TIMEOUT)
        self._server.stop()
