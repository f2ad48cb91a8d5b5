# SPDX-License-Identifier: Apache-2.0
"""A model of the boot loader in a Pi's EEPROM: the files that it starts from a card, by Raspberry Pi's documentation.

The boot loader's source is not public; each rule names its text. If a text is incomplete, or versions differ, the worse
behaviour is modelled. config_txt/ and raspberry-pi/ are folders of raspberrypi/documentation, the release notes those
of raspberrypi/rpi-eeprom (86759b04), secure-boot.md usbboot's (87d6e032).
"""

from __future__ import annotations

import hashlib
import re
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from boards.models import BOARDS
from boards.rules import read_config

LIMIT_S = 120
SECTOR = 512
MOST_IMAGES = 8  # cached images, of some megabytes each
AUTOBOOT_BYTES = 512  # "autoboot.txt is limited to 512 bytes": config_txt/autoboot.adoc
# "Matched GUID ... EBD0A0A2", in the boot loader's own log: rpi-eeprom#818.
FAT_TYPE = bytes.fromhex("a2a0d0ebe5b9334487c068b6b72699c7")


class DarkError(AssertionError):
    """The firmware starts nothing, and a person has to come."""


class Files(Protocol):
    """A file system read by the boot loader; None if there is no such file, or no file system."""

    def read(self, name: str) -> bytes | None: ...


@dataclass(frozen=True)
class Fat:
    """A FAT file system in a file at an offset in bytes; read with mtools."""

    image: Path
    offset: int = 0

    def read(self, name: str) -> bytes | None:
        return self._run("mtype", f"::{name}")

    def names(self) -> set[str]:
        return set((self._run("mdir", "-b", "::") or b"").decode().replace("::/", "").split())

    def _run(self, program: str, *words: str) -> bytes | None:
        command = [program, "-i", f"{self.image}@@{self.offset}", *words]
        done = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=False)
        return done.stdout if done.returncode == 0 else None


@dataclass(frozen=True)
class Folder:
    """A mounted partition of a test."""

    path: Path

    def read(self, name: str) -> bytes | None:
        found = self.path / name
        return found.read_bytes() if found.is_file() else None


@dataclass(frozen=True)
class Start:
    """A start; `files`: those of the started boot.img, by name."""

    partition: int
    tryboot: bool
    files: Mapping[str, bytes]

    @property
    def cmdline(self) -> str:
        return self.files["cmdline.txt"].decode().strip()


def partitions(card: Path) -> dict[int, Fat]:
    """The partitions of a card's first table that can be FAT, by number."""
    with card.open("rb") as file:
        file.seek(SECTOR)
        header = file.read(92)
        assert header[:8] == b"EFI PART", f"{card}: no GPT"
        at, count, size = struct.unpack_from("<QII", header, 72)
        file.seek(at * SECTOR)
        entries = [file.read(size) for _ in range(count)]
    return {
        number: Fat(card, int.from_bytes(entry[32:40], "little") * SECTOR)
        for number, entry in enumerate(entries, 1)
        if entry[:16] == FAT_TYPE
    }


def autoboot(text: bytes, *, tryboot: bool) -> tuple[int, bool]:
    """boot_partition and tryboot_a_b. "[all], [none] and [tryboot]" are the filters (config_txt/autoboot.adoc); the
    effect of another filter is undocumented, so nothing below it counts. Bytes after the 512th are not read.
    """
    passes, partition, a_b = True, 0, False
    for line in text[:AUTOBOOT_BYTES].decode(errors="replace").splitlines():
        if found := re.fullmatch(r"\[(.*)\]", line.strip()):
            passes = found[1] == "all" or (found[1] == "tryboot" and tryboot)
        elif passes and (found := re.fullmatch(r"(boot_partition|tryboot_a_b)=(\d+)", line.strip())):
            if found[1] == "boot_partition":
                partition = int(found[2])
            else:
                a_b = found[2] == "1"
    return partition, a_b


