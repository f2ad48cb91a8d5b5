# SPDX-License-Identifier: Apache-2.0
"""A package in a folder of its own in RAM (0700), gone at the end. All that lies there is encrypted or public."""

from __future__ import annotations

import contextlib
import getpass
import re
import signal
import ssl
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

from linetap_core.durable import privatefile
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.release import Request
from linetap_core.evidence.merklelog import closing
from linetap_desk.custody.tar import BadPackage, Source, members
from linetap_desk.release import files

_ANSWER_S = 60.0  # for a connection, and for each piece
_TICKET = re.compile(r"[0-9A-Za-z._~+/=-]{8,200}")
_CODE, _CODE_LIMIT_BYTES = re.compile(r"[a-z][a-z0-9_]{2,40}"), 64
_REFUSED = {401: "the ticket is not known, was used, or is older than ten minutes", 403: "the ticket does not allow it"}


def ask_ticket() -> str:
    """From the terminal or a pipe; never an argument, which every process may read."""
    found = (getpass.getpass("ticket: ") if sys.stdin.isatty() else sys.stdin.readline(1000)).strip()
    if _TICKET.fullmatch(found) is None:
        raise BadInput("the ticket: what the request's page at the desk shows once would be right")
    return found


@contextlib.contextmanager
def fetched(url: str, ca: Path | None, ticket: str) -> Iterator[Source]:
    """The package from the desk. BadInput for an invalid URL or an unreachable desk, Refusal if the desk refuses."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme != "https" or not parts.hostname or port == 0 or parts.path not in ("", "/") or parts.query:
        raise BadInput(f"--desk {url}: https://desk.city.example:8443 would be right")
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise BadInput(f"--ca {ca}: {error.strerror or error}; the authority's ca.pem would be right") from None
    connection = HTTPSConnection(parts.hostname, port, timeout=_ANSWER_S, context=context)
    try:
        headers = {"Authorization": f"Bearer {ticket}", "User-Agent": "linetap", "Accept-Encoding": "identity"}
        connection.request("GET", "/package", headers=headers)
        answer = connection.getresponse()
        if answer.status != 200:
            code = answer.read(_CODE_LIMIT_BYTES).decode("ascii", "replace").strip()
            why = _REFUSED.get(answer.status) or (code if _CODE.fullmatch(code) else answer.reason)
            raise Refusal(f"{url}: the desk gives no package: {answer.status}: {why}")
        yield answer
    except (OSError, HTTPException) as error:
        if isinstance(error, (BadInput, Refusal)):
            raise
        raise BadInput(f"{url}: {error}") from None
    finally:
        connection.close()


RAM = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Package:
    folder: Path
    request: Request  # as it says of itself: the gate judges it before each step

    @property
    def request_file(self) -> Path:
        return self.folder / "request.json"

    def call(self, call_id: str) -> Path:
        return self.folder / "calls" / call_id

    def inner(self, call_id: str) -> Path:
        return self.folder / "inner" / f"{call_id}.age"

    def handed(self, call_id: str) -> Path | None:
        """What a custodian of a group, who came before, has left of it."""
        path = self.folder / "handed" / f"{call_id}.age"
        return path if path.exists() else None

    def closings(self) -> list[Path]:
        """One of each call that the desk has one of."""
        found = (self.folder / closing.FOLDER / f"{call.call_id}{closing.SUFFIX}" for call in self.request.calls)
        return [path for path in found if path.exists()]


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A folder in RAM, removed at the end, and by SIGTERM while a ticket is typed or a package fetched: no other
    handler is installed by then."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        with tempfile.TemporaryDirectory(prefix="linetap-custody-", dir=RAM) as made:
            yield Path(made)
    finally:
        signal.signal(signal.SIGTERM, before)


def unpack(source: Source, folder: Path) -> Package:
    """The package's files in `folder`. BadPackage, NotReleased for a bad request, OSError if it cannot be read or
    written."""
    for name, content in members(source):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with privatefile.create(path) as file:
            file.writelines(content)
    return _complete(folder)


def _complete(folder: Path) -> Package:
    if not (folder / "request.json").exists():
        raise BadPackage("there is no request.json in it")
    package = Package(folder, files.load(folder / "request.json").request)
    for call in package.request.calls:
        if not package.call(call.call_id).is_dir():
            raise BadPackage(f"{call.call_id}: the request names it, and it is not in the package")
        if not package.inner(call.call_id).exists():
            raise BadPackage(f"{call.call_id}: the vault officer's half is not in the package")
    return package
