"""The IOC as those see it who watch over many: metrics for Prometheus, and whether it is well, over HTTP."""

import asyncio
import errno
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from ...protocol import PandaError
from ..plan import status
from ..servers.served import Pv
from .config import HttpConfig

log = logging.getLogger(__name__)

#: Seconds without a sign of life after which the IOC is not well, and that a client has for its request.
_SILENCE, _REQUEST_TIMEOUT = 10.0, 10.0

#: Seconds from one try to the next while the port is taken.
_RETRY = 2.0

#: Connections at once; more are closed as they come.
_MOST_CONNECTIONS = 16

#: What is told, by the records that show it: name, what kind of number it is, what it means.
METRICS: Mapping[str, tuple[str, str, str]] = {
    status.CONNECTION: ("panda_ioc_connected", "gauge", "2 if the PandA is connected"),
    status.RECONNECTS: ("panda_ioc_reconnects", "counter", "Times that the PandA came back"),
    status.PUTS_ACCEPTED: ("panda_ioc_puts_accepted", "counter", "Puts that were accepted"),
    status.PUTS_REFUSED: ("panda_ioc_puts_refused", "counter", "Puts that were refused"),
    status.POLL_PERIOD: ("panda_ioc_poll_period_milliseconds", "gauge", "Time from poll to poll"),
    status.POLL_DURATION: ("panda_ioc_poll_duration_milliseconds", "gauge", "Time that a poll takes"),
    status.UPTIME: ("panda_ioc_uptime_seconds", "gauge", "Time since the IOC started"),
    "DATA:CAPTURE": ("panda_ioc_capture_active", "gauge", "1 if a capture is under way"),
    "DATA:WRITE_STATUS": ("panda_ioc_capture_failed", "gauge", "1 if the last capture went wrong"),
    "DATA:NUM_RECEIVED": ("panda_ioc_samples_received", "gauge", "Samples of the capture that came"),
    "DATA:NUM_CAPTURED": ("panda_ioc_samples_captured", "gauge", "Samples flushed to its file"),
    "DATA:DROPPED": ("panda_ioc_samples_dropped", "gauge", "Samples that the PandA sent, but that did not come"),
    "DATA:QUEUE_USE": ("panda_ioc_queue_use_percent", "gauge", "How full the queue for the disk is"),
    "DATA:BYTE_RATE": ("panda_ioc_data_megabytes_per_second", "gauge", "How fast data come"),
}

_Respond = Callable[[str, list[tuple[str, str]]], Any]


class MonitoringError(PandaError):
    """HTTP cannot be served as asked; the message says why."""


@asynccontextmanager
async def monitored(config: HttpConfig, pvs: Mapping[str, Pv], tell: Callable[[str], None]) -> AsyncIterator[None]:
    """Serve HTTP while this lasts, if that is configured. While another process has the port, try it again.

    Args:
        config: where
        pvs: what is shown; they may come later
        tell: called with the host and port once HTTP is served

    Raises:
        MonitoringError: see `Monitoring`
    """
    if config.port is None:
        yield
        return
    monitoring = Monitoring(config, pvs)
    opening = asyncio.create_task(_open(monitoring, config, tell)) if not _opened(monitoring, config, tell) else None
    try:
        yield
    finally:
        if opening is not None:
            opening.cancel()
        await asyncio.to_thread(monitoring.stop)  # it takes up to half a second


def _opened(monitoring: "Monitoring", config: HttpConfig, tell: Callable[[str], None]) -> bool:
    if not monitoring.listen():
        return False
    log.info("HTTP is served on %s:%d", config.host, monitoring.port)
    tell(f"{config.host} {monitoring.port}")
    return True


async def _open(monitoring: "Monitoring", config: HttpConfig, tell: Callable[[str], None]) -> None:
    log.warning(
        "HTTP is not served: another process has %s:%s; trying again every %g s, or set another http.port",
        *(config.host, config.port, _RETRY),
    )
    while True:
        await asyncio.sleep(_RETRY)
        if _opened(monitoring, config, tell):
            return


class Monitoring:
    """Serves `/metrics`, `/healthz` and `/readyz` from `listen` to `stop`; it is made in a running event loop.

    Args:
        config: where
        pvs: what is told

    Raises:
        MonitoringError: the package that makes metrics is missing
    """

    def __init__(self, config: HttpConfig, pvs: Mapping[str, Pv]) -> None:
        self._pvs = pvs
        self._loop = asyncio.get_running_loop()
        self._alive_at = time.monotonic()
        try:
            from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, REGISTRY, make_wsgi_app  # noqa: PLC0415
        except ImportError as error:
            raise MonitoringError(
                "metrics need the package prometheus-client: pip install 'panda-ioc[metrics]'"
            ) from error
        for collector in (GC_COLLECTOR, PLATFORM_COLLECTOR):
            REGISTRY.unregister(collector)
        REGISTRY.register(self)
        self._metrics = make_wsgi_app()
        self._config = config
        self._server: WSGIServer | None = None
        self._beat()

    def listen(self) -> bool:
        """Serve from now on; return False if another process has the port.

        Raises:
            MonitoringError: it cannot listen there
        """
        host, port = self._config.host, self._config.port or 0
        try:
            self._server = make_server(host, port, self._answer, server_class=_Server, handler_class=_Handler)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise MonitoringError(f"cannot serve HTTP on {host}:{port}: {error.strerror}") from error
        threading.Thread(target=self._server.serve_forever, name="monitoring", daemon=True).start()
        return True

    @property
    def port(self) -> int:
        """The port that it listens on; 0 if it does not."""
        return self._server.server_port if self._server else 0

    def _beat(self) -> None:
        """The event loop is alive."""
        self._alive_at = time.monotonic()
        self._loop.call_later(1, self._beat)

    def stop(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def collect(self) -> Iterator[Any]:
        """What Prometheus is told; called by its library for each request."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415

        for name, (metric, kind, meaning) in METRICS.items():
            value = self._pvs[name].value if name in self._pvs else None
            if isinstance(value, int | float):
                family = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
                yield family(metric, meaning, value=float(value))

    def _answer(self, request: dict[str, Any], respond: Any) -> Iterable[bytes]:
        path = request.get("PATH_INFO", "")
        if path == "/metrics":
            metrics: Iterable[bytes] = self._metrics(request, respond)
            return metrics
        if path == "/healthz":
            return _say(respond, time.monotonic() - self._alive_at < _SILENCE, "alive", "the event loop is stuck")
        if path == "/readyz":
            if not self._pvs:
                return _say(respond, False, "", "there are no PVs yet: the PandA has not been met")  # noqa: FBT003
            connected = self._pvs[status.CONNECTION].value == status.CONNECTION_STATES.index("CONNECTED")
            return _say(respond, connected, "connected", str(self._pvs[status.CONNECTION_TEXT].value))
        respond("404 Not Found", [("Content-Type", "text/plain")])
        return [b"there are /metrics, /healthz and /readyz\n"]


def _say(respond: _Respond, is_well: bool, well: str, ill: str) -> Iterable[bytes]:  # noqa: FBT001
    respond("200 OK" if is_well else "503 Service Unavailable", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{well if is_well else ill}\n".encode()]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        self._places = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        super().__init__(*arguments)

    def server_bind(self) -> None:
        # HTTPServer would ask a name server what we are called, which can take long and is of no use.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # there is no thread for it
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()


class _Handler(WSGIRequestHandler):
    timeout = _REQUEST_TIMEOUT

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - as its base calls it
        """Requests come every few seconds: not a word."""
