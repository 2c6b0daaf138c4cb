"""The captured data: the current acquisition, and the samples that data clients may still read."""

import asyncio
import bisect
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from .layout import Layout, layout_of
from .numbers import Refused
from .panda import Panda

#: Bytes of raw samples that are buffered for slow clients, as in a real server.
BUFFER_BYTES = 256 << 20

Words = npt.NDArray[np.uint32]

#: Words of a raw sample from which on PCAP refuses to arm.
_TOO_MANY_WORDS = 64

#: Samples that arrive in small numbers are collected into blocks of this many.
_BLOCK = 4096


class Acquisition:
    """The samples of one acquisition, which any number of clients read, each at its own speed.

    Args:
        layout: columns
        buffer_bytes: limit of buffered raw samples; older ones are dropped

    Attributes:
        layout: columns
        arm_time, start_time: ISO 8601 in UTC with nanoseconds; start_time is "" until it starts
        hw_time_offset_ns: hardware time stamp minus start_time in ns; None if not in the header
        samples: number of samples so far
        reason: reason why it ended; "" until then
    """

    def __init__(self, layout: Layout, buffer_bytes: int = BUFFER_BYTES) -> None:
        self.layout = layout
        self.arm_time = iso_now()
        self.start_time = ""
        self.hw_time_offset_ns: int | None = None
        self.samples = 0
        self.reason = ""
        self._limit = max(1, buffer_bytes // (layout.words * 4))
        self._block = max(1, min(_BLOCK, self._limit // 4))
        self._blocks: list[Words] = []
        self._firsts: list[int] = []  # number of the first sample of each block
        self._growing = np.empty((0, layout.words), np.uint32)  # the memory of the last block, if it can grow
        self._changed = asyncio.Event()

    @property
    def first(self) -> int:
        """Number of the oldest sample in the buffer."""
        return self._firsts[0] if self._firsts else self.samples

    def start(self) -> None:
        """Record the start time, when PCAP is enabled; clients then get the header."""
        self.start_time = iso_now()
        self._notify()

    def append(self, words: Words) -> None:
        """Add samples: shape (samples, words), dtype uint32."""
        if not len(words):
            return
        if len(words) >= self._block:
            self._firsts.append(self.samples)
            self._blocks.append(words)
            self._growing = self._growing[:0]
        else:
            self._grow(words)
        self.samples += len(words)
        while self.samples - self._firsts[0] > self._limit and len(self._firsts) > 1:
            del self._firsts[0], self._blocks[0]
        self._notify()

    def _grow(self, words: Words) -> None:
        """Add a few samples to the last block, or to a new one."""
        used = self.samples - self._firsts[-1] if len(self._growing) else 0
        if used + len(words) > len(self._growing):
            self._growing = np.empty((self._block, self.layout.words), np.uint32)
            self._firsts.append(self.samples)
            self._blocks.append(self._growing[:0])
            used = 0
        self._growing[used : used + len(words)] = words
        self._blocks[-1] = self._growing[: used + len(words)]

    def end(self, reason: str) -> None:
        """End the acquisition; no samples follow."""
        if not self.start_time:
            self.start()
        self.reason = reason
        self._notify()

    def read(self, at: int, limit: int) -> Words | None:
        """Return samples from a given number on.

        Args:
            at: number of the first sample
            limit: maximum number of samples

        Returns:
            shape (samples, words), dtype uint32; empty if there are no samples yet; None if they were dropped
        """
        if at < self.first and self.samples:
            return None
        if at >= self.samples:
            return np.empty((0, self.layout.words), np.uint32)
        block = bisect.bisect_right(self._firsts, at) - 1
        start = at - self._firsts[block]
        return self._blocks[block][start : start + limit]

    async def wait(self) -> None:
        """Wait for the next change: start, new samples or end."""
        await self._changed.wait()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class Capture:
    """PCAP as the two ports see it.

    The source of samples (the simulated block, or a test) sets `on_arm` and `on_disarm`, and calls `start`, `append`
    and `end`.

    Args:
        panda: has the capture settings

    Attributes:
        acquisition: the current acquisition, or the last one; None before the first
        completion: reply to `*PCAP.COMPLETION?`
        readers: number of data clients
        buffer_bytes: limit of buffered raw samples per acquisition
        on_arm: called with the columns when PCAP is armed
        on_disarm: called when it is disarmed
    """

    def __init__(self, panda: Panda) -> None:
        self._panda = panda
        self.acquisition: Acquisition | None = None
        self.completion = "Ok"
        self.readers = 0
        self.buffer_bytes = BUFFER_BYTES
        self.on_arm: Callable[[Layout], None] = lambda _: None
        self.on_disarm: Callable[[], None] = lambda: self.end("Disarmed")
        self._armed = asyncio.Event()

    @property
    def busy(self) -> bool:
        """Whether an acquisition is in progress."""
        return self.acquisition is not None and not self.acquisition.reason

    @property
    def captured(self) -> int:
        """Number of samples of the current acquisition, or of the last one."""
        return self.acquisition.samples if self.acquisition else 0

    @property
    def status(self) -> str:
        """Reply to `*PCAP.STATUS?`."""
        return f"{'Busy' if self.busy else 'Idle'} {self.readers} {self.readers if self.busy else 0}"

    def arm(self) -> None:
        """Start an acquisition of the selected fields.

        Raises:
            Refused: an acquisition is in progress, nothing is selected, or too much is selected
        """
        if self.busy:
            raise Refused("Data capture already in progress")
        layout = layout_of(self._panda)
        if not layout.items:
            raise Refused("Nothing configured for capture")
        if layout.words >= _TOO_MANY_WORDS:
            raise Refused("Too many captures for PCAP")
        self.acquisition = Acquisition(layout, self.buffer_bytes)
        self.completion = "Busy"
        self._show_active(1)
        armed, self._armed = self._armed, asyncio.Event()
        armed.set()
        self.on_arm(layout)

    def disarm(self) -> None:
        """Disarm PCAP; do nothing when idle."""
        if self.busy:
            self.on_disarm()

    def start(self) -> None:
        """Record that PCAP was enabled."""
        if self.acquisition is not None and self.busy:
            self.acquisition.start()

    def append(self, words: Words) -> None:
        """Add captured samples: shape (samples, words), dtype uint32."""
        if self.acquisition is not None and self.busy:
            self.acquisition.append(words)

    def end(self, reason: str) -> None:
        """End the current acquisition, if any."""
        if self.acquisition is not None and self.busy:
            self.acquisition.end(reason)
            self.completion = reason
            self._show_active(0)

    def _show_active(self, active: int) -> None:
        if "PCAP.ACTIVE" in self._panda.fields:
            self._panda.set_raw("PCAP.ACTIVE", active)

    async def next(self, after: Acquisition | None) -> Acquisition:
        """Wait for an acquisition other than the one that a client has read; return it."""
        while self.acquisition is None or self.acquisition is after:
            await self._armed.wait()
        return self.acquisition


def iso_now() -> str:
    """Return the time in UTC, as ISO 8601 with nanoseconds."""
    now = datetime.now(UTC)
    return f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond:06d}000Z"
