# SPDX-License-Identifier: Apache-2.0
"""A LUKS2 partition whose key the TPM releases, in a signed boot that has not yet entered its root.

One secret for a card is sealed in the TPM and stored as a token in each LUKS header; each partition's volume key is
derived from it. Without a TPM the secret may come from the board's fuses (boardkey.py). There are no keyslots, and the
header's content is fixed: it is not signed, and a modified one could make the kernel write in the clear
(`cipher_null`). Stock cryptsetup does all work on partitions.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from linetap.tpm import bootpolicy, commands, device, keyfile, wire
from linetap.tpm.boardkey import OtpToken
from linetap.tpm.bootpolicy import Boot
from linetap.tpm.keyfile import KeyFile
from linetap.tpm.session import OpenTpm
from linetap_core import absent, jsontext
from linetap_core.errors import BadInput, DeviceFault, Refusal

MAGIC = b"LUKS\xba\xbe"
MAPPER = Path("/dev/mapper")
_TOKEN, _SECRET_BYTES = "0", 32
_CIPHER = "aes-xts-plain64"
_CIPHER_BITS, _MAC_BITS = 512, 256
SECTOR_BYTES = 4096
_FORMAT = (
    "--batch-mode", "--type", "luks2", "--cipher", _CIPHER, "--key-size", str(_CIPHER_BITS), "--pbkdf", "pbkdf2",
    "--pbkdf-force-iterations", "1000", "--sector-size", str(SECTOR_BYTES), "--luks2-metadata-size", "16k",
    "--luks2-keyslots-size", "1m",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition. `checked`: dm-integrity rejects data written without the key (decision 0088 has its cost)."""

    device: Path
    name: Literal["linetap-state", "linetap-data"]
    checked: bool

    @property
    def mapped(self) -> Path:
        return MAPPER / self.name


def state(path: Path) -> Partition:
    return Partition(path, "linetap-state", checked=True)


def data(path: Path) -> Partition:
    return Partition(path, "linetap-data", checked=False)


class _Segment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A segment by the LUKS2 On-Disk Format, 3.3."""

    type: str
    offset: str
    size: str
    iv_tweak: str
    encryption: str
    sector_size: int
    integrity: dict[str, object] | None = None
    flags: list[str] = []


class _Config(msgspec.Struct):
    requirements: object = None


class _Metadata(msgspec.Struct):
    keyslots: dict[str, msgspec.Raw]
    segments: dict[str, _Segment]
    tokens: dict[str, msgspec.Raw]
    config: _Config


class TpmToken(msgspec.Struct, frozen=True, tag_field="type", tag="linetap-tpm"):
    keyslots: list[str]
    sealed: KeyFile


Token = TpmToken | OtpToken


def is_encrypted(path: Path) -> bool:
    """Whether the partition is encrypted, possibly not yet completely."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def is_whole(path: Path) -> bool:
    """Whether the encryption is complete: the token is written last."""
    return is_encrypted(path) and _TOKEN in _metadata(path).tokens


def seal(tpm: Path, release: ec.EllipticCurvePublicKey, boots: list[Boot]) -> tuple[bytes, TpmToken]:
    """A new secret, and its token. TpmFault if this boot could not unseal it."""
    secret, ref = os.urandom(_SECRET_BYTES), bootpolicy.VOLUME
    numbers = release.public_numbers()
    policy = wire.authorized_policy(wire.verifying_key(numbers.x, numbers.y), ref.encode())
    transport = device.open_device(tpm)
    try:
        if transport.alone:
            commands.flush_all(transport)
        parent, storage = commands.create_primary(transport)
        public, private = commands.create(transport, parent, wire.sealed_data(policy), secret)
        commands.flush(transport, parent)
    finally:
        transport.close()
    sealed = keyfile.make(ref, public, private, release, storage)
    if _unsealed(sealed, tpm, boots) != secret:
        raise DeviceFault("volume", f"{tpm}: the TPM gave out another key than it was given")
    return secret, TpmToken([], jsontext.decode(sealed, type=KeyFile))


def token_of(path: Path) -> Token:
    """The token of an encrypted partition. BadInput if it is not linetap's."""
    text = _cryptsetup("token", "export", "--token-id", _TOKEN, str(path))
    try:
        found: Token = jsontext.decode(text, type=Token)
    except msgspec.MsgspecError as error:
        raise BadInput(f"{path}: its token is none of linetap's: {error}") from None
    return found


def secret_of(path: Path, tpm: Path, boots: list[Boot]) -> bytes:
    """The secret that the TPM releases for the token of an encrypted partition.

    BadInput or TpmFault, in one line: another TPM, another boot, or a token of no TPM.
    """
    token = token_of(path)
    if not isinstance(token, TpmToken):
        raise BadInput(f"{path}: its token is of no TPM")
    try:
        return _unsealed(msgspec.json.encode(token.sealed), tpm, boots)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def _unsealed(sealed: bytes, tpm: Path, boots: list[Boot]) -> bytes:
    opened = OpenTpm(tpm, keyfile.parse(sealed, bootpolicy.VOLUME), boots)
    try:
        return opened.unseal()
    finally:
        opened.close()


