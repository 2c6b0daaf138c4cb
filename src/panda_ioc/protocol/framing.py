"""Framing of the data port: frame header, terminators, size limits, merging of frames."""

import re
import struct

import numpy as np
import numpy.typing as npt

from .acquisition import EndData
from .errors import CommandError, RemoteProtocolError
from .exchange import text

#: Maximum size of a frame in bytes. Servers send up to 2 MiB; more is invalid data.
MAX_FRAME = 1 << 24

#: Frame header: a mark, and the length of the frame including this header.
HEAD = struct.Struct("<4sI")
MARK = b"BIN "

#: Terminator and maximum length in bytes of a line and of an XML header, which servers send with about 100 KiB. A
#: regular expression searches a memoryview without a copy.
LINE, HEADER = (re.compile(b"\n"), 1 << 10), (re.compile(b"</header>\n\n"), 1 << 20)

#: Frames with fewer bytes of samples than this are merged if requested.
SMALL_FRAME = 1 << 14

#: Maximum number of frames of equal length to merge in one step; limits the duration of a step.
MAX_MERGED = 1024

#: Maximum number of bytes to merge before they are queued without a flush.
MAX_UNFLUSHED = 1 << 23


def check_options(line: bytes, options: str) -> None:
    """Check the reply to the options of a data connection.

    Raises:
        CommandError: the server refused the options
        RemoteProtocolError: the reply has another form
    """
    if line.startswith(b"ERR "):
        raise CommandError(options, text(line[4:-1]))
    if line != b"OK\n":
        raise RemoteProtocolError(f"the data port replied to {options!r} with {line[:80]!r}")


def check_length(length: int, sample_bytes: int) -> None:
    """Check the length of a frame.

    Raises:
        RemoteProtocolError: the frame is too long or has not a whole number of samples
    """
    if length > MAX_FRAME or length <= HEAD.size or (length - HEAD.size) % sample_bytes:
        raise RemoteProtocolError(
            f"the data port sent a frame of {length} bytes, not a whole number of samples of {sample_bytes} bytes"
        )


def parse_end(line: bytes) -> EndData:
    """Parse the line that ends an acquisition, including its LF.

    Raises:
        RemoteProtocolError: the line has another form
    """
    match text(line[:-1]).split(" ", 2):
        case ["END", samples, reason] if samples.isdecimal():
            return EndData(int(samples), reason)
    raise RemoteProtocolError(f"the data port sent {line[:80]!r} instead of a frame or END")


def equal_heads(memory: npt.NDArray[np.uint8], start: int, count: int, length: int) -> npt.NDArray[np.bool_]:
    """Return for each of `count` frames whether its frame header equals that of the first one.

    Args:
        memory: receive buffer
        start: offset of the first frame
        count: number of frames
        length: assumed length of each frame in bytes
    """
    # A frame header is compared as one number of 8 bytes: ten times faster than byte by byte.
    heads = np.ndarray((count,), np.uint64, memory, start, (length,))
    equal: npt.NDArray[np.bool_] = heads == heads[0]
    return equal


def concatenate(frames: list[npt.NDArray[np.void]]) -> npt.NDArray[np.void]:
    """Concatenate frames. As bytes, because numpy copies structures one at a time."""
    joined = np.concatenate([frame.view(np.uint8) for frame in frames]).view(frames[0].dtype)
    joined.flags.writeable = False
    return joined
