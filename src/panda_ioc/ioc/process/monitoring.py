"""The IOC as those see it who watch over many: metrics for Prometheus, and whether it is well, over HTTP."""

import asyncio
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
    "DATA:DROPPED": Metric("panda_ioc_samples_dropped", "gauge", "Samples that the PandA sent, but that did not come"),
    "DATA:QUEUE_USE": Metric(
        "panda_ioc_queue_use_ratio", "gauge", "How full the queue for the disk is, 0 to 1", lambda use: use / 100
    ),
    "DATA:BYTE_RATE": Metric("panda_ioc_data_bytes_per_second", "gauge", "How fast data come", lambda rate: rate * 1e6),
}


class MonitoringError(PandaError):
    """HTTP cannot be served as asked; the message says why."""


@asynccontextmanager
async def monitored(config: HttpConfig, pvs: Mapping[str, Pv]) -> AsyncIterator[str]:
    """Serve HTTP while this lasts, if that is configured; gives the host and port, "" if there is none.

    Args:
        config: where
        pvs: what is told; they may come later

    Raises:
        MonitoringError: see `Monitoring`
    """
    if config.port is None:
        yield ""
        return
    monitoring = Monitoring(config, pvs)
    log.info("HTTP is served on %s:%d", config.host, monitoring.port)
    try:
        yield f"{config.host} {monitoring.port}"
    finally:
        await asyncio.to_thread(monitoring.stop)  # it takes up to half a second


class Monitoring:
    """Serves `/metrics`, `/healthz` and `/readyz`; it is made in a running event loop.

    Args:
        config: where
        pvs: what is told

    Raises:
        MonitoringError: it cannot listen there, or there is nothing to make metrics with
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
        pages = {"/metrics": self._metrics, "/healthz": self._healthz, "/readyz": self._readyz}
        try:
            self._server = HttpServer(config.host, config.port or 0, pages)
        except OSError as error:
            raise MonitoringError(f"cannot serve HTTP on {config.host}:{config.port}: {error.strerror}") from error
        self.port = self._server.port
        self._beat()

    def _beat(self) -> None:
        """The event loop is alive."""
        self._alive_at = time.monotonic()
        self._loop.call_later(1, self._beat)

    def stop(self) -> None:
        """Serve no more."""
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
