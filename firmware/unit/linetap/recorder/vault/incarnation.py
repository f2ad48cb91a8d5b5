# SPDX-License-Identifier: Apache-2.0
"""The identity of this vault: `vault.json`, made with the vault and signed by the unit's key.

An empty vault gets a name. The number of vaults of a key is kept in `vaults.json` beside the configuration, which may
outlive the vaults; a unit that cannot write there does not assume that a vault is its first. A vault with events or
leaves but without the document is from an earlier version and stays without a name. If its events or its log name the
vault, the document was lost and is restored from them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from linetap.tpm.device import TpmFault
from linetap_core import jsontext, plainfile
from linetap_core.clock import Clock, rfc3339
from linetap_core.durable import broken
from linetap_core.durable.files import replace_durably
from linetap_core.durable.smallfile import SmallFile
from linetap_core.errors import Refusal
from linetap_core.evidence.merklelog import leaflog, unitlog
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.system import is_damage
from linetap_core.vaultformat import outboxfiles, vaultname
from linetap_core.vaultformat.vaultname import VaultDocument

OUTBOX = "outbox"
MEMORY = "vaults.json"  # beside the configuration
_MOST_KEYS = 64
_LEAVES_LOOKED_AT = 1000  # the vault's name is in the log's first leaf and in the leaf with its number


log = logging.getLogger("linetap.recorder.vault")


class _Claim(msgspec.Struct):
    """The fields of an event or a leaf that name its vault."""

    kind: str = ""
    vault: str = ""
    number: int = 0
    before: str = ""
    at: str = ""


class _Before(msgspec.Struct, frozen=True):
    """The number of vaults of a key so far, and the name of the last vault."""

    count: Annotated[int, Meta(ge=0, lt=1 << 31)]
    last: Annotated[str, Meta(pattern=r"^([0-9a-f]{16})?\Z")]


_FILE = SmallFile("vaults", dict[str, _Before])


class Incarnation:
    """The vault's identity. `is_new`: made at this start, and not reported yet."""

    def __init__(
        self, vault: Path, unit: str, origin: str, sign: Callable[[bytes], str], clock: Clock, memory: Path
    ) -> None:
        """`sign`: bytes -> armored SSHSIG of namespace linetap-head. `memory`: the folder of vaults.json. OSError if
        the vault cannot be written.
        """
        self._path, self._sign, self._memory = vault / vaultname.FILE, sign, memory / MEMORY
        self.document = self._load(unit) or self._restored_document(unit, origin) or self._new(unit, origin, clock)
        if self.document is not None and not namespaces.signature_path(self._path).exists():
            self._write(self.document)
        if self.document is None and not self._before(origin).count:
            self._remember(origin, _Before(1, ""))
        elif self.document is not None and os.path.lexists(self._memory) and _FILE.load(self._memory) is None:
            self._remember(
                origin, _Before(max(self.document.number, 1), self.document.vault)
            )  # before another vault needs it

    @property
    def name(self) -> str:
        """The vault's name; empty for a vault of an earlier version."""
        return "" if self.document is None else self.document.vault

    @property
    def made_at(self) -> str:
        return "" if self.document is None else self.document.made_at

    @property
    def is_ordered(self) -> bool:
        """Whether the number of the vaults before is known; True for a vault without a name."""
        return self.document is None or self.document.number > 0

    def order(self, number: int, before: str) -> None:
        """Stores the desk's answer on this vault's number, once. OSError: not stored."""
        assert self.document is not None
        self._write(msgspec.structs.replace(self.document, number=number, before=before))

    def _write(self, document: VaultDocument) -> None:
        data = vaultname.encode(document)
        if not self._path.parent.is_dir():
            self._path.parent.mkdir(parents=True)
        try:
            signature: str | None = self._sign(data)
        except TpmFault:
            signature = None  # the next start signs it
        namespaces.signature_path(self._path).unlink(missing_ok=True)
        replace_durably(self._path, data)
        if signature is not None:
            replace_durably(namespaces.signature_path(self._path), signature.encode("ascii"))
        self.document = document

    # --- Loading---------------------------------------------------------------------------------------

    def _load(self, unit: str) -> VaultDocument | None:
        """Loads the document; None without a valid one. An invalid one is set aside."""
        signature = namespaces.signature_path(self._path)
        try:
            data = plainfile.read(self._path, vaultname.LIMIT_BYTES)
            found = vaultname.decode(data)
            if signature.exists():
                armored = plainfile.read(signature, sshsig.SIGNATURE_LIMIT_BYTES)
                vaultname.check(data, armored)
            if found.unit != unit:
                raise vaultname.BadVault(f"it is of unit {found.unit}")
        except FileNotFoundError:
            return None
        except (OSError, Refusal) as error:
            if isinstance(error, OSError) and not is_damage(error):
                raise
            broken.set_aside(self._path, error)
            signature.unlink(missing_ok=True)
            return None
        return found

    def _restored_document(self, unit: str, origin: str) -> VaultDocument | None:
        """Restores the vault's document from the newest event and the first leaves of the log."""
        folder = self._path.parent
        claims = [*_leaves(folder), *_newest_event(folder)]
        named = [each for each in claims if vaultname.NAME.fullmatch(each.vault)]
        if not named:
            return None
        last = max(named, key=lambda each: each.number)
        made_at = next((each.at for each in named if each.kind == "vault"), named[0].at)
        return VaultDocument(
            unit=unit, origin=origin, vault=named[-1].vault, made_at=made_at, number=last.number, before=last.before
        )

    def _new(self, unit: str, origin: str, clock: Clock) -> VaultDocument | None:
        """Makes a new document; None for a vault of an earlier version."""
        folder = self._path.parent
        if outboxfiles.first_seqs(folder / OUTBOX) or _leaves(folder):
            return None
        made_at, forgotten = rfc3339(clock.utc_ns()), os.path.lexists(self._memory) and _FILE.load(self._memory) is None
        before = self._before(origin)
        name = vaultname.new_name(first=not before.count and not forgotten)
        if not self._remember(origin, _Before(before.count + 1, name)) and not before.count:
            name = vaultname.new_name()
        number = before.count + 1 if before.count else 0  # for a first vault, the desk may know the number
        return VaultDocument(unit=unit, origin=origin, vault=name, made_at=made_at, number=number, before=before.last)

    def _before(self, origin: str) -> _Before:
        """The stored data on the vaults of this key."""
        return (_FILE.load(self._memory) or {}).get(origin, _Before(0, ""))

    def _remember(self, origin: str, vaults: _Before) -> bool:
        known = {**(_FILE.load(self._memory) or {}), origin: vaults}
        try:
            _FILE.replace(self._memory, dict(list(known.items())[-_MOST_KEYS:]))
        except OSError as error:
            log.warning("vaults_not_counted: %s: %s", self._memory, error.strerror)
            return False
        return True


def _leaves(vault: Path) -> list[_Claim]:
    """Reads the first leaves; empty if there is no log, or an empty one."""
    path, found = vault / unitlog.FOLDER / leaflog.LEAVES, list[_Claim]()
    try:
        for _, line in zip(range(_LEAVES_LOOKED_AT), leaflog.lines_of(path), strict=False):
            found.append(_claim(line))
    except OSError:
        return found
    return found


def _newest_event(vault: Path) -> list[_Claim]:
    folder = vault / OUTBOX
    for first in reversed(outboxfiles.first_seqs(folder)):
        try:
            for frame in reversed(list(outboxfiles.read(outboxfiles.path_of(folder, first)))):
                return [_claim(frame.entry.payload.encode())]
        except OSError:
            continue
    return []


def _claim(data: bytes) -> _Claim:
    try:
        return jsontext.decode(data, type=_Claim)
    except ValueError:
        return _Claim()
