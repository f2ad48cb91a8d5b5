# SPDX-License-Identifier: Apache-2.0
"""Simulates Windows for linetap's code alone, in a separate process on this machine: call `begin()` before linetap is
imported. Python's own modules and the libraries stay unchanged.

typeshed determines which names `os`, `signal`, `socket` and others have on Windows. Differences of the calls are from
CPython's documentation: a folder cannot be opened, nor an open file removed or replaced; a rename refuses an existing
name; text is cp949 with carriage returns, also on a descriptor without O_BINARY; there is no zone data, and no local
time after 3000. Not simulated: paths with drives and backslashes, access-control lists, the console.
"""

from __future__ import annotations

import ast
import asyncio
import builtins
import contextlib
import ctypes
import errno
import fcntl
import importlib.util
import io
import os
import runpy
import signal
import socket
import sys
import tempfile
import time
import zoneinfo
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

MISSING = {"fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
_PLACES = ("/dev/", "/proc/", "/sys/", "/run/", "/etc/")  # missing on Windows
BINARY, NOINHERIT = 1 << 29, 1 << 30
BREAK = signal.SIGUSR1  # for SIGBREAK, which Ctrl and Pause send
_own = "/nowhere"  # the test's folder, wherever it is
_temporary = os.path.realpath(tempfile.gettempdir())  # in /dev/shm during the whole suite
refused: list[str] = []  # linetap's calls that Windows lacks


def names_of(module: str) -> set[str]:
    """The names of a module on Windows, by typeshed."""
    found = importlib.util.find_spec("mypy")
    assert found is not None
    assert found.origin is not None
    base = Path(found.origin).parent / "typeshed/stdlib" / module
    path = base / "__init__.pyi" if base.is_dir() else base.with_suffix(".pyi")
    names = set(_defined(ast.parse(path.read_text("utf-8")).body))
    return names | (names_of(f"_{module}") if f"from _{module} import *" in path.read_text("utf-8") else set())


def _defined(body: list[ast.stmt]) -> Iterator[str]:
    there = {"sys": SimpleNamespace(platform="win32", version_info=sys.version_info)}
    for node in body:
        if isinstance(node, ast.If):
            holds = eval(compile(ast.Expression(node.test), "typeshed", "eval"), {}, there)
            yield from _defined(node.body if holds else node.orelse)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.Assign):
            yield from (each.id for each in node.targets if isinstance(each, ast.Name))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((each.asname or each.name).partition(".")[0] for each in node.names)


class Module(ModuleType):
    """A module as on Windows: `more` replaces its own names, and names unknown to typeshed are removed."""

    def __init__(self, real: ModuleType, more: dict[str, Any], names: set[str] | None) -> None:
        super().__init__(real.__name__)
        self._real, self._names = real, names
        self.__dict__.update(more)

    def __getattr__(self, name: str) -> Any:
        if self._names is not None and name not in self._names and not name.startswith("__"):
            refused.append(f"{self.__name__}.{name}")
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on Windows")
        return getattr(self._real, name)


def _open_paths() -> set[str]:
    found = set()
    for each in _real["listdir"]("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/self/fd/{each}"))
    return found


_real = {
    name: getattr(os, name) for name in ("open", "rename", "replace", "unlink", "write", "fsync", "listdir", "chmod")
}
_real_open = io.open
_text: set[int] = set()  # descriptors without O_BINARY


def _require_closed(path: Any) -> None:
    if not isinstance(path, int) and os.path.realpath(path) in _open_paths():
        raise PermissionError(errno.EACCES, "The process cannot access the file because it is being used", str(path))


def _require_there(path: Any) -> None:
    name = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
    if str(name).startswith(_PLACES) and not str(name).startswith((_own, f"{_temporary}/")):
        refused.append(str(path))
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def _os_open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
    _require_there(path)
    if dir_fd is not None:
        raise NotImplementedError("dir_fd unavailable on this platform")
    if os.path.isdir(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    fd: int = _real["open"](path, (flags & ~(BINARY | NOINHERIT)) | os.O_CLOEXEC, mode)
    (_text.discard if flags & BINARY else _text.add)(fd)
    return fd


def _os_write(fd: int, data: Any) -> int:
    if fd in _text:
        _real["write"](fd, bytes(data).replace(b"\n", b"\r\n"))
        return len(data)
    count: int = _real["write"](fd, data)
    return count


def _os_fsync(fd: int) -> None:
    if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    _real["fsync"](fd)


def _rename(source: Any, target: Any, **_: Any) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    _require_closed(source)
    _real["rename"](source, target)


def _replace(source: Any, target: Any, **_: Any) -> None:
    _require_closed(source)
    _require_closed(target)
    _real["replace"](source, target)


def _unlink(path: Any, **more: Any) -> None:
    _require_closed(path)
    _real["unlink"](path, **more)


def _open(
    file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, errors: str | None = None,
    newline: str | None = None, closefd: bool = True, opener: Any = None,
) -> Any:  # fmt: skip
    if not isinstance(file, int):
        _require_there(file)
    if "b" not in mode:
        encoding = "cp949" if encoding in (None, "locale") else encoding
        newline = "\r\n" if newline is None and "r" not in mode else newline
    return _real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)


