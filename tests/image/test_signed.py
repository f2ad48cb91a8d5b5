# SPDX-License-Identifier: Apache-2.0
"""The boot files of a Pi under verified boot: made by the image's steps, compared with Raspberry Pi's tool
and example.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from pi_firmware import Fat
from signed_rig import MADE_AT, PROJECT, VERITY, Build, key, public, token, verified

FOREIGN = PROJECT / "build/rpi-eeprom"  # tools/rpi_eeprom.sh
# Of example-public.pem, as printed by boards with it in their OTP: usbboot, secure-boot-recovery/README.md.
EXAMPLE_HASH = "8251a63a2edee9d8f710d63e9da5d639064929ce15a2238986a189ac6fcd3cee"
FIRST = "echo start=1MiB, size=20MiB, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, name=linetap-boot"


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
    """Their key's hash, as reported by boards, and their signature, without its image."""
    if not (FOREIGN / "boot.sig").exists():
        pytest.skip("the signed example is not fetched: tools/rpi_eeprom.sh")
    (build.root / "work/boot-public.pem").write_bytes((FOREIGN / "example-public.pem").read_bytes())
    # Only the key: the private one, needed to sign bootconf.txt, is not available.
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


def test_boot_img_has_all_that_starts_and_is_the_same_for_both_slots(build: Build) -> None:
    image = Fat(build.made() / "boot.img")
    card = build.root / "work/card"
    for name in ("start4.elf", "fixup4.dat", "a/initramfs", "a/bcm2711-rpi-4-b.dtb", "a/overlays/linetap.dtbo"):
        assert image.read(name.removeprefix("a/")) == (card / name).read_bytes()
    assert gzip.decompress(image.read("vmlinuz") or b"") == (card / "a/vmlinuz").read_bytes()
    assert image.read("cmdline.txt") == f"panic=5 {VERITY}\n".encode(), "with the root's hash, and without a slot"
    config = (image.read("config.txt") or b"").decode().splitlines()
    assert not [line for line in config if line.startswith(("os_prefix", "start_file", "fixup_file"))]
    assert {"start4a.elf", "fixup4a.dat"}.isdisjoint(image.names())
    assert "kernel=vmlinuz" in config
    assert "SIGNED_BOOT=1" in (build.signed / "bootconf.txt").read_text().splitlines()


def test_a_slots_partition_has_both_files_at_the_named_place(build: Build) -> None:
    """It is FAT32 by its number of clusters, the criterion of some boot loaders: fsck.fat counts them."""
    signed = build.made()
    part = Fat(signed / "boot.part")
    for name in ("boot.img", "boot.sig"):
        assert part.read(name) == (signed / name).read_bytes()
    assert "boot_ramdisk=1" in (part.read("config.txt") or b"").decode().splitlines()
    at, sectors = map(int, (signed / "boot.place").read_text().split())
    data = (signed / "boot.part").read_bytes()
    assert data[at * 512 : (at + sectors) * 512] == (signed / "boot.img").read_bytes()
    assert len(data) % 65536 == 0
    words = ["fsck.fat", "-nv", str(signed / "boot.part")]
    said = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
    found = re.search(r"(\d+) data clusters", said)
    assert found is not None
    assert int(found[1]) >= 65525


def test_the_first_partition_names_slot_a_and_starts_nothing_itself(build: Build) -> None:
    signed = build.made()
    first = build.root / "work/first"
    assert sorted(str(path.relative_to(first)) for path in first.rglob("*") if path.is_file()) == [
        "LICENCE.raspi-firmware", "a/boot.sum", "a/cmdline.txt", "a/config.txt", "autoboot.txt",
    ]  # fmt: skip
    assert (first / "autoboot.txt").read_text() == (
        "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n"
    ), "Raspberry Pi's own example (config_txt/autoboot.adoc)"
    data = (signed / "boot.part").read_bytes()
    assert (first / "a/boot.sum").read_text() == f"{len(data)} {hashlib.sha256(data).hexdigest()}\n"


def test_a_signed_build_is_the_same_to_the_byte_each_time(build: Build) -> None:
    first = {path.name: path.read_bytes() for path in build.made().iterdir()}
    subprocess.run(["rm", "-r", build.root / "work/boot.tree", build.root / "work/first"], check=True, timeout=60)
    assert {path.name: path.read_bytes() for path in build.made().iterdir()} == first


def test_windows_lays_nothing_onto_what_is_summed_and_formats_nothing(tmp_path: Path) -> None:
    """Read-only and without a letter, by the attributes of a basic data partition: bits 60 and 63, of those
    two alone.
    """
    card = tmp_path / "card.img"
    card.write_bytes(b"")
    os.truncate(card, 200 << 20)
    steps = f". image/layout.sh && . image/steps/card.sh && {{ echo label: gpt; {FIRST}; start_partitions 60; }}"
    table = subprocess.run(["bash", "-euc", steps], cwd=PROJECT, capture_output=True, check=True, timeout=60).stdout
    subprocess.run(["sfdisk", "--quiet", card], input=table, check=True, timeout=60)
    data = card.read_bytes()[2 * 512 : 5 * 512]  # an entry has 128 bytes, its attributes eight at 48, its name from 56
    entries = [data[i * 128 : (i + 1) * 128] for i in range(3)]
    found = {each[56:].decode("utf-16-le").rstrip("\0"): int.from_bytes(each[48:56], "little") for each in entries}
    windows = 1 << 60 | 1 << 63
    assert found == {"linetap-boot": 0, "linetap-boot-a": windows, "linetap-boot-b": windows}
