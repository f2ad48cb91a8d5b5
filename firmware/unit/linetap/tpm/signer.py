# SPDX-License-Identifier: Apache-2.0
"""The unit's key in a TPM: `public_key` and `sign`, as of a key in a file. Used by one thread.

The public half is known without the TPM, so a unit whose TPM is gone knows who it is, and only cannot sign.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from linetap.tpm import bootpolicy, commands, keyfile, templates
from linetap.tpm.bootpolicy import Boot
from linetap.tpm.device import TpmFault
from linetap.tpm.opened import Opened
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import p256

_LOST = ("tpm_silent", "tpm_handle")  # the driver was taken away, or the chip was reset: what was loaded is gone


class TpmKey:
    """BadInput when `data` is no such key. The TPM is asked for when it is first needed, and again after a fault."""

    def __init__(self, data: bytes, device: Path, boots: list[Boot]) -> None:
        self._file = keyfile.parse(data, bootpolicy.UNIT_KEY)
        public = self._file.public_area()
        if not templates.is_bound(public):
            raise BadInput("its key was not made in a TPM, or may leave it; `linetap keygen unit --tpm` makes one")
        try:
            self._public = p256.from_point(templates.point_of(public))
        except TpmFault:
            raise BadInput("its public part is cut short; `linetap keygen unit --tpm` makes one") from None
        self._device, self._boots = device, boots
        self._opened: Opened | None = None

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public

    def sign(self, data: bytes, /) -> bytes:
        """TpmFault when it cannot; the next call tries anew."""
        try:
            return self._sign(data)
        except TpmFault as fault:
            self.close()
            if fault.code not in _LOST:
                raise
        return self._sign(data)

    def open(self) -> None:
        """TpmFault now rather than with the first signature."""
        if self._opened is None:
            self._opened = Opened(self._device, self._file, self._boots)

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _sign(self, data: bytes) -> bytes:
        self.open()
        assert self._opened is not None
        self._opened.permit()
        digest = hashlib.sha256(data).digest()
        numbers = commands.sign(self._opened.transport, self._opened.handle, digest, self._opened.session)
        raw = p256.encode(*numbers)
        try:
            p256.verify(self._public, raw, data)  # a chip that errs must not leave a bad signature in a log
        except InvalidSignature:
            self.close()
            raise TpmFault("tpm_broken", "the TPM gave a signature that its own public key does not fit") from None
        return raw
