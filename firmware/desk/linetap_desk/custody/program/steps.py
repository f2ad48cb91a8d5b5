# SPDX-License-Identifier: Apache-2.0
"""The steps behind the buttons. Each runs the command of its name, with its checks and its entry in the access log; the
page shows the command's output."""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from linetap_core.clock import Clock, compact, from_utc_ns
from linetap_core.durable import privatefile
from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput, LinetapError, Refusal, file_and_reason
from linetap_core.evidence import sealing
from linetap_core.evidence.authorization.command import SUFFIX
from linetap_core.evidence.calls import hold as holds
from linetap_core.evidence.signing import namespaces
from linetap_core.rundir import read_small
from linetap_desk.accesslog import deskfolder, roles
from linetap_desk.bundle.check import STAMP, verify_bundle
from linetap_desk.ceremony import hold, keygen, rewrap
from linetap_desk.custody.program.downloads import CallPapers, OverflowCalls
from linetap_desk.custody.program.settings import Settings
from linetap_desk.inputs import strict
from linetap_desk.proofs import callfolder
from linetap_desk.release import requestfile, requesting, unwrap
from linetap_desk.release.holdrequest import HoldRequest
from linetap_desk.unitcommands import command
from linetap_desk.unsealing.callproof import SIGNERS
from linetap_desk.unsealing.wrapped import CHECK_SUFFIX
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
        words.append(f"--partial={_partial(papers, partial)}")
    if papers.wrapped is not None and (not partial or partial.startswith("wrapped-")):
        words.append(f"--wrapped={papers.wrapped}")
    lines = run_command(
        [unwrap.add_arguments], unwrap.run, clock,
        papers.call, *words, f"--request={papers.request_file}", f"--desk={desk}", f"--output={target}",
    )  # fmt: skip
    return [*lines, str(target)]


def hold_call(
    papers: CallPapers, settings: Settings, identities: list[Path], to: str, partial: str, again: bool, desk: Path,
    clock: Clock,
) -> list[str]:  # fmt: skip
    """Wraps the call's key for the hold's key, and signs the command to its unit. In a group all but the last officer
    write a partial. `again`: uses the key of an earlier hold, since the day's key is destroyed."""
    asked = papers.asked
    if asked is None:
        raise BadInput("this file requests no hold")
    signing, output = needed(settings, "signing"), output_of(settings)
    target = output / f"{asked.id}{SUFFIX}"
    privatefile.require_new(target)
    made = output / f"hold-{asked.id}"
    words: list[object] = [f"--identity={path}" for path in identities]
    if partial:
        words.append(f"--partial={_partial(papers, partial)}")
    if papers.held is not None and (partial.startswith("wrapped-") if partial else again):
        words.append(f"--wrapped={papers.held}")
    with undone_if_it_fails(made):
        return _hold_and_order(papers, asked, words, to, made, target, signing, desk, clock)


def _hold_and_order(
    papers: CallPapers, asked: HoldRequest, words: list[object], to: str, made: Path, target: Path, signing: Path,
    desk: Path, clock: Clock,
) -> list[str]:  # fmt: skip
    lines = run_command(
        [hold.add_arguments], hold.run, clock,
        "wrap", papers.call, *words, f"--to={to}", f"--case={asked.case}", f"--basis={asked.basis}",
        f"--until={asked.until}", f"--key={signing}", f"--output={made}", f"--desk={desk}",
    )  # fmt: skip
    document = made / holds.HOLD
    if not document.exists():
        return [*lines, *(str(path) for path in sorted(made.glob(f"partial-*{sealing.SUFFIX}")))]
    unit = strict.decode(document.read_bytes(), holds.Hold).unit  # from the verified record, not from the desk
    run_command(
        [command.add_arguments], command.run, clock,
        "sign", "--verb=hold", "--role=vault", f"--unit={unit}", f"--document={document}", f"--key={signing}",
        f"--output={target}",
    )  # fmt: skip
    return [*lines, str(target)]


