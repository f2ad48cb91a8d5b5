# SPDX-License-Identifier: Apache-2.0
"""The program's state: the person's choices, and the one open file from the desk."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from linetap_core.errors import BadInput, LinetapError
from linetap_core.evidence.authorization.roles import OFFICES, Roles
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.deskfolder import Desk
from linetap_desk.custody.case import Case, CustodianFiles
from linetap_desk.custody.package import Package
from linetap_desk.custody.program import downloads, settings, steps
from linetap_desk.custody.program.downloads import CallPapers, OverflowCalls
from linetap_desk.custody.program.settings import MOST_FILES, Settings
from linetap_desk.custody.search.connection import DeskConnection
from linetap_desk.custody.search.pages import SearchSite
from linetap_desk.custody.search.session import SearchSession
from linetap_desk.custody.site import Helper, Site
from linetap_desk.inputs.ustar import Source
from linetap_desk.proofs import callfolder
from linetap_desk.release import requestfile
from linetap_desk.searching.departments import Departments
from linetap_desk.searching.indexsearch import IndexKeys
from linetap_desk.unsealing.callproof import SIGNERS


@dataclass
class CeremonyFiles:
    """The files chosen for one ceremony, which are not stored in the settings. `officers`: their lists; `doomed`:
    private files of a day."""

    paper: Path | None = None
    order: Path | None = None
    document: Path | None = None
    request: Path | None = None
    officers: list[Path] = field(default_factory=list)
    doomed: list[Path] = field(default_factory=list)
    second: Path | None = None
    draft: Roles | None = None

    def add(self, what: str, path: Path) -> None:
        known: list[Path] = getattr(self, what)
        if path not in known:
            if len(known) >= MOST_FILES:
                raise BadInput(f"{MOST_FILES} files at most: remove one first")
            known.append(path)


@dataclass
class Program(Helper):
    """The state. `work`: the folder for files from the desk, removed at the end."""

    desk_folder: Path
    work: Path
    settings: Settings
    open: CallPapers | OverflowCalls | Package | None = None
    release: Site | None = None
    search: SearchSite | None = None
    chosen: dict[str, Path] = field(default_factory=dict)  # roles, authority, signers: chosen, not in force yet
    ceremony_files: CeremonyFiles = field(default_factory=CeremonyFiles)
    printed: list[str] = field(default_factory=list)  # by the last step
    held: ExitStack = field(default_factory=ExitStack)
    one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_program(self) -> bool:
        return True

    @property
    def desk(self) -> Desk:
        """The desk's folder. BadInput before roles are in force here."""
        if not deskfolder.is_made(self.desk_folder):
            raise BadInput("no roles are in force on this computer yet: settings")
        return deskfolder.open_desk(self.desk_folder, self.clock)

    def roles(self) -> Roles:
        """The roles in force here. BadInput without any, a Refusal for damaged ones."""
        desk = self.desk
        return desk.roles(desk.access.entries())

    @property
    def signers(self) -> Path:
        path = self.desk_folder / SIGNERS
        if not path.is_file():
            raise BadInput("there is no allowed_signers on this computer yet: settings")
        return path

    @property
    def role(self) -> str:
        """The person's role by the settings; empty if the roles do not contain the person."""
        try:
            return steps.role_of(self.settings, self.desk_folder, self.clock)
        except LinetapError:
            return ""

    def may(self, role: str) -> bool:
        """Whether to offer a step of this role. The keys decide whether a person may take it."""
        own = self.role
        return own in ("", role) or (role == "approver" and own not in OFFICES)

    def keep(self, **changes: object) -> None:
        """Changes settings and saves them. BadInput for an overlong value; then no setting is changed."""
        settings.require_fit(msgspec.structs.replace(self.settings, **changes))
        for name, value in changes.items():
            setattr(self.settings, name, value)
        settings.save(self.desk_folder, self.settings)

    def add(self, what: str, path: Path) -> None:
        known: list[str] = getattr(self.settings, what)
        if str(path) not in known:
            if len(known) >= MOST_FILES:
                raise BadInput(f"{MOST_FILES} files at most: remove one first")
            self.keep(**{what: [*known, str(path)]})

    # --- a file from the desk ----------------------------------------------------------------------------------------

    def unpack(self, source: Source) -> None:
        """Unpacks the file, replacing the previous one."""
        self.leave()
        self.open = downloads.unpack(source, steps.emptied(self.work / "file"))

    def leave(self) -> None:
        """Closes the file and the release opened from it, and removes the unpacked files."""
        self.open = self.release = None
        self.printed = []
        steps.emptied(self.work / "file")

    def suggested(self) -> dict[Path, bool]:
        """The person's identities; True for those that this file seems to need: the one-time key of its request, or the
        only other identity."""
        wanted = self.open.request.id if self.open is not None and self.open.request is not None else ""
        found: dict[Path, str] = {}
        for path in map(Path, self.settings.identities):
            try:
                found[path] = requestfile.key_request(path)
            except LinetapError:
                continue  # on an absent medium
        own = [path for path, request in found.items() if not request]
        return {
            path: request == wanted if request else len(own) == 1
            for path, request in found.items()
            if request in ("", wanted)
        }

    def open_release(self, identities: list[Path]) -> None:
        if not isinstance(self.open, Package):
            raise BadInput("there is no custodian's package open")
        if not identities:
            raise BadInput("choose your key")
        output = self.settings.path("output") or Path.home()
        case = Case(self.open, self.desk, CustodianFiles(self.signers, identities, "", output), self.clock)
        self.release = Site(
            self.admission,
            self.pages,
            self.clock,
            self.url,
            self.idle_s,
            case,
            parent=self,
            subpath="/release",
            end=self.leave,
        )

    # --- a search ----------------------------------------------------------------------------------------------------

    def begin_search(self, ticket: str) -> None:
        self.end_search()
        if not self.settings.index:
            raise BadInput("no index key is chosen yet: settings")
        desk, signers = self.desk, callfolder.load_signers(self.signers)
        table = self.settings.path("table")
        departments = Departments([]) if table is None else Departments.load(table, self.pages.zone)
        keys = IndexKeys([Path(each) for each in self.settings.index])
        connection = self.held.enter_context(DeskConnection(self.settings.desk, self.settings.path("ca"), ticket))
        try:
            session = SearchSession(connection, desk, signers, keys, departments, self.pages.zone, self.clock)
            session.load()
        except BaseException:  # re-raised; closes the connection
            self.held.close()
            raise
        self.search = SearchSite(
            self.admission, self.pages, self.clock, self.url, self.idle_s, session, parent=self, subpath="/search",
            end=self.end_search,
        )  # fmt: skip

    def end_search(self) -> None:
        """Forgets the opened index."""
        self.search = None
        self.held.close()
