"""Counters of captures as PVs, updated on changes, at most ten times a second."""

import asyncio
from collections.abc import Callable, Mapping

from ...plan.alarm import NO_ALARM, Alarm, Severity, Status
from ...plan.record import STRING_BYTES, Content, shorten
from ...servers.served import Pv
from .capture import CaptureController
from .receiver import Receiver

#: Shortest time between updates, in s.
PERIOD = 0.1

#: Largest value of a 32-bit record.
_MAX_INT = 2**31 - 1


class Counters:
    """Publisher of counters, rates and connection state.

    Args:
        receiver: the data connection
        captures: the captures to files
    """

    def __init__(self, receiver: Receiver, captures: CaptureController) -> None:
        self._receiver = receiver
        self._captures = captures
        self._pvs: Mapping[str, Pv] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._at = self._loop.time()
        self._totals = (0, 0)

    def bind(self, pvs: Mapping[str, Pv]) -> None:
        """Store the PVs."""
        self._pvs = pvs

    def wake(self) -> None:
        """Schedule an update."""
        if self._timer is None:
            self._timer = self._loop.call_later(PERIOD, self._tick)

    def close(self) -> None:
        """Cancel scheduled updates."""
        if self._timer is not None:
            self._timer.cancel()

    def publish(self) -> None:
        """Post the counters that have changed."""
        for name, (value, alarm) in self._counters().items():
            pv = self._pvs[f"DATA:{name}"]
            if (pv.value, pv.alarm) != (value, alarm):
                pv.post(value, alarm)

    def _tick(self) -> None:
        self._timer = None
        self._rates()
        self.publish()
        if self._captures.active:
            self.wake()

    def _rates(self) -> None:
        now = self._loop.time()
        totals = self._receiver.total, self._receiver.total_bytes
        samples, size = (new - old for new, old in zip(totals, self._totals, strict=True))
        elapsed = max(now - self._at, PERIOD / 2)
        self._at, self._totals = now, totals
        self._pvs["DATA:RATE"].post(samples / elapsed)
        self._pvs["DATA:BYTE_RATE"].post(size / elapsed / 1e6)
        if samples:
            self.wake()

    def _counters(self) -> dict[str, tuple[Content, Alarm]]:
        connected = self._receiver.ready
        values: dict[str, tuple[Content, Alarm]] = {
            "CONNECTION": (int(connected), NO_ALARM if connected else _warning("no connection to the data port"))
        }
        progress = self._captures.progress
        if progress is None:
            return values
        counters = {
            "NUM_CAPTURED": progress.flushed,
            "NUM_RECEIVED": progress.received,
            "NUM_ACQUISITIONS": progress.acquisitions,
            "MISSED": progress.missed,
            "DROPPED": progress.dropped,
        }
        values |= {name: (min(value, _MAX_INT), NO_ALARM) for name, value in counters.items()}
        if progress.dropped:
            values["DROPPED"] = (values["DROPPED"][0], _warning("samples captured by the PandA were not received"))
        if progress.missed:
            late = Alarm(Severity.MINOR, Status.STATE, "samples before the start of the capture are not in the file")
            values["MISSED"] = (values["MISSED"][0], late)
        values["END_REASON"] = (shorten(progress.end_reason, STRING_BYTES), NO_ALARM)
        values["QUEUE_USE"] = (min(100.0, 100 * progress.queued_bytes / progress.queue_limit), NO_ALARM)
        values["SWMR_ACTIVE"] = (int(progress.swmr), NO_ALARM)
        return values


class Throttle:
    """A limit of ten calls of a function per second; calls that exceed it are merged and delayed.

    Args:
        function: function to call
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._again = False
        self._timer: asyncio.TimerHandle | None = None

    def call(self) -> None:
        """Call the function, now or at the end of the period."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PERIOD, self._tick)
            self._function()
        else:
            self._again = True

    def close(self) -> None:
        """Cancel a delayed call."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self._timer = None
        if self._again:
            self._again = False
            self.call()


def _warning(text: str) -> Alarm:
    return Alarm(Severity.MAJOR, Status.STATE, text)