def start(card: Mapping[int, Files], public: Path, *, tryboot: bool = False, walks: bool = False) -> Start:
    """One start with SIGNED_BOOT=1, whose key is `public`. `tryboot`: the flag of the last reboot, which the caller
    then clears: "the flag is cleared before starting the firmware" (raspberry-pi/bootflow-eeprom.adoc).

    `walks`: a boot loader from 2025-08-13 on searches other partitions for a boot.img if the named one has none ("check
    each partition in turn starting from the specified partition", release notes 2025-02-11; with signed boot since
    2026-02-23). Older ones do not, and none does after an invalid boot.img: "the current boot mode is aborted"
    (secure-boot.md), and the card is the only boot mode in the EEPROM's configuration (image/boot/eeprom-signed.txt).
    """
    text = card[min(card)].read("autoboot.txt") or b""
    named, a_b = autoboot(text, tryboot=tryboot)
    # "Set this property to 1 to load the normal config.txt and boot.img files instead of tryboot.txt and tryboot.img"
    name = "tryboot" if tryboot and not a_b else "boot"
    first = named or min(card)  # "0 means boot from the default partition which is the first bootable FAT partition"
    for number in [first, *(each for each in sorted(card) if walks and each > first)]:
        image = card[number].read(f"{name}.img") if number in card else None
        if image is None:
            continue
        verify(image, card[number].read(f"{name}.sig"), public)
        return Start(number, tryboot, contents(image))
    raise DarkError(f"partition {first} has no {name}.img: {text!r}")


def slot_of_config(boot: Path, name: str) -> str:
    """The slot that an unsigned card's config.txt or tryboot.txt starts, on each board. DarkError if one of its files
    is missing: for `os_prefix`, "unless the expected kernel and .dtb can be found [...] the prefix is ignored"
    (config_txt/boot.adoc), and without it there is no kernel.
    """
    text = (boot / name).read_bytes().decode(errors="replace")
    found = set()
    for board in BOARDS:
        config = read_config(text, board.filters)
        prefix = config.last("os_prefix")
        for wanted in (config.last("kernel", "kernel8.img"), config.last("initramfs").partition(" ")[0], "cmdline.txt"):
            if wanted and not (boot / f"{prefix}{wanted}").is_file():
                raise DarkError(f"{name} starts {prefix}{wanted}, which is not there: {text!r}")
        found.add(prefix)
    if len(found) != 1:
        raise DarkError(f"{name} starts {found}")
    return found.pop().rstrip("/")


def verify(image: bytes, signature: bytes | None, public: Path) -> None:
    """DarkError unless "the hash of boot.img matches boot.sig and the RSA signature in boot.sig can be validated using
    the customer's public key" (secure-boot.md)."""
    found = re.fullmatch(rb"([0-9a-f]{64})\nts: \d+\nrsa2048: ([0-9a-f]{512})\n", signature or b"")
    if found is None:
        raise DarkError("there is no boot.sig, or it is none")
    once = Once(image)
    if once.sha256.hex().encode() != found[1]:
        raise DarkError("boot.img is not what boot.sig is of")
    if not _is_signed(once, bytes.fromhex(found[2].decode()), public.read_bytes()):
        raise DarkError("boot.sig is by another key")


class Once:
    """An image as the argument of a cached function. Power cuts at every step produce few different images, many times;
    results depend only on the bytes, by which two images are compared.
    """

    def __init__(self, image: bytes) -> None:
        self.image, self.sha256 = image, hashlib.sha256(image).digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Once) and other.sha256 == self.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)


@lru_cache(MOST_IMAGES)
def _is_signed(once: Once, signature: bytes, public: bytes) -> bool:
    """Verified by stock openssl."""
    with tempfile.TemporaryDirectory() as folder:
        sig, key = Path(folder) / "sig", Path(folder) / "key"
        sig.write_bytes(signature)
        key.write_bytes(public)
        command = ["openssl", "dgst", "-sha256", "-verify", str(key), "-signature", str(sig)]
        done = subprocess.run(command, input=once.image, capture_output=True, timeout=LIMIT_S, check=False)
        return done.returncode == 0


def contents(image: bytes) -> Mapping[str, bytes]:
    """The files named by config.txt in boot.img: "firmware only loads files from the verified ramdisk"
    (secure-boot.md).
    """
    return _contents(Once(image))


@lru_cache(MOST_IMAGES)
def _contents(once: Once) -> Mapping[str, bytes]:
    image = once.image
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "boot.img"
        path.write_bytes(image)
        found = {name: Fat(path).read(name) for name in ("config.txt", "cmdline.txt", "vmlinuz", "initramfs")}
    missing = sorted(name for name, data in found.items() if data is None)
    if missing:
        raise DarkError(f"boot.img lacks {', '.join(missing)}")
    return MappingProxyType({name: data for name, data in found.items() if data is not None})
