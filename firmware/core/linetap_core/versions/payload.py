# SPDX-License-Identifier: Apache-2.0
"""The signed part of a bundle, which is equal in two builds of one version.

A plain bundle of RAUC is a squashfs, a CMS signature over it, and the signature's length in eight bytes, most
significant first (https://rauc.readthedocs.io/en/latest/reference.html, "Bundle Formats"). In RAUC's other formats the
signature also contains the manifest, so that their payload does not determine the update.

Only the standard library is imported: image/payload.py runs where nothing is installed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from linetap_core.errors import BadInput

LENGTH = 8
_MAGIC = b"hsqs"  # of a squashfs
_SIGNATURE_MAX = 1 << 20
_BLOCK = 1 << 20


def payload_bytes(bundle: Path) -> int:
    """The length of the signed part of the file. BadInput if it is no plain bundle."""
    try:
        with bundle.open("rb") as file:
            size = file.seek(0, 2)
            if size < len(_MAGIC) + LENGTH:
                raise BadInput(f"{bundle}: too short for a bundle")
            file.seek(0)
            magic = file.read(len(_MAGIC))
            file.seek(size - LENGTH)
            length = int.from_bytes(file.read(LENGTH), "big")
    except OSError as error:
        raise BadInput(f"{bundle}: {error.strerror}") from None
    if magic != _MAGIC or not 0 < length <= min(_SIGNATURE_MAX, size - LENGTH - len(_MAGIC)):
        raise BadInput(f"{bundle}: not a bundle of RAUC's in the plain format")
    return size - LENGTH - length


def blocks(bundle: Path) -> Iterator[bytes]:
    """Yields the payload in pieces."""
    left = payload_bytes(bundle)
    with bundle.open("rb") as file:
        while left and (block := file.read(min(_BLOCK, left))):
            yield block
            left -= len(block)


def sha256(bundle: Path) -> str:
    digest = hashlib.sha256()
    for block in blocks(bundle):
        digest.update(block)
    return digest.hexdigest()
