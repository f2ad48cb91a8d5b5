# SPDX-License-Identifier: Apache-2.0
"""The boots in which a key in the TPM is valid: the release key has signed their root, on the kernel's command line.

    linetap.verity=BLOCKS:ROOTHASH:SALT linetap.boot=linetap-unit-key:SIG linetap.boot=linetap-volume:SIG

The initramfs measures the root hash into a PCR, and later the stage of the start. A signature covers the digest of the
TPM's policy for the resulting PCR, and the purpose; the TPM itself verifies it (TPM2_PolicyAuthorize). Each slot
therefore has its own permission, and no secret is resealed: not for an update, its trial, or its fallback.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from linetap.tpm import wire
from linetap_core.errors import BadInput
from linetap_core.evidence.digest import is_sha256

PCR = 11  # for the kernel and its initial processes, by systemd's convention; otherwise unused on a Pi
UNIT_KEY, VOLUME = "linetap-unit-key", "linetap-volume"  # purposes of a boot's signature: to sign, to open the card
# The stage of the start for each purpose: a volume is opened before its root is entered, and never again in that boot.
STAGES = {UNIT_KEY: ("run",), VOLUME: ()}
_LIMIT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Boot:
    """A signed boot. `policy`: the TPM's digest after measuring it."""

    ref: str
    policy: bytes
    signature: bytes  # DER

    @property
    def signed_bytes(self) -> bytes:
        """The bytes for `openssl dgst -sha256 -verify release.pem -signature FILE`."""
        return self.policy + self.ref.encode()

    @property
    def word(self) -> str:
        """The word for the kernel's command line."""
        return f"linetap.boot={self.ref}:{base64.b64encode(self.signature).decode('ascii')}"


def measured(root_hash: str, stages: tuple[str, ...]) -> bytes:
    """The PCR's value after a boot of that root, up to these stages."""
    value = bytes(32)
    for text in (f"linetap-root:{root_hash}", *(f"linetap-stage:{stage}" for stage in stages)):
        value = hashlib.sha256(value + hashlib.sha256(text.encode()).digest()).digest()
    return value


def policy_of(root_hash: str, ref: str) -> bytes:
    return wire.pcr_policy((PCR,), (measured(root_hash, STAGES[ref]),))


def sign(root_hash: str, key: ec.EllipticCurvePrivateKey) -> list[Boot]:
    """The boots of that root, one for each purpose. Deterministic: builds are reproducible to the byte."""
    if not is_sha256(root_hash):
        raise BadInput(f"{root_hash}: not a root hash; the 64 hex digits that veritysetup prints expected")
    boots = []
    for ref in STAGES:
        unsigned = Boot(ref, policy_of(root_hash, ref), b"")
        signature = key.sign(unsigned.signed_bytes, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        boots.append(replace(unsigned, signature=signature))
    return boots


def published(root_hash: str, path: Path, release: ec.EllipticCurvePublicKey) -> list[Boot]:
    """The same boots from a published command line, by whoever has no key. BadInput if one of them is not signed."""
    boots = [boot for ref in STAGES for boot in signed(read(path), ref, release)]
    if [(boot.ref, boot.policy) for boot in boots] != [(ref, policy_of(root_hash, ref)) for ref in STAGES]:
        raise BadInput(f"{path}: the release key has not signed the boots of root {root_hash} there")
    return boots


def read(path: Path) -> list[Boot]:
    """The boots on a command line, usually /proc/cmdline. BadInput if the file cannot be read."""
    try:
        with path.open("rb") as file:
            return parse(file.read(_LIMIT_BYTES).decode("ascii", "replace"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; the kernel's command line expected") from None


def parse(command_line: str) -> list[Boot]:
    """The boots on a command line, without invalid words, which give no permission."""
    given = [word.partition("=") for word in command_line.split()]
    verity = next((value.split(":") for name, _, value in given if name == "linetap.verity"), [])
    if len(verity) != 3 or not is_sha256(verity[1]):
        return []
    found = []
    for name, _, value in given:
        ref, _, text = value.partition(":")
        if name == "linetap.boot" and ref in STAGES:
            try:
                found.append(Boot(ref, policy_of(verity[1], ref), base64.b64decode(text, validate=True)))
            except binascii.Error:
                continue
    return found


def signed(boots: list[Boot], ref: str, release: ec.EllipticCurvePublicKey) -> list[Boot]:
    """The boots that the release key has signed for `ref`."""
    return [boot for boot in boots if boot.ref == ref and _is_signed(boot, release)]


def _is_signed(boot: Boot, release: ec.EllipticCurvePublicKey) -> bool:
    try:
        release.verify(boot.signature, boot.signed_bytes, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
