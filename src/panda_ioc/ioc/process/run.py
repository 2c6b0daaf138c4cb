"""The life of the IOC: connect, introspect, plan, serve, synchronise, reconnect, shut down."""

import asyncio
import contextlib
import gc
import importlib
import logging
import signal
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

from ...calls import NoAnswerError, SerialExecutor
from .. import memory
from ..ending import EXIT_FAILED, EXIT_RESTART, EXIT_STOPPED, end_at_once
from ..link.panda import Address, PandaLink
from ..plan import status
from ..plan.buses import BUSES
from ..plan.data_settings import SERVICE as DATA
from ..plan.designs import SERVICE as DESIGNS
from ..plan.model import Model
from ..plan.plan import Plan, PlanError, make_plan
from ..plan.record import Access
from ..plan.status import RESTART_SERVICE
from ..plan.tables import TABLES
from ..servers.access import MayPut, checker, rules
from ..servers.ca.lean_dso import load_epics
from ..servers.served import Pv, Server, join
from ..services.buses import Buses
from ..services.data.service import DataService
from ..services.designs import Designs
from ..services.dispatch import Services
from ..services.mirror import Mirror
from ..services.restart import Restart
from ..services.service import Service
from ..services.tables import Tables
from .alive import alive_file
from .config import Config, ScreensConfig
from .descriptors import descriptors_reserved
from .monitoring import monitored
from .start import connect_or_cached
from .state import StateDirectory

if TYPE_CHECKING:
    from ..servers.ca.server import CaServer

log = logging.getLogger(__name__)

#: Shutdown limits in s: after the first cancel, after the second. A disk call may take 10 s of them.
_SHUTDOWN_TIMEOUTS = (30.0, 5.0)

#: Time limit for writing all screens, in s.
_SCREENS_TIMEOUT = 60.0


async def run(config: Config) -> int:
    """Run an IOC until a signal, a put to IOC:RESTART, or a reconnection with other blocks or firmware.

    Returns:
        the exit code of the process

    Raises:
        PandaError: the IOC cannot start
    """
    stopped = _stop_on_signals()
    served: dict[str, Pv] = {}
    with alive_file() as add_address:
        async with monitored(config.http, served, add_address):
            with descriptors_reserved(config.http.port):
                return await _until_stopped(config, served, stopped)


