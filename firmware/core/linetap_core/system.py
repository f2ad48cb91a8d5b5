# SPDX-License-Identifier: Apache-2.0
"""The differences of Linux and Windows for tools that run on both: flags of os.open, positioned reads, locks, synced
folders, the account's name. No other module of these tools checks the system (decision 0165).

On Windows a folder cannot be synced, and a file's mode is only its read-only flag: the folder determines who may read a
file. Python makes a folder of mode 0700 readable only by its owner, SYSTEM and administrators.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    # O_BINARY: otherwise the C library changes line feeds, and with them the bytes of a signed file.
    CLOEXEC = os.O_BINARY | os.O_NOINHERIT
    NOFOLLOW = NONBLOCK = NOCTTY = DIRECTORY = 0
else:
    import fcntl

    CLOEXEC, NOFOLLOW, DIRECTORY = os.O_CLOEXEC, os.O_NOFOLLOW, os.O_DIRECTORY
    NONBLOCK, NOCTTY = os.O_NONBLOCK, os.O_NOCTTY

IS_WINDOWS = sys.platform == "win32"
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NOFOLLOW | CLOEXEC
READ = os.O_RDONLY | NONBLOCK | NOCTTY | CLOEXEC  # neither a FIFO nor a lease can block it; a link is followed
READ_ALONE = READ | NOFOLLOW


def open_alone(path: Path | str) -> int:
    """Opens a file for reading; returns its descriptor. OSError for a link, which may lead anywhere."""
    if not IS_WINDOWS:
        return os.open(path, READ_ALONE)
    found = os.lstat(path)  # without O_NOFOLLOW the opened file must be compared with the checked one
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    fd = os.open(path, READ)
    opened = os.fstat(fd)
    if (opened.st_dev, opened.st_ino) != (found.st_dev, found.st_ino):
        os.close(fd)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return fd


def is_null_device(fd: int) -> bool:
    """Whether the device discards all written data. Not detected on Windows."""
    if sys.platform == "win32":
        return False
    info = os.fstat(fd)
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == os.stat(os.devnull).st_rdev


def read_at(fd: int, count: int, offset: int) -> bytes:
    """Reads at most `count` bytes. On Windows it moves the descriptor's position: only one thread at a time."""
    if sys.platform == "win32":
        os.lseek(fd, offset, os.SEEK_SET)
        return os.read(fd, count)
    return os.pread(fd, count, offset)


def write_at(fd: int, data: bytes, offset: int) -> int:
    """Writes; returns the number of written bytes. Only one thread at a time, like `read_at`."""
    if sys.platform == "win32":
        os.lseek(fd, offset, os.SEEK_SET)
        return os.write(fd, data)
    return os.pwrite(fd, data, offset)


def sync_data(fd: int) -> None:
    if sys.platform == "win32":
        os.fsync(fd)
    else:
        os.fdatasync(fd)


def sync_folder(path: Path) -> None:
    """Syncs the names in a folder to disk. Does nothing on Windows: NTFS journals them in order by itself."""
    if IS_WINDOWS:
        return
    fd = os.open(path, os.O_RDONLY | DIRECTORY | CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def rename(fresh: Path, path: Path) -> None:
    """Renames over an existing path, which Path.rename refuses on Windows."""
    if IS_WINDOWS:
        fresh.replace(path)
    else:
        fresh.rename(path)


def name_once(temporary: Path, path: Path) -> None:
    """Gives a whole file its name; FileExistsError if the name is taken. `temporary` may remain."""
    if IS_WINDOWS:
        os.rename(temporary, path)  # refuses an existing name there
        return
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP):
            raise
        os.close(os.open(path, NEW, 0o600))  # FAT on a stick has no hard links: the name is taken first
        os.replace(temporary, path)


_LOCKED_BYTE = 1 << 30  # beyond any content: Windows does not read a locked byte


def lock(fd: int) -> None:
    """Locks the file for this process alone until it is closed. BlockingIOError if another process has it locked."""
    if sys.platform == "win32":
        os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(error.errno, error.strerror) from None
        finally:
            os.lseek(fd, 0, os.SEEK_SET)
    else:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def wait_for_lock(fd: int) -> None:
    """Locks the file like `lock`, but waits while another process has it locked."""
    if sys.platform == "win32":
        os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_LOCK, 1)  # tries ten times, a second apart
    else:
        fcntl.flock(fd, fcntl.LOCK_EX)


def user_name() -> str:
    """The account of this process by the system, not by an environment variable."""
    if sys.platform == "win32":
        return os.getlogin()
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def program(name: str) -> str | None:
    """The path of an installed program, only from the absolute folders of PATH: Windows would first search the current
    folder, possibly one with downloads.
    """
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        path = os.path.join(folder, f"{name}.exe" if IS_WINDOWS else name)
        if os.path.isabs(folder) and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


_PR_SET_DUMPABLE = 4
_SEM = 0x0001 | 0x0002  # FAILCRITICALERRORS, NOGPFAULTERRORBOX: no crash report, which would contain memory


def leave_no_core() -> None:
    """Prevents core dumps, and on Linux also that other processes of the user read this process's memory. Windows has
    no such protection: a program of this person has all rights of the person.
    """
    if sys.platform == "win32":
        ctypes.windll.kernel32.SetErrorMode(_SEM)
    else:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def media() -> list[Path]:
    """The drives, or the mounted media."""
    if sys.platform == "win32":
        return [Path(drive) for drive in os.listdrives()]
    return sorted(
        path for above in (Path("/media"), Path("/run/media")) for path in (*above.glob("*"), *above.glob("*/*"))
    )


def ram_folder() -> Path | None:
    """A folder in memory if the system has one for every user; otherwise None."""
    path = Path("/dev/shm")
    return path if not IS_WINDOWS and path.is_dir() else None


# The errors of a medium that has lost the file, and of foreign objects in its place. Any other error describes the
# moment, not the file.
DAMAGE = {errno.EIO, getattr(errno, "EUCLEAN", errno.EIO), errno.EBADMSG, errno.ELOOP, errno.ENXIO, errno.EISDIR}


def is_damage(error: OSError) -> bool:
    """Whether the medium has lost the file; otherwise the error describes the moment."""
    return error.errno in DAMAGE


def is_out_of_reach(error: OSError) -> bool:
    """Whether the medium has lost the file, or another user's folder or an immutable file keeps it from this user."""
    return is_damage(error) or isinstance(error, PermissionError)
