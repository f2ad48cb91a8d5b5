# SPDX-License-Identifier: Apache-2.0
"""The unit's key in a TPM: `public_key` and `sign`, like a key in a file; and its making. Used by one thread.

The public half is known without the TPM, so that a unit whose TPM is gone keeps its identity and only cannot sign. The
key is bound to the release key of the running image, not to a password.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from linetap.tpm import bootpolicy, commands, device, keyfile, wire
from linetap.tpm.bootpolicy import Boot
from linetap.tpm.device import TpmFault
from linetap.tpm.session import OpenTpm
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import p256
from linetap_core.evidence.keys.keys import PublicKey

_LOST = ("tpm_silent", "tpm_handle")  # the driver was unloaded or the chip was reset: loaded objects are gone


class TpmKey:
    """The key. The TPM is opened at the first use, and again after a fault. BadInput if `data` is no such key."""

    def __init__(self, data: bytes, device: Path, boots: list[Boot]) -> None:
        self._file = keyfile.parse(data, bootpolicy.UNIT_KEY)
        public = self._file.public_area()
        if not wire.is_bound(public):
            raise BadInput("its key was not made in a TPM, or may leave it; `linetap keygen unit --tpm` makes one")
        try:
            self._public = p256.from_point(wire.point_of(public))
        except TpmFault:
            raise BadInput("its public part is cut short; `linetap keygen unit --tpm` makes one") from None
        self._device, self._boots = device, boots
        self._opened: OpenTpm | None = None

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public

    def sign(self, data: bytes, /) -> bytes:
        """The raw signature. TpmFault if it fails; the next call tries again."""
        try:
            return self._sign(data)
        except TpmFault as fault:
            self.close()
            if fault.code not in _LOST:
                raise
        return self._sign(data)

    def open(self) -> None:
        """Raises TpmFault now instead of at the first signature."""
        if self._opened is None:
            self._opened = OpenTpm(self._device, self._file, self._boots)

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
            p256.verify(self._public, raw, data)  # a faulty chip must not leave a bad signature in a log
        except InvalidSignature:
            self.close()
            raise TpmFault("tpm_broken", "the TPM's signature does not match its own public key") from None
        return raw


# --- Making it --------------------------------------------------------------------------------------------------------


RELEASE = "/usr/lib/linetap/release.pem"  # in the root, which dm-verity verifies
_LIMIT_BYTES = 64 * 1024


def unit_key(path: Path, release: Path) -> tuple[bytes, PublicKey]:
    """The file of a new key for the card, and the public half. BadInput or TpmFault, in one line, if that fails."""
    key = release_of(release)
    numbers, ref = key.public_numbers(), bootpolicy.UNIT_KEY
    policy = wire.authorized_policy(wire.verifying_key(numbers.x, numbers.y), ref.encode())
    transport = device.open_device(path)
    try:
        if transport.alone:
            commands.flush_all(transport)
        parent, storage = commands.create_primary(transport)
        public, private = commands.create(transport, parent, wire.signing_key(policy))
        commands.flush(transport, parent)
    finally:
        transport.close()
    return keyfile.make(ref, public, private, key, storage), p256.from_point(wire.point_of(public))


def release_of(path: Path) -> ec.EllipticCurvePublicKey:
    """The public key that signs boots, from a PEM file."""
    try:
        with path.open("rb") as file:
            return keyfile.release_key(file.read(_LIMIT_BYTES))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; the public key of who signs updates expected") from None
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
