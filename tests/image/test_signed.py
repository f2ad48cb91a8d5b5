# SPDX-License-Identifier: Apache-2.0
"""What a Pi starts under verified boot: made by the image's steps, held against Raspberry Pi's tool and example."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

PROJECT = Path(__file__).resolve().parents[2]
FOREIGN = PROJECT / "build/rpi-eeprom"  # tools/rpi_eeprom.sh
MADE_AT = "1764400000"
# Of example-public.pem, as boards print it that have it in their OTP: usbboot, secure-boot-recovery/README.md.
EXAMPLE_HASH = "8251a63a2edee9d8f710d63e9da5d639064929ce15a2238986a189ac6fcd3cee"
VERITY = "linetap.verity=45000:" + "5f" * 32 + ":" + "5a" * 32


@dataclass
class Build:
    """The part of a build that is known when its card is filled."""

    root: Path
    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        card = self.root / "work/card"
        (card / "a/overlays").mkdir(parents=True)
        (card / "b").mkdir()
        (card / "start4.elf").write_bytes(b"firmware" * 999)
        (card / "a/vmlinuz").write_bytes(b"a kernel" * 9999)
        (card / "a/initramfs").write_bytes(os.urandom(1 << 20))
        (card / "a/bcm2711-rpi-4-b.dtb").write_bytes(b"tree")
        (card / "a/overlays/linetap.dtbo").write_bytes(b"overlay")
        (card / "a/cmdline.txt").write_text(f"panic=5 {VERITY} linetap.slot=a\n")
        text = (PROJECT / "image/boot/config.txt").read_text().replace("@SLOT@", "a")
        for path in (card / "a/config.txt", card / "config.txt"):
            path.write_text(text)

    @property
    def signed(self) -> Path:
        return self.root / "signed"

    def run(self, *steps: str) -> subprocess.CompletedProcess[str]:
        script = f"""
set -euo pipefail
say() {{ :; }}
fail() {{ printf 'image: %s\\n' "$*" >&2; exit 1; }}
OUT={self.root} WORK={self.root}/work CARD={self.root}/work/card
export SOURCE_DATE_EPOCH={MADE_AT}
. image/layout.sh
. image/steps/signed.sh
""" + "\n".join(steps)
        names = {name: text for name, text in os.environ.items() if not name.startswith("LINETAP_")} | self.names
        return subprocess.run(
            ["bash", "-c", script], cwd=PROJECT, env=names, capture_output=True, text=True, timeout=300, check=False
        )

    def made(self) -> Path:
        done = self.run("require_boot_key", "pack_signed")
        assert done.returncode == 0, done.stderr
        return self.signed


def key(path: Path, *words: str) -> Path:
    command = [
        "openssl",
        "genpkey",
        "-out",
        str(path),
        *(words or ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return path


def public(private: Path) -> Path:
    path = private.with_suffix(".public")
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", path], check=True, timeout=60)
    return path


def token(folder: Path, private: Path) -> Path:
    """A program before a token, as Raspberry Pi's tools call one; it notes how it was called."""
    path = folder / "token"
    path.write_text(
        f'#!/bin/sh\necho "$@" >>{folder}/called\n[ "$1 $2" = "-a rsa2048-sha256" ] || exit 1\n'
        f'openssl dgst -sha256 -sign {private} "$3" | xxd -p -c 4096\n'
    )
    path.chmod(0o755)
    return path


@pytest.fixture
def build(tmp_path: Path) -> Build:
    made = Build(tmp_path / "build")
    made.names["LINETAP_BOOT_KEY"] = str(key(tmp_path / "boot.pem"))
    return made


def digest(*words: object) -> subprocess.CompletedProcess[bytes]:
    """Raspberry Pi's own tool."""
    if not (FOREIGN / "rpi-eeprom-digest").exists():
        pytest.skip("rpi-eeprom-digest is not fetched: tools/rpi_eeprom.sh")
    names = os.environ | {"SOURCE_DATE_EPOCH": MADE_AT}
    command = [str(FOREIGN / "rpi-eeprom-digest"), *map(str, words)]
    return subprocess.run(command, env=names, capture_output=True, timeout=120, check=False)


def verified(image: Path, sig: Path, by: Path, folder: Path) -> bool:
    """As usbboot says: hash and PKCS#1 v1.5 signature, with stock openssl."""
    lines = sig.read_text().splitlines()
    (folder / "sig.bin").write_bytes(bytes.fromhex(lines[2].removeprefix("rsa2048: ")))
    command = ["openssl", "dgst", "-sha256", "-verify", str(by), "-signature", str(folder / "sig.bin"), str(image)]
    good = subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    return good and lines[0] == hashlib.sha256(image.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["boot.img", "bootconf.txt"])
def test_a_signature_is_verified_and_a_changed_byte_is_not(build: Build, name: str, tmp_path: Path) -> None:
    image = build.made() / name
    sig, by = image.with_suffix(".sig"), public(Path(build.names["LINETAP_BOOT_KEY"]))
    assert re.fullmatch(rf"[0-9a-f]{{64}}\nts: {MADE_AT}\nrsa2048: [0-9a-f]{{512}}\n", sig.read_text())
    assert verified(image, sig, by, tmp_path)
    assert not verified(image, sig, public(key(tmp_path / "another.pem")), tmp_path)
    data = bytearray(image.read_bytes())
    for at in (0, len(data) // 2, len(data) - 1):
        changed = tmp_path / "changed"
        changed.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert not verified(changed, sig, by, tmp_path), at


def test_raspberry_pis_own_tool_makes_the_same_and_takes_ours(build: Build, tmp_path: Path) -> None:
    private = Path(build.names["LINETAP_BOOT_KEY"])
    image = build.made() / "boot.img"
    done = digest("-k", private, "-i", image, "-o", tmp_path / "theirs.sig")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "theirs.sig").read_bytes() == image.with_suffix(".sig").read_bytes()
    assert digest("-k", public(private), "-i", image, "-v", image.with_suffix(".sig")).returncode == 0
    with image.open("r+b") as file:
        file.seek(512)
        byte = file.read(1)
        file.seek(512)
        file.write(bytes([byte[0] ^ 0x80]))
    assert digest("-k", public(private), "-i", image, "-v", image.with_suffix(".sig")).returncode != 0