def format_partition(partition: Partition, secret: bytes) -> None:
    """Writes a new LUKS2 header over any content. It is complete after `finish`."""
    checks = ("--integrity", "hmac-sha256") if partition.checked else ()
    # luksFormat requires a keyslot: its passphrase is not kept, and the keyslot is erased.
    nobodys, key = os.urandom(_SECRET_BYTES), _volume_key(partition, secret)
    _cryptsetup("luksFormat", *_FORMAT, *checks, "--key-file", "-", str(partition.device), stdin=nobodys, key=key)
    _cryptsetup("erase", "--batch-mode", str(partition.device))


def finish(partition: Partition, token: Token) -> None:
    text = msgspec.json.encode(token)
    _cryptsetup("token", "import", "--token-id", _TOKEN, "--token-replace", str(partition.device), stdin=text)


def test(partition: Partition, secret: bytes) -> None:
    """Raises a fault unless the secret opens the partition."""
    _require_header(partition)
    bits = str(len(_volume_key(partition, secret)) * 8)
    arguments = ("--type", "luks2", "--test-passphrase", "--key-size", bits, str(partition.device))
    _cryptsetup("open", *arguments, key=_volume_key(partition, secret))


def open_it(partition: Partition, secret: bytes) -> None:
    """Opens the partition as /dev/mapper/NAME, and then checks the kernel's mapping."""
    _require_header(partition)
    key = _volume_key(partition, secret)
    arguments = ("--type", "luks2", "--key-size", str(len(key) * 8), str(partition.device), partition.name)
    _cryptsetup("open", *arguments, key=key)
    table = run("dmsetup", "table", partition.name).decode("ascii", "replace")
    wanted = r"crypt capi:authenc\(hmac\(sha256\),xts\(aes\)\)-plain64 " if partition.checked else f"crypt {_CIPHER} "
    if len(table.splitlines()) != 1 or not re.match(r"\d+ \d+ " + wanted, table):
        close(partition)
        raise Refusal(f"{partition.device}: mapped as {table[:80]!r}: it is not encrypted as linetap does it")


def close(partition: Partition) -> None:
    if partition.mapped.exists():
        with contextlib.suppress(DeviceFault):
            _cryptsetup("close", partition.name)


def _volume_key(partition: Partition, secret: bytes) -> bytes:
    bits = _CIPHER_BITS + (_MAC_BITS if partition.checked else 0)
    return HKDF(hashes.SHA256(), bits // 8, None, partition.name.encode()).derive(secret)


def _require_header(partition: Partition) -> None:
    """Raises Refusal unless the header is as `format_partition` wrote it."""
    metadata = _metadata(partition.device)
    segments = list(metadata.segments.values())
    mac: dict[str, object] = {"type": "hmac(sha256)", "journal_encryption": "none", "journal_integrity": "none"}
    good = not metadata.keyslots and not metadata.config.requirements and len(segments) == 1
    if good:
        offset = segments[0].offset
        wanted = _Segment("crypt", offset, "dynamic", "0", _CIPHER, SECTOR_BYTES, mac if partition.checked else None)
        good = segments[0] == wanted
    if not good:
        raise Refusal(f"{partition.device}: its header is not as linetap makes it: it was changed")


def _metadata(path: Path) -> _Metadata:
    try:
        return jsontext.decode(_cryptsetup("luksDump", "--dump-json-metadata", str(path)), type=_Metadata)
    except msgspec.MsgspecError as error:
        raise Refusal(f"{path}: its header is not as linetap makes it: {error}") from None


def _cryptsetup(*arguments: str, stdin: bytes = b"", key: bytes = b"") -> bytes:
    """Runs cryptsetup. `key`: a volume key, which is never in a file system."""
    if not key:
        return run("cryptsetup", *arguments, stdin=stdin)
    fd = os.memfd_create("volume-key")
    try:
        os.write(fd, key)
        os.lseek(fd, 0, os.SEEK_SET)
        verb, *rest = arguments
        return run("cryptsetup", verb, "--volume-key-file", f"/proc/self/fd/{fd}", *rest, stdin=stdin, fds=(fd,))
    finally:
        os.close(fd)


def run(*command: str, stdin: bytes = b"", good: tuple[int, ...] = (0,), fds: tuple[int, ...] = ()) -> bytes:
    """The output of a stock tool. DeviceFault: one line with the last line of its error output."""
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=900, check=False, pass_fds=fds)
    except FileNotFoundError:
        raise DeviceFault("volume", absent.not_installed(command[0])) from None
    except OSError as error:
        raise DeviceFault("volume", f"{command[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise DeviceFault("volume", f"{command[-1]}: {command[0]} {command[1]}: not done in 15 minutes") from None
    if done.returncode not in good:
        output = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line[:1].strip()]
        what = " ".join(word for word in command[:2] if not word.startswith("-"))
        raise DeviceFault("volume", f"{command[-1]}: {what}: {output[-1] if output else 'no output'}")
    return done.stdout
