# SPDX-License-Identifier: Apache-2.0
"""An open TPM with one object loaded and this boot's permission for it; and secrets fetched without an eavesdropper.

The session of a volume's key is salted to the storage key, and the TPM's answer is encrypted (TCG, TPM 2.0 Library,
part 1, 11.4.10, 19.6 and 21). The storage key is the one named in the file, so that nobody in between can present
another.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from linetap.tpm import bootpolicy, commands, device, wire
from linetap.tpm.bootpolicy import Boot
from linetap.tpm.commands import NULL
from linetap.tpm.device import TpmFault, Transport
from linetap.tpm.keyfile import KeyFile
from linetap.tpm.wire import Reader, answered, point_of, run, sized, u8, u16, u32


class OpenTpm:
    """The open TPM. TpmFault, in one line: no TPM, another TPM's object, or a boot that is not signed for it."""

    def __init__(self, path: Path, file: KeyFile, boots: list[Boot]) -> None:
        self.transport = device.open_device(path)
        self._file = file
        try:
            if self.transport.alone:
                commands.flush_all(self.transport)
            parent, public = commands.create_primary(self.transport)
            if file.parent and wire.name_of(public).hex() != file.parent:
                raise TpmFault("tpm_foreign", "this was made in another TPM: its storage key differs")
            self.handle = commands.load(self.transport, parent, file.public_area(), file.private_area())
            self.salted = start_salted(self.transport, parent, public) if file.ref == bootpolicy.VOLUME else None
            commands.flush(self.transport, parent)
            self.session = self.salted.handle if self.salted else commands.policy_session(self.transport)
            self._boot = self._find(bootpolicy.signed(boots, file.ref, file.release_key()))
            self._ticket = self._verified(self._boot)
        except BaseException:  # even Ctrl-C must not leave a session open in the TPM
            self.close()
            raise

    def permit(self) -> None:
        """Authorises the session to use the object, once."""
        commands.policy_pcr(self.transport, self.session, (bootpolicy.PCR,))
        ref = self._file.ref.encode()
        commands.policy_authorize(
            self.transport, self.session, self._boot.policy, ref, self._file.release_area(), self._ticket
        )

    def unseal(self) -> bytes:
        """The sealed secret, encrypted on the wires."""
        assert self.salted is not None
        self.permit()
        name = wire.name_of(self._file.public_area())
        return unseal_salted(self.transport, self.handle, name, self.salted)

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
            f"the release key has not signed this boot for {self._file.ref}: PCR {bootpolicy.PCR} is {value}; "
            "the image's own boot expected",
        )

    def _verified(self, boot: Boot) -> bytes:
        r, s = (number.to_bytes(32, "big") for number in decode_dss_signature(boot.signature))
        digest = hashlib.sha256(boot.policy + self._file.ref.encode()).digest()
        release = commands.load_public(self.transport, self._file.release_area())
        try:
            return commands.verify_signature(self.transport, release, digest, r, s)
        finally:
            commands.flush(self.transport, release)


# --- Salted sessions --------------------------------------------------------------------------------------------------


_POLICY, _AES, _CFB, _SHA256 = 1, 0x0006, 0x0043, 0x000B
_UNSEAL = 0x15E
_ENCRYPT = 1 << 6  # encrypts the answer's first parameter; without continueSession the command ends the session
_KEY_BITS, _AES_BITS, _BLOCK_BITS = 256, 128, 128


@dataclass(frozen=True, slots=True)
class Salted:
    """A policy session. `key`: derived from the salt by both ends."""

    handle: int
    key: bytes
    nonce_tpm: bytes


def start_salted(transport: Transport, parent: int, parent_public: bytes) -> Salted:
    point = point_of(parent_public)
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    numbers = ephemeral.public_key().public_numbers()
    x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
    shared = ephemeral.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))
    salt = hashlib.sha256(u32(1) + shared + b"SECRET\0" + x + point[1:33]).digest()  # KDFe
    nonce = os.urandom(16)
    parameters = sized(nonce) + sized(sized(x) + sized(y)) + u8(_POLICY) + u16(_AES) + u16(_AES_BITS) + u16(_CFB)
    handle, answer = run(transport, 0x176, u32(parent) + u32(NULL), parameters + u16(_SHA256), made=True)
    nonce_tpm = answer.sized()
    return Salted(handle, _kdfa(salt, "ATH", nonce_tpm, nonce, _KEY_BITS), nonce_tpm)


def unseal_salted(transport: Transport, item: int, name: bytes, session: Salted) -> bytes:
    """The secret. TpmFault also if the answer is not the TPM's."""
    nonce = os.urandom(16)
    command_hash = hashlib.sha256(u32(_UNSEAL) + name).digest()
    mac = hmac.digest(session.key, command_hash + nonce + session.nonce_tpm + u8(_ENCRYPT), "sha256")
    auth = u32(session.handle) + sized(nonce) + u8(_ENCRYPT) + sized(mac)
    parameters, back = answered(transport, _UNSEAL, u32(item), auth)
    nonce_tpm, attributes, its_mac = back.sized(), back.take(1), back.sized()
    response_hash = hashlib.sha256(u32(0) + u32(_UNSEAL) + parameters).digest()
    expected = hmac.digest(session.key, response_hash + nonce_tpm + nonce + attributes, "sha256")
    if attributes != u8(_ENCRYPT) or not hmac.compare_digest(its_mac, expected):
        raise TpmFault("tpm_silent", "the TPM's answer was changed on the way")
    stream = _kdfa(session.key, "CFB", nonce_tpm, nonce, _AES_BITS + _BLOCK_BITS)
    return _cfb(stream[: _AES_BITS // 8], stream[_AES_BITS // 8 :], Reader(parameters).sized())


def _cfb(key: bytes, vector: bytes, data: bytes) -> bytes:
    """Decrypts. Uses ECB, because `cryptography` moves CFB between versions."""
    block, plain = Cipher(AES(key), ECB()).encryptor(), b""
    for at in range(0, len(data), len(vector)):
        piece = data[at : at + len(vector)]
        plain += bytes(a ^ b for a, b in zip(piece, block.update(vector), strict=False))
        vector = piece
    return plain


def _kdfa(key: bytes, label: str, one: bytes, other: bytes, bits: int) -> bytes:
    """KDFa of part 1, 11.4.10.2; at most 256 bits, which need one round."""
    return hmac.digest(key, u32(1) + label.encode() + b"\0" + one + other + u32(bits), "sha256")[: bits // 8]
