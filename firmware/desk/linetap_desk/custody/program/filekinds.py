# SPDX-License-Identifier: Apache-2.0
"""The kinds of files that can be chosen on this machine, and their use; and the folders and files that the page of a
choice lists, since a browser does not reveal paths."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from linetap_core import system
from linetap_core.durable import signedfile
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.command import OF_MANY, SUFFIX
from linetap_core.rundir import read_small
from linetap_desk.ceremony import keygen
from linetap_desk.custody.program import commanding, signing, steps
from linetap_desk.custody.program.program import Program
from linetap_desk.searching.departments import Departments
from linetap_desk.unsealing import stockage
from linetap_desk.web.text import N_

_KEY_LIMIT_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file. `suffixes`: of the listed files, empty for all. `folder`: a folder may be chosen; `file` False:
    only a folder. `back`: the page that needs it."""

    title: str
    suffixes: tuple[str, ...] = ()
    folder: bool = False
    file: bool = True
    back: str = "/settings"


FILE_KINDS: dict[str, FileKind] = {
    "archive": FileKind(N_("A file from the desk (.tar)"), (".tar",), back="/"),
    "bundle": FileKind(N_("An evidence bundle (.zip)"), (".zip",), back="/"),
    "signing": FileKind(N_("Your signing key")),
    "identities": FileKind(N_("Your keys that open")),
    "index": FileKind(N_("Index keys for searches"), folder=True),
    "ca": FileKind(N_("The desk's certificate authority (ca.pem)"), (".pem", ".crt")),
    "tsa": FileKind(N_("The time-stamp authority's certificate (tsa-ca.pem)"), (".pem", ".crt")),
    "table": FileKind(N_("Table of lines and departments (.csv)"), (".csv",)),
    "keylist": FileKind(N_("List of keys (keylist.json)"), (".json",)),
    "output": FileKind(N_("Folder for new files"), folder=True, file=False),
    "roles": FileKind(N_("Roles (roles.json)"), (".json",)),
    "authority": FileKind(N_("The authority's public key"), (".pub",)),
    "signers": FileKind(N_("Published list of units (allowed_signers)")),
    "paper": FileKind(N_("The file to be signed"), (".json", ".toml"), back="/sign"),
    "order": FileKind(N_("A command that takes a second signature"), (SUFFIX, OF_MANY), back="/second"),
    "document": FileKind(
        N_("A configuration (unit.toml) or a version (linetap-VERSION.raucb)"),
        (commanding.CONFIGURATION, commanding.BUNDLE),
        back="/commands",
    ),
    "request": FileKind(N_("A unit's request for a certificate (.request)"), (".request",), back="/certificate"),
    "pki": FileKind(N_("Folder of the certificates' authority"), folder=True, file=False, back="/certificate"),
    "officers": FileKind(N_("The lists that the officers made"), (".json",), back="/days"),
    "medium": FileKind(N_("Medium for the private keys"), folder=True, file=False, back="/days"),
    "doomed": FileKind(N_("Private files of the day"), (".txt",), back="/destroy"),
    "second": FileKind(N_("The second person's signing key"), back="/destroy"),
    "vaults": FileKind(N_("Copies of the units' vaults"), folder=True, file=False, back="/destroy"),
    "holds": FileKind(N_("The desk's folder of holds"), folder=True, file=False, back="/destroy"),
}


def accept(program: Program, what: str, path: Path) -> None:
    """Uses the chosen file. BadInput or a Refusal if it is of another kind."""
    kind = FILE_KINDS[what]
    if not (kind.folder if path.is_dir() else kind.file and path.is_file()):
        raise BadInput(f"{path}: not there any more, or nothing that can be taken here")
    program.printed = []
    match what:
        case "archive":
            try:
                with path.open("rb") as file:
                    program.unpack(file)
            except OSError as error:
                raise BadInput(f"{path}: {error.strerror or error}") from None
        case "bundle":
            program.printed = steps.checked_bundle(path, program.signers.parent, program.settings.path("tsa"))
        case "identities":
            stockage.check_identity_file(path)
            program.add(what, path)
        case "index":
            program.add(what, path)
        case "paper":
            program.ceremony_files.paper = path
        case "request":
            signing.read_request(path)
            program.ceremony_files.request = path
        case "order":
            program.ceremony_files.order = path
        case "document":
            commanding.configuration(path)
            program.ceremony_files.document = path
        case "officers":
            keygen.load_list(path)
            program.ceremony_files.add("officers", path)
        case "doomed":
            stockage.check_identity_file(path)
            program.ceremony_files.add("doomed", path)
        case "second":
            signedfile.load_key(path)
            program.ceremony_files.second = path
        case "roles" | "authority" | "signers":
            program.chosen[what] = path
        case _:
            _check(program, what, path)
            program.keep(**{what: str(path)})


def _check(program: Program, what: str, path: Path) -> None:
    if what == "signing" and not read_small(path, _KEY_LIMIT_BYTES).startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----"):
        signedfile.load_key(path)  # its error states the kind of file
    if what in ("ca", "tsa"):
        try:
            ssl.create_default_context(cafile=path)
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror or error}; the authority's certificate expected") from None
    if what == "table":
        Departments.load(path, program.pages.zone)


MOST_SHOWN = 300
_DOWNLOADS = ("Downloads", "다운로드")


@dataclass(frozen=True, slots=True)
class FolderListing:
    """The content of a folder, newest files first, since downloaded files are wanted. `more`: not all are listed."""

    folder: Path
    folders: list[Path]
    files: list[Path]
    more: bool


def places() -> list[Path]:
    """The first folders of a choice: downloads, the home folder, and media."""
    home = Path.home()
    found = [home / name for name in _DOWNLOADS]
    return [path for path in (*found, home, *system.media()) if path.is_dir()]


def listed(folder: Path, suffixes: tuple[str, ...]) -> FolderListing:
    """The folder's content without hidden names: files with one of these suffixes, or all. BadInput if it cannot be
    read."""
    folders, files = list[Path](), list[tuple[float, Path]]()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.name.isprintable():
                    continue
                if entry.is_dir():
                    folders.append(folder / entry.name)
                elif entry.is_file() and entry.name.lower().endswith(suffixes or ("",)):
                    files.append((entry.stat().st_mtime, folder / entry.name))
    except OSError as error:
        raise BadInput(f"{folder}: {error.strerror}") from None
    folders.sort(key=lambda path: path.name.casefold())
    chosen = [path for _, path in sorted(files, key=lambda pair: (-pair[0], pair[1].name))]
    more = len(folders) > MOST_SHOWN or len(chosen) > MOST_SHOWN
    return FolderListing(folder, folders[:MOST_SHOWN], chosen[:MOST_SHOWN], more)
