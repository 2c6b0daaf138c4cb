"""Path of a file being written: safe replacement, locking, detection of loss.

A file that replaces another is created in the same directory and renamed when readers can open it. Readers of the old
file keep it, and if the new file cannot be created, the old one remains. A file is locked while it is written, so that
no other program replaces it; the operating system releases the lock when the program ends.
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

#: Errors of file systems without locks. As HDF5 does, files are then not protected.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF}

#: Number of attempts to lock, and the pause between them in s: a reader that opens the file locks it briefly.
_LOCK_TRIES, _LOCK_PAUSE = 10, 0.02


class FileTarget:
    """The path of a file being written.

    Args:
        path: path of the file; symbolic links are followed
        replace: allow the replacement of an existing file

    Attributes:
        path: path as given
        write_path: path at which to create the file; nothing exists there
        lost: whether the file was destroyed by another program

    Raises:
        CaptureError: the existing file cannot be replaced
    """

    def __init__(self, path: Path, *, replace: bool = False) -> None:
        self.path = path
        self.lost = False
        self._real = Path(os.path.realpath(path)) if replace else path
        self._size = 0
        self.write_path = self._real
        if replace and os.path.lexists(self._real):
            _check_replaceable(path, self._real)
            self.write_path = self._real.with_name(f".panda-ioc-{secrets.token_hex(4)}.new")

    @property
    def published(self) -> bool:
        """Whether the new file is at its final path."""
        return self.write_path == self._real

    def publish(self) -> None:
        """Move the new file to its final path.

        Raises:
            CaptureError: the existing file cannot be replaced
        """
        if self.published:
            return
        if os.path.lexists(self._real):  # another program may have started to write it meanwhile
            _check_replaceable(self.path, self._real)
        try:
            self.write_path.replace(self._real)
        except OSError as error:
            raise CaptureError(f"cannot replace {self.path}: {error.strerror}") from error
        self.write_path = self._real

    def lock(self, descriptor: int, *, readers: bool) -> None:
        """Lock the file against other writers.

        Args:
            descriptor: file descriptor
            readers: allow other programs to read the file

        Raises:
            CaptureError: another program has locked the file
        """
        kind = fcntl.LOCK_SH if readers else fcntl.LOCK_EX
        for _ in range(_LOCK_TRIES):
            if _lock(descriptor, kind):
                return
            time.sleep(_LOCK_PAUSE)
        raise CaptureError(f"{self.path} is locked by another program")

    def check_size(self, descriptor: int) -> int:
        """Check that the file was not truncated since the last call; return its size.

        Raises:
            CaptureError: the file was truncated
        """
        size = os.fstat(descriptor).st_size
        if size < self._size:
            self.lost = True
            raise CaptureError(f"{self.path} was truncated by another program during the capture: its data are lost")
        self._size = size
        return size

    def check(self, descriptor: int) -> str:
        """Check that the open file is still at its path.

        Returns:
            a warning if the file was moved or cannot be reached, its data being safe; "" otherwise

        Raises:
            CaptureError: the file was deleted or replaced, and its data are lost
        """
        ours = os.fstat(descriptor)
        try:
            there = self._real.stat()
        except (FileNotFoundError, NotADirectoryError):
            there = None
        except OSError as error:
            return f"cannot access {self.path}: {error.strerror}"
        if there is not None and os.path.samestat(there, ours):
            return ""
        if not ours.st_nlink:
            self.lost = True
            what = "deleted" if there is None else "replaced"
            raise CaptureError(f"{self.path} was {what} by another program during the capture: its data are lost")
        return f"{self.path} was moved{_whereto(descriptor)}"

    def discard(self, descriptor: int) -> None:
        """Remove the new file if it is still at the path where it was created."""
        try:
            if os.path.samestat(self.write_path.lstat(), os.fstat(descriptor)):
                self.write_path.unlink()
        except OSError:
            return  # already removed, or the directory is read-only now; the file is empty


def _check_replaceable(path: Path, real: Path) -> None:
    """Check that an existing file is a regular file and that no other program is writing it."""
    try:
        if not stat.S_ISREG(real.stat().st_mode):
            raise CaptureError(f"cannot replace {path}: it is not a regular file")
        descriptor = opened(_opened, real)
        try:
            written = not _lock(descriptor, fcntl.LOCK_SH)
            block = read_superblock(descriptor)
            # HDF5 marks a file while it is being written. The mark remains if the writer was killed.
            written = written or (block is not None and block.being_written and not _lock(descriptor, fcntl.LOCK_EX))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise CaptureError(f"cannot replace {path}: {error.strerror}") from error
    if written:
        raise CaptureError(
            f"cannot replace {path}: another program is writing it, or it was left unfinished and a program has it open"
        )


def _opened(path: Path) -> int:
    """Open a file, for writing if possible, because NFS otherwise allows no exclusive lock."""
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def _lock(descriptor: int, kind: int) -> bool:
    """Lock a file. Return True if it is locked or the file system has no locks."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


def _whereto(descriptor: int) -> str:
    """Return " to PATH" with the current path of an open file; "" if it is unknown."""
    try:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
    except OSError:
        return ""
    return "" if path.endswith(" (deleted)") else f" to {path}"
