# SPDX-License-Identifier: Apache-2.0
"""Where a unit's signing key is: the back ends that `[keys] unit_key` names.

What the configuration names and is not there, or is something else, is refused, and nothing else is tried. A TPM that
is away or does not sign is another matter: who the unit is stands beside it, so the recorder goes on without it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from linetap.config.schema import Keys
from linetap_core.durable import keptcopy
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys, publickeys
from linetap_core.evidence.keys.keys import SigningKey

_LIMIT_BYTES = 64 * 1024

log = logging.getLogger("linetap.keys")


def open_key(path: Path, where: Keys | None = None) -> SigningKey:
    """`where`: [keys] of the configuration; None: a key in a file. BadInput, with the file's name, when it is no such
    key."""
    try:
        data = keptcopy.damaged(path)
        if data is None:
            with path.open("rb") as file:
                data = file.read(_LIMIT_BYTES)
        return _BACK_ENDS[where.unit_key if where is not None else "file"](data, where)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None


def make(where: Keys | None = None) -> bytes:
    """What `open_key` takes, of a new key. Where it is in a TPM that is of no use to anybody but that TPM."""
    if where is not None and where.unit_key == "tpm":
        from linetap.tpm import unitkey

        return unitkey.unit_key(Path(where.tpm), Path(where.release))[0]
    return keys.unit_key_file(keys.new_unit_key())


def keep_copy(path: Path) -> None:
    """By its owner at every start, of a key that is good: NAME.kept beside it, with the same owner and mode. A key that
    changed on the medium since is put back from it. OSError: nothing has changed."""
    try:
        data = keptcopy.damaged(path) or path.read_bytes()
    except FileNotFoundError:
        return
    if data.lstrip()[:1] != b"{":  # else what a TPM has wrapped, which it alone can judge
        keys.load_signing_key(data)
    keptcopy.keep(path)


def next_of(path: Path) -> str | None:
    """The fingerprint of the key that comes after the one at `path`: NAME.next.pub beside it, where one was made.

    BadInput if that is none.
    """
    public = path.with_name(f"{path.name}.next.pub")
    try:
        with public.open("rb") as file:
            blob = publickeys.ssh_blob(file.read(_LIMIT_BYTES).decode("ascii", "replace"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"{public}: {error.strerror}") from None
    if blob is None:
        raise BadInput(f"{public}: not a public key; the line that `linetap keygen unit` prints would be right")
    return keys.fingerprint_of(blob)


def _in_file(data: bytes, _where: Keys | None) -> SigningKey:
    if data.lstrip()[:1] == b"{":
        raise BadInput('a key in a TPM, and [keys] unit_key says "file"; "tpm" would be right')
    return keys.load_unit_key(data)


def _in_tpm(data: bytes, where: Keys | None) -> SigningKey:
    """A TPM that is not the one the key was made in is a wrong configuration; one that is away is not."""
    from linetap.tpm import bootpolicy
    from linetap.tpm.device import TpmFault
    from linetap.tpm.unitkey import TpmKey

    assert where is not None
    key = TpmKey(data, Path(where.tpm), bootpolicy.read(Path(where.boots)))
    try:
        key.open()
    except TpmFault as fault:
        if fault.code == "tpm_foreign":
            raise BadInput(f"{fault}; the TPM of the unit that it was made in would be right") from None
        log.error("%s: %s", fault.code, fault)
    return key


_BACK_ENDS: dict[str, Callable[[bytes, Keys | None], SigningKey]] = {"file": _in_file, "tpm": _in_tpm}
