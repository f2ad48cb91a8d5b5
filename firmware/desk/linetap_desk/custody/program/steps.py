# SPDX-License-Identifier: Apache-2.0
"""The steps behind the buttons. Each runs the command of its name, with its checks and its entry in the access log; the
page shows the command's output."""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from linetap_core.clock import Clock
from linetap_core.durable import privatefile
from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput, LinetapError, Refusal, file_and_reason
from linetap_core.evidence import sealing
from linetap_core.evidence.signing import namespaces
from linetap_core.rundir import read_small
from linetap_desk.accesslog import deskfolder, roles
from linetap_desk.bundle.check import STAMP, verify_bundle
from linetap_desk.custody.program.downloads import CallPapers
from linetap_desk.custody.program.settings import Settings
from linetap_desk.proofs import callfolder
from linetap_desk.release import requestfile, requesting, unwrap
from linetap_desk.unsealing.callproof import SIGNERS
from linetap_desk.witnessing import options

Add = Callable[[argparse.ArgumentParser], object]
Run = Callable[[argparse.Namespace, Clock], int]
_SIGNERS_LIMIT_BYTES = 4 << 20


@contextlib.contextmanager
def in_one_line() -> Iterator[None]:
    """Turns an OSError, as of a full or removed medium, into a BadInput that names its file."""
    try:
        yield
    except OSError as error:
        if isinstance(error, LinetapError):
            raise
        raise BadInput(file_and_reason(error)) from None


def run_command(adds: list[Add], run: Run, clock: Clock, *words: object) -> list[str]:
    """Runs a command and returns the lines that it printed. Passes on its LinetapError; an OSError is a BadInput."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    for add in adds:
        add(parser)
    printed = io.StringIO()
    try:
        args = parser.parse_args([str(word) for word in words])
    except argparse.ArgumentError as error:
        raise BadInput(str(error)) from None
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), in_one_line():
        status = run(args, clock)
    lines = printed.getvalue().splitlines()
    if status:
        raise BadInput("; ".join(lines) or "it was refused")
    return lines


@contextlib.contextmanager
def undone_if_it_fails(folder: Path) -> Iterator[None]:
    """Empties a step's folder if its file for the desk cannot be written, as on a full medium: otherwise the step could
    not be repeated."""
    was_there, before = folder.exists(), set(folder.rglob("*"))
    try:
        yield
    except BaseException:  # re-raised; on Ctrl-C too the step must be possible again
        for path in sorted(set(folder.rglob("*")) - before, reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        if not was_there and folder.exists():
            folder.rmdir()
        raise


def approve(papers: CallPapers, settings: Settings, desk: Path, clock: Clock) -> list[str]:
    """Writes the approver's signature as a file for the desk."""
    if papers.request is None:
        raise BadInput("there is no request in this file")
    signing, output = needed(settings, "signing"), output_of(settings)
    target = output / f"{papers.id}.{_role(settings, desk, clock)}{namespaces.SUFFIX}"
    privatefile.require_new(target)
    before = set(requestfile.signatures(papers.request_file))
    with undone_if_it_fails(papers.folder):
        lines = run_command(
            [requesting.add_approve_arguments, deskfolder.add_argument], requesting.approve_request, clock,
            papers.request_file, f"--key={signing}", f"--name={settings.name}", f"--call={papers.call}",
            f"--desk={desk}",
        )  # fmt: skip
        for name, data in requestfile.signatures(papers.request_file).items():
            if name not in before:
                privatefile.write(target, data)
    return [*(line for line in lines if line.startswith("verified: ")), str(target)]


def unwrap_call(
    papers: CallPapers, settings: Settings, identities: list[Path], partial: str, desk: Path, clock: Clock
) -> list[str]:
    """Writes the vault officer's half, or a partial for the next officer of a group."""
    if papers.request is None:
        raise BadInput("there is no request in this file")
    target = output_of(settings) / f"{papers.id}-vault{sealing.SUFFIX}"
    words: list[object] = [f"--identity={path}" for path in identities]
    if partial:
        words.append(f"--partial={partial_file(papers, partial)}")
    if papers.wrapped is not None and (not partial or partial.startswith("wrapped-")):
        words.append(f"--wrapped={papers.wrapped}")
    lines = run_command(
        [unwrap.add_arguments], unwrap.run, clock,
        papers.call, *words, f"--request={papers.request_file}", f"--desk={desk}", f"--output={target}",
    )  # fmt: skip
    return [*lines, str(target)]


