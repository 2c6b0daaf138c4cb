"""A file that shows that the IOC is alive, for liveness probes that must cost little.

The file exists while the IOC runs, also while the IOC waits for its PandA. The first line is the process ID, the second
line the HTTP address, if HTTP is served. The event loop of the IOC touches the file every second, so the modification
time gets old if the event loop hangs. If the file cannot be written, the IOC retries every second.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ... import textfile
from ..log import Repeated

log = logging.getLogger(__name__)

#: Environment variable with the path, which the container scripts set; without it there is no file.
VARIABLE = "PANDA_IOC_ALIVE_FILE"


@contextlib.contextmanager
def alive_file() -> Iterator[Callable[[str], None]]:
    """Keep the alive file up to date within the context, which needs a running event loop.

    Yields:
        a function that adds the HTTP address to the file
    """
    name = os.environ.get(VARIABLE)
    if not name:
        yield lambda _: None
        return
    heartbeat = _Heartbeat(Path(name))
    try:
        yield heartbeat.add_address
    finally:
        heartbeat.stop()


class _Heartbeat:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._written = False
        self._content = f"{os.getpid()}\n"
        self._warning = Repeated(log.error)
        self._next: asyncio.Handle = self._loop.call_soon(self._beat)

    def add_address(self, address: str) -> None:
        self._content += f"{address}\n"
        self._next.cancel()
        self._written = False
        self._beat()

    def stop(self) -> None:
        self._next.cancel()
        if self._written:
            with contextlib.suppress(OSError):
                self._path.unlink()

    def _beat(self) -> None:
        # Before anything that can fail: the probe kills an IOC whose file is not touched.
        self._next = self._loop.call_later(1, self._beat)
        try:
            self._touch()
        except OSError as error:
            self._warning.tell(f"cannot write the alive file {self._path}: {error.strerror}")

    def _touch(self) -> None:
        if self._written and self._path.exists():
            os.utime(self._path)
            return
        textfile.replace(self._path, self._content)  # atomic: probes never read a partial file
        self._written = True
