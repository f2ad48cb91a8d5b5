# SPDX-License-Identifier: Apache-2.0
"""The `linetap` command: a sub-command for each service and tool, without logic of its own.

Each linetap package registers a table of its commands (entry points of the group `linetap.commands`). Only the module
of the requested command is imported: a service must not load the libraries of a tool.
"""

from __future__ import annotations

import argparse
import configparser
import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linetap_core import __version__
from linetap_core.clock import Clock
from linetap_core.errors import BadInput, LinetapError, file_and_reason

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Verbs = object

GROUP = "linetap.commands"
INTERRUPTED = 130
BROKEN_PIPE = 141  # the shell's status for SIGPIPE
BAD_INPUT = 2
EXAMPLES = argparse.RawDescriptionHelpFormatter  # users copy examples, so the lines are not wrapped
# A missing module, by its import name -> the folders of linetap's repository from which pip installs it. Never one of
# our package names: we publish on no package index, and pip would install a stranger's package of that name.
_OF_DESK = "sqlalchemy starlette uvicorn jinja2 alembic argon2 authlib httpx python_multipart babel segno pyrage"
_DESK = "./firmware/core ./firmware/desk"
_BENCH = f"{_DESK} ./firmware/unit ./firmware/bench"
_DEBIANS = "/usr/lib/python3/"  # installed by our Debian package (firmware/debian)
_BROUGHT_BY = {"scipy": _BENCH, "rich": _BENCH, "RPi": "./firmware/core './firmware/unit[pi]'"} | dict.fromkeys(
    _OF_DESK.split(), _DESK
)


def say(text: str) -> None:
    """Prints a line at once, for a waiting person."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@dataclass(frozen=True, slots=True)
class Command:
    """A command. `part`: "module" or "module:object" with add_arguments(parser) and run(args) -> exit status.
    add_arguments returns the command's verbs, if any.
    """

    part: str
    help: str
    example: str
    service: bool = False


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb of a command, such as `approve` in `linetap release approve`."""

    help: str
    example: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Clock], int]


