"""PV Access, by p4p: serves a plan, with the structures of PVI by which clients find everything."""

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

#: What p4p calls the connection of a client, of which it counts how many there are.
_CONNECTION = "ServerConn"

#: Seconds that clients have to be told that their puts are not waited for.
_END_TIMEOUT = 2.0


class PvaServer:
    """Serves a plan over PV Access. Where it listens, `EPICS_PVAS_...` and `EPICS_PVA_...` say.

    Args:
        may_put: whether a user, from a host, with some roles, may put
    """

    def __init__(self, may_put: MayPut) -> None:
        self._may_put = may_put
        self._provider = StaticProvider("panda-ioc")
        self._fields: DynamicProvider | None = None
        self._pvs: dict[str, PvaPv] = {}
        self._server: P4pServer | None = None

    def load(self, plan: Plan, initial: Mapping[str, Content], on_put: OnPut) -> Mapping[str, PvaPv]:
        """Make the records and tables of a plan."""
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
        """Let clients find it."""
        if "PVXS_LOG" not in os.environ:
            # Without descriptors, libevent logs failures to accept without pause, and each message takes the GIL: the
            # thread that ends this, see `ioc.process.descriptors`, would have to wait.
            _p4p.logger_level_set("pvxs.ev", _p4p.logLevelOff)
        self._server = P4pServer(providers=[provider for provider in (self._provider, self._fields) if provider])

    def clients(self) -> int:
        """Return how many connections clients have."""
        connections: int = listRefs().get(_CONNECTION, 0)
        return connections

    async def stop(self) -> None:
        """End puts that are under way, disconnect all clients and serve no more."""
        if self._server is None:
            return
        under_way = [task for pv in self._pvs.values() for task in pv.end_puts()]
        if under_way:
            await asyncio.wait(under_way, timeout=_END_TIMEOUT)
        self._server.stop()
