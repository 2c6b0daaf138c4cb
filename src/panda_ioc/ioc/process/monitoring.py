"""Prometheus metrics and health checks over HTTP."""

import asyncio
import errno
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ...protocol import PandaError
from ..plan import status
from ..servers.served import Pv
from .config import HttpConfig
from .http import Answer, HttpServer

log = logging.getLogger(__name__)

#: Time without a heartbeat of the event loop after which the IOC is unhealthy, in s.
_HEARTBEAT_TIMEOUT = 10.0

_CONNECTED = status.CONNECTION_STATES.index("CONNECTED")

#: Retry period while another process uses the port, in s.
_RETRY_PERIOD = 2.0


@dataclass(frozen=True)
class Metric:
    """A metric of Prometheus, in base units.

    Attributes:
        name: the name of the metric
        kind: "gauge" or "counter"
        meaning: the help text
        of: converts the value of the record to the value of the metric
    """

    name: str
    kind: str
    meaning: str
    of: Callable[[float], float] = float


#: The metrics by record.
METRICS: Mapping[str, Metric] = {
    status.CONNECTION: Metric(
        "panda_ioc_connected", "gauge", "1 if the PandA is connected", lambda state: state == _CONNECTED
    ),
    status.RECONNECTS: Metric("panda_ioc_reconnects", "counter", "Reconnections to the PandA"),
    status.PUTS_ACCEPTED: Metric("panda_ioc_puts_accepted", "counter", "Accepted puts"),
    status.PUTS_REFUSED: Metric("panda_ioc_puts_refused", "counter", "Refused puts"),
    status.POLL_PERIOD: Metric("panda_ioc_poll_period_seconds", "gauge", "Period of the polls", lambda ms: ms / 1e3),
    status.POLL_DURATION: Metric("panda_ioc_poll_duration_seconds", "gauge", "Duration of a poll", lambda ms: ms / 1e3),
    status.UPTIME: Metric("panda_ioc_uptime_seconds", "gauge", "Time since the IOC started"),
    "DATA:CAPTURE": Metric("panda_ioc_capture_active", "gauge", "1 if a capture is running"),
    "DATA:WRITE_STATUS": Metric("panda_ioc_capture_failed", "gauge", "1 if the last capture failed"),
    "DATA:NUM_RECEIVED": Metric("panda_ioc_samples_received", "gauge", "Samples received by the capture"),
    "DATA:NUM_CAPTURED": Metric("panda_ioc_samples_captured", "gauge", "Samples flushed to the file"),
    "DATA:DROPPED": Metric("panda_ioc_samples_dropped", "gauge", "Captured samples that the IOC did not receive"),
    "DATA:QUEUE_USE": Metric(
        "panda_ioc_queue_use_ratio", "gauge", "Use of the disk queue, 0 to 1", lambda use: use / 100
    ),
    "DATA:BYTE_RATE": Metric(
        "panda_ioc_data_bytes_per_second", "gauge", "Rate of received data", lambda rate: rate * 1e6
    ),
}


class MonitoringError(PandaError):
    """HTTP cannot be served as configured; the message has the reason."""


@asynccontextmanager
async def monitored(
    config: HttpConfig, pvs: Mapping[str, Pv], on_serving: Callable[[str], None]
) -> AsyncIterator[None]:
    """Serve HTTP within the context, if configured; while another process uses the port, retry.

    Args:
        config: host and port
        pvs: the PVs by record name; the mapping may be filled later
        on_serving: called with "HOST PORT" once HTTP is served

    Raises:
        MonitoringError: see `Monitoring`
    """
    if config.port is None:
        yield
        return
    monitoring = Monitoring(config, pvs)
    opening = (
        asyncio.create_task(_open(monitoring, config, on_serving))
        if not _opened(monitoring, config, on_serving)
        else None
    )
    try:
        yield
    finally:
        if opening is not None:
            opening.cancel()
        await asyncio.to_thread(monitoring.stop)  # takes up to 0.5 s


def _opened(monitoring: "Monitoring", config: HttpConfig, on_serving: Callable[[str], None]) -> bool:
    if not monitoring.listen():
        return False
    log.info("listening for HTTP on %s:%d", config.host, monitoring.port)
    on_serving(f"{config.host} {monitoring.port}")
    return True


async def _open(monitoring: "Monitoring", config: HttpConfig, on_serving: Callable[[str], None]) -> None:
    log.warning(
        "cannot serve HTTP on %s:%s: another process uses the port; retrying every %g s; or set another http.port",
        *(config.host, config.port, _RETRY_PERIOD),
    )
    while True:
        await asyncio.sleep(_RETRY_PERIOD)
        if _opened(monitoring, config, on_serving):
            return


class Monitoring:
    """A server of `/metrics`, `/healthz` and `/readyz`, created in a running event loop.

    Args:
        config: host and port
        pvs: the PVs by record name

    Raises:
        MonitoringError: the package prometheus-client is missing
    """

    def __init__(self, config: HttpConfig, pvs: Mapping[str, Pv]) -> None:
        self._pvs = pvs
        self._loop = asyncio.get_running_loop()
        self._alive_at = time.monotonic()
        try:
            from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector  # noqa: PLC0415
        except ImportError as error:
            raise MonitoringError(
                "metrics need the package prometheus-client: pip install 'panda-ioc[metrics]'"
            ) from error
        self._metrics_type = CONTENT_TYPE_LATEST
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(self)
        self._config = config
        self._server: HttpServer | None = None
        self._beat()

    def listen(self) -> bool:
        """Start to serve; return False if another process uses the port.

        Raises:
            MonitoringError: the address is invalid or the port is not permitted
        """
        host, port = self._config.host, self._config.port or 0
        pages = {"/metrics": self._metrics, "/healthz": self._healthz, "/readyz": self._readyz}
        try:
            self._server = HttpServer(host, port, pages)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise MonitoringError(f"cannot serve HTTP on {host}:{port}: {error.strerror}") from error
        return True

    @property
    def port(self) -> int:
        """The TCP port of the server, 0 before `listen`."""
        return self._server.port if self._server else 0

    def _beat(self) -> None:
        """Record every second that the event loop is alive."""
        self._alive_at = time.monotonic()
        self._loop.call_later(1, self._beat)

    def stop(self) -> None:
        """Stop the server."""
        if self._server is not None:
            self._server.stop()

    def collect(self) -> Iterator[Any]:
        """Yield the metrics; prometheus-client calls this for each request."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415

        for name, metric in METRICS.items():
            value = self._pvs[name].value if name in self._pvs else None
            if isinstance(value, int | float):
                family = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
                yield family(metric.name, metric.meaning, value=float(metric.of(value)))

    def _metrics(self) -> Answer:
        from prometheus_client import generate_latest  # noqa: PLC0415

        return Answer(200, generate_latest(self._registry), self._metrics_type)

    def _healthz(self) -> Answer:
        return _health(time.monotonic() - self._alive_at < _HEARTBEAT_TIMEOUT, "alive", "the event loop is stuck")

    def _readyz(self) -> Answer:
        if not self._pvs:
            return _health(False, "", "no PVs yet: waiting for the PandA")  # noqa: FBT003
        connected = self._pvs[status.CONNECTION].value == _CONNECTED
        return _health(connected, "connected", str(self._pvs[status.CONNECTION_TEXT].value))


def _health(is_healthy: bool, healthy: str, unhealthy: str) -> Answer:  # noqa: FBT001
    return Answer(200 if is_healthy else 503, f"{healthy if is_healthy else unhealthy}\n".encode())
