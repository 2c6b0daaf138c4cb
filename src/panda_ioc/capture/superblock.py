"""The superblock of an HDF5 file, which has the flags of open files and the length of the file.

HDF5 refuses to open a file that is marked as being written or that is shorter than its superblock says. After a disk
error, HDF5 can leave a file in this state although all flushed data are readable. As `h5clear` does, this module
corrects the two entries in place. It writes no other byte, so this also works on a full disk.

The layout is from "HDF5 File Format Specification", section II.A, versions 2 and 3, with 8-byte addresses.
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..opening import opened

_SIGNATURE = b"\x89HDF\r\n\x1a\n"

#: Signature, version, size of addresses, size of lengths, flags, base address, extension, end of file, root group.
_LAYOUT = struct.Struct("<8sBBBBQQQQ")

#: Size of a superblock in bytes, including its checksum.
SUPERBLOCK_BYTES = _LAYOUT.size + 4

#: Flags: open for writing, open for SWMR writing.
_WRITING = 0x1 | 0x4

_WORD = 0xFFFFFFFF


@dataclass(frozen=True)
class Superblock:
    """The content of a superblock.

    Attributes:
        being_written: whether the writer has not closed the file: it is still writing, or was killed
        end: minimum size of the file in bytes
    """

    being_written: bool
    end: int


def read_head(descriptor: int) -> bytes:
    """Return the first `SUPERBLOCK_BYTES` of an open file."""
    return os.pread(descriptor, SUPERBLOCK_BYTES, 0)


def parse_superblock(head: bytes) -> Superblock | None:
    """Parse the first `SUPERBLOCK_BYTES` of a file; None without a superblock of a supported version."""
    values = _values(head)
    return None if values is None else Superblock(bool(values[4] & _WRITING), values[7])


def marked_closed(head: bytes, size: int) -> bytes | None:
    """Return a superblock that marks the file as closed.

    Args:
        head: first `SUPERBLOCK_BYTES` of the file
        size: size of the file in bytes

    Returns:
        the bytes with which the file begins then; None without a superblock of a supported version
    """
    values = _values(head)
    return None if values is None else _packed(*values[:4], values[4] & ~_WRITING, *values[5:7], size, values[8])


def mark_closed(path: Path) -> bool:
    """Mark a file as closed, and set its length in the superblock; return whether the superblock is supported.

    Args:
        path: path of a file that no program is writing

    Raises:
        OSError: the file cannot be read or written
    """
    descriptor = opened(os.open, path, os.O_RDWR | os.O_CLOEXEC)
    try:
        head = read_head(descriptor)
        closed = marked_closed(head, os.fstat(descriptor).st_size)
        if closed is not None and closed != head:
            os.pwrite(descriptor, closed, 0)
        return closed is not None
    finally:
        os.close(descriptor)


def _packed(*values: Any) -> bytes:
    block = _LAYOUT.pack(*values)
    return block + struct.pack("<I", _checksum(block))


def _values(block: bytes) -> tuple[int, ...] | None:
    if len(block) != SUPERBLOCK_BYTES:
        return None
    values = _LAYOUT.unpack_from(block)
    known = values[0] == _SIGNATURE and values[1] in {2, 3} and values[2:4] == (8, 8)
    return values if known and struct.unpack_from("<I", block, _LAYOUT.size) == (_checksum(block[:-4]),) else None


def _checksum(data: bytes) -> int:
    """Return Bob Jenkins' lookup3 hash, the checksum of HDF5 metadata."""
    a = b = c = (0xDEADBEEF + len(data)) & _WORD
    words: tuple[int, ...] = struct.unpack(f"<{-(-len(data) // 12) * 3}I", data.ljust(-(-len(data) // 12) * 12, b"\0"))
    for at in range(0, len(words) - 3, 3):
        a, b, c = _mixed((a + words[at]) & _WORD, (b + words[at + 1]) & _WORD, (c + words[at + 2]) & _WORD)
    a, b, c = ((value + word) & _WORD for value, word in zip((a, b, c), words[-3:], strict=True))
    for first, second, third, bits in _FINAL:
        values = {"a": a, "b": b, "c": c}
        values[first] = ((values[first] ^ values[second]) - _turned(values[third], bits)) & _WORD
        a, b, c = values.values()
    return c


_FINAL = (
    *(("c", "b", "b", 14), ("a", "c", "c", 11), ("b", "a", "a", 25), ("c", "b", "b", 16)),
    *(("a", "c", "c", 4), ("b", "a", "a", 14), ("c", "b", "b", 24)),
)


def _mixed(a: int, b: int, c: int) -> tuple[int, int, int]:
    for bits in (4, 6, 8, 16, 19, 4):
        # Each round is the same with the variables rotated by one.
        a, c = ((a - c) & _WORD) ^ _turned(c, bits), (c + b) & _WORD
        a, b, c = b, c, a
    return a, b, c


def _turned(value: int, bits: int) -> int:
    return (value << bits | value >> 32 - bits) & _WORD
