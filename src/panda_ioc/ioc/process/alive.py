"""A file that tells that the IOC is alive: for probes that must cost next to nothing.

It is there while the IOC runs, also while it waits for its PandA; it holds the number of the process and,
in a second line, where it answers over HTTP, if it does. It is touched each second by the event loop that does all the
work: if that hangs, the file grows old. While it cannot be written, that is tried each second.
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

#: The variable that names it, as the scripts of the container know it; without it there is no file.
VARIABLE = "PANDA_IOC_ALIVE_FILE"


@contextlib.contextmanager
def alive_file() -> Iterator[Callable[[str], None]]:
    """Keep the file while this lasts, in a running event loop; gives what is to be told where HTTP is served."""
    name = os.environ.get(VARIABLE)
    if not name:
        yield lambda _: None
        return
    beating = _Beating(Path(name))
    try:
        yield beating.tell
    finally:
        beating.stop()


class _Beating:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._written = False
        self._content = f"{os.getpid()}\n"
        self._failing = Repeated(log.error)
        self._next: asyncio.Handle = self._loop.call_soon(self._beat)

    def tell(self, address: str) -> None:
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
        # Whatever happens: a probe kills an IOC whose file is not touched again.
        self._next = self._loop.call_later(1, self._beat)
        try:
            self._touch()
        except OSError as error:
            self._failing.tell(f"cannot tell that the IOC is alive: {self._path}: {error.strerror}")

    def _touch(self) -> None:
        if self._written and self._path.exists():
            os.utime(self._path)
            return
        textfile.replace(self._path, self._content)  # nobody is to read half of it
        self._written = True
