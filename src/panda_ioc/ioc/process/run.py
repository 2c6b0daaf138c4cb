"""The IOC from start to end: connect, introspect, plan, serve, keep in step, come back after a loss."""

import asyncio
import gc
import importlib
import logging
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from functools import partial

from ...calls import Calls, NoAnswerError
from ...client import AsyncioClient
from ...protocol import PandaError
from .. import memory
from ..ending import EXIT_ANEW, EXIT_FAILED, EXIT_STOPPED, end_at_once
from ..link.backoff import STABLE, delays
from ..link.introspect import introspect
from ..link.poll import Poller
from ..log import Repeated
from ..plan import status
from ..plan.alarm import NO_ALARM, Alarm, Severity, Status
from ..plan.buses import BUSES, buses
from ..plan.data_settings import SERVICE as DATA
from ..plan.designs import SERVICE as DESIGNS
from ..plan.model import Model
from ..plan.plan import Plan, PlanError, make_plan
from ..plan.record import Access
from ..plan.status import RESTART_SERVICE
from ..plan.tables import TABLES
from ..screens.files import try_write
from ..servers.access import MayPut, checker, rules
from ..servers.ca.lean_dso import load_epics
from ..servers.served import Pv, Server, join
from ..services.buses import Buses
from ..services.data.service import DataService
from ..services.designs import Designs
from ..services.dispatch import Service, Services
from ..services.mirror import Mirror
from ..services.restart import Restart
from ..services.tables import Tables
from .alive import alive_file
from .config import Config, ScreensConfig
from .monitoring import monitored
from .start import meet, new_client
from .state import State

log = logging.getLogger(__name__)

#: Seconds that the end may take, and again when it was told to end once more. Disks have ten of them.
_PATIENCE = (30.0, 5.0)

#: Seconds that a disk may take for all screens.
_SCREENS_TIMEOUT = 60.0


async def run(config: Config) -> int:
    """Run an IOC until it is told to stop by SIGINT or SIGTERM.

    Returns:
        the exit code for the process

    Raises:
        PandaError: it could not be started
    """
    served: dict[str, Pv] = {}
    with alive_file() as tell_alive:
        async with monitored(config.http, served, tell_alive):
            return await _until_stopped(config, served)


