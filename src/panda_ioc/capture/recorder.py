"""One capture: from the moment it is asked for until its file is closed.

Given all that a data connection gives, in an event loop, it never waits: what is selected goes to the thread
that writes. Its counters may be read at any time.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..protocol import Data, EndData, FrameData, PandaError, ReadyData, StartData
from .columns import Column, stored_columns
from .errors import CaptureError
from .selection import Selection
from .writer import QUEUE_BYTES, FileWriter

if TYPE_CHECKING:
    from .hdf import HdfFile

#: What a file says of an acquisition that it does not have the end of.
STOPPED = "Capture stopped"
LOST = "Connection lost"


@dataclass(frozen=True)
class Storing:
    """How samples become a file.

    Attributes:
        make_file: makes it; called in the thread that writes
        columns: what is stored of an acquisition; called in that thread
        flush_period: seconds until what was written is readable for others; 0 for at once
        lazy: make the file when the first acquisition begins
        queue_bytes: of samples that may wait for the disk
    """

    make_file: Callable[[], "HdfFile"]
    columns: Callable[[StartData], Sequence[Column]] = stored_columns
    flush_period: float = 1.0
    lazy: bool = False
    queue_bytes: int = QUEUE_BYTES


class Recorder:
    """A capture under way.

    Args:
        storing: how
        selection: what

    Attributes:
        received: samples that came
        missed: samples that the PandA had before it was connected to, or before this began
        acquisitions: how many began
        end_reason: why the last one ended; "" while none has
        error: what went wrong; None if all is well
    """

    def __init__(self, storing: Storing, selection: Selection) -> None:
        loop = asyncio.get_running_loop()
        self.received, self.missed, self.acquisitions = 0, 0, 0
        self.end_reason = ""
        self.error: PandaError | None = None
        self._selection = selection
        self._closed = asyncio.Event()
        self._finished = False
        self._begun: StartData | None = None
        self._in_file = False
        self._samples = 0
        self._before = 0
        self.writer = FileWriter(
            storing.make_file,
            storing.columns,
            lambda: _tell(loop, self._writer_ended),
            flush_period=storing.flush_period,
            lazy=storing.lazy,
            limit=storing.queue_bytes,
        )

    @property
    def finished(self) -> bool:
        """Whether it takes no more."""
        return self._finished

    @property
    def start(self) -> StartData | None:
        """The beginning of the acquisition under way."""
        return self._begun

    def join(self, start: StartData, before: int) -> None:
        """Begin in the middle of an acquisition.

        Args:
            start: its beginning
            before: samples that came before this began, which it misses
        """
        self.take(replace(start, missed=start.missed + before))
        self._before = before

    def take(self, data: Data) -> None:
        """Take what comes; what comes after the end is let go."""
        if self._finished or isinstance(data, ReadyData):
            return
        self._count(data)
        try:
            for chosen in self._selection.take(data):
                self._write(chosen)
        except PandaError as error:
            self.finish(error)
            return
        if self._selection.done:
            self.finish()

    def finish(self, error: PandaError | None = None, reason: str = STOPPED) -> None:
        """Take no more; write what waits and close the file: `wait_closed`.

        Args:
            error: what went wrong, if that is why; the file tells it
            reason: what the file says of the acquisition that is under way, if one is
        """
        if self._finished:
            return
        self._finished = True
        self.error = self.error or error
        if self._begun is not None:
            for chosen in self._selection.take(EndData(self._samples, reason)):
                self._write(chosen)
            self._begun = None
        self.writer.close(str(self.error or ""))

    async def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the file is closed; return whether it is."""
        try:
            async with asyncio.timeout(timeout):
                await self._closed.wait()
        except TimeoutError:
            return False
        return True

    def _count(self, data: Data) -> None:
        match data:
            case StartData():
                self._begun = data
                self._samples = self._before = 0
                self.missed += data.missed
                self.acquisitions += 1
                self.end_reason = ""
            case FrameData():
                self._samples += len(data.data)
                self.received += len(data.data)
            case EndData():
                self._begun = None
                self.end_reason = data.reason
                if not data.good:
                    # The file is complete up to here, and says why there is no more.
                    self.error = self.error or CaptureError(f"the acquisition ended with: {data.reason}")
                elif data.samples != self._before + self._samples:
                    self.error = self.error or CaptureError(
                        f"the PandA says that it sent {data.samples} samples, but {self._before + self._samples} came"
                    )

    def _write(self, chosen: Data) -> None:
        if isinstance(chosen, StartData):
            self._in_file = True
        elif isinstance(chosen, EndData) and not self._in_file:
            return
        elif isinstance(chosen, EndData):
            self._in_file = False
        if isinstance(chosen, EndData):
            self.end_reason = chosen.reason
        if not isinstance(chosen, ReadyData):
            self.writer.put(chosen)

    def _writer_ended(self) -> None:
        self._finished = True
        self.error = self.writer.error or self.error
        self._closed.set()


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and all who might want to know with it
        loop.call_soon_threadsafe(callback)
