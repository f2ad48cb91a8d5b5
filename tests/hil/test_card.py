# SPDX-License-Identifier: Apache-2.0
"""A card encrypted with a key in the unit's TPM: the shipped image, its kernel, swtpm in place of the chip.

Most starts run until the initramfs has reported the result for the card; then the power is cut.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from keptunit import DEVICES
from leds import shows
from machine import BOOT_LIMIT_S, IMAGE, Machine, partition
from rig import BOOT, UNIT, Office
from stick import next_version, plug_in

from linetap.cardresult import MARK
from linetap_core.clock import NS_PER_S, SYSTEM
from tpm_rig import SoftTpm, short_folder

pytestmark = pytest.mark.hil
WIFI = ("closet of floor 3", "the passphrase of floor 3")
SAID = re.compile(r"linetap: (card (?:sealed|refused|plain).*)")
HEADER_BYTES = 2 << 20  # size of LUKS2's header, as made by volume.py
SECTOR_BYTES = 4096
UPDATE_S = 1200  # to read, write and read again 180 MB in an emulated machine
CUTS_S = (0, 1, 4)  # after the mark is on the card


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office.new(tmp_path / "office")


@pytest.fixture
def tpms() -> Iterator[list[SoftTpm]]:
    """The TPMs of two units."""
    folder = short_folder()
    both = [SoftTpm(folder / name) for name in "ab"]
    yield both
    for each in both:
        each.power_off()
    shutil.rmtree(folder)


@pytest.mark.quick
def test_a_tpm_opens_the_card_in_a_boot_of_this_image(machine: Machine, office: Office, tpms: list[SoftTpm]) -> None:
    """a card encrypted with a TPM: the release key has signed the boots of this image, so that its TPM opens it"""
    machine.tpm = tpms[0]
    machine.put("linetap.toml", office.card("--encrypt", "tpm"))
    assert said(machine).startswith("card sealed, boot 1")
    assert said(machine) == "card sealed, boot 2"


def test_an_update_of_an_encrypted_card_opens_it(
    machine: Machine, office: Office, tpms: list[SoftTpm], tmp_path: Path
) -> None:
    """an update of an encrypted card: the next version opens it without any key resealed, and so does the old one"""
    machine.tpm, machine.more = tpms[0], [*DEVICES]
    machine.put("linetap.toml", office.card("--encrypt", "tpm", lines=1))
    machine.boot()
    plug_in(machine, tmp_path, next_version(machine, tmp_path, "0.2.0"))
    assert machine.ended(UPDATE_S), "the update is installed, and restarts the unit"
    for slot, boot in (("b", 2), ("a", 3)):  # the power cut leaves the new version untried
        assert said(machine) == f"card sealed, boot {boot}"
        assert machine.console.read_text(errors="replace").rpartition("=== power on, slot ")[2][0] == slot


def test_card_that_was_pulled_yields_nothing_and_is_not_taken_back_after_a_change(
    machine: Machine, office: Office, tpms: list[SoftTpm], tmp_path: Path
) -> None:
    """an encrypted card yields nothing elsewhere; no older copy, other unit, other root or missing TPM opens it"""
    own, another = tpms
    machine.tpm = own
    machine.put("linetap.toml", office.card("--encrypt", "tpm", "--wifi", *WIFI))
    machine.boot()
    assert machine.run("findmnt", "-no", "SOURCE", "/state") == "/dev/mapper/linetap-state"
    assert machine.run("findmnt", "-no", "SOURCE", "/var/lib/linetap") == "/dev/mapper/linetap-data"
    assert "the card is encrypted" in machine.read(f"{BOOT}/linetap-done.txt").decode()
    assert MARK not in machine.run("ls", BOOT)
    secrets = [machine.read(f"/etc/linetap/{name}").splitlines()[2] for name in ("unit.key", "tls.key")]
    machine.write("/var/lib/linetap/kept", secrets[0] * 100)
    machine.off()
    pulled = content(machine, "linetap-state") + content(machine, "linetap-data")
    for secret in (*secrets, WIFI[1].encode(), b"unit.key", UNIT.encode()):
        assert secret not in pulled
    older = tmp_path / "older.img"
    copy(machine.card, older)

    assert said(machine) == "card sealed, boot 2"
    newest = tmp_path / "newest.img"
    copy(machine.card, newest)
    copy(older, machine.card)
    assert "an older copy, and not taken" in said(machine)
    copy(IMAGE, machine.card)
    assert "this unit's card is encrypted and this one is not" in said(machine)

    copy(newest, machine.card)
    machine.tpm = None
    assert "/dev/tpmrm0: No such file or directory" in said(machine)
    machine.tpm = another
    assert "made in another TPM" in said(machine)
    machine.tpm = own
    other_root(machine)
    assert "the release key has not signed this boot" in said(machine)

    copy(newest, machine.card)
    change(machine, "linetap-state", every=64)
    machine.boot()
    assert "card is not used" in machine.read(f"{BOOT}/linetap-error.txt").decode()
    for place in ("/state", "/var/lib/linetap"):
        assert machine.run("findmnt", "-no", "SOURCE", place) == "linetap-lost"
    machine.until(lambda: shows(machine, "config_wrong"), "the LEDs say so")
    machine.cut()

    copy(newest, machine.card)
    machine.boot()
    assert machine.read("/etc/linetap/unit.key").splitlines()[2] == secrets[0]
    assert machine.read("/var/lib/linetap/kept") == secrets[0] * 100


def test_power_cuts_while_a_card_is_encrypted(machine: Machine, office: Office, tpms: list[SoftTpm]) -> None:
    """power cuts while a card is being encrypted: the next start begins anew, and nothing secret was on it"""
    machine.tpm = tpms[0]
    machine.put("linetap.toml", office.card("--encrypt", "tpm", "--wifi", *WIFI))
    for after_s in CUTS_S:
        machine.start()
        until(lambda: machine.get(MARK) is not None, "it has begun")
        SYSTEM.sleep(after_s)
        machine.cut()
        assert WIFI[1].encode() not in content(machine, "linetap-state")
    assert said(machine).startswith("card sealed, boot 1")
    assert said(machine) == "card sealed, boot 2"


def said(machine: Machine) -> str:
    """The initramfs's output about the card; then the power is cut."""
    before = len(SAID.findall(machine.console.read_text(errors="replace"))) if machine.console.exists() else 0

    def words() -> list[str]:
        return list(SAID.findall(machine.console.read_text(errors="replace")))

    machine.start()
    until(lambda: len(words()) > before, "the initramfs says what becomes of the card")
    SYSTEM.sleep(1.0)  # until the line is complete
    machine.cut()
    return words()[-1].strip()


