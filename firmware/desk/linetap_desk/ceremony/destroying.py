# SPDX-License-Identifier: Apache-2.0
"""The journal of a destruction in progress, `DAY.destroying.json` beside the certificate's place (decision 0236).

It is on disk before the first key is destroyed, with the results of all checks, and each destroyed sheet and file is
recorded in it afterwards. After a power cut or a full disk the same command destroys the rest and writes the
certificate. A file that is missing counts as destroyed only if it is recorded.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace

from linetap_core import system
from linetap_core.clock import Clock, rfc3339
from linetap_core.durable import privatefile, signedfile
from linetap_core.errors import BadInput, LinetapError, Refusal
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import SigningKey
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_desk.ceremony import certificate
from linetap_desk.ceremony.canary import Canary
from linetap_desk.ceremony.certificate import Certificate
from linetap_desk.inputs import strict
from linetap_desk.proofs import callfolder
from linetap_desk.unsealing import stockage

_LOCK = ".destroying.lock"


class Doomed(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A private file. `opens_calls`: and not only the index."""

    path: str
    size: int
    sha256: str
    opens_calls: bool
    state: Literal["whole", "overwritten", "removed"] = "whole"


class Destruction(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`draft`: the certificate; `destroyed_at` is empty until all keys are destroyed. It is one level down, so that
    nothing reads the journal as a certificate. `shredded`: number of confirmed sheets."""

    draft: Certificate
    files: list[Doomed]
    shredded: int = 0


class Journal:
    def __init__(self, place: Path, what: Destruction) -> None:
        """`place`: of the certificate."""
        self.place = place
        self.path = certificate.journal_of(place)
        self.what = what

    @property
    def draft(self) -> Certificate:
        return self.what.draft

    def save(self) -> None:
        try:
            data = msgspec.json.encode(self.what)
            if len(data) > certificate.LIMIT_BYTES:
                raise BadInput(f"{self.path}: {len(data)} bytes; at most {certificate.LIMIT_BYTES} expected")
            privatefile.replace(self.path, data)
        except UnicodeEncodeError:
            raise BadInput("--medium, --rule: not UTF-8, which a certificate needs") from None
        except OSError as error:
            raise BadInput(f"{self.path}: {error.strerror}") from None

    def is_untouched(self) -> bool:
        """Whether all sheets and files are still as they were when the journal was written."""
        if self._has_recorded():
            return False
        try:
            return not self.what.files or _is(self.what.files[0], Path(self.what.files[0].path))
        except Refusal:
            return False

    def _has_recorded(self) -> bool:
        return self.what.shredded > 0 or any(each.state != "whole" for each in self.what.files)

    def copies(self) -> int:
        """Copies of the key of calls, on files and sheets."""
        return self.draft.sheets + sum(each.opens_calls for each in self.what.files)

    def calls_can_open(self) -> bool:
        """Whether a key of the epoch's calls is left."""
        left = any(each.opens_calls and each.state == "whole" for each in self.what.files)
        return left or self.what.shredded < self.draft.sheets

    def require_same(self, draft: Certificate) -> None:
        """Refusal if the destruction that was begun is of other keys."""
        for name in ("epoch", "recipient", "index", "officers", "canaries", "sheets"):
            if getattr(draft, name) != getattr(self.draft, name):
                begun = getattr(self.draft, name)
                raise Refusal(f"{self.path}: was begun with other {name}; the same command with {begun} expected")

    def find_left(self, media: list[Path], canaries: list[Canary]) -> None:
        """Finds the files that are left among the named ones. A medium may have another path since; another copy of the
        key is added. Refusal if a file is missing that is not recorded as destroyed."""
        names = {Path(each.path).name for each in self.what.files}
        left = [each for each in self.what.files if each.state == "whole"]
        current = next((each for each in self.what.files if each.state != "removed"), None)
        for path in media:
            if not path.exists() and path.name in names:
                continue
            privatefile.require_wipeable(path)
            if current is not None and _is_overwritten(current, path):
                found = [current]
            else:
                entry, _ = doomed(path, canaries)
                found = [each for each in left if _is(each, path)]
            if not found:
                self.what.files.append(entry)
                self.what.draft = replace(self.draft, destroyed_at="")
                continue
            each = next((each for each in found if each.path == str(path.absolute())), found[0])
            each.path = str(path.absolute())
            if each in left:
                left.remove(each)
        if left:
            lost = f"{left[0].path}: is missing, and was not destroyed: connect its medium and name it"
            more = "" if self._has_recorded() else f"; nothing is destroyed yet: without {self.path} it starts again"
            raise Refusal(lost + more)

    def destroy(self, canaries: list[Canary], media: list[Path], confirm_sheet: Callable[[int], None]) -> None:
        """Destroys what is left of the named files, in the journal's order, and records each sheet and file after
        it."""
        named = {str(path.absolute()) for path in media}
        self.save()
        try:
            for number in range(self.what.shredded + 1, self.draft.sheets + 1):
                confirm_sheet(number)
                self.what.shredded = number
                self.save()
            for each in self.what.files:
                self._destroy_file(each, canaries, named)
        except LinetapError:
            if self.is_untouched() and not self.draft.sheets:
                privatefile.remove(self.path)
            raise

    def _destroy_file(self, each: Doomed, canaries: list[Canary], named: set[str]) -> None:
        """Overwrites, records it, removes, records it. If the name went first, a cut would leave neither name nor
        record, as for a medium that is not connected."""
        path = Path(each.path)
        if each.state == "whole":
            privatefile.overwrite(path)
            require_closed(canaries, [path])
            each.state = "overwritten"
            self.save()
        if each.state == "overwritten":
            if each.path in named and path.exists() and _is_overwritten(each, path):
                privatefile.remove(path)
            each.state = "removed"
            self.save()

    def certify(self, signer: SigningKey | None, second: SigningKey | None, clock: Clock) -> None:
        """Writes the certificate and its signatures, also over those that a cut has left, and removes the journal."""
        if not self.draft.destroyed_at:
            files = [Path(each.path).name for each in self.what.files]
            now = rfc3339(clock.utc_ns())
            self.what.draft = replace(self.draft, destroyed_at=now, files=files, copies=self.copies())
            self.save()
        if not self._is_certified():
            seconds = certificate.second_of(self.place)
            for half in (self.place, signedfile.signature_of(self.place), seconds):
                if half.exists():
                    privatefile.remove(half)
            by = None if second is None else keys.fingerprint(second.public_key())
            data = msgspec.json.encode(replace(self.draft, second=by), order="deterministic")
            if second is not None:
                armored = sshsig.sign(data, second, namespaces.CERTIFICATE)
                privatefile.write_public(seconds, armored.encode("ascii"))
            signedfile.write(self.place, data, signer, namespaces.CERTIFICATE)
        privatefile.remove(self.path)

    def _is_certified(self) -> bool:
        """Whether the certificate is there as a whole. It is written after its signatures."""
        try:
            found = strict.decode(callfolder.read(self.place, certificate.LIMIT_BYTES), Certificate)
        except (callfolder.Damaged, ValueError, RecursionError):
            return False
        return replace(found, second=None) == self.draft


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Locks the folder of the certificates for this command: a second run would begin another journal of the same keys.
    BadInput if another one has the lock."""
    path = folder / _LOCK
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | system.CLOEXEC, 0o600)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    try:
        try:
            system.lock(fd)
        except BlockingIOError:
            text = "another `linetap epoch destroy` is at work in it; wait until it has ended"
            raise BadInput(f"{folder}: {text}") from None
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror}; a folder whose files can be locked expected") from None
        yield
    finally:
        os.close(fd)


def unique(media: list[Path]) -> list[Path]:
    """Each file once, whatever its paths: what is destroyed by one of them is missing under the other."""
    found: dict[object, Path] = {}
    for path in media:
        try:
            info = path.stat()
            found.setdefault((info.st_dev, info.st_ino), path)
        except OSError:
            found.setdefault(path.absolute(), path)
    return list(found.values())


def find(folder: Path, epoch: str, media: list[Path], officers: list[int], sheets: int) -> Journal | None:
    """The journal of the same command's earlier run; of a group by its officers, else by a file of the same path. None
    if there is none, or if nothing of it was destroyed: then it starts again. With sheets it does not, since one may be
    shredded and not yet confirmed, and its key cannot be typed again."""
    found = []
    named = {str(path.absolute()) for path in media}
    for place in certificate.places_begun(folder, epoch):
        journal = Journal(place, _read(certificate.journal_of(place)))
        theirs = journal.draft.officers
        if officers:
            is_same = theirs == sorted(set(officers))
        else:
            is_same = not theirs or not named or any(each.path in named for each in journal.what.files)
        may_be_shredded = sheets > 0 and journal.draft.sheets == sheets
        if is_same and (may_be_shredded or not journal.is_untouched()):
            found.append(journal)
    return found[0] if len(found) == 1 else None


def _read(path: Path) -> Destruction:
    try:
        return strict.decode(callfolder.read(path, certificate.LIMIT_BYTES), Destruction)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"{path}: not the journal of a destruction: {error}") from None


def doomed(path: Path, canaries: list[Canary]) -> tuple[Doomed, set[Path]]:
    """The entry of a private file, and the canaries that it opens. Refusal if it opens none of this epoch's."""
    privatefile.require_wipeable(path)
    stockage.check_identity_file(path)
    data = callfolder.digest(path)
    if data.size > stockage.IDENTITY_LIMIT_BYTES:
        raise BadInput(f"{path}: {data.size} bytes; an age identity file expected")
    opened = {canary.path for canary in canaries if canary.opens(path)}
    if not opened:
        raise Refusal(f"{path}: opens no canary of this epoch: the key of another epoch, which is not destroyed")
    opens_calls = any(canary.path in opened for canary in canaries if not canary.is_index)
    return Doomed(path=str(path.absolute()), size=data.size, sha256=data.sha256, opens_calls=opens_calls), opened


def require_closed(canaries: list[Canary], paths: list[Path]) -> None:
    """Refusal if a file still opens a canary after it was destroyed."""
    for path in paths:
        for canary in canaries if path.exists() else ():
            try:
                opens = canary.opens(path)
            except BadInput:  # without `age` what was overwritten is not even read as a key
                opens = False
            if opens:
                text = "destroy the medium itself; there is no certificate"
                raise Refusal(f"{path}: still opens {canary.path.name}: {text}")


def _is(each: Doomed, path: Path) -> bool:
    data = callfolder.digest(path)
    return (data.sha256, data.size) == (each.sha256, each.size)


def _is_overwritten(each: Doomed, path: Path) -> bool:
    """Whether it can be this file after a part of its overwriting: of its name and size, and no text. At any time only
    one file is in that state."""
    data = callfolder.read(path, stockage.IDENTITY_LIMIT_BYTES)
    if (path.name, len(data)) != (Path(each.path).name, each.size):
        return False
    try:
        return "\0" in data.decode("utf-8")
    except UnicodeDecodeError:
        return True
