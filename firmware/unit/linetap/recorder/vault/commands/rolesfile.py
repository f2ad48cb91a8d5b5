# SPDX-License-Identifier: Apache-2.0
"""The roles in force: roles.json in the vault, its signature, and a copy of both (roles.copy).

Damaged ones are restored from the copy, and so are older ones, which a backup may have put back: the log has a leaf for
each list that was taken in. Without either only the authority may command until it sends the roles again.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from linetap.recorder.vault.log.pastleaves import PastLeaf
from linetap_core import plainfile
from linetap_core.durable import broken, copies
from linetap_core.durable.files import replace_durably
from linetap_core.durable.unreadable import is_missing
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization import roles
from linetap_core.evidence.authorization.roles import Roles
from linetap_core.evidence.signing import document, namespaces, sshsig
from linetap_core.evidence.signing.authority import Authority

NAME = "roles.json"  # in the vault

log = logging.getLogger("linetap.recorder.vault")


class RolesFile:
    def __init__(self, vault: Path, authority: Authority) -> None:
        self._path, self._authority = vault / NAME, authority
        self._signature = namespaces.signature_path(self._path)
        self._copy = self._path.with_name(f"{self._path.stem}{copies.SET_SUFFIX}")
        self._sha256 = ""  # of the list that was loaded or written last

    def load(self) -> Roles | None:
        """Loads the roles, or restores damaged ones. An intact copy of others stays until `newest`."""
        if is_missing(self._path):
            return None
        for mends in (True, False):
            try:
                found = self._read()
            except (OSError, BadInput, roles.RolesFault) as error:
                if mends and copies.mend_set(self._copy, error):
                    continue
                self._report(error)
                return None
            self._keep_copy(replaces=False)
            return found
        return None

    def newest(self, last: PastLeaf, found: Roles | None) -> Roles | None:
        """Returns the roles of `load`, or those of the copy if these are older than the last list of the log; None if
        both are.
        """
        why = f"older than the last list of the log, version {last.version}"
        if found is not None and self._is_older(last, found):
            found = self.load() if copies.mend_set(self._copy, why) else found
        if found is None or self._is_older(last, found):
            self._report(why)
            return None
        self._keep_copy()
        return found

    def write(self, data: bytes, signature: bytes) -> None:
        """Writes the signature, then the document, so that a document always has its signature; then the copy."""
        replace_durably(self._signature, signature)
        replace_durably(self._path, data)
        self._sha256 = hashlib.sha256(data).hexdigest()
        self._keep_copy()

    def _is_older(self, last: PastLeaf, found: Roles) -> bool:
        return self._sha256 != last.sha256 and found.version <= last.version

    def _keep_copy(self, replaces: bool = True) -> None:
        copies.keep_set(self._copy, (self._path.name, self._signature.name), replaces)

    def _report(self, why: object) -> None:
        broken.report(self._path, f"{why}; only the authority may command, until it sends the roles again")

    def _read(self) -> Roles:
        """The stored roles. A name or text that an earlier version took and this one refuses is logged, and changes
        nothing: without its roles the unit would obey neither the desk nor an officer."""
        data = plainfile.read(self._path, document.LIMIT_BYTES)
        signature = plainfile.read(self._signature, sshsig.MOST_ARMORED_BYTES)
        self._sha256 = hashlib.sha256(data).hexdigest()
        try:
            return roles.check(data, signature, self._authority)
        except BadInput as error:
            found = roles.check(data, signature, self._authority, in_force=True)
            way_on = "they stay in force: the authority's next version without it replaces them"
            log.error("roles_text: %s: %s; %s", self._path, error, way_on)
            return found