def check_hold(papers: CallPapers, settings: Settings, identities: list[Path], desk: Path, clock: Clock) -> list[str]:
    """Opens the key that another officer has wrapped for a hold, and signs that it opens."""
    if papers.asked is None or papers.wrapped is None:
        raise BadInput("there is no hold to be checked in this file")
    signing, target = needed(settings, "signing"), output_of(settings) / f"{papers.id}{CHECK_SUFFIX}"
    privatefile.require_new(target)
    with undone_if_it_fails(papers.folder):
        lines = run_command(
            [hold.add_arguments], hold.run, clock,
            "check", papers.wrapped, papers.call, *(f"--identity={path}" for path in identities), f"--key={signing}",
            f"--desk={desk}",
        )  # fmt: skip
        privatefile.write(target, (papers.wrapped / f"{holds.HOLD}{CHECK_SUFFIX}").read_bytes())
    return [*lines, str(target)]


def rewrap_calls(
    found: OverflowCalls, settings: Settings, identities: list[Path], day: str, desk: Path, clock: Clock
) -> list[str]:
    """Wraps the keys of calls of an overflow epoch for their days, into an archive for the desk. Reports refused calls,
    and continues. `day`: for the one call whose unit has not stated its end."""
    signing, keylist = needed(settings, "signing"), needed(settings, "keylist")
    if day and len(found.waiting) != 1:
        raise BadInput("a day is for one call whose unit has not stated its end")
    words: list[object] = [f"--identity={path}" for path in identities]
    words += [f"--list={keylist}", f"--key={signing}", f"--desk={desk}", *([f"--to={day}"] if day else [])]

    def one(call_id: str) -> list[str]:
        output = f"--output={found.place(call_id)}"
        return run_command(
            [rewrap.add_arguments], rewrap.run, clock, "rewrap", found.folder / "calls" / call_id, *words, output
        )

    with undone_if_it_fails(found.folder):
        return _for_each_call(found, found.waiting, one, settings, clock)


def check_rewrapped(
    found: OverflowCalls, settings: Settings, identities: list[Path], desk: Path, clock: Clock
) -> list[str]:
    """Opens the keys that another officer has wrapped, and signs that they open."""
    words = [*(f"--identity={path}" for path in identities), f"--key={needed(settings, 'signing')}", f"--desk={desk}"]

    def one(call_id: str) -> list[str]:
        place, call = found.place(call_id), found.folder / "calls" / call_id
        return run_command([hold.add_arguments], hold.run, clock, "check", place, call, *words)

    with undone_if_it_fails(found.folder):
        return _for_each_call(found, found.unchecked, one, settings, clock)


def _for_each_call(
    found: OverflowCalls, calls: list[str], do: Callable[[str], list[str]], settings: Settings, clock: Clock
) -> list[str]:
    """Takes the step for each call, and packs the papers of the successful ones. A Refusal if all failed."""
    target = output_of(settings) / f"holds-{compact(clock.utc_ns())}.tar"
    privatefile.require_new(target)
    lines, refused, done = list[str](), list[str](), list[str]()
    for call_id in calls:
        try:
            lines += do(call_id)
            done.append(call_id)
        except LinetapError as error:
            refused.append(f"{call_id}: {error}")
    if not done:
        raise Refusal("; ".join(refused) or "no call is there for this step")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(path for call_id in done for path in found.place(call_id).iterdir()):
            info = tarfile.TarInfo(path.relative_to(found.folder).as_posix())
            data = path.read_bytes()
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    privatefile.write(target, packed.getvalue())
    return [*lines, *refused, str(target)]


def one_time_key(request_id: str, settings: Settings, desk: Path, clock: Clock) -> tuple[Path, str]:
    """Makes a one-time key; returns the new file, and the public key for the desk's page."""
    if not request_id:
        raise BadInput("the request's id is missing")
    target = output_of(settings) / f"one-time-{request_id}.txt"
    adds: list[Add] = [requesting.add_key_arguments, deskfolder.add_argument]
    lines = run_command(adds, requesting.make_key, clock, f"--output={target}", f"--desk={desk}", "--", request_id)
    return target, lines[-1]


def hold_key(settings: Settings, clock: Clock) -> tuple[Path, str]:
    """Makes a key for holds; returns the new file and its public key."""
    day = from_utc_ns(clock.utc_ns()).astimezone().strftime("%Y-%m-%d")
    target = output_of(settings) / f"hold-{day}.txt"
    return target, run_command([keygen.add_arguments], keygen.run, clock, "epoch", f"--output={target}")[-1]


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


def _partial(papers: CallPapers, name: str) -> Path:
    if name not in papers.partials:
        raise BadInput("that partial is not in this file")
    return papers.folder / "partial" / name
