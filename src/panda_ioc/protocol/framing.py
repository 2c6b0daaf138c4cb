"""Framing of the data port: frame header, terminators, size limits, merging of frames."""

import re
import struct

import numpy as np
import numpy.typing as npt

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
MOST_MERGED = 1024

#: Maximum number of bytes to merge before they are queued without a flush.
MAX_UNFLUSHED = 1 << 23


def concatenated(frames: list[npt.NDArray[np.void]]) -> npt.NDArray[np.void]:
    """Concatenate frames. As bytes, because numpy copies structures one at a time."""
    joined = np.concatenate([frame.view(np.uint8) for frame in frames]).view(frames[0].dtype)
    joined.flags.writeable = False
    return joined
