# SPDX-License-Identifier: Apache-2.0
"""Opening a segment of the index, a file a day: with pyrage in this process, where stock `age` would be a process each.

Only where it is installed, and only with identities in the clear: all others, a passphrase's or a token's, are stock
`age`'s. Both open the same files. A recording is opened by stock `age` alone (docs/decisions/0007, 0054).
"""

from __future__ import annotations

from pathlib import Path

from linetap_core.errors import Refusal
from linetap_core.evidence import group
from linetap_desk.unsealing import stockage

try:
    import pyrage
except ImportError:  # Debian has no package of it
    pyrage = None

_KEY_LIMIT_BYTES = 64 * 1024
_SECRET = "AGE-SECRET-KEY-1"


def decrypt(ciphertext: bytes, identities: list[Path]) -> bytes:
    """The plaintext, with whichever identity files fit, of a group of officers those of enough of them.

    DoesNotOpen otherwise.
    """
    try:
        return group.open_whole(ciphertext, lambda layer: _layer(layer, identities))
    except Refusal as error:
        raise stockage.DoesNotOpen(str(error)) from None


def _layer(ciphertext: bytes, identities: list[Path]) -> bytes:
    if pyrage is None or (secrets := _in_the_clear(identities)) is None:
        return stockage.decrypt(ciphertext, identities)
    try:
        return bytes(pyrage.decrypt(ciphertext, [pyrage.x25519.Identity.from_str(secret) for secret in secrets]))
    except (pyrage.DecryptError, pyrage.IdentityError) as error:
        raise stockage.DoesNotOpen(str(error)) from None


def _in_the_clear(identities: list[Path]) -> list[str] | None:
    """The secrets in these files; None where a file holds anything else, or cannot be read: `age` may know why."""
    found = []
    for path in identities:
        try:
            with path.open("rb") as file:
                text = file.read(_KEY_LIMIT_BYTES).decode("ascii")
        except (OSError, UnicodeDecodeError):
            return None
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        if not lines or not all(line.startswith(_SECRET) for line in lines):
            return None
        found += lines
    return found
