"""The IOC as those see it who watch over many: metrics for Prometheus, and whether it is well, over HTTP."""

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

#: Seconds without a sign of life after which the IOC is not well.
_SILENCE = 10.0

_CONNECTED = status.CONNECTION_STATES.index("CONNECTED")

#: Seconds from one try to the next while the port is taken.
_RETRY = 2.0


@dataclass(frozen=True)
class Metric:
    """What is told to Prometheus, in base units.

    Attributes:
        name, kind, meaning: as Prometheus has them; kind is gauge or counter
        of: makes it of the value of a record
    """

    name: str
    kind: str
    meaning: str
    of: Callable[[float], float] = float


#: What is told, by the records that show it.
METRICS: Mapping[str, Metric] = {
    status.CONNECTION: Metric(
        "panda_ioc_connected", "gauge", "1 if the PandA is connected", lambda state: state == _CONNECTED
    ),
    status.RECONNECTS: Metric("panda_ioc_reconnects", "counter", "Times that the PandA came back"),
    status.PUTS_ACCEPTED: Metric("panda_ioc_puts_accepted", "counter", "Puts that were accepted"),
    status.PUTS_REFUSED: Metric("panda_ioc_puts_refused", "counter", "Puts that were refused"),
    status.POLL_PERIOD: Metric("panda_ioc_poll_period_seconds", "gauge", "Time from poll to poll", lambda ms: ms / 1e3),
    status.POLL_DURATION: Metric(
        "panda_ioc_poll_duration_seconds", "gauge", "Time that a poll takes", lambda ms: ms / 1e3
    ),
    status.UPTIME: Metric("panda_ioc_uptime_seconds", "gauge", "Time since the IOC started"),
    "DATA:CAPTURE": Metric("panda_ioc_capture_active", "gauge", "1 if a capture is under way"),
    "DATA:WRITE_STATUS": Metric("panda_ioc_capture_failed", "gauge", "1 if the last capture went wrong"),
    "DATA:NUM_RECEIVED": Metric("panda_ioc_samples_received", "gauge", "Samples of the capture that came"),
    "DATA:NUM_CAPTURED": Metric("panda_ioc_samples_captured", "gauge", "Samples flushed to its file"),
    "DATA:DROPPED": Metric("panda_ioc_samples_dropped", "gauge", "Samples captured that did not come"),
    "DATA:QUEUE_USE": Metric(
        "panda_ioc_queue_use_ratio", "gauge", "How full the queue for the disk is, 0 to 1", lambda use: use / 100
    ),
    "DATA:BYTE_RATE": Metric("panda_ioc_data_bytes_per_second", "gauge", "How fast data come", lambda rate: rate * 1e6),
}


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
        """Serve from now on; return False if another process has the port.

        Raises:
            MonitoringError: it cannot listen there
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
        """The port that it listens on; 0 if it does not."""
        return self._server.port if self._server else 0

    def _beat(self) -> None:
        """The event loop is alive."""
        self._alive_at = time.monotonic()
        self._loop.call_later(1, self._beat)

    def stop(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.stop()

    def collect(self) -> Iterator[Any]:
        """What Prometheus is told; called by its library for each request."""
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
        return _say(time.monotonic() - self._alive_at < _SILENCE, "alive", "the event loop is stuck")

    def _readyz(self) -> Answer:
        if not self._pvs:
            return _say(False, "", "there are no PVs yet: the PandA has not been met")  # noqa: FBT003
        connected = self._pvs[status.CONNECTION].value == _CONNECTED
        return _say(connected, "connected", str(self._pvs[status.CONNECTION_TEXT].value))


def _say(is_well: bool, well: str, ill: str) -> Answer:  # noqa: FBT001
    return Answer(200 if is_well else 503, f"{well if is_well else ill}\n".encode())