def _stop_on_signals() -> asyncio.Future[int]:
    """Return a future that the first SIGINT or SIGTERM sets to the exit code; later signals are ignored."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()

    def handle(number: int, _: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_stop, stopped, EXIT_STOPPED, signal.Signals(number).name)

    # Not with loop.add_signal_handler: handlers end with the loop, and a second signal would kill the shutdown.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
    signal.setitimer(signal.ITIMER_REAL, 0)  # the command line has set it; from here the event loop wakes up often
    return stopped


def _stop(stopped: asyncio.Future[int], code: int, why: str) -> None:
    if not stopped.done():
        log.info("stopping: %s", why)
        stopped.set_result(code)


async def _until_stopped(config: Config, served: dict[str, Pv], stopped: asyncio.Future[int]) -> int:
    running = asyncio.create_task(_serve(config, served, partial(_stop, stopped, EXIT_RESTART)))
    await asyncio.wait((running, stopped), return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        return running.result()
    for timeout in _SHUTDOWN_TIMEOUTS:
        running.cancel()
        await asyncio.wait((running,), timeout=timeout)
    if not running.done():
        end_at_once("shutdown exceeds its time limit: the process exits without waiting")
    return code_of_stopped(running, stopped.result())


def code_of_stopped(task: asyncio.Task[int], code: int) -> int:
    """Return the exit code of a stopped IOC: `code`, or EXIT_FAILED if shutdown failed, which is logged."""
    if not task.cancelled() and (error := task.exception()):
        log.error("shutdown failed", exc_info=error)
        return EXIT_FAILED
    return code


async def _serve(config: Config, served: dict[str, Pv], restart: Callable[[str], None]) -> int:
    memory.keep_arenas_few()
    async with AsyncExitStack() as at_the_end:
        link = PandaLink(Address(config.panda.host, config.panda.control_port, config.panda.data_port), config.periods)
        at_the_end.push_async_callback(link.close)
        state = StateDirectory(config)
        access = await _access(config)
        # Loading EPICS takes as long as introspection, so both run concurrently.
        loading = asyncio.get_running_loop().run_in_executor(None, _load_epics, access)
        model = await connect_or_cached(link, state)
        gc.disable()  # objects of the start live until the end: see gc.freeze below
        plan = _plan(config, model)
        services = Services(plan, {RESTART_SERVICE: Restart(restart), **_services(config, plan, model, link)})
        ca, may_put = await loading
        for remark in plan.remarks:
            log.warning("%s", remark)
        await state.restore(services.autosave_entries())
        pvs, server = await _make_pvs(plan, services, ca, may_put)
        at_the_end.push_async_callback(server.stop)  # after services have completed all pending puts
        at_the_end.push_async_callback(services.close)
        at_the_end.push_async_callback(link.close)  # pending puts must not wait for a reply of the PandA
        services.bind(pvs)
        if not link.lost:
            keeping = asyncio.create_task(state.save_panda(model))
            at_the_end.push_async_callback(asyncio.wait, (keeping,))
        await server.start()
        served.update(pvs)
        gc.freeze()  # excludes them from garbage collection
        gc.enable()
        panda = config.panda
        log.info("serving %s:%d as %s: %d records", panda.host, panda.control_port, plan.prefix, len(plan.records))
        if config.access.read_only:
            log.info("read-only: every put is refused")
        if config.console:
            importlib.import_module("panda_ioc.ioc.servers.ca.console").start()
        at_the_end.callback(asyncio.create_task(_write_screens(config.screens, plan)).cancel)

        def clients() -> int:
            return ca.clients() + server.clients()

        at_the_end.callback(asyncio.create_task(_publish(pvs, link, services)).cancel)
        at_the_end.callback(asyncio.create_task(memory.trim_after_clients(clients)).cancel)
        another = await link.follow(
            model, services, lambda model: _is_served_by(config, plan, model), lambda: clients() > 0
        )
        await state.save_panda(another)
        log.error("the PandA reconnected with other blocks or firmware: exiting for a restart")
        return EXIT_RESTART


async def _access(config: Config) -> str:
    """Return the access security rules, which are read with a time limit."""
    access = config.access
    make = partial(rules, access.file, read_only=access.read_only, all_fields=access.all_fields)
    return make() if access.file is None else await SerialExecutor().call(str(access.file), make)


async def _make_pvs(plan: Plan, services: Services, ca: "CaServer", may_put: MayPut) -> tuple[dict[str, Pv], Server]:
    """Make all PVs and start Channel Access; return the PVs and the PV Access server, which is not started."""
    initial = services.initial_values()
    over_ca = ca.load(plan, initial, services.put)
    starting = asyncio.ensure_future(ca.start())
    await ca.initialised.wait()  # the rest fits into the time that EPICS sleeps
    from ..servers.pva.server import PvaServer  # noqa: PLC0415 - slow to import

    pva = PvaServer(may_put)
    over_pva = pva.load(plan, initial, services.put)
    await starting
    return join(plan, initial, services.put, over_pva, over_ca), pva


async def _write_screens(config: ScreensConfig, plan: Plan) -> None:
    if config.directory is None:
        return
    from ..screens.files import try_write  # noqa: PLC0415 - seldom needed at the start

    write = partial(try_write, plan, config.directory, clear=config.clear)
    try:
        await SerialExecutor(timeout=_SCREENS_TIMEOUT).call(str(config.directory), write)
    except NoAnswerError as error:
        log.warning("no screens written: %s", error)


def _services(config: Config, plan: Plan, model: Model, link: PandaLink) -> dict[str, Service]:
    """Return the services by the name that records have for them."""
    services: dict[str, Service] = {
        "": Mirror(plan, link),
        DATA: DataService(link, plan, model, config.data.roots),
        TABLES: Tables(link, plan.planned_tables, model.tables, model.unread),
        BUSES: Buses(link, plan),
    }
    if config.designs.directory is not None:
        services[DESIGNS] = Designs(link, config.designs.directory)
    return services


def _plan(config: Config, model: Model) -> Plan:
    return make_plan(
        model,
        config.prefix,
        designs=config.designs.directory is not None,
        pvi_compatible=config.pvi.compatible,
        pvi_write_only=Access(config.pvi.write_only),
    )


def _load_epics(access: str) -> tuple["CaServer", MayPut]:
    load_epics()
    from ..servers.ca.server import CaServer  # noqa: PLC0415 - it imports EPICS, which is slow

    return CaServer(access), checker(access)


def _is_served_by(config: Config, plan: Plan, model: Model) -> bool:
    """Return whether the records of a plan match a PandA."""
    try:
        return _plan(config, model) == plan
    except PlanError as error:
        log.warning("%s", error)
        return False


async def _publish(pvs: Mapping[str, Pv], link: PandaLink, services: Services) -> None:
    """Update the status records of the IOC that have changed, every second."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    shown: dict[str, float] = {}
    while True:
        period, duration = link.poll_statistics()
        for name, value in (
            (status.UPTIME, loop.time() - started),
            (status.RECONNECTS, link.reconnects),
            (status.POLL_PERIOD, period * 1e3),
            (status.POLL_DURATION, duration * 1e3),
            (status.PUTS_ACCEPTED, services.puts_accepted),
        ):
            rounded = round(value, 1)  # the precision of the records
            if shown.get(name) != rounded:
                shown[name] = rounded
                pvs[name].post(rounded)
        await asyncio.sleep(1)
