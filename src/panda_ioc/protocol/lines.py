"""Split a byte stream into lines.

Each byte is searched once, however the stream is split. The buffer holds at most one incomplete line; the caller
limits its length.
"""


class LineBuffer:
    r"""A buffer that collects received bytes and returns complete lines, without their LF.

    Example:
        >>> buffer = LineBuffer()
        >>> buffer.feed(b"OK =1")
        []
        >>> buffer.feed(b"2\nOK\nER")
        [b'OK =12', b'OK']
        >>> buffer.unfinished
        b'ER'
    """

    def __init__(self) -> None:
        self._unfinished = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Add received bytes and return the lines that they complete, in order."""
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
        """The bytes received after the last LF."""
        return bytes(self._unfinished)

    def __len__(self) -> int:
        """Return the number of bytes received after the last LF."""
        return len(self._unfinished)
