"""Both halves of the protocol with inputs that atheris derives from replies of servers, guided by branch coverage.

    python -m pip install atheris
    python -m tests.protocol.with_atheris control -runs=1000000
    python -m tests.protocol.with_atheris data -runs=1000000

It ends with an error, and prints the input, at the first undocumented exception, at an input that takes more than 10 s,
and when the process exceeds its memory limit. Options with a single dash are those of libFuzzer.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["panda_ioc.protocol"]):
    from panda_ioc.protocol import ControlConnection, DataConnection, FrameData, GetLine, PandaError

from .. import samples
from .test_fuzz import COMMANDS, MOST_BYTES, pieces_of, replies

#: Memory limit of the process in MB, and time limit of an input in s.
_LIMITS = ("-rss_limit_mb=512", "-timeout=10", "-max_len=20000")


def into_control(data: bytes) -> None:
    """The first byte selects the command, the second the sizes of the pieces of the reply."""
    if len(data) < 2:
        return
    connection = ControlConnection()
    connection.send(COMMANDS[data[0] % len(COMMANDS)])
    connection.send(GetLine("PULSE1.DELAY"))
    for piece in pieces_of(data[2:], data[1] + 1):
        connection.receive_bytes(piece)
        for _, response in connection.responses():
            if isinstance(response, Exception) and not isinstance(response, PandaError):
                raise response


def into_data(data: bytes) -> None:
    """The first byte selects scaled samples and immediate flushing of frames, the second the sizes of the pieces."""
    if len(data) < 2:
        return
    connection = DataConnection()
    connection.connect(bool(data[0] & 1))
    for piece in pieces_of(data[2:], data[1] + 1):
        for event in connection.receive_bytes(piece, flush_every_frame=bool(data[0] & 2)):
            if isinstance(event, FrameData) and event.data.nbytes > MOST_BYTES:
                raise MemoryError(f"a frame of {event.data.nbytes} bytes")


def expecting(feed: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Do the same, and ignore documented errors."""

    def feeding(data: bytes) -> None:
        try:
            feed(data)
        except PandaError:
            pass

    return feeding


def seeds(half: str) -> list[bytes]:
    """Return data of a server, after two bytes that select the options."""
    if half == "control":
        return [bytes((number, 99)) + answer[:10_000] for number, answer in enumerate(replies())]
    return [bytes((how, 99)) + b"OK\n" + samples.acquisition(samples.rows(9)) for how in range(4)]


def main() -> None:
    half, *options = sys.argv[1:] or ("",)
    feeds = {"control": into_control, "data": into_data}
    if half not in feeds:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds(half)):
            Path(folder, str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], *_LIMITS, *options, folder], expecting(feeds[half]))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