def _cdll(name: str | None, *rest: Any, **more: Any) -> Any:
    if name is None:
        raise TypeError("argument of type 'NoneType' is not iterable")
    return ctypes.CDLL(name, *rest, **more)


_LAST_YEAR = 3000  # of the C library's mktime


def mktime(parts: tuple[int, ...]) -> float:
    if parts[0] > _LAST_YEAR:
        raise OverflowError("mktime argument out of range")
    return time.mktime(parts)  # type: ignore[arg-type]


def _locking(fd: int, _mode: int, _count: int) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise PermissionError(errno.EACCES, error.strerror) from None


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = dict(vars(builtins)) | {"__import__": _import, "open": _open}
        super().exec_module(module)


class _Finder:
    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name.partition(".")[0] not in ("linetap_core", "linetap_desk"):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(name, spec.loader.path)
        return spec


_modules: dict[str, ModuleType] = {}


def _import(name: str, *rest: Any, **more: Any) -> ModuleType:
    if name.partition(".")[0] in MISSING:
        refused.append(name)
        raise ModuleNotFoundError(f"No module named {name!r} on Windows", name=name)
    found: ModuleType = _modules.get(name) or builtins.__import__(name, *rest, **more)
    return found


def begin(folder: str) -> None:
    """Makes modules of linetap imported from now on run as on Windows. `folder`: the test's, which stays accessible."""
    global _own
    _own = folder
    of_os: dict[str, Any] = {"name": "nt", "O_BINARY": BINARY, "O_NOINHERIT": NOINHERIT, "getlogin": lambda: "sora"}
    of_os |= {"open": _os_open, "write": _os_write, "fsync": _os_fsync, "rename": _rename, "replace": _replace}
    of_os |= {"unlink": _unlink, "remove": _unlink, "chmod": lambda *_, **__: None}
    kernel = SimpleNamespace(SetErrorMode=lambda _: 0)
    _modules.update(
        os=Module(os, of_os, names_of("os")),
        sys=Module(sys, {"platform": "win32"}, None),
        signal=Module(signal, {"SIGBREAK": BREAK}, names_of("signal")),
        socket=Module(socket, {"SO_EXCLUSIVEADDRUSE": socket.SO_REUSEADDR}, names_of("socket")),
        errno=Module(errno, {}, names_of("errno")),
        time=Module(time, {"mktime": mktime}, names_of("time")),
        ctypes=Module(ctypes, {"CDLL": _cdll, "windll": SimpleNamespace(kernel32=kernel)}, names_of("ctypes")),
        msvcrt=ModuleType("msvcrt"),
    )
    _modules["msvcrt"].__dict__.update(locking=_locking, LK_NBLCK=2, LK_LOCK=1)
    for name, instead in (("rename", _rename), ("replace", _replace), ("unlink", _unlink), ("remove", _unlink)):
        setattr(os, name, instead)  # pathlib calls them
    io.open = _open
    zoneinfo.reset_tzpath(())

    def no_handlers(*_: Any) -> None:
        raise NotImplementedError

    asyncio.SelectorEventLoop.add_signal_handler = no_handlers  # type: ignore[method-assign, assignment]
    os.environ["PATH"] = ""  # neither age nor ssh-keygen is installed
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(encoding="cp949", newline="\r\n")
    assert not any(name.startswith("linetap_") for name in sys.modules), "linetap is there already"
    sys.meta_path.insert(0, _Finder)


def main() -> int:
    """`windows_like.py FOLDER COMMAND ...`: runs a linetap command as on Windows; or a script, which gets FOLDER."""
    begin(sys.argv[1])
    if sys.argv[2].endswith(".py"):
        script, sys.argv = sys.argv[2], [sys.argv[2], sys.argv[1]]
        runpy.run_path(script, run_name="__main__")
        return 0
    from linetap_core import cli

    return cli.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
