# SPDX-License-Identifier: Apache-2.0
"""The desk's folder on a person's machine: the authority's key, the roles in force, the access log.

The folder is --desk, else $LINETAP_DESK, else ~/.linetap-desk. `linetap roles use` creates it. Without a folder nothing
is restricted or logged, as in the demo. A folder that lost its roles is not treated as the demo.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from linetap_core.clock import Clock, parse_rfc3339
from linetap_core.durable import privatefile
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.roles import Roles, RolesFault, check, public_key
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import PublicKey
from linetap_core.evidence.signing import authority as authorities
from linetap_core.evidence.signing import document, namespaces, sshsig
from linetap_core.evidence.signing.authority import Authority
from linetap_core.rundir import read_small
from linetap_core.timekeeping import KEPT, require_possible
from linetap_desk.accesslog.access import AccessLog, Entry, LoggedStep, log_name, unrecorded

VARIABLE = "LINETAP_DESK"
ROLES, AUTHORITY, KEY, PUBLIC, ACCESS = "roles.json", "authority.pub", "access.key", "access.pub", "access"
_MARKS = (ROLES, AUTHORITY, KEY, ACCESS)


@dataclass(frozen=True, slots=True)
class Desk:
    folder: Path
    access: AccessLog
    clock: Clock

    @property
    def authority(self) -> Authority:
        """The authority that this desk trusts."""
        return read_authority(self.folder / AUTHORITY)

    def roles(self, past: list[Entry]) -> Roles:
        """The roles in force: signed by the authority, and not older than any version that `past` records."""
        authority = self.authority
        try:
            return read_roles(self.folder / ROLES, authority, highest_version(past))[2]
        except BadInput as error:
            raise RolesFault("roles_missing", str(error)) from None

    def now_ns(self, past: list[Entry]) -> int:
        """The later of this machine's clock and the log's last entry, so that setting the clock back has no effect."""
        logged = [parse_rfc3339(entry.at) for entry in past[-1:]]
        return max([self.clock.utc_ns(), *logged])


def add_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--desk", type=Path, metavar="DIR", help=f"roles and access log; default ${VARIABLE}, else ~/.linetap-desk"
    )


def folder_of(args: argparse.Namespace) -> Path:
    chosen = args.desk or os.environ.get(VARIABLE)
    return Path(chosen) if chosen else Path.home() / ".linetap-desk"


def is_made(folder: Path) -> bool:
    """Whether a desk was created here, even if some of its files are missing."""
    return any((folder / name).exists() for name in _MARKS)


def is_complete(folder: Path) -> bool:
    return (folder / KEY).exists() and (folder / AUTHORITY).exists()


def find(args: argparse.Namespace, clock: Clock = KEPT) -> Desk | None:
    """The desk, or None if none was ever created. BadInput if a named one does not exist."""
    folder = folder_of(args)
    if is_made(folder):
        require_possible(clock)  # the clock dates the access log, and ends requests
        return open_desk(folder, clock)
    if args.desk or os.environ.get(VARIABLE):
        raise BadInput(f"{folder}: not a desk's folder: `linetap roles use` makes one")
    return None


def require(args: argparse.Namespace, clock: Clock = KEPT) -> Desk:
    desk = find(args, clock)
    if desk is None:
        raise BadInput(
            f"{folder_of(args)}: no roles are in force: `linetap roles use roles.json --authority` takes them"
        )
    return desk


def open_desk(folder: Path, clock: Clock) -> Desk:
    path = folder / KEY
    try:
        key = keys.load_unit_key(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; the key that signs the access log expected") from None
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
    return Desk(folder, AccessLog(folder / ACCESS, key, clock), clock)


def make(folder: Path, authority: PublicKey | Authority, clock: Clock) -> Desk:
    """Makes a desk that trusts `authority` permanently, with its own key for the access log. The key is written last:
    after a crash the folder is not complete (`is_complete`), and is made again. BadInput for a desk that has been used.
    """
    if used := next((name for name in (ACCESS, ROLES) if (folder / name).exists()), None):
        raise BadInput(f"{folder}: has {used}, and lacks {KEY} or {AUTHORITY}; the folder of a backup expected")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = keys.new_unit_key()
    public = keys.public_line(key.public_key(), log_name(key.public_key())).encode() + b"\n"
    privatefile.replace(folder / AUTHORITY, authorities.of(authority).text().encode())
    privatefile.replace(folder / PUBLIC, public)
    privatefile.replace(folder / KEY, keys.unit_key_file(key))
    return open_desk(folder, clock)


@contextlib.contextmanager
def logged_step(desk: Desk | None, entry: Entry) -> Iterator[LoggedStep]:
    """One step in the desk's access log; without a desk it is not logged."""
    with unrecorded(entry) if desk is None else desk.access.logged_step(entry) as step:
        yield step


def highest_version(past: list[Entry]) -> int:
    return max((entry.roles for entry in past if entry.verb == "roles" and entry.outcome == "granted"), default=1)


def read_roles(path: Path, authority: PublicKey | Authority, at_least: int = 1) -> tuple[bytes, bytes, Roles]:
    """The file's bytes, its signature and its content. RolesFault if they are not valid, BadInput if they cannot be
    read."""
    data = read_small(path, document.LIMIT_BYTES)
    armored = read_small(namespaces.signature_path(path), sshsig.SIGNATURE_LIMIT_BYTES)
    try:
        return data, armored, check(data, armored, authority, at_least)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def read_authority(source: Path | str) -> Authority:
    """Reads a .pub file, a file with several keys (evidence/signing/authority.py), or the ssh-ed25519 line itself."""
    if str(source).startswith(("ssh-", "ecdsa-")):
        return authorities.from_lines(str(source))
    text = read_small(Path(source), sshsig.SIGNATURE_LIMIT_BYTES).decode("utf-8", "replace")
    try:
        return authorities.from_text(text)
    except BadInput as error:
        raise BadInput(f"{source}: {error}") from None


def read_public(source: Path | str) -> PublicKey:
    """The key from a .pub file or from the ssh-ed25519 line itself."""
    if str(source).startswith(("ssh-", "ecdsa-")):
        return public_key(str(source))
    try:
        return public_key(read_small(Path(source), sshsig.SIGNATURE_LIMIT_BYTES).decode("utf-8", "replace"))
    except BadInput as error:
        raise BadInput(str(error) if str(error).startswith(f"{source}: ") else f"{source}: {error}") from None
