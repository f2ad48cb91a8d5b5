# SPDX-License-Identifier: Apache-2.0
"""The folders of `run_dir` and their owners. Each has one writer; tmpfiles.d creates it with that owner and mode.

Without tmpfiles.d (a demo, a replay, a test, where one user runs all services) each service creates its own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from linetap_core import system
from linetap_core.errors import BadInput

AUDIO = "audio"  # capture's; only the recorder may read it
CALLS = "calls"  # the recorder's alone: calls in progress, the checkpoint with callers' numbers
ROOT = "root"  # root's: the report of a disk removal
TERMINAL = "terminal"  # root's: commands brought by a person
_OWN = "own"


def service_folder(run_dir: Path, service: str) -> Path:
    """The folder that a service shares with the others. All captures share one, because they run as one user."""
    return run_dir / service.partition("@")[0]


def private_folder(run_dir: Path, service: str) -> Path:
    """The folder that only the service may open: it contains the lock, which another process could otherwise hold."""
    return service_folder(run_dir, service) / _OWN


def capture_service(card: int) -> str:
    """The name of the service for a card, in its state file, its log and the lists of services."""
    return f"capture@{card}"


def socket_path(run_dir: Path, card: int) -> Path:
    """Capture's socket. It is beside the ring, so that only processes that may enter the folder can fill its queue."""
    return run_dir / AUDIO / f"{capture_service(card)}.sock"


def make(folder: Path, private: bool = False) -> Path:
    """Creates the folder if it is missing, and returns it. A later write reports a failure."""
    with contextlib.suppress(OSError):
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700 if private else 0o750, exist_ok=True)
    return folder


def make_service_folder(run_dir: Path, service: str) -> Path:
    """Returns `service_folder`, created if missing."""
    return make(service_folder(run_dir, service))


def make_private_folder(run_dir: Path, service: str) -> Path:
    make_service_folder(run_dir, service)
    return make(private_folder(run_dir, service), private=True)


# --- Small files on tmpfs, written by one service and read by another
# --------------------------------------------------- The reader treats them as hostile: the folder's owner can put a
# link, a FIFO, a folder or a file of any size there, or remove it at any moment. The reader must not follow a link,
# block, use unbounded memory, or end.


_FOLDER = os.O_RDONLY | system.DIRECTORY | system.NOFOLLOW | system.CLOEXEC
_MOST_NAMES = 1024  # most entries read of a foreign folder


@contextmanager
def opened(folder: Path | str, name: str, most_bytes: int, copied: bool = False) -> Iterator[tuple[int, int]]:
    """Opens a file for reading; returns its descriptor and size. OSError unless it is a regular file with one link,
    owned by the folder's owner, of at most `most_bytes`. `copied`: owner and number of links may differ, as in a copied
    vault.
    """
    with _in_folder(folder, name) as (fd, owner):
        # Owners are only compared with each other: in its own user namespace a service does not see others' numbers.
        found = os.fstat(fd)
        private_folder = copied or (found.st_nlink <= 1 and found.st_uid == owner)
        if not stat.S_ISREG(found.st_mode) or not private_folder:
            raise OSError(errno.ENXIO, "not a plain file of the folder's owner", f"{folder}/{name}")
        if found.st_size > most_bytes:
            raise OSError(errno.ENXIO, f"larger than {most_bytes} bytes", f"{folder}/{name}")
        yield fd, found.st_size


@contextmanager
def _in_folder(folder: Path | str, name: str) -> Iterator[tuple[int, int]]:
    """The descriptor of a file, and its folder's owner. Windows cannot open a folder: there the path is used."""
    with contextlib.ExitStack() as held:
        if system.IS_WINDOWS:
            fd, owner = system.open_alone(Path(folder) / name), os.lstat(folder).st_uid
        else:
            at = os.open(folder, _FOLDER)
            held.callback(os.close, at)
            fd, owner = os.open(name, system.READ_ALONE, dir_fd=at), os.fstat(at).st_uid
        held.callback(os.close, fd)
        yield fd, owner


def read(folder: Path | str, name: str, most_bytes: int, copied: bool = False) -> bytes:
    """The content of a file that passes the checks of `opened`."""
    with opened(folder, name, most_bytes, copied) as (fd, size):
        return os.read(fd, size)


def read_small(path: Path, limit_bytes: int) -> bytes:
    """The content of a file named on the command line. BadInput if it is no regular file; a FIFO must not block."""
    try:
        with FileIO(os.open(path, system.READ)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BadInput(f"{path}: not a regular file")
            data = file.read(limit_bytes + 1)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    if len(data) > limit_bytes:
        raise BadInput(f"{path}: larger than {limit_bytes} bytes")
    return data


def names(folder: Path | str, suffix: str) -> list[str]:
    """The names in a folder with this suffix, sorted, without temporary files and undecodable names; only some names of
    a crowded folder. A missing folder counts as empty.
    """
    with contextlib.ExitStack() as held:
        at: int | Path | str = folder
        try:
            if not system.IS_WINDOWS:
                at = os.open(folder, _FOLDER)
                held.callback(os.close, at)
            entries = held.enter_context(os.scandir(at))
        except OSError:
            return []
        found = [entry.name for _, entry in zip(range(_MOST_NAMES), entries, strict=False)]
    return sorted(name for name in found if name.endswith(suffix) and not name.startswith(".") and name.isprintable())


def stamp(path: Path | str) -> tuple[int, int] | None:
    """Inode and modification time, which differ after each replacement. None if the file is missing."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


# --- Folders of commands for the recorder, and of its answers ---------------------------------------------------------
# Each side writes and removes files only in its own folder: a sender removes its command when it has the answer, and
# then the recorder removes the answer.


ANSWER = ".answer"
GIVERS = ("reporter", TERMINAL)


def commands_of(run_dir: Path, giver: str) -> Path:
    return service_folder(run_dir, giver) / "commands"


def answers_for(run_dir: Path, giver: str) -> Path:
    return service_folder(run_dir, "recorder") / "answers" / giver


def index_list(run_dir: Path) -> Path:
    """The path of the signed list of the index's segments (evidence/calls/indexhead.py), from which it is fetched."""
    return service_folder(run_dir, "recorder") / "index.list"
