"""The place of a file that is being written: whom it may replace, and whether it is still there.

A file that replaces another is made beside it, and put into its place when it is complete enough for readers to open:
who has the old one open keeps it, and if the new one cannot be made, the old one stays. While a file is written it
is locked, so that no other program replaces it; the system releases the lock of a program that was killed.
"""

import errno
import fcntl
import os
import secrets
import stat
import time
from pathlib import Path

from ..opening import opened
from .errors import CaptureError
from .superblock import read_superblock

#: What a file system says that has no locks. Then there is no protection, as HDF5 itself has it.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF}

#: Times that a lock is tried, with a pause in s: a reader that opens the file holds its own for a moment.
_LOCK_TRIES, _LOCK_PAUSE = 10, 0.02


class Place:
    """Where a file goes.

    Args:
        path: of the file; a link is followed
        replace: whether the file may replace another one

    Attributes:
        path: as given
        made_at: where to make the file, which must not exist yet
        lost: whether the file that was put there is destroyed

    Raises:
        CaptureError: what is there cannot be replaced
    """

    def __init__(self, path: Path, *, replace: bool = False) -> None:
        self.path = path
        self.lost = False
        self._real = Path(os.path.realpath(path)) if replace else path
        self._size = 0
        self.made_at = self._real
        if replace and os.path.lexists(self._real):
            _check_replaceable(path, self._real)
            self.made_at = self._real.with_name(f".panda-ioc-{secrets.token_hex(4)}.new")

    @property
    def occupied(self) -> bool:
        """Whether the file that was made is where it belongs."""
        return self.made_at == self._real

    def occupy(self) -> None:
        """Put the file that was made where it belongs.

        Raises:
            CaptureError: what is there cannot be replaced
        """
        if self.occupied:
            return
        if os.path.lexists(self._real):  # somebody may have begun to write since it was looked at
            _check_replaceable(self.path, self._real)
        try:
            self.made_at.replace(self._real)
        except OSError as error:
            raise CaptureError(f"cannot replace {self.path}: {error.strerror}") from error
        self.made_at = self._real

    def lock(self, descriptor: int, *, readers: bool) -> None:
        """Keep other writers away from the file.

        Args:
            descriptor: of the file
            readers: whether others may read it

        Raises:
            CaptureError: another program has locked it
        """
        kind = fcntl.LOCK_SH if readers else fcntl.LOCK_EX
        for _ in range(_LOCK_TRIES):
            if _lock(descriptor, kind):
                return
            time.sleep(_LOCK_PAUSE)
        raise CaptureError(f"{self.path} is locked by another program")

    def check_size(self, descriptor: int) -> int:
        """Check that nobody has made the file shorter since this was asked before; return its size.

        Raises:
            CaptureError: somebody has
        """
        size = os.fstat(descriptor).st_size
        if size < self._size:
            self.lost = True
            raise CaptureError(f"{self.path} was truncated by another program while it was written: its data are lost")
        self._size = size
        return size

    def check(self, descriptor: int) -> str:
        """Compare the open file with what is at its path.

        Returns:
            what is wrong, though what is written is kept; "" if all is well

        Raises:
            CaptureError: what was written is lost
        """
        ours = os.fstat(descriptor)
        try:
            there = self._real.stat()
        except (FileNotFoundError, NotADirectoryError):
            there = None
        except OSError as error:
            return f"{self.path} cannot be reached any more: {error.strerror}"
        if there is not None and os.path.samestat(there, ours):
            return ""
        if not ours.st_nlink:
            self.lost = True
            what = "deleted" if there is None else "replaced"
            raise CaptureError(f"{self.path} was {what} by another program while it was written: its data are lost")
        return f"{self.path} was moved{_whereto(descriptor)}"

    def discard(self, descriptor: int) -> None:
        """Remove the file that was made, if it is still where it was made; nothing happens otherwise."""
        try:
            if os.path.samestat(self.made_at.lstat(), os.fstat(descriptor)):
                self.made_at.unlink()
        except OSError:
            return  # it is gone, or its directory may not be written to any more: it is empty


def _check_replaceable(path: Path, real: Path) -> None:
    """Check that a file can be replaced: that it is one, and that no other program writes it."""
    try:
        if not stat.S_ISREG(real.stat().st_mode):
            raise CaptureError(f"cannot replace {path}: it is not a regular file")
        descriptor = opened(_opened, real)
        try:
            written = not _lock(descriptor, fcntl.LOCK_SH)
            block = read_superblock(descriptor)
            # HDF5 marks a file as long as it is written, and a program that was killed leaves the mark.
            written = written or (block is not None and block.being_written and not _lock(descriptor, fcntl.LOCK_EX))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise CaptureError(f"cannot replace {path}: {error.strerror}") from error
    if written:
        raise CaptureError(
            f"cannot replace {path}: it is being written by another program, or was left unfinished and is open in one"
        )


def _opened(path: Path) -> int:
    """Open a file, for writing if possible: NFS gives no exclusive lock otherwise."""
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def _lock(descriptor: int, kind: int) -> bool:
    """Lock a file; return whether that was possible, or there are no locks."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


def _whereto(descriptor: int) -> str:
    """Where an open file was moved to, as far as the system tells."""
    try:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
    except OSError:
        return ""
    return "" if path.endswith(" (deleted)") else f" to {path}"
