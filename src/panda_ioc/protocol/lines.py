"""Cut a stream of bytes into lines.

The buffer never looks at the same byte twice, however the stream is split, and holds at most one
unfinished line; how long that may grow is for the caller to say.
"""


class LineBuffer:
    """Collects bytes and gives back whole lines, without their LF."""

    def __init__(self) -> None:
        self._unfinished = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Add received bytes; return the lines that are complete now, in order."""
        head, newline, rest = data.partition(b"\n")
        self._unfinished += head
        if not newline:
            return []
        lines = rest.split(b"\n")
        lines.insert(0, bytes(self._unfinished))
        self._unfinished = bytearray(lines.pop())
        return lines

    @property
    def unfinished(self) -> bytes:
        """The bytes after the last LF."""
        return bytes(self._unfinished)

    def __len__(self) -> int:
        """How many bytes wait for their LF."""
        return len(self._unfinished)
