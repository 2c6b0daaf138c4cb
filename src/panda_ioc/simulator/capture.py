"""What PCAP has captured: the acquisition under way, and all that data clients may still read of it."""

import asyncio
import bisect
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from .layout import Layout, layout_of
from .numbers import Refused
from .panda import Panda

#: Bytes of raw samples that are kept for slow clients, as a real server does.
BUFFER_BYTES = 256 << 20

Words = npt.NDArray[np.uint32]

#: Words of a raw sample that PCAP cannot capture any more.
_TOO_MANY_WORDS = 64

#: Samples that come a few at a time are put together into blocks of so many.
_BLOCK = 4096


class Acquisition:
    """The samples of one acquisition, for any number of readers at their own pace.

    Attributes:
        layout: its columns
        arm_time, start_time: ISO 8601 in UTC with nanoseconds; start_time is "" until it starts
        samples: how many there are so far
        reason: why it ended; "" until then
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
        self._firsts: list[int] = []  # the number of the first sample of each block
        self._growing = np.empty((0, layout.words), np.uint32)  # what the last block is a part of, if it may grow
        self._changed = asyncio.Event()

    @property
    def first(self) -> int:
        """The first sample that is still kept."""
        return self._firsts[0] if self._firsts else self.samples

    def start(self) -> None:
        """PCAP is enabled: readers are given the header."""
        self.start_time = iso_now()
        self._notify()

    def append(self, words: Words) -> None:
        """Add samples: an array of shape (samples, words)."""
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
        """Add a few samples to the last block, or begin another one with them."""
        used = self.samples - self._firsts[-1] if len(self._growing) else 0
        if used + len(words) > len(self._growing):
            self._growing = np.empty((self._block, self.layout.words), np.uint32)
            self._firsts.append(self.samples)
            self._blocks.append(self._growing[:0])
            used = 0
        self._growing[used : used + len(words)] = words
        self._blocks[-1] = self._growing[: used + len(words)]

    def end(self, reason: str) -> None:
        """Nothing follows."""
        if not self.start_time:
            self.start()
        self.reason = reason
        self._notify()

    def read(self, at: int, limit: int) -> Words | None:
        """Some samples from a place on, at most so many; None if the place is no longer kept."""
        if at < self.first and self.samples:
            return None
        if at >= self.samples:
            return np.empty((0, self.layout.words), np.uint32)
        block = bisect.bisect_right(self._firsts, at) - 1
        start = at - self._firsts[block]
        return self._blocks[block][start : start + limit]

    async def wait(self) -> None:
        """Wait until something happened to it."""
        await self._changed.wait()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class Capture:
    """PCAP, as the two ports see it.

    What makes samples (the live blocks, or a test) is told by `on_arm` and `on_disarm`, and calls `start`,
    `append` and `end`.

    Args:
        panda: says what is chosen for capture
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
        """Whether an acquisition is under way."""
        return self.acquisition is not None and not self.acquisition.reason

    @property
    def captured(self) -> int:
        """Samples of the acquisition under way, or of the last one."""
        return self.acquisition.samples if self.acquisition else 0

    @property
    def status(self) -> str:
        """The reply to `*PCAP.STATUS?`."""
        return f"{'Busy' if self.busy else 'Idle'} {self.readers} {self.readers if self.busy else 0}"

    def arm(self) -> None:
        """Begin an acquisition of what is chosen."""
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
        """Stop; nothing happens when idle."""
        if self.busy:
            self.on_disarm()

    def start(self) -> None:
        """PCAP was enabled."""
        if self.acquisition is not None and self.busy:
            self.acquisition.start()

    def append(self, words: Words) -> None:
        """Samples were captured: an array of shape (samples, words)."""
        if self.acquisition is not None and self.busy:
            self.acquisition.append(words)

    def end(self, reason: str) -> None:
        """The acquisition is over."""
        if self.acquisition is not None and self.busy:
            self.acquisition.end(reason)
            self.completion = reason
            self._show_active(0)

    def _show_active(self, active: int) -> None:
        if "PCAP.ACTIVE" in self._panda.fields:
            self._panda.set_raw("PCAP.ACTIVE", active)

    async def next(self, after: Acquisition | None) -> Acquisition:
        """Wait for an acquisition that is not the one that a reader has had."""
        while self.acquisition is None or self.acquisition is after:
            await self._armed.wait()
        return self.acquisition


def iso_now() -> str:
    """The time in UTC, ISO 8601 with nanoseconds."""
    now = datetime.now(UTC)
    return f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond:06d}000Z"