def one_time_key(request_id: str, settings: Settings, desk: Path, clock: Clock) -> tuple[Path, str]:
    """Makes a one-time key; returns the new file, and the public key for the desk's page."""
    if not request_id:
        raise BadInput("the request's id is missing")
    target = output_of(settings) / f"one-time-{request_id}.txt"
    adds: list[Add] = [requesting.add_key_arguments, deskfolder.add_argument]
    lines = run_command(adds, requesting.make_key, clock, f"--output={target}", f"--desk={desk}", "--", request_id)
    return target, lines[-1]


def take_roles(chosen: dict[str, Path], desk: Path, clock: Clock) -> list[str]:
    """Puts the chosen roles and published allowed_signers into force. The authority's key is needed once."""
    lines = []
    if "roles" in chosen:
        words = [f"--authority={chosen['authority']}"] if "authority" in chosen else []
        lines = run_command(
            [roles.add_arguments], roles.run, clock, "use", *words, f"--desk={desk}", "--", chosen["roles"]
        )
    if "signers" in chosen:
        if not deskfolder.is_made(desk):
            raise BadInput("roles.json comes first: no roles are in force here")
        callfolder.load_signers(chosen["signers"])
        replace_durably(desk / SIGNERS, read_small(chosen["signers"], _SIGNERS_LIMIT_BYTES))
        lines.append(f"{desk / SIGNERS}: {chosen['signers']}")
    if not lines:
        raise BadInput("nothing was chosen")
    return lines


def checked_bundle(path: Path, desk: Path, ca: Path | None) -> list[str]:
    """The verdicts of `linetap verify`. A Refusal with them unless all are good. `ca`: for a time stamp, if it has
    one."""
    signers = callfolder.load_signers(desk / SIGNERS)
    verdicts = list(verify_bundle(path, signers, ca, options.of_desk(desk), must_be_stamped=False))
    lines = [line for verdict in verdicts for line in verdict.lines()]
    if ca is None and any(verdict.name.startswith(STAMP) for verdict in verdicts):
        lines.append(f"{STAMP}: its authority's certificate is not chosen yet: settings")
    if not all(verdict.good for verdict in verdicts):
        raise Refusal("; ".join(lines))
    return lines


def emptied(folder: Path) -> Path:
    """The folder, emptied."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


def role_of(settings: Settings, desk: Path, clock: Clock) -> str:
    """The person's role by the roles in force; empty without a name or roles."""
    if not settings.name or not deskfolder.is_made(desk):
        return ""
    opened = deskfolder.open_desk(desk, clock)
    person = opened.roles(opened.access.entries()).person(settings.name)
    return "" if person is None else person.role


def _role(settings: Settings, desk: Path, clock: Clock) -> str:
    found = role_of(settings, desk, clock)
    if not found:
        raise BadInput("choose your name in the settings: the roles in force do not list one")
    return found


_LACKS = {
    "signing": "your signing key",
    "keylist": "the list of keys",
    "medium": "the medium for private keys",
    "vaults": "the folder of copies of the units' vaults",
    "holds": "the desk's folder of holds",
    "pki": "the folder of the certificates' authority",
}


def needed(settings: Settings, what: str) -> Path:
    found = settings.path(what)
    if found is None:
        raise BadInput(f"{_LACKS[what]} is not chosen yet: settings")
    return found


def output_of(settings: Settings) -> Path:
    found = settings.path("output") or Path.home()
    if not found.is_dir():
        raise BadInput(f"{found}: not a folder; choose the folder for new files in the settings")
    return found


def signers_of(desk: Path) -> Path | None:
    """The published list of units, if it is in force here."""
    path = desk / SIGNERS
    return path if path.is_file() else None


def partial_file(papers: CallPapers, name: str) -> Path:
    if name not in papers.partials:
        raise BadInput("that partial is not in this file")
    return papers.folder / "partial" / name
