# SPDX-License-Identifier: Apache-2.0
"""`linetap bundle`: packs sealed calls with their proofs into one zip, with a report and instructions for checking it.

Every call is verified first, and the finished zip again before it gets its name.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from linetap_core import system
from linetap_core.clock import Clock
from linetap_core.durable import privatefile
from linetap_core.durable.files import sha256, sync_directory
from linetap_core.errors import BadInput, LinetapError
from linetap_core.evidence.signing import document
from linetap_core.evidence.signing.signers import Signer
from linetap_core.timekeeping import KEPT
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.access import Entry, LoggedStep
from linetap_desk.bundle import container, facts, layout, report
from linetap_desk.bundle.check import verify_bundle
from linetap_desk.bundle.container import Source
from linetap_desk.bundle.facts import About
from linetap_desk.bundle.gather import NotBundled, calls, gather
from linetap_desk.proofs import callfolder
from linetap_desk.unsealing import checkedcall
from linetap_desk.witnessing import options
from linetap_desk.witnessing.judge import Rules

_CASE_LIMIT = 120  # characters
_SUFFIX = ".zip"


@dataclass(frozen=True, slots=True)
class _Ready:
    signers: list[Signer]
    rules: Rules
    sources: dict[str, Source]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("calls", type=Path, nargs="+", metavar="CALL_DIR")
    parser.add_argument("--signers", type=Path, required=True, metavar="ALLOWED_SIGNERS", help="the trusted signers")
    parser.add_argument("--case", default="", metavar="TEXT", help="a file number, without any caller's name")
    parser.add_argument(
        "--log", type=Path, action="append", default=[], metavar="DIR", help="default: the log of the call's vault"
    )
    parser.add_argument(
        "--closing", type=Path, action="append", default=[], metavar="FILE",
        help="the proof beside the desk's copy, for a call without its log here; default: in the call's store",
    )  # fmt: skip
    parser.add_argument(
        "--witness", type=Path, action="append", default=[], metavar="FILE", help="heads/UNIT.json of linetap witness"
    )
    parser.add_argument("--stamps", type=Path, metavar="DIR", help="the output of linetap timestamp; with --tsa-ca")
    parser.add_argument("--tsa-ca", type=Path, metavar="PEM", help="the CA certificate of the time-stamp authority")
    parser.add_argument(
        "--sigsum", type=Path, metavar="DIR", help="the output of linetap sigsum, a proof for every call"
    )
    parser.add_argument(
        "--certificates", type=Path, metavar="DIR", help="certificates of destruction, of the calls' epochs"
    )
    parser.add_argument("--holds", type=Path, metavar="DIR", help="the output of hold wrap and rewrap for these calls")
    parser.add_argument(
        "--wav", type=Path, action="append", default=[], metavar="WAV", help="an opened call, call.json beside it"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="case.zip", help="must not exist")
    options.add_arguments(parser)
    deskfolder.add_argument(parser)


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    sys.stdout.write(make(args, deskfolder.find(args, clock), Entry(verb="bundle", case=args.case)) + "\n")
    return 0


def make(
    args: argparse.Namespace,
    desk: deskfolder.Desk | None,
    entry: Entry,
    may: Callable[[LoggedStep], object] | None = None,
) -> str:
    """Writes the zip; returns its description. `may` raises if the step is not permitted."""
    ready = _prepare_members(args, entry)
    with deskfolder.logged_step(desk, entry) as step:
        if isinstance(ready, Exception):
            raise ready
        if may is not None:
            may(step)
        step.granted()
        with _new_file(args.output) as (file, temporary):
            _write(file, ready.sources)
            _require_good(temporary, ready.signers, args.tsa_ca, ready.rules)
    count = f"{len(args.calls)} calls, {len(ready.sources)} files"
    return f"{args.output}: {count}, SHA-256 {sha256(args.output)}"


def _prepare_members(args: argparse.Namespace, entry: Entry) -> _Ready | LinetapError | OSError:
    """All members, without the file. This may take minutes, during which the access log must not be locked."""
    try:
        _check_arguments(args)
        signers = callfolder.load_signers(args.signers)
        rules, chosen = options.rules(args), calls(args, signers)
        checkedcall.name_calls(entry, [(verdict.name, verdict.record.line) for _, verdict in chosen if verdict.record])
        return _Ready(signers, rules, _with_derived_members(args, gather(args, signers, chosen, rules)))
    except (LinetapError, OSError) as error:
        return error


def _check_arguments(args: argparse.Namespace) -> None:
    if args.output.suffix != _SUFFIX:
        raise BadInput(f"{args.output}: a name that ends in {_SUFFIX} expected")
    privatefile.require_new(args.output)
    if (args.stamps is None) != (args.tsa_ca is None):
        raise BadInput("--stamps and --tsa-ca: one without the other; both expected")
    for option in ("stamps", "sigsum", "certificates", "holds"):
        folder = getattr(args, option)
        if folder is not None and not folder.is_dir():
            raise BadInput(f"--{option} {folder}: not a folder")
    if args.case:
        document.require_plain(args.case, "--case", _CASE_LIMIT)


def _with_derived_members(args: argparse.Namespace, gathered: dict[str, Source]) -> dict[str, Source]:
    """The members with the derived ones: bundle.json, signers, reports, and the sums of all."""
    about = About(case=args.case)
    sources = gathered | {layout.ABOUT: document.encode(about)}
    found = facts.load(sources)
    sources[layout.SIGNERS] = report.signer_lines(found, args.signers.read_bytes())
    return sources | report.derived(sources, found)


def _write(file: BinaryIO, sources: dict[str, Source]) -> None:
    measured = [container.measure(name, sources[name]) for name in sorted(sources)]
    sources[layout.SUMS] = layout.sums(measured)
    measured.append(container.measure(layout.SUMS, sources[layout.SUMS]))
    container.write(file, sources, sorted(measured, key=lambda member: member.name))
    file.flush()


def _require_good(path: Path, signers: list[Signer], ca: Path | None, rules: Rules) -> None:
    """Verifies the written file."""
    for verdict in verify_bundle(path, signers, ca, rules):
        if not verdict.good:
            raise NotBundled("not_verified", next(verdict.lines()))


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file of mode 0600 that gets its name once it is complete and on disk; an existing file is never
    replaced."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with privatefile.create(temporary) as file:
            yield file, temporary
            os.fsync(file.fileno())
        system.name_once(temporary, path)
        sync_directory(path.absolute().parent)
    except FileExistsError:
        raise BadInput(f"{path}: exists and is not overwritten; another name expected") from None
    except OSError as error:
        if isinstance(error, LinetapError):
            raise
        raise BadInput(f"{path}: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)
