# SPDX-License-Identifier: Apache-2.0
"""Unpacks a package into its own folder (0700; in RAM on Linux), removed at the end. All of its files are encrypted or
public."""

from __future__ import annotations

import contextlib
import getpass
import ntpath
import os
import re
import signal
import ssl
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from linetap_core import system
from linetap_core.clock import S_PER_DAY
from linetap_core.durable import privatefile
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence import sealing
from linetap_core.evidence.authorization.release import MOST_CALLS, Request
from linetap_core.evidence.calls import amendment, hold, sealed
from linetap_core.evidence.merklelog import closing
from linetap_core.evidence.signing import document, namespaces, sshsig
from linetap_core.evidence.witness import tlogproof
from linetap_core.httplimits import Limits
from linetap_desk.inputs import ustar
from linetap_desk.inputs.ustar import BadPackage, Source
from linetap_desk.release import requestfile
from linetap_desk.release.opening import PART_LIMIT_BYTES

_SMALL_BYTES = 1 << 20
_MOST_MEMBERS = MOST_CALLS * (sealed.MOST_PARTS + 2 * amendment.MOST + 8) + 32
CALL = sealed.CALL_ID.pattern.replace("(", "(?:", 1)
DOCUMENT = rf"(?:{re.escape(hold.HOLD)}|{re.escape(hold.REWRAP)})"
# The files of a package, and the largest valid size of each.
NAMES = [
    (re.compile(pattern, re.ASCII), limit)
    for pattern, limit in (
        (r"request\.json|roles\.json", document.LIMIT_BYTES),
        (r"request\.json\.(?:[0-9A-Za-z._-]{1,64}\.)?sig|roles\.json\.sig", sshsig.SIGNATURE_LIMIT_BYTES),
        (r"allowed_signers", _SMALL_BYTES),
        (rf"inner/{CALL}\.age|handed/{CALL}\.age", _SMALL_BYTES),
        (rf"{closing.FOLDER}/{CALL}\{closing.SUFFIX}", closing.LIMIT_BYTES),
        (rf"{tlogproof.FOLDER}/{CALL}\{tlogproof.SUFFIX}", tlogproof.LIMIT_BYTES),
        (rf"{amendment.FOLDER}/{CALL}\.\d{{3}}\.json", amendment.LIMIT_BYTES),
        (rf"{amendment.FOLDER}/{CALL}\.\d{{3}}\.json\{namespaces.SUFFIX}", sshsig.SIGNATURE_LIMIT_BYTES),
        (rf"calls/{CALL}/(?:record\.json|record\.json\.sig|meta\.age|key\.age)", 2 * _SMALL_BYTES),
        (rf"holds/{CALL}/{re.escape(sealed.KEY)}", _SMALL_BYTES),
        (rf"holds/{CALL}/{DOCUMENT}", hold.LIMIT_BYTES),
        (rf"holds/{CALL}/{DOCUMENT}\{namespaces.SUFFIX}", sshsig.SIGNATURE_LIMIT_BYTES),
        (rf"calls/{CALL}/audio\.\d{{3}}\.age", PART_LIMIT_BYTES),
    )
]


