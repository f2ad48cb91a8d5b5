# SPDX-License-Identifier: Apache-2.0
"""An update of a signed card, by the shipped scripts, with a boot loader that accepts only images signed by its key.

It is tried once, kept or left; an update that this unit could not start is refused before any write.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import pytest

from pi_firmware import DarkError, Start
from signed_rig import key
from signed_unit import SignedUnit, Version


@dataclass(frozen=True)
class Made:
    """A version's files; `foreign` is signed by another key."""

    key: Path
    old: Version
    new: Version
    foreign: Version


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("versions")
    ours, other = key(folder / "ours.pem"), key(folder / "other.pem")
    versions = [
        Version.new(folder / name, name, by) for name, by in (("0.1.0", ours), ("0.2.0", ours), ("0.2.1", other))
    ]
    return Made(ours, *versions)


@pytest.fixture
def unit(made: Made, tmp_path: Path) -> SignedUnit:
    return SignedUnit(tmp_path / "unit", made.old, made.key)


@pytest.fixture
def bundle(made: Made, tmp_path: Path) -> Path:
    return made.new.bundle(tmp_path / "bundle")


def kernel(start: Start) -> str:
    return gzip.decompress(start.files["vmlinuz"]).decode()


def test_a_new_card_has_one_slot_that_starts(unit: SignedUnit) -> None:
    assert unit.call("get-current") == unit.call("get-primary") == "a"
    assert [unit.call("get-state", slot) for slot in "ab"] == ["good", "bad"]
    unit.call("trial", code=1)
    with pytest.raises(DarkError, match="partition 3 has no"):
        unit.power_on(tryboot=True)


def test_a_new_version_is_tried_and_kept(unit: SignedUnit, bundle: Path, made: Made) -> None:
    assert unit.install(made.new, bundle) == "b"
    assert kernel(unit.power_on()) == "kernel 0.1.0", "nobody has said that it is to be tried"
    unit.call("set-primary", "b")
    assert unit.call("get-primary") == "a"
    start = unit.reboots()
    assert (start.partition, kernel(start), unit.call("get-current")) == (3, "kernel 0.2.0", "b")
    unit.call("trial")
    unit.call("set-state", "b", "good")
    assert unit.call("get-primary") == "b"
    unit.call("trial", code=1)
    assert kernel(unit.power_on()) == "kernel 0.2.0"
    assert (unit.boot / "autoboot.txt").read_text() == (
        "[all]\ntryboot_a_b=1\nboot_partition=3\n[tryboot]\nboot_partition=2\n"
    ), "Raspberry Pi's own example (config_txt/autoboot.adoc)"


def test_old_and_new_by_turns(unit: SignedUnit, made: Made, tmp_path: Path) -> None:
    for turn, version in enumerate((made.new, made.old, made.new)):
        slot = unit.install(version, version.bundle(tmp_path / f"bundle{turn}"))
        assert slot == "ba"[turn % 2]
        unit.call("set-primary", slot)
        unit.reboots()
        unit.call("set-state", slot, "good")
        assert kernel(unit.power_on()) == f"kernel {version.name}"


def test_what_is_not_kept_is_gone_with_the_next_start(unit: SignedUnit, bundle: Path, made: Made) -> None:
    """Power, panic, watchdog, and an abandoned trial."""
    unit.install(made.new, bundle)
    unit.call("set-primary", "b")
    assert kernel(unit.reboots()) == "kernel 0.2.0"
    assert kernel(unit.power_on()) == "kernel 0.1.0"
    unit.call("set-primary", "b")
    unit.reboots()
    assert kernel(unit.reboots()) == "kernel 0.1.0"
    unit.call("trial", code=1)


def test_what_starts_is_never_given_up(unit: SignedUnit, bundle: Path, made: Made) -> None:
    assert "what starts" in unit.call("set-state", "a", "bad", code=1)
    unit.install(made.new, bundle)
    unit.call("set-primary", "b")
    unit.reboots()
    assert "what starts" in unit.call("set-state", "a", "bad", code=1), "nor the way back from a trial"
    assert "in use" in unit.hook(bundle, "slot-post-install").stderr


def test_without_autoboot_txt_the_boot_loader_walks_and_the_unit_writes_it_again(
    unit: SignedUnit, bundle: Path, made: Made
) -> None:
    """Somebody has deleted it."""
    unit.install(made.new, bundle)
    (unit.boot / "autoboot.txt").unlink()
    with pytest.raises(DarkError):
        unit.power_on()  # a boot loader before 2025-08-13
    assert kernel(unit.power_on(walks=True)) == "kernel 0.1.0"
    assert unit.call("get-current") == unit.call("get-primary") == "a"
    unit.call("trial", code=1)
    unit.call("set-state", "a", "good")
    assert unit.power_on().partition == 2


