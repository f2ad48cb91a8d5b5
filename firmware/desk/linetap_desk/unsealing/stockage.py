# SPDX-License-Identifier: Apache-2.0
"""Decrypts with the stock `age` command, which any installation can do with our recordings.

It accepts identities that this code need not support (passphrases, plugins of hardware tokens), and it returns every
whole chunk of a truncated part, which libraries do not.

If it is not installed, plain identities open in this process (agereader.py); on Windows a call's key always does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from linetap_core import system
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.keys import keys
from linetap_core.rundir import read_small
from linetap_desk.unsealing import agereader

_TIMEOUT_S = 600  # long enough to type a passphrase or touch a token
IDENTITY_LIMIT_BYTES = 64 * 1024
_FOREIGN = ("AGE-PLUGIN-", "age-encryption.org/v1", "-----BEGIN ")  # handled by age itself


class DoesNotOpen(Refusal):
    """No identity fits, or the ciphertext was changed."""

    code = "does_not_open"


@dataclass(frozen=True, slots=True)
class Decrypted:
    """The result. `whole` is False for a truncated file: `plaintext` then has its whole chunks."""

    plaintext: bytes
    whole: bool
    complaint: str  # age's message if not whole


def check_identity_file(path: Path) -> None:
    """BadInput unless `age` can be expected to accept the file. The message contains no secret."""
    try:
        with path.open("rb") as file:
            text = file.read(IDENTITY_LIMIT_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; an age identity file expected") from None
    if any(mark in text for mark in _FOREIGN):
        return
    try:
        keys.parse_identity_file(text)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def decrypt(ciphertext: bytes, identities: list[Path]) -> bytes:
    """The plaintext, by any identity file that fits; otherwise DoesNotOpen with age's message."""
    opened = _opened_here(ciphertext, identities) or _run(ciphertext, [str(path) for path in identities])
    if not opened.whole:
        raise DoesNotOpen(opened.complaint)
    return opened.plaintext


def decrypt_with_key(ciphertext: bytes, identity_file: bytes) -> Decrypted:
    """Decrypts with an identity that never touches a disk: it is passed in memory, or stays in this process."""
    if sys.platform == "win32" or system.program("age") is None:
        return _read_here(ciphertext, keys.parse_identity_file(identity_file.decode("ascii", "replace")))
    fd = os.memfd_create("call.key")
    try:
        os.write(fd, identity_file)
        return _run(ciphertext, [f"/proc/self/fd/{fd}"], fd)
    finally:
        os.close(fd)


def _opened_here(ciphertext: bytes, identities: list[Path]) -> Decrypted | None:
    """Decrypts in this process if `age` is not installed; otherwise None, also if a file needs `age` (passphrase,
    token)."""
    if system.program("age") is not None:
        return None
    found = []
    for path in identities:
        text = read_small(path, IDENTITY_LIMIT_BYTES).decode("utf-8", "replace")
        if any(mark in text for mark in _FOREIGN):
            return None
        try:
            found += keys.parse_identity_file(text)
        except BadInput as error:
            raise BadInput(f"{path}: {error}") from None
    return _read_here(ciphertext, found)


def _read_here(ciphertext: bytes, identities: list[keys.AgeIdentity]) -> Decrypted:
    try:
        plaintext, complaint = agereader.decrypt(ciphertext, identities)
    except agereader.Unopened as error:
        return Decrypted(b"", False, str(error))
    return Decrypted(plaintext, not complaint, complaint)


def _run(ciphertext: bytes, identities: list[str], *pass_fds: int) -> Decrypted:
    program = system.program("age")
    if program is None:
        raise BadInput("the `age` command is not installed, which this kind of key needs: `apt install age` expected")
    command = [program, "--decrypt"]
    for identity in identities:
        command += ["--identity", identity]
    try:
        # The ciphertext is passed as bytes, not as a name, so that the verified bytes are opened.
        done = subprocess.run(command, input=ciphertext, capture_output=True, timeout=_TIMEOUT_S, pass_fds=pass_fds)
    except subprocess.TimeoutExpired:
        raise DoesNotOpen(f"age did not end within {_TIMEOUT_S} s") from None
    words = done.stderr.decode("utf-8", "replace").partition("\n")[0]
    return Decrypted(done.stdout, done.returncode == 0, words.removeprefix("age: error: ").strip() or "age failed")