def add_verbs(
    parser: argparse.ArgumentParser, command: str, verbs: Mapping[str, Verb]
) -> tuple[Verbs, dict[str, argparse.ArgumentParser]]:
    """Adds each verb with its arguments. Returns the sub-parsers and each verb's parser; `args.verb`: the chosen
    name.
    """
    parsers = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    added = {}
    for name, verb in verbs.items():
        sub = parsers.add_parser(
            name,
            help=verb.help,
            description=verb.help,
            epilog=f"example: linetap {command} {name} {verb.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        verb.add_arguments(sub)
        added[name] = sub
    return parsers, added


@cache
def commands() -> dict[str, Command]:
    """The commands of all installed linetap packages, by name. A name of two words is a verb that one package adds to
    another's command: of `command`, the unit has the verb `apply`, and the desk the others.
    """
    found: dict[str, Command] = {}
    for _, place in sorted(_tables().items(), key=lambda pair: (pair[0] != "unit", pair[0])):
        found |= _load(place)
    return found


def _tables() -> dict[str, str]:
    """Entry points of GROUP: package -> "module:object". Parsed here, since importlib.metadata loads `email`: 2.2 MB in
    each of four services (decision 0135).
    """
    found: dict[str, str] = {}
    for folder in sys.path:
        for path in Path(folder).glob("linetap*.dist-info/entry_points.txt"):
            parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
            parser.read(path, encoding="utf-8")
            found = (dict(parser[GROUP]) if GROUP in parser else {}) | found
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command. Exit status: 0 done, 1 the answer is no, 2 bad input or usage (set by argparse)."""
    # Our matrix products are small: a second BLAS thread spins and doubles their cost. Set before numpy loads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a terminal that cannot show Korean must not end the command
            stream.reconfigure(errors="backslashreplace")
    chosen = _chosen(arguments)
    service = chosen in commands() and commands()[chosen].service
    try:
        with contextlib.nullcontext() if service else _cleaned_up():
            status = _run(chosen, arguments)
        sys.stdout.flush()
    except LinetapError as error:
        return _fail(str(error), error.exit_status)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        # A service logs to the journal, where a traceback helps; a person who runs a tool gets one line.
        if service or "LINETAP_TRACEBACK" in os.environ:
            raise
        return _explain(chosen, error)
    return status


class _Ended(KeyboardInterrupt):
    """A signal that ends the process: a closed terminal window, a logout, `kill`, on Windows Ctrl and Pause."""


@contextlib.contextmanager
def _cleaned_up() -> Iterator[None]:
    """Lets a tool remove its unfinished files, above all decrypted audio, before such a signal ends it. A command keeps
    its own handlers, and an ignored signal (nohup) stays ignored."""
    is_main = threading.current_thread() is threading.main_thread()
    found = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP", "SIGBREAK")]
    ours = [number for number in found if is_main and number and signal.getsignal(number) is signal.SIG_DFL]
    ended = list[int]()

    def end(number: int, _frame: object) -> None:
        for each in ours:  # a second one ends it at once
            signal.signal(each, signal.SIG_DFL)
        ended.append(number)
        raise _Ended

    try:
        for number in ours:
            signal.signal(number, end)
        yield
    except _Ended:
        os.kill(os.getpid(), ended[0])  # the parent process sees the signal
        raise
    finally:
        for number in ours:
            if signal.getsignal(number) is end:
                signal.signal(number, signal.SIG_DFL)


def _explain(chosen: str, error: Exception) -> int:
    if isinstance(error, BrokenPipeError):
        # The reader has closed the pipe; otherwise the interpreter fails again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    if isinstance(error, OSError):
        return _fail(file_and_reason(error), BAD_INPUT)
    package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if package in _OF_DESK.split() and __file__.startswith(_DEBIANS):
        return _fail(f"this needs {package}: apt install linetap-desk brings it", BAD_INPUT)
    if package in _BROUGHT_BY:
        return _fail(
            f"this needs {package}: pip install {_BROUGHT_BY[package]} brings it, in linetap's repository", BAD_INPUT
        )
    text = f"a fault in linetap itself: {type(error).__name__}: {error}; LINETAP_TRACEBACK=1 shows where"
    return _fail(f"linetap {chosen}: {text}", BAD_INPUT)


def _chosen(arguments: Sequence[str]) -> str:
    """The name of the requested command, of two words if such a command exists; empty without one."""
    words = [word for word in arguments if not word.startswith("-")]
    pair = " ".join(arguments[:2])
    return pair if pair in commands() else words[0] if words else ""


def _run(chosen: str, arguments: list[str]) -> int:
    command = commands().get(chosen)
    words = len(chosen.split())
    if command is None or arguments[:words] != chosen.split():
        _usage().parse_args(arguments)  # exits: --help, --version, an unknown word
        raise BadInput("the command's name comes first: linetap COMMAND ...")
    return int(_part(command).run(_command_parser(chosen, command).parse_args(arguments[words:])))


def _usage() -> argparse.ArgumentParser:
    """The parser of all commands by name. Made only if no command is run: fifty parsers take 2.5 ms (decision 0232)."""
    parser = argparse.ArgumentParser(
        prog="linetap",
        description="Announces, records and seals telephone calls.",
        epilog="example: linetap notice list",
    )
    parser.add_argument("--version", action="version", version=f"linetap {__version__}")
    names = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in commands().items():
        word, _, verb = name.partition(" ")
        if not verb:
            names.add_parser(name, help=command.help)
        elif word not in commands() and word not in names.choices:
            _add_verbs(names.add_parser(word, help="with verbs of its own"), word)
    return parser


def _command_parser(name: str, command: Command) -> argparse.ArgumentParser:
    """The parser of one command of one or two words."""
    parser = argparse.ArgumentParser(
        prog=f"linetap {name}",
        description=command.help,
        epilog=f"example: linetap {name} {command.example}",
        formatter_class=EXAMPLES,
    )
    verbs = _part(command).add_arguments(parser)
    if " " not in name:
        _add_verbs(parser, name, verbs)
    return parser


def _add_verbs(parser: argparse.ArgumentParser, word: str, verbs: Verbs | None = None) -> None:
    """Adds the verbs that other packages register for `word`, so that its help lists them; `_run` dispatches them
    earlier.
    """
    added = {name.partition(" ")[2]: each for name, each in commands().items() if name.startswith(f"{word} ")}
    if added and verbs is None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, command in added.items():
        if verbs is not None and verb not in verbs.choices:
            verbs.add_parser(verb, help=command.help)


def _part(command: Command) -> Any:
    """The object that has add_arguments and run."""
    return _load(command.part)


def _load(place: str) -> Any:
    """Imports "module" or "module:object" and returns it."""
    module, _, name = place.partition(":")
    found: Any = import_module(module)
    return getattr(found, name) if name else found


def _fail(text: str, status: int) -> int:
    sys.stderr.write(f"{text}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
