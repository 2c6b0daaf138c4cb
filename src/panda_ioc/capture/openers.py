"""Detection of programs that have a file open for writing, also without a lock.

HDF5 releases its lock when a file enters SWMR mode, so that readers can open it. Other programs that write in this
mode, such as areaDetector, therefore hold no lock. The kernel grants a lease to read a file (see fcntl(2)) only if no
process of this host has it open for writing.
"""

import errno
import fcntl
import os
import signal
from pathlib import Path

from ..opening import opened

#: File systems whose files only this host opens. Others also refuse leases for other reasons.
_LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs", "overlay", "zfs"})


def has_writer(path: Path) -> bool | None:
    """Return whether a process has a file open for writing; None if this cannot be found out.

    Raises:
        OSError: the file cannot be opened
    """
    descriptor = opened(os.open, path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if _file_system(os.fstat(descriptor).st_dev) not in _LOCAL:
            return None
        # A process that opens the file meanwhile waits until the lease ends below, and the kernel sends a signal. The
        # default one would terminate this process; this one is ignored.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None  # for example, the file of another user
    else:
        return False
    finally:
        os.close(descriptor)


def _file_system(device: int) -> str:
    """Return the type of the file system of a device, such as "ext4"; "" if it is unknown."""
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text(errors="replace")
    except OSError:
        return ""
    for line in mounts.splitlines():
        mount, _, kind = line.partition(" - ")
        if mount.split()[2] == number:
            return kind.split()[0]
    return ""
