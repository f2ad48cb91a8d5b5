# SPDX-License-Identifier: Apache-2.0
"""A partition in LUKS2 whose key the TPM gives out, in a signed boot that has not entered its root yet.

One sealed key for a card lies in a file on its boot partition, and a copy of it in each LUKS header, as a token. Stock
cryptsetup does all that is done to a partition.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from linetap.desk import privatefile
from linetap.errors import BadInput, DeviceFault
from linetap.tpm import bootpolicy, commands, device, keyfile, templates
from linetap.tpm.bootpolicy import Boot
from linetap.tpm.keyfile import KeyFile
from linetap.tpm.opened import Opened

MAGIC = b"LUKS\xba\xbe"
HEADER_BYTES = 4 << 20  # what LUKS2 lays before the data, and shifts by while it encrypts; the file system gives it up
_TOKEN = "0"
_METADATA_BYTES = 16 << 10
# The key has 256 bits of the TPM's and the kernel's making: there is nothing to be guessed that PBKDF2 would slow down.
_FORMAT = (
    "--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--cipher", "aes-xts-plain64",
    "--key-size", "512", "--luks2-metadata-size", f"{_METADATA_BYTES >> 10}k", "--luks2-keyslots-size", "1m",
)  # fmt: skip


class _Area(msgspec.Struct):
    offset: str
    size: str = "0"


class _Keyslot(msgspec.Struct):
    area: _Area


class _Requirements(msgspec.Struct):
    mandatory: list[str] = []


class _Config(msgspec.Struct):
    requirements: _Requirements = msgspec.field(default_factory=_Requirements)


class _Metadata(msgspec.Struct):
    """Of the header's JSON (LUKS2 On-Disk Format, 3), what says which bytes of it are in use."""

    keyslots: dict[str, _Keyslot]
    segments: dict[str, _Area]
    tokens: dict[str, msgspec.Raw]
    config: _Config


class Token(msgspec.Struct, frozen=True):
    type: Literal["linetap-tpm"]
    keyslots: list[str]
    sealed: KeyFile


def make(file: Path, tpm: Path, release: ec.EllipticCurvePublicKey) -> None:
    """A new key for a card, sealed in the TPM, in a file: for the boot partition, which is never encrypted."""
    privatefile.write(file, _sealed(tpm, os.urandom(32), release))


def is_encrypted(partition: Path) -> bool:
    """Or is on the way there."""
    with partition.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def encrypt(partition: Path, file: Path, key: bytes) -> None:
    """In place, the ext4 on it made smaller by the header; unmounted, that is. Goes on where a power cut ended it."""
    if not is_encrypted(partition):
        size = _size(partition)
        _run("e2fsck", "-fp", str(partition), good=(0, 1))
        _run("resize2fs", str(partition), f"{(size - 2 * HEADER_BYTES) >> 10}K")
        command = ["reencrypt", "--encrypt", "--init-only", "--reduce-device-size", f"{2 * HEADER_BYTES >> 10}K"]
        _cryptsetup(*command, "--batch-mode", *_FORMAT, "--key-file", "-", str(partition), stdin=key)
    if _metadata(partition).config.requirements.mandatory:  # it is on the way
        offline = [] if partition.is_block_device() else ["--force-offline-reencrypt"]
        command = ["reencrypt", "--resume-only", "--batch-mode", *offline, "--key-file", "-", str(partition)]
        _cryptsetup(*command, stdin=key)
    _wipe_between(partition)
    sealed = msgspec.json.decode(_read(file), type=KeyFile)
    token = msgspec.json.encode(Token("linetap-tpm", ["0"], sealed))
    _cryptsetup("token", "import", "--token-id", _TOKEN, "--token-replace", str(partition), stdin=token)


def is_whole(partition: Path) -> bool:
    """Whether its encrypting has come to the end, where the token is written."""
    return _TOKEN in _metadata(partition).tokens


def _metadata(partition: Path) -> _Metadata:
    return msgspec.json.decode(_cryptsetup("luksDump", "--dump-json-metadata", str(partition)), type=_Metadata)


def _wipe_between(partition: Path) -> None:
    """The header lies where the first of the file system was, and cryptsetup leaves that between its keyslots."""
    metadata = _metadata(partition)
    used = sorted((int(slot.area.offset), int(slot.area.size)) for slot in metadata.keyslots.values())
    with partition.open("r+b") as file:
        at = 2 * _METADATA_BYTES
        for offset, size in (*used, (int(metadata.segments["0"].offset), 0)):
            file.seek(at)
            file.write(bytes(max(0, offset - at)))
            at = max(at, offset + size)
        file.flush()
        os.fsync(file.fileno())


def key_in(file: Path, partition: Path, tpm: Path, boots: list[Boot]) -> bytes:
    """What the TPM gives out for the file; where that is lost, for its copy in the header of an encrypted partition.

    BadInput or TpmFault, in one line: another TPM, or another boot.
    """
    sealed = _read(file) if file.exists() else _token_of(partition)
    try:
        found = keyfile.parse(sealed, bootpolicy.VOLUME)
    except BadInput as error:
        raise BadInput(f"{file}: {error}") from None
    opened = Opened(tpm, found, boots)
    try:
        return opened.unseal()
    finally:
        opened.close()


def _token_of(partition: Path) -> bytes:
    text = _cryptsetup("token", "export", "--token-id", _TOKEN, str(partition))
    try:
        return msgspec.json.encode(msgspec.json.decode(text, type=Token).sealed)
    except msgspec.MsgspecError as error:
        raise BadInput(f"{partition}: its token is none of linetap's: {error}") from None


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(keyfile.LIMIT_BYTES)
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}; what `linetap volume make` has written would be right") from None


def open_it(partition: Path, name: str, key: bytes) -> None:
    """As /dev/mapper/NAME."""
    _cryptsetup("open", "--type", "luks2", "--key-file", "-", str(partition), name, stdin=key)


def test(partition: Path, key: bytes) -> None:
    """Whether it opens it."""
    _cryptsetup("open", "--test-passphrase", "--key-file", "-", str(partition), stdin=key)


def _sealed(tpm: Path, key: bytes, release: ec.EllipticCurvePublicKey) -> bytes:
    numbers, ref = release.public_numbers(), bootpolicy.VOLUME
    policy = templates.authorized_policy(templates.verifying_key(numbers.x, numbers.y), ref.encode())
    transport = device.open_device(tpm)
    try:
        if transport.alone:
            commands.flush_all(transport)
        parent, storage = commands.created_primary(transport)
        public, private = commands.create(transport, parent, templates.sealed_data(policy), key)
        commands.flush(transport, parent)
    finally:
        transport.close()
    return keyfile.make(ref, public, private, release, storage)


def _size(partition: Path) -> int:
    with partition.open("rb") as file:
        return file.seek(0, os.SEEK_END)


def _cryptsetup(*arguments: str, stdin: bytes = b"") -> bytes:
    return _run("cryptsetup", *arguments, stdin=stdin)


def _run(*command: str, stdin: bytes = b"", good: tuple[int, ...] = (0,)) -> bytes:
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=3600, check=False)
    except OSError as error:
        raise DeviceFault("volume", f"{command[0]}: {error.strerror}") from None
    if done.returncode not in good:
        why = "no word"
        with contextlib.suppress(IndexError):
            why = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1]
        raise DeviceFault("volume", f"{command[-1]}: {command[0]} {command[1]}: {why}")
    return done.stdout
