"""The IOC from start to end: connect, introspect, plan, serve, keep in step, come back after a loss."""

import asyncio
import gc
import importlib
import logging
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..client import AsyncioClient
from ..protocol import ChangeGroup, PandaError
from . import status
from .alarm import NO_ALARM, Alarm, Severity, Status
from .backoff import delays
from .data.service import DataService
from .data.settings import SERVICE
from .introspect import introspect
from .lean_dso import skip_setuptools
from .mirror import Mirror
from .model import Model
from .plan import Plan, PlanError, make_plan
from .poll import PERIODS, Poller
from .served import Pv, Side, join
from .services import Service, Services
from .tableplan import TABLES, planned_tables
from .tables import Tables

log = logging.getLogger(__name__)

#: Exit codes: of a normal end, of a start that failed, and of a PandA that came back as another one, so
#: that whatever runs the IOC starts it again.
EXIT_STOPPED = 0
EXIT_FAILED = 1
EXIT_CHANGED = 75

#: Seconds that a connection must have lasted for the pauses before reconnecting to start small again.
STABLE = 10.0


@dataclass(frozen=True)
class Options:
    """How to run an IOC.

    Attributes:
        host, control_port, data_port: where the PandA is
        prefix: what the names of all records begin with
        periods: seconds from poll to poll of each group
    """

    host: str
    prefix: str
    control_port: int = 8888
    data_port: int = 8889
    periods: Mapping[ChangeGroup, float] = field(default_factory=lambda: PERIODS)


async def run(options: Options) -> int:
    """Run an IOC until it is told to stop by SIGINT or SIGTERM.

    Returns:
        the exit code for the process

    Raises:
        PandaError: it could not be started
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    running = asyncio.create_task(_serve(options))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        stopping.cancel()
        return running.result()
    log.info("stopping")
    running.cancel()
    await asyncio.wait((running,))
    return EXIT_STOPPED


async def _serve(options: Options) -> int:
    client = AsyncioClient(options.host, options.control_port, options.data_port)
    gc.disable()  # all that is made from here on is to stay: see below
    # EPICS takes as long to load as the PandA to answer, so both are done at once.
    loading = asyncio.get_running_loop().run_in_executor(None, _load_epics)
    try:
        await client.connect()
        model = await introspect(client)
        plan = make_plan(model, options.prefix)
        services = Services(plan, _services(plan, model))
        epics, pva = await loading
    except BaseException:
        await client.close()
        raise
    for remark in plan.remarks:
        log.warning("%s", remark)
    initial = services.initial_values()
    over_ca: dict[str, Side] = epics.serve(plan, initial, services.put)
    over_pva = pva.make_pvs(plan, initial, services.put)
    pvs = join({item.name: initial.get(item.name) for item in plan.items}, over_ca, over_pva)
    services.bind(pvs)
    server = pva.Server(plan, over_pva)
    gc.freeze()  # and need not be looked at by the collector ever again
    gc.enable()
    log.info("serving %s:%d as %s: %d records", client.host, client.control_port, plan.prefix, len(plan.records))
    try:
        return await _Ioc(options, plan, services, pvs).keep(client, model)
    finally:
        server.stop()
        await services.close()


def _services(plan: Plan, model: Model) -> dict[str, Service]:
    """The parts of the IOC that own what is planned, by the name that records have."""
    return {
        "": Mirror(plan, model.changes),
        SERVICE: DataService(plan, model),
        TABLES: Tables(planned_tables(model)[0], model.tables),
    }


def _load_epics() -> tuple[Any, Any]:
    skip_setuptools()
    return importlib.import_module("panda_ioc.ioc.epics"), importlib.import_module("panda_ioc.ioc.pva")


class _Ioc:
    """What runs once the records are served."""

    def __init__(self, options: Options, plan: Plan, services: Services, pvs: Mapping[str, Pv]) -> None:
        self._options = options
        self._plan = plan
        self._services = services
        self._pvs = pvs
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._reconnects = 0
        self._poller: Poller | None = None
        self._publishing: asyncio.Handle = self._loop.call_soon(self._publish)

    async def keep(self, client: AsyncioClient, model: Model) -> int:
        """Keep records and PandA in step; come back after each loss. Return an exit code if that is no use."""
        pauses = delays()
        try:
            while True:
                began = self._loop.time()
                reason = await self._follow(client, model)
                log.error("lost the PandA: %s", reason)
                self._services.disconnected(reason)
                self._show("DISCONNECTED", reason)
                await client.close()
                if self._loop.time() - began > STABLE:
                    pauses = delays()
                client, model = await self._reconnect(pauses)
                if not self._is_the_same(model):
                    log.error("the PandA came back with other blocks or firmware: ending, to be started anew")
                    return EXIT_CHANGED
                self._reconnects += 1
                log.info("the PandA is back")
        finally:
            self._publishing.cancel()
            await client.close()

    async def _follow(self, client: AsyncioClient, model: Model) -> str:
        """Poll until the PandA is lost; return why."""
        self._poller = Poller(client, self._services.apply, self._options.periods)
        self._services.connected(client, self._poller.refresh, model.changes)
        self._show("CONNECTED", f"connected to {client.host}:{client.control_port}")
        return await self._poller.run()

    async def _reconnect(self, pauses: Iterator[float]) -> tuple[AsyncioClient, Model]:
        """Try until the PandA answers."""
        options = self._options
        client = AsyncioClient(options.host, options.control_port, options.data_port)
        for pause in pauses:
            await asyncio.sleep(pause)
            self._show("CONNECTING", f"connecting to {client.host}:{client.control_port}")
            try:
                await client.connect()
                return client, await introspect(client)
            except PandaError as error:
                log.warning("the PandA is not back: %s", error)
                self._show("DISCONNECTED", str(error))
                await client.close()
            except asyncio.CancelledError:
                await client.close()
                raise
        raise AssertionError  # the delays never end

    def _is_the_same(self, model: Model) -> bool:
        """Whether the records that are served are right for a PandA."""
        try:
            return make_plan(model, self._plan.prefix) == self._plan
        except PlanError as error:
            log.warning("%s", error)
            return False

    def _publish(self) -> None:
        """Show once a second how the IOC is."""
        self._publishing = self._loop.call_later(1, self._publish)
        period, duration = self._poller.take_statistics() if self._poller else (0.0, 0.0)
        for name, value in (
            (status.UPTIME, self._loop.time() - self._started),
            (status.RECONNECTS, self._reconnects),
            (status.POLL_PERIOD, period * 1e3),
            (status.POLL_DURATION, duration * 1e3),
            (status.PUTS_ACCEPTED, self._services.puts_accepted),
        ):
            self._pvs[name].post(value)

    def _show(self, state: str, text: str) -> None:
        severity = NO_ALARM if state == "CONNECTED" else Alarm(Severity.MAJOR, Status.COMM, text)
        self._pvs[status.CONNECTION].post(status.CONNECTION_STATES.index(state), severity)
        self._pvs[status.CONNECTION_TEXT].post(text, severity)
