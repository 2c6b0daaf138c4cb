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
from .openers import has_writer
from .superblock import parse_superblock, read_head

#: Errors of file systems without locks. As HDF5 does, files are then not protected.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF}

#: Number of attempts to lock, and the pause between them in s: a reader that opens the file locks it briefly.
_LOCK_TRIES, _LOCK_PAUSE = 10, 0.02

#: Permission to write a file, of any user.
_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH

#: Mark of the kernel for the path of a deleted file, and the name to which NFS renames a deleted file that is open.
_DELETED, _NFS_DELETED = " (deleted)", ".nfs"


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
        self._size, self._head = 0, b""
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
        mode = None
        if os.path.lexists(self._real):  # another program may have started to write it meanwhile
            mode = _check_replaceable(self.path, self._real)
        try:
            if mode is not None:
                self.write_path.chmod(mode)
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
            CaptureError: another program has locked the file, or the file system fails
        """
        kind = fcntl.LOCK_SH if readers else fcntl.LOCK_EX
        for _ in range(_LOCK_TRIES):
            try:
                if _lock(descriptor, kind):
                    return
            except OSError as error:
                raise CaptureError(f"cannot lock {self.path}: {error.strerror}") from error
            time.sleep(_LOCK_PAUSE)
        raise CaptureError(f"{self.path} is locked by another program")

    def check_content(self, descriptor: int) -> None:
        """Check that no other program changed the file since the last call of `note_content`.

        Only the size and the superblock are compared, so a change elsewhere is not found.

        Raises:
            CaptureError: the file was truncated or overwritten
        """
        head = read_head(descriptor)
        if os.fstat(descriptor).st_size < self._size:
            what = "truncated"
        elif head != self._head and _end(head) != _end(self._head):  # h5clear, which keeps the length, is harmless
            what = "overwritten"
        else:
            return
        self.lost = True
        raise CaptureError(f"{self.path} was {what} by another program during the capture: its data are lost")

    def note_content(self, descriptor: int) -> None:
        """Note what the file has after our own writes, for `check_content`."""
        self._size = os.fstat(descriptor).st_size
        self._head = read_head(descriptor)

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
        now = _current_path(descriptor)
        if not ours.st_nlink or now.name.startswith(_NFS_DELETED):
            self.lost = True
            what = "deleted" if there is None else "replaced"
            raise CaptureError(f"{self.path} was {what} by another program during the capture: its data are lost")
        if now.name.endswith(_DELETED):
            return f"{self.path} was deleted or moved: only another hard link has its data"
        return f"{self.path} was moved to {now}"

    def check_stored(self, descriptor: int) -> None:
        """Wait until the disk has stored the file. Little is left to store, see `writeback`.

        Raises:
            CaptureError: the disk failed after Linux had accepted the data
        """
        try:
            os.fdatasync(descriptor)
        except OSError as error:
            raise CaptureError(
                f"cannot write {self.path}: {error.strerror}. It is unknown which samples are on the disk: check them"
            ) from error

    def check_writable(self, descriptor: int) -> None:
        """Check that the file can still be written, by writing its first bytes again.

        If the disk fails while HDF5 closes a file, HDF5 may use freed memory later.

        Raises:
            OSError: the file cannot be written
        """
        os.pwrite(descriptor, read_head(descriptor), 0)

    def discard(self, descriptor: int) -> None:
        """Remove the new file if it is still at the path where it was created."""
        try:
            if os.path.samestat(self.write_path.lstat(), os.fstat(descriptor)):
                self.write_path.unlink()
        except OSError:
            return  # already removed, or the directory is read-only now


def _check_replaceable(path: Path, real: Path) -> int:
    """Check that a file is regular and writable, and that no other program is writing it; return its permissions."""
    try:
        mode = real.stat().st_mode
        if not stat.S_ISREG(mode):
            raise CaptureError(f"cannot replace {path}: it is not a regular file")
        if not mode & _WRITABLE:  # also for root, who may write it nevertheless
            raise CaptureError(f"cannot replace {path}: it is read-only")
        descriptor = opened(_opened, real)
        try:
            written = not _lock(descriptor, fcntl.LOCK_SH)
            block = parse_superblock(read_head(descriptor))
            # HDF5 marks a file while it is being written. The mark remains if the writer was killed.
            marked = block is not None and block.being_written
            in_use = marked and not _lock(descriptor, fcntl.LOCK_EX)
        finally:
            os.close(descriptor)
        writer = has_writer(real)
        written = written or (in_use if writer is None else writer)
    except OSError as error:
        raise CaptureError(f"cannot replace {path}: {error.strerror}") from error
    if written:
        raise CaptureError(
            f"cannot replace {path}: another program is writing it, or it was left unfinished and a program has it open"
        )
    return stat.S_IMODE(mode)


def _opened(path: Path) -> int:
    """Open a file for writing: one that we may not write is not replaced, and NFS needs it for an exclusive lock."""
    return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)


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


def _current_path(descriptor: int) -> Path:
    """Return the current path of an open file; it ends with `_DELETED` if the kernel knows none."""
    try:
        return Path(f"/proc/self/fd/{descriptor}").readlink()
    except OSError:
        return Path(_DELETED)


def _end(head: bytes) -> int | None:
    """Return the length of a file by the bytes of its superblock; None without superblock."""
    block = parse_superblock(head)
    return None if block is None else block.end