def test_where_the_boot_loader_has_walked_to_the_other_slot_that_one_is_kept(
    unit: SignedUnit, bundle: Path, made: Made
) -> None:
    """The named partition has decayed and is no file system."""
    unit.install(made.new, bundle)
    with (unit.parts / "linetap-boot-a").open("r+b") as file:
        file.write(bytes(512))
    assert unit.power_on(walks=True).partition == 3
    unit.call("trial")  # it is judged as a trial
    unit.call("set-state", "b", "good")
    assert unit.power_on().partition == 3


# --- Refusals, before any write


def begins(unit: SignedUnit) -> list[bytes]:
    """The first sectors of each partition."""
    found = []
    for path in sorted(unit.parts.iterdir()):
        with path.open("rb") as file:
            found.append(file.read(1 << 16))
    return found


def refused(unit: SignedUnit, bundle: Path) -> str:
    """The message of the refusal: RAUC shows the last line if the hook exits with 10."""
    before = begins(unit)
    done = unit.hook(bundle, "install-check")
    assert (done.returncode, done.stderr.count("\n")) == (10, 1), done
    done = unit.hook(bundle, "slot-post-install")
    assert done.returncode != 0, "nor where RAUC has not asked"
    assert begins(unit) == before
    assert unit.call("get-state", "b") == "bad"
    return done.stderr.strip()


def test_a_boot_img_by_another_key_is_refused(unit: SignedUnit, made: Made, tmp_path: Path) -> None:
    """It would have made the unit unbootable: the boot loader accepts nothing of it."""
    bundle = made.foreign.bundle(tmp_path / "stranger")
    assert "not signed by this unit's key" in refused(unit, bundle)
    (unit.parts / "linetap-boot-b").write_bytes((made.foreign.build.signed / "boot.part").read_bytes())
    with pytest.raises(DarkError, match="by another key"):
        unit.power_on(tryboot=True)


@pytest.mark.parametrize("defect", [
    "a byte of boot.img", "a byte of its signature", "its hash", "no signature", "no place", "another place",
    "empty place",
])  # fmt: skip
def test_a_changed_one_is_refused(unit: SignedUnit, bundle: Path, defect: str) -> None:
    part, sig, place = (bundle / name for name in ("boot.part", "boot.sig", "boot.place"))
    data, text = bytearray(part.read_bytes()), sig.read_text()
    at, sectors = map(int, place.read_text().split())
    for path in (part, sig, place):
        path.unlink()
    match defect:
        case "a byte of boot.img":
            data[(at + sectors) * 512 - 1] ^= 1
        case "a byte of its signature":
            text = text.replace("rsa2048: ", "rsa2048: 0").replace(text[-2:], "\n")
        case "its hash":
            text = "0" * 64 + text[64:]
        case "no signature":
            text = text.partition("rsa2048")[0]
    if defect != "no place":
        place.write_text(
            {"another place": f"{at + 1} {sectors}\n", "empty place": "\n"}.get(defect, f"{at} {sectors}\n")
        )
    part.write_bytes(data)
    sig.write_text(text)
    assert "not signed by this unit's key" in refused(unit, bundle)


def test_an_update_for_other_units_is_refused_by_each(unit: SignedUnit, bundle: Path) -> None:
    (bundle / "boot.part").rename(bundle / "kept")
    assert "starts a signed boot.img, and the update brings none" in refused(unit, bundle)
    (bundle / "kept").rename(bundle / "boot.part")
    (unit.proc / "cmdline").write_text("linetap.slot=a\n")
    assert "units with a signed boot.img, and this is none" in unit.hook(bundle, "install-check").stderr


def test_a_card_of_the_earlier_layout_still_needs_a_new_one(unit: SignedUnit, bundle: Path) -> None:
    (unit.boot / "boot.img").write_bytes(b"signed")
    assert "a new card is needed" in refused(unit, bundle)


def test_without_its_public_key_a_unit_takes_none(unit: SignedUnit, bundle: Path) -> None:
    unit.key = unit.root / "none"
    assert "not signed by this unit's key" in unit.hook(bundle, "install-check").stderr


def test_a_card_that_does_not_keep_boot_img_is_not_named(unit: SignedUnit, bundle: Path) -> None:
    """dd reports success, and writes nothing."""
    unit.call("set-state", "b", "bad")
    dd = unit.bin / "dd"
    dd.write_text('#!/bin/sh\ncase " $* " in *" of="*) exit 0 ;; esac\nexec /usr/bin/dd "$@"\n')
    dd.chmod(0o755)
    assert "has not kept boot.img" in unit.hook(bundle, "slot-post-install").stderr
    assert unit.call("get-state", "b") == "bad"
    assert "empty" in unit.call("set-primary", "b", code=1)
