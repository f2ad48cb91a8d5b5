# SPDX-License-Identifier: Apache-2.0
"""The storage of a unit's signing key: the back ends named by `[keys] unit_key`.

A missing configured key, or one of another kind, is refused, and no other is tried. A TPM that is absent or does not
sign is different: the unit's identity is in a file, so the recorder continues without it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from linetap.config.schema import Keys
from linetap_core.durable import copies
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys, publickeys
from linetap_core.evidence.keys.keys import SigningKey

_LIMIT_BYTES = 64 * 1024

log = logging.getLogger("linetap.keys")


def open_key(path: Path, settings: Keys | None = None) -> SigningKey:
    """Opens the key. `settings`: [keys]; None: a key in a file. BadInput names the file if it is no such key."""
    try:
        data = copies.damaged(path)
        if data is None:
            with path.open("rb") as file:
                data = file.read(_LIMIT_BYTES)
        return _BACK_ENDS[settings.unit_key if settings is not None else "file"](data, settings)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None


def make(settings: Keys | None = None) -> bytes:
    """The file of a new key for `open_key`. With a TPM the file is useless without that TPM."""
    if settings is not None and settings.unit_key == "tpm":
        from linetap.tpm import unitkey

        return unitkey.unit_key(Path(settings.tpm), Path(settings.release))[0]
    return keys.unit_key_file(keys.new_unit_key())


def keep_copy(path: Path) -> None:
    """Keeps a copy of a good key, NAME.kept, with the same owner and mode; called by the owner at every start.

    A key that the medium has since changed is restored from the copy. OSError: nothing has changed.
    """
    copies.keep_if(path, _require_key)


def _require_key(data: bytes) -> None:
    if data.lstrip()[:1] != b"{":  # otherwise wrapped by a TPM, which alone can check it
        keys.load_signing_key(data)


def next_of(path: Path) -> str | None:
    """The fingerprint of the next key, from NAME.next.pub beside the key at `path`; None if there is none.

    BadInput if that is no public key.
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
        raise BadInput(f"{public}: not a public key; the line that `linetap keygen unit` prints expected")
    return keys.fingerprint_of(blob)


def _in_file(data: bytes, _settings: Keys | None) -> SigningKey:
    if data.lstrip()[:1] == b"{":
        raise BadInput('a key in a TPM, and [keys] unit_key = "file"; "tpm" expected')
    return keys.load_unit_key(data)


def _in_tpm(data: bytes, settings: Keys | None) -> SigningKey:
    """The key in the TPM. A TPM other than the key's is a wrong configuration; an absent one is not."""
    from linetap.tpm import bootpolicy
    from linetap.tpm.device import TpmFault
    from linetap.tpm.unitkey import TpmKey

    assert settings is not None
    key = TpmKey(data, Path(settings.tpm), bootpolicy.read(Path(settings.boots)))
    try:
        key.open()
    except TpmFault as fault:
        if fault.code == "tpm_foreign":
            raise BadInput(f"{fault}; the TPM of the unit that it was made in expected") from None
        log.error("%s: %s", fault.code, fault)
    return key


_BACK_ENDS: dict[str, Callable[[bytes, Keys | None], SigningKey]] = {"file": _in_file, "tpm": _in_tpm}
