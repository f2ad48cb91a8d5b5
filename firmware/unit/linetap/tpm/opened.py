# SPDX-License-Identifier: Apache-2.0
"""A TPM that is spoken to, with one thing loaded and the permission of this boot for it."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from linetap.tpm import bootpolicy, commands, device, salted, templates
from linetap.tpm.bootpolicy import Boot
from linetap.tpm.device import TpmFault
from linetap.tpm.keyfile import KeyFile


class Opened:
    """TpmFault, in one line, when there is no TPM, the thing is another's, or this boot is not signed for it."""

    def __init__(self, path: Path, file: KeyFile, boots: list[Boot]) -> None:
        self.transport = device.open_device(path)
        self._file = file
        try:
            if self.transport.alone:
                commands.flush_all(self.transport)
            parent, public = commands.created_primary(self.transport)
            if file.parent and templates.name_of(public).hex() != file.parent:
                raise TpmFault("tpm_foreign", "this was made in another TPM: its storage key is another")
            self.handle = commands.load(self.transport, parent, file.public_area(), file.private_area())
            self.salted = salted.start(self.transport, parent, public) if file.ref == bootpolicy.VOLUME else None
            commands.flush(self.transport, parent)
            self.session = self.salted.handle if self.salted else commands.policy_session(self.transport)
            self._boot = self._find(bootpolicy.signed(boots, file.ref, file.release_key()))
            self._ticket = self._verified(self._boot)
        except BaseException:  # Ctrl-C too must leave no session open in the TPM
            self.close()
            raise

    def permit(self) -> None:
        """The session may use the thing now, once."""
        commands.policy_pcr(self.transport, self.session, (bootpolicy.PCR,))
        ref = self._file.ref.encode()
        commands.policy_authorize(
            self.transport, self.session, self._boot.policy, ref, self._file.release_area(), self._ticket
        )

    def unseal(self) -> bytes:
        """What is sealed, as nobody on the wires hears it."""
        assert self.salted is not None
        self.permit()
        name = templates.name_of(self._file.public_area())
        return salted.unseal(self.transport, self.handle, name, self.salted)

    def close(self) -> None:
        with contextlib.suppress(TpmFault):
            if self.transport.alone:
                commands.flush_all(self.transport)
        self.transport.close()

    def _find(self, signed: list[Boot]) -> Boot:
        commands.policy_pcr(self.transport, self.session, (bootpolicy.PCR,))
        policy = commands.policy_digest(self.transport, self.session)
        commands.policy_restart(self.transport, self.session)
        for boot in signed:
            if boot.policy == policy:
                return boot
        value = commands.pcr_read(self.transport, bootpolicy.PCR).hex()
        raise TpmFault(
            "tpm_policy",
            f"this boot is none that the release key has signed for {self._file.ref}: PCR {bootpolicy.PCR} is {value}; "
            "the image's own boot would be right",
        )

    def _verified(self, boot: Boot) -> bytes:
        r, s = (number.to_bytes(32, "big") for number in decode_dss_signature(boot.signature))
        digest = hashlib.sha256(boot.policy + self._file.ref.encode()).digest()
        release = commands.load_public(self.transport, self._file.release_area())
        try:
            return commands.verify_signature(self.transport, release, digest, r, s)
        finally:
            commands.flush(self.transport, release)
