# SPDX-License-Identifier: Apache-2.0
"""Makes the unit's key in the TPM. It is bound to the release key of the image that runs, and to no password."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from linetap.tpm import bootpolicy, commands, device, keyfile, templates
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import p256
from linetap_core.evidence.keys.keys import PublicKey

RELEASE = "/usr/lib/linetap/release.pem"  # in the root that dm-verity checks
_LIMIT_BYTES = 64 * 1024


def unit_key(path: Path, release: Path) -> tuple[bytes, PublicKey]:
    """What lies on the card of it, and its public half. BadInput or TpmFault, in one line, when it cannot be made."""
    key = release_of(release)
    numbers, ref = key.public_numbers(), bootpolicy.UNIT_KEY
    policy = templates.authorized_policy(templates.verifying_key(numbers.x, numbers.y), ref.encode())
    transport = device.open_device(path)
    try:
        if transport.alone:
            commands.flush_all(transport)
        parent, storage = commands.created_primary(transport)
        public, private = commands.create(transport, parent, templates.signing_key(policy))
        commands.flush(transport, parent)
    finally:
        transport.close()
    return keyfile.make(ref, public, private, key, storage), p256.from_point(templates.point_of(public))


def release_of(path: Path) -> ec.EllipticCurvePublicKey:
    """Whose word on boots counts, of a PEM file."""
    try:
        with path.open("rb") as file:
            return keyfile.release_key(file.read(_LIMIT_BYTES))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; the public key of who signs updates would be right") from None
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
