# SPDX-License-Identifier: Apache-2.0
"""Decrypts with the stock `age` command, which any installation can do with our recordings.

It accepts identities that this code need not support (passphrases, plugins of hardware tokens), and it returns every
whole chunk of a truncated part, which libraries do not.

If it is not installed, plain identities open in this process (agereader.py); on Windows a call's key always does.
"""

from __future__ import annotations

import io
import os
import select
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO

from linetap_core import absent, system
from linetap_core.errors import BadInput, LinetapError, Refusal
from linetap_core.evidence.keys import keys
from linetap_core.rundir import read_small
from linetap_desk.unsealing import agereader
from linetap_desk.unsealing.agereader import Readable

_TIMEOUT_S = 600  # long enough to type a passphrase or touch a token
IDENTITY_LIMIT_BYTES = 64 * 1024
_BLOCK_BYTES = 64 * 1024
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
    """Decrypts as `PlainBlocks` does."""
    blocks = PlainBlocks(io.BytesIO(ciphertext), identity_file)
    plaintext = b"".join(blocks)
    return Decrypted(plaintext, not blocks.complaint, blocks.complaint)


class PlainBlocks:
    """The plaintext of a file in blocks, while it is read, for one pass. The identity never touches a disk: it is
    passed in memory, or stays in this process.

    `complaint`, after the last block: age's message if the file is not whole; then only its whole chunks came.
    """

    def __init__(self, file: Readable, identity_file: bytes) -> None:
        self._file, self._identity_file = file, identity_file
        self._unread: OSError | LinetapError | None = None
        self.complaint = ""

    def __iter__(self) -> Generator[bytes]:
        program = system.program("age")
        if sys.platform == "win32" or program is None:
            yield from self._opened_here()
            return
        fd = os.memfd_create("call.key")
        try:
            os.write(fd, self._identity_file)
            command, pipe = [program, "--decrypt", "--identity", f"/proc/self/fd/{fd}"], subprocess.PIPE
            process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, pass_fds=[fd])
        finally:
            os.close(fd)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        feeder = Thread(target=self._feed, args=(process.stdin,), name="age-input", daemon=True)
        feeder.start()
        try:
            while block := _read_within(process.stdout.fileno()):
                yield block
            said = process.stderr.read()
        finally:  # also where the reader has stopped before the end
            process.kill()
            feeder.join()
            process.stdout.close()
            process.stderr.close()
            status = process.wait()
        if self._unread is not None:
            raise self._unread
        self.complaint = _complaint(said) if status else ""

    def _opened_here(self) -> Generator[bytes]:
        try:
            chunks = agereader.Chunks(
                self._file, keys.parse_identity_file(self._identity_file.decode("ascii", "replace"))
            )
        except agereader.Unopened as error:
            self.complaint = str(error)
            return
        yield from chunks
        self.complaint = chunks.fault

    def _feed(self, age_input: IO[bytes]) -> None:
        """Writes the ciphertext to age. An error of the file is raised by the reader of the plaintext."""
        try:
            with age_input:
                while block := self._file.read(_BLOCK_BYTES):
                    age_input.write(block)
        except BrokenPipeError:
            pass  # age ended before, and says why
        except (OSError, LinetapError) as error:
            self._unread = error


def _read_within(fd: int) -> bytes:
    """The next block of age's output; DoesNotOpen if there is none for long."""
    if not select.select([fd], [], [], _TIMEOUT_S)[0]:
        raise DoesNotOpen(f"age wrote nothing for {_TIMEOUT_S} s")
    return os.read(fd, _BLOCK_BYTES)


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


def _run(ciphertext: bytes, identities: list[str]) -> Decrypted:
    command = [absent.require_program("age", "this kind of key needs it"), "--decrypt"]
    for identity in identities:
        command += ["--identity", identity]
    try:
        # The ciphertext is passed as bytes, not as a name, so that the verified bytes are opened.
        done = subprocess.run(command, input=ciphertext, capture_output=True, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise DoesNotOpen(f"age did not end within {_TIMEOUT_S} s") from None
    return Decrypted(done.stdout, done.returncode == 0, _complaint(done.stderr))


def _complaint(said: bytes) -> str:
    words = said.decode("utf-8", "replace").partition("\n")[0]
    return words.removeprefix("age: error: ").strip() or "age failed"