def test_raspberry_pis_example_is_read_as_ours_is(build: Build) -> None:
    """Their key's hash, as boards report it, and their signature, without the image that it is of."""
    if not (FOREIGN / "boot.sig").exists():
        pytest.skip("the signed example is not fetched: tools/rpi_eeprom.sh")
    (build.root / "work/boot-public.pem").write_bytes((FOREIGN / "example-public.pem").read_bytes())
    # The key alone: nobody has the private one here to sign bootconf.txt.
    done = build.run("sign_boot_file() { :; }", f"mkdir -p {build.signed}", "pack_eeprom_config")
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256((build.signed / "pubkey.bin").read_bytes()).hexdigest() == EXAMPLE_HASH
    lines = (FOREIGN / "boot.sig").read_text().splitlines()
    assert [line.partition(": ")[0] for line in lines[1:]] == ["ts", "rsa2048"]
    theirs = load_pem_public_key((FOREIGN / "example-public.pem").read_bytes())
    assert isinstance(theirs, RSAPublicKey)
    numbers = theirs.public_numbers()
    assert f"{pow(int(lines[2].split()[1], 16), numbers.e, numbers.n):x}".endswith(lines[0])


def test_the_key_in_a_token_is_asked_as_raspberry_pi_asks_and_never_read(build: Build, tmp_path: Path) -> None:
    private = Path(build.names.pop("LINETAP_BOOT_KEY"))
    build.names |= {"LINETAP_BOOT_SIGNER": str(token(tmp_path, private)), "LINETAP_BOOT_PUBLIC": str(public(private))}
    signed = build.made()
    asked = (tmp_path / "called").read_text().splitlines()
    assert asked == [f"-a rsa2048-sha256 {signed / name}" for name in ("boot.img", "bootconf.txt")]
    assert verified(signed / "boot.img", signed / "boot.sig", public(private), tmp_path)


def test_a_token_that_signs_with_another_key_ends_the_build(build: Build, tmp_path: Path) -> None:
    build.names["LINETAP_BOOT_SIGNER"] = str(token(tmp_path, key(tmp_path / "another.pem")))
    build.names["LINETAP_BOOT_PUBLIC"] = str(public(Path(build.names.pop("LINETAP_BOOT_KEY"))))
    done = build.run("require_boot_key", "pack_signed")
    assert done.returncode == 1
    assert done.stderr == f"image: {build.signed}/boot.img: the signature is not by LINETAP_BOOT_PUBLIC\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"), "the key of verified boot is not RSA of 2048 bits"),
        (("-algorithm", "ed25519"), "the key of verified boot is not RSA of 2048 bits"),
    ],
)
def test_a_key_that_no_pi_takes_ends_the_build_before_it_begins(
    build: Build, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    build.names["LINETAP_BOOT_KEY"] = str(key(tmp_path / "wrong.pem", *words))
    done = build.run("require_boot_key")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert said in done.stderr


def test_without_a_key_nothing_is_built(build: Build) -> None:
    build.names.clear()
    done = build.run("require_boot_key")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "LINETAP_BOOT_KEY or LINETAP_BOOT_SIGNER" in done.stderr


def test_boot_img_has_all_that_starts_and_lies_on_the_card(build: Build) -> None:
    image = build.made() / "boot.img"

    def file(name: str) -> bytes:
        return subprocess.run(["mtype", "-i", image, f"::{name}"], capture_output=True, timeout=60, check=True).stdout

    card = build.root / "work/card"
    for name in ("start4.elf", "a/initramfs", "a/bcm2711-rpi-4-b.dtb", "a/overlays/linetap.dtbo"):
        assert file(name.removeprefix("a/")) == (card / name).read_bytes()
    assert gzip.decompress(file("vmlinuz")) == (card / "a/vmlinuz").read_bytes()
    assert file("cmdline.txt").decode() == f"panic=5 {VERITY} linetap.slot=a\n", "with the root's hash"
    assert (card / "boot.img").read_bytes() == image.read_bytes()
    assert (card / "boot.sig").read_bytes() == image.with_suffix(".sig").read_bytes()
    config = file("config.txt").decode().splitlines()
    assert not [line for line in config if line.startswith("os_prefix")]
    assert "kernel=vmlinuz" in config
    assert "SIGNED_BOOT=1" in (build.signed / "bootconf.txt").read_text().splitlines()


def test_it_is_the_same_to_the_byte_each_time(build: Build) -> None:
    first = {path.name: path.read_bytes() for path in build.made().iterdir()}
    subprocess.run(["rm", "-r", build.root / "work/boot.tree"], check=True, timeout=60)
    for name in ("boot.img", "boot.sig"):
        (build.root / "work/card" / name).unlink()
    assert {path.name: path.read_bytes() for path in build.made().iterdir()} == first
