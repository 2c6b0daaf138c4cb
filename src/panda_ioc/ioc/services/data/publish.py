"""Counters of a capture as PVs: ten times a second at most, and not at all while nothing happens."""

import asyncio
from collections.abc import Callable, Mapping

from ...plan.alarm import NO_ALARM, Alarm, Severity, Status
from ...plan.record import STRING_BYTES, Content, shorten
from ...servers.served import Pv
from .capture import Captures
from .receiver import Receiver

#: Seconds from one publication to the next.
PERIOD = 0.1

#: What a 32-bit record holds.
_LARGEST = 2**31 - 1


class Counters:
    """Shows how data come and where they go."""

    def __init__(self, receiver: Receiver, captures: Captures) -> None:
        self._receiver = receiver
        self._captures = captures
        self._pvs: Mapping[str, Pv] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._at = self._loop.time()
        self._totals = (0, 0)

    def bind(self, pvs: Mapping[str, Pv]) -> None:
        """Take the PVs."""
        self._pvs = pvs

    def wake(self) -> None:
        """Something happened: publish it soon."""
        if self._timer is None:
            self._timer = self._loop.call_later(PERIOD, self._tick)

    def close(self) -> None:
        """Publish no more."""
        if self._timer is not None:
            self._timer.cancel()

    def publish(self) -> None:
        """Publish what has changed."""
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
        told: dict[str, tuple[Content, Alarm]] = {
            "CONNECTION": (int(connected), NO_ALARM if connected else _warning("no connection to the data port"))
        }
        progress = self._captures.progress
        if progress is None:
            return told
        counters = {
            "NUM_CAPTURED": progress.flushed,
            "NUM_RECEIVED": progress.received,
            "NUM_ACQUISITIONS": progress.acquisitions,
            "MISSED": progress.missed,
            "DROPPED": progress.dropped,
        }
        told |= {name: (min(value, _LARGEST), NO_ALARM) for name, value in counters.items()}
        if progress.dropped:
            told["DROPPED"] = (told["DROPPED"][0], _warning("samples are missing"))
        told["END_REASON"] = (shorten(progress.end_reason, STRING_BYTES), NO_ALARM)
        told["QUEUE_USE"] = (min(100.0, 100 * progress.queued_bytes / progress.queue_limit), NO_ALARM)
        told["SWMR_ACTIVE"] = (int(progress.swmr), NO_ALARM)
        return told


class Seldom:
    """Does something at once when something happens, but ten times a second at most, and never too early to be true.

    Args:
        do: what is done
    """

    def __init__(self, do: Callable[[], None]) -> None:
        self._do = do
        self._again = False
        self._timer: asyncio.TimerHandle | None = None

    def happened(self) -> None:
        """It happened once more."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PERIOD, self._tick)
            self._do()
        else:
            self._again = True

    def close(self) -> None:
        """Do no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self._timer = None
        if self._again:
            self._again = False
            self.happened()


def _warning(text: str) -> Alarm:
    return Alarm(Severity.MAJOR, Status.STATE, text)