async def _until_stopped(config: Config, served: dict[str, Pv]) -> int:
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()

    def stop(code: int, why: str) -> None:
        if not stopped.done():
            log.info("stopping: %s", why)
            stopped.set_result(code)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, EXIT_STOPPED, number.name)
    running = asyncio.create_task(_serve(config, served, partial(stop, EXIT_ANEW)))
    await asyncio.wait((running, stopped), return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        return running.result()
    for patience in _PATIENCE:
        running.cancel()
        await asyncio.wait((running,), timeout=patience)
    if not running.done():
        end_at_once("it does not come to its end, and is ended all the same")
    return code_of_stopped(running, stopped.result())


def code_of_stopped(task: asyncio.Task[int], code: int) -> int:
    """The exit code of an IOC that was told to stop with one, and has; what went wrong on the way is logged."""
    if not task.cancelled() and (error := task.exception()):
        log.error("it did not end as it should", exc_info=error)
        return EXIT_FAILED
    return code


async def _serve(config: Config, served: dict[str, Pv], restart: Callable[[str], None]) -> int:
    memory.keep_arenas_few()
    state = State(config)
    client = None
    gc.disable()  # all that is made from here on is to stay: see below
    try:
        access = await _access(config)
        # EPICS takes as long to load as the PandA to answer, so both are done at once.
        loading = asyncio.get_running_loop().run_in_executor(None, _load_epics, access)
        client, model = await meet(config, state)
        plan = _plan(config, model)
        services = Services(plan, {RESTART_SERVICE: Restart(restart), **_services(config, plan, model)})
        ca, may_put = await loading
        for remark in plan.remarks:
            log.warning("%s", remark)
        await state.restore(services.kept())
        pvs, server = await _make_pvs(plan, services, ca, may_put)
    except BaseException:
        await _close(client)
        raise
    services.bind(pvs)
    async with AsyncExitStack() as at_the_end:
        ioc = _Ioc(config, plan, services, pvs, state)
        at_the_end.push_async_callback(server.stop)  # when services have told clients what became of their puts
        at_the_end.push_async_callback(services.close)
        if client is None:
            ioc.lost("it was not there when the IOC started")
        else:
            keeping = asyncio.create_task(state.keep_panda(model))
            at_the_end.push_async_callback(asyncio.wait, (keeping,))
        await server.start()
        served.update(pvs)
        gc.freeze()  # and need not be looked at by the collector ever again
        gc.enable()
        panda = config.panda
        log.info("serving %s:%d as %s: %d records", panda.host, panda.control_port, plan.prefix, len(plan.records))
        if config.access.read_only:
            log.info("read-only: every put is refused")
        if config.console:
            importlib.import_module("panda_ioc.ioc.servers.ca.console").start()
        at_the_end.callback(asyncio.create_task(_write_screens(config.screens, plan)).cancel)
        return await ioc.keep(client, model)


async def _access(config: Config) -> str:
    """The rules of access, from a disk that may not answer."""
    file, read_only = config.access.file, config.access.read_only
    if file is None:
        return rules(None, read_only=read_only)
    return await Calls().call(str(file), partial(rules, file, read_only=read_only))


async def _make_pvs(plan: Plan, services: Services, ca: Server, may_put: MayPut) -> tuple[dict[str, Pv], Server]:
    """Make all PVs; Channel Access serves them from here on, PV Access when the server that is returned is started."""
    initial = services.initial_values()
    over_ca = ca.load(plan, initial, services.put)
    starting = asyncio.ensure_future(ca.start())
    await asyncio.sleep(0)  # it is on its way, and leaves time for what follows
    from ..servers.pva.server import PvaServer  # noqa: PLC0415 - takes long to load

    pva = PvaServer(may_put)
    over_pva = pva.load(plan, initial, services.put)
    await starting
    return join(plan, initial, services.put, over_pva, over_ca), pva


async def _write_screens(config: ScreensConfig, plan: Plan) -> None:
    if config.directory is None:
        return
    write = partial(try_write, plan, config.directory, clear=config.clear)
    try:
        await Calls(timeout=_SCREENS_TIMEOUT).call(str(config.directory), write)
    except NoAnswerError as error:
        log.warning("screens are not written: %s", error)


async def _close(client: AsyncioClient | None) -> None:
    if client is not None:
        await client.close()


def _services(config: Config, plan: Plan, model: Model) -> dict[str, Service]:
    """The parts of the IOC that own what is planned, by the name that records have."""
    services: dict[str, Service] = {
        "": Mirror(plan, model.changes),
        DATA: DataService(plan, model, config.data.roots),
        TABLES: Tables(plan.planned_tables, model.tables, model.unread),
        BUSES: Buses(buses(model, plan.records), plan.records),
    }
    if config.designs.directory is not None:
        services[DESIGNS] = Designs(config.designs.directory)
    return services


def _plan(config: Config, model: Model) -> Plan:
    return make_plan(
        model,
        config.prefix,
        designs=config.designs.directory is not None,
        pvi_compatible=config.pvi.compatible,
        pvi_write_only=Access(config.pvi.write_only),
    )


def _load_epics(access: str) -> tuple[Server, MayPut]:
    load_epics()
    from ..servers.ca.server import CaServer  # noqa: PLC0415 - it starts EPICS, which takes long

    return CaServer(access), checker(access)


class _Ioc:
    """What runs once the records are served."""

    def __init__(self, config: Config, plan: Plan, services: Services, pvs: Mapping[str, Pv], state: State) -> None:
        self._config = config
        self._state = state
        self._plan = plan
        self._services = services
        self._pvs = pvs
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._reconnects = 0
        self._poller: Poller | None = None
        self._publishing: asyncio.Handle = self._loop.call_soon(self._publish)

    async def keep(self, client: AsyncioClient | None, model: Model) -> int:
        """Keep records and PandA in step; come back after each loss. Return an exit code if that is no use.

        Args:
            client: connected; None if the PandA is not there yet
            model: what the PandA has, or had
        """
        pauses = delays()
        try:
            while True:
                if client is not None:
                    began = self._loop.time()
                    reason = await self._follow(client, model)
                    log.error("lost the PandA: %s", reason)
                    self.lost(reason)
                    await client.close()
                    if self._loop.time() - began > STABLE:
                        pauses = delays()
                was_there = client is not None
                client, model = await self._reconnect(pauses)
                if not self._is_the_same(model):
                    await self._state.keep_panda(model)
                    log.error("the PandA came back with other blocks or firmware: ending, to be started anew")
                    return EXIT_ANEW
                self._reconnects += was_there
                log.info("the PandA is back")
        finally:
            self._publishing.cancel()
            await _close(client)

    def lost(self, reason: str) -> None:
        """Show that there is no PandA."""
        self._services.disconnected(reason)
        self._show("DISCONNECTED", reason)

    async def _follow(self, client: AsyncioClient, model: Model) -> str:
        """Poll until the PandA is lost; return why."""
        self._poller = Poller(client, self._services.apply, self._config.periods, model.readings())
        self._services.connected(client, self._poller.refresh, model.changes)
        self._show("CONNECTED", f"connected to {client.host}:{client.control_port}")
        return await self._poller.run()

    async def _reconnect(self, pauses: Iterator[float]) -> tuple[AsyncioClient, Model]:
        """Try until the PandA answers."""
        client = new_client(self._config)
        warning = Repeated(log.warning)
        for pause in pauses:
            await asyncio.sleep(pause)
            self._show("CONNECTING", f"connecting to {client.host}:{client.control_port}")
            try:
                await client.connect()
                return client, await introspect(client)
            except PandaError as error:
                warning.tell(f"the PandA is not back: {error}")
                self._show("DISCONNECTED", str(error))
                await client.close()
            except asyncio.CancelledError:
                await client.close()
                raise
        raise AssertionError  # the delays never end

    def _is_the_same(self, model: Model) -> bool:
        """Whether the records that are served are right for a PandA."""
        try:
            return _plan(self._config, model) == self._plan
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