def until(holds: Callable[[], bool], what: str) -> None:
    end_ns = SYSTEM.monotonic_ns() + BOOT_LIMIT_S * NS_PER_S
    while not holds():
        assert SYSTEM.monotonic_ns() < end_ns, what
        SYSTEM.sleep(0.2)


def copy(source: Path, into: Path) -> None:
    """Copies a whole card, of the size of the machine's."""
    size = into.stat().st_size if into.exists() else source.stat().st_size
    subprocess.run(["cp", "--sparse=always", source, into], check=True, timeout=120)
    with into.open("r+b") as file:
        file.truncate(max(size, source.stat().st_size))


def content(machine: Machine, name: str) -> bytes:
    start, size = partition(machine.card, name)
    with machine.card.open("rb") as card:
        card.seek(start)
        return card.read(size)


def other_root(machine: Machine) -> None:
    """Replaces the root by the same files with another salt: its root hash is not signed by the release key."""
    line = (machine.get("a/cmdline.txt") or b"").decode()
    found = re.search(r"linetap\.verity=(\d+):([0-9a-f]+):([0-9a-f]+)", line)
    assert found is not None
    blocks, image = int(found[1]), machine.folder / "slot.img"
    start, _ = partition(machine.card, "linetap-a")
    with machine.card.open("r+b") as card:
        card.seek(start)
        image.write_bytes(card.read(blocks * SECTOR_BYTES))
        salt = "5a" * 32
        command = ["veritysetup", "format", str(image), str(image), f"--hash-offset={blocks * SECTOR_BYTES}"]
        command += [f"--data-blocks={blocks}", f"--salt={salt}"]
        told = subprocess.run(command, capture_output=True, check=True, timeout=120).stdout.decode()
        root = told.rpartition("Root hash:")[2].strip()
        card.seek(start)
        card.write(image.read_bytes())
    machine.put("a/cmdline.txt", line.replace(found[0], f"linetap.verity={blocks}:{root}:{salt}").encode())


def change(machine: Machine, name: str, every: int) -> None:
    """Flips a bit of every `every`-th sector after the header."""
    start, size = partition(machine.card, name)
    with machine.card.open("r+b") as card:
        for at in range(start + HEADER_BYTES + SECTOR_BYTES, start + size, every * SECTOR_BYTES):
            card.seek(at)
            byte = card.read(1)
            card.seek(at)
            card.write(bytes([byte[0] ^ 1]))