def members(source: Source, allowed: ustar.Names = NAMES) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Name and content of each file of a package, in blocks. BadPackage at the first unexpected entry."""
    return ustar.members(source, allowed, _MOST_MEMBERS)


_ANSWER_S = 60.0  # for a connection, and for each block
_PACKAGE_S = S_PER_DAY  # of a gigabyte by a slow line
_TICKET = re.compile(r"[0-9A-Za-z._~+/=-]{8,200}")
_CODE, _CODE_LIMIT_BYTES = re.compile(r"[a-z][a-z0-9_]{2,40}"), 64
_REFUSED = {401: "the ticket is not known, was used, or is older than ten minutes", 403: "the ticket does not allow it"}


def ask_ticket() -> str:
    """Reads the ticket from the terminal or a pipe; never from an argument, which every process can read."""
    found = (getpass.getpass("ticket: ") if sys.stdin.isatty() else sys.stdin.readline(1000)).strip()
    return require_ticket(found)


def require_ticket(text: str) -> str:
    if _TICKET.fullmatch(text) is None:
        raise BadInput("the ticket: what the request's page at the desk shows once expected")
    return text


def connection_to(url: str, ca: Path | None, limits: Limits) -> HTTPConnection:
    """A connection, not yet open. BadInput for an invalid URL or authority."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), 0
    is_site = parts.path in ("", "/") and not parts.query and "@" not in parts.netloc and " " not in parts.netloc
    if parts.scheme != "https" or not parts.hostname or port == 0 or not is_site:
        raise BadInput(f"--desk {url}: https://desk.city.example:8443 expected")
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise BadInput(f"--ca {ca}: {error.strerror or error}; the authority's ca.pem expected") from None
    return limits.connection(parts.hostname, port, context=context)


@contextlib.contextmanager
def fetched(url: str, ca: Path | None, ticket: str) -> Iterator[Source]:
    """Downloads the package from the desk. BadInput for an invalid URL or an unreachable desk, Refusal if the desk
    refuses."""
    connection = connection_to(url, ca, Limits.within(_PACKAGE_S, _ANSWER_S, large=True))
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


@dataclass(frozen=True, slots=True)
class Package:
    folder: Path
    request: Request  # unverified: each step checks it first

    @property
    def request_file(self) -> Path:
        return self.folder / "request.json"

    def call(self, call_id: str) -> Path:
        return self.folder / "calls" / call_id

    def inner(self, call_id: str) -> Path:
        return self.folder / "inner" / f"{call_id}{sealing.SUFFIX}"

    def handed(self, call_id: str) -> Path | None:
        """The file of the previous custodian of a group."""
        path = self.folder / "handed" / f"{call_id}{sealing.SUFFIX}"
        return path if path.exists() else None

    def holds(self) -> Path | None:
        """The folder of the calls' re-wrapped keys."""
        path = self.folder / "holds"
        return path if path.is_dir() else None

    def closings(self) -> list[Path]:
        """The closings of the calls for which the desk has one."""
        found = (self.folder / closing.FOLDER / f"{call.call_id}{closing.SUFFIX}" for call in self.request.calls)
        return [path for path in found if path.exists()]


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A folder named after the process, removed at the end, also by SIGTERM while a ticket is typed or a package is
    downloaded: no other handler is installed by then. The folder is in RAM if the system has one, otherwise among the
    person's temporary files: its files are encrypted or public."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        with tempfile.TemporaryDirectory(prefix=f"linetap-custody-{os.getpid()}-", dir=system.ram_folder()) as made:
            yield Path(made)
    finally:
        signal.signal(signal.SIGTERM, before)


def unpack(source: Source, folder: Path) -> Package:
    """Unpacks the package into `folder`. BadPackage, NotReleased for an invalid request, OSError if it cannot be read
    or written."""
    for name, content in members(source):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with privatefile.create(path) as file:
            file.writelines(content)
    return complete(folder)


def complete(folder: Path) -> Package:
    """The unpacked package, if its request and calls belong together."""
    if not (folder / "request.json").exists():
        raise BadPackage("there is no request.json in it")
    package = Package(folder, requestfile.load_request(folder / "request.json").request)
    if ntpath.isreserved(package.request.id):  # the bundle is named after the request, and Windows accepts no `nul.zip`
        raise BadPackage(f"{package.request.id!r}: an id that is no file's name")
    for call in package.request.calls:
        if not package.call(call.call_id).is_dir():
            raise BadPackage(f"{call.call_id}: the request names it, and it is not in the package")
        if not package.inner(call.call_id).exists():
            raise BadPackage(f"{call.call_id}: the vault officer's half is not in the package")
    return package
