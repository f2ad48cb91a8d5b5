# SPDX-License-Identifier: Apache-2.0
"""The list of an image's contents: from real files, reproducible, complete, with every licence."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import batched
from pathlib import Path
from typing import Any

import pytest
from archive_rig import build_package
from contents_rig import IMAGE, PAYLOAD, Given, module

DPKG = Path("/var/lib/dpkg/status")
PURL = "pkg:pypi/rpi-lgpio@0.6"
OURS = ["kernel:linetap_tryboot 1.2", "python:rpi-lgpio 0.6"]


def _given(folder: Path, status: Path) -> Given:
    """One module installed by pip, and two as in Debian's packages."""
    modules = folder / "dist-packages"
    module(modules, "rpi-lgpio", "0.6", "linetap-image\n")
    module(modules, "numpy", "2.2.4", "debian\n")
    module(modules, "pyserial", "3.5", "")
    return Given(folder, status, modules)


@pytest.fixture
def whole(tmp_path: Path) -> Given:
    """This machine's packages."""
    return _given(tmp_path, DPKG)


@pytest.fixture
def given(tmp_path: Path) -> Given:
    """dpkg, and every twentieth of this machine's packages."""
    found = DPKG.read_text(encoding="utf-8").strip().split("\n\n")
    some = [each for n, each in enumerate(found) if n % 20 == 0 or each.startswith("Package: dpkg\n")]
    status = tmp_path / "status"
    status.write_text("\n\n".join(some) + "\n", encoding="utf-8")
    return _given(tmp_path, status)


def sbom(given: Given) -> dict[str, Any]:
    done = given.list()
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((given.folder / "sbom.json").read_text())
    return found


def test_every_installed_package_of_this_machine(whole: Given) -> None:
    document = sbom(whole)
    said = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n"], capture_output=True, text=True,
        check=True, timeout=120,
    ).stdout  # fmt: skip
    wanted = {line.removeprefix("installed ") for line in said.splitlines() if line.startswith("installed ")}
    lines = (whole.folder / "manifest.txt").read_text().splitlines()
    assert lines[:3] == ["linetap 1.2 (abc)", f"{PAYLOAD} linetap-1.2.raucb without its signature", ""]
    firmware = "raspi-firmware 1:1.20250430-1"
    assert {line for line in lines[3:] if not line.startswith(("python:", "kernel:"))} == wanted | {firmware}
    assert [line for line in lines if line.startswith(("python:", "kernel:"))] == OURS
    assert len(document["packages"]) == len(lines) - 3 + 1, "the image itself is one"
    assert document["creationInfo"]["created"] == "2023-11-14T22:13:20Z"
    locators = {each["externalRefs"][0]["referenceLocator"] for each in document["packages"]}
    assert PURL in locators
    assert any(each.startswith("pkg:deb/debian/libstdc%2B%2B6@") for each in locators), "packageurl's canonical form"
    assert not [each for each in locators if "+" in each]
    held = {each["relatedSpdxElement"] for each in document["relationships"] if each["relationshipType"] == "CONTAINS"}
    assert held == {each["SPDXID"] for each in document["packages"]} - {"SPDXRef-image"}


def test_what_a_package_needs_before_it_is_unpacked_is_a_dependency(whole: Given) -> None:
    document = sbom(whole)
    names = {each["SPDXID"]: each["name"] for each in document["packages"]}
    pairs = {
        (names[each["spdxElementId"]], names[each["relatedSpdxElement"]])
        for each in document["relationships"] if each["relationshipType"] == "DEPENDS_ON"
    }  # fmt: skip
    assert ("coreutils", "libc6") in pairs, "Debian: only by Pre-Depends"


def test_a_module_of_the_initramfs_alone_is_one_too(given: Given, tmp_path: Path) -> None:
    """The module that reads the key in a Pi's fuses, which the root must not contain."""
    tree = tmp_path / "initramfs"
    (tree / "modules").mkdir(parents=True)
    for name in ("linetap_otp.ko", "linetap_tryboot.ko"):
        (tree / "modules" / name).write_bytes(b"\x7fELF module")
    assert given.list("--tree", "initramfs", tree).returncode == 0
    found = {each["name"]: each for each in json.loads((given.folder / "sbom.json").read_text())["packages"]}
    assert found["kernel:linetap_otp"]["comment"] == "in: initramfs"
    assert found["kernel:linetap_otp"]["licenseDeclared"] == "GPL-2.0-only"
    assert found["kernel:linetap_tryboot"]["comment"] == "in: root, initramfs"


def test_the_same_input_gives_the_same_bytes(given: Given) -> None:
    texts = []
    for _ in range(2):
        sbom(given)
        texts.append([(given.folder / name).read_bytes() for name in ("manifest.txt", "sbom.json")])
    assert texts[0] == texts[1]


def test_other_packages_of_the_same_commit_are_another_document(given: Given) -> None:
    """The namespace "must be unique" for each document (SPDX 2.3, 6.5): tools store documents by it."""
    first = sbom(given)["documentNamespace"]
    assert first.startswith("urn:linetap:image:1.2:abc:")
    lock = given.folder / "lock"
    lock.write_text(lock.read_text().replace(lock.read_text().split()[4], "b1" * 32))
    assert sbom(given)["documentNamespace"] != first


def test_of_the_kit_what_lies_on_the_card_is_listed_with_its_place(given: Given) -> None:
    document = sbom(given)
    (firmware,) = [each for each in document["packages"] if each["name"] == "raspi-firmware"]
    assert firmware["comment"] == "in: boot partition"
    assert firmware["supplier"] == "Organization: Debian"
    assert firmware["originator"] == "Person: Some Team (team@example.org)"
    assert firmware["licenseDeclared"] == "MIT"
    assert firmware["checksums"] == [{"algorithm": "SHA256", "checksumValue": "a" * 64}]


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_a_package_without_the_text_of_its_licence_ends_the_build(given: Given, text: str | None) -> None:
    file = given.documents / "raspi-firmware/copyright"
    file.unlink() if text is None else file.write_text(text)
    done = given.list()
    assert done.returncode == 1
    assert done.stderr.startswith("contents: package raspi-firmware comes without the text of its licence: ")


def test_a_wheel_without_the_text_of_its_licence_ends_the_build(given: Given) -> None:
    module(given.modules, "bare", "1.0", "linetap-image\n", licence="")
    done = given.list()
    assert done.returncode == 1
    assert done.stderr.startswith("contents: wheel bare comes without the text of its licence: ")


def test_a_program_of_no_package_ends_the_build(given: Given) -> None:
    (given.card / "start5.elf").write_bytes(b"of somewhere")
    done = given.list()
    assert done.returncode == 1
    assert done.stderr == "contents: boot partition: no package brings start5.elf, so its licence is unknown\n"


def test_a_slots_firmware_is_the_packages_by_another_name(given: Given) -> None:
    (given.card / "start4.elf").rename(given.card / "start4a.elf")
    (firmware,) = [each for each in sbom(given)["packages"] if each["name"] == "raspi-firmware"]
    assert firmware["comment"] == "in: boot partition"
    (given.card / "start4b.elf").write_bytes(b"\x7fELF firmware, and more of it")
    assert given.list().stderr.startswith("contents: boot partition: no package brings start4b.elf")


def test_a_device_tree_by_another_name_and_our_own_overlays_are_known(given: Given) -> None:
    files = given.folder / "files"
    files.write_text(files.read_text() + "root dpkg 9 usr/lib/dtb/bcm2712-rpi-5-b.dtb\n")
    (given.card / "a/overlays").mkdir(parents=True)
    (given.card / "a/bcm2712d0-rpi-5-b.dtb").write_bytes(b"nine byte")
    (given.card / "a/overlays/overlay_map.dtb").write_bytes(b"ours")
    (dpkg,) = [each for each in sbom(given)["packages"] if each["name"] == "dpkg"]
    assert dpkg["comment"] == "in: root, boot partition"


def test_a_device_tree_that_the_build_laid_into_is_known_by_what_it_was(given: Given) -> None:
    files, before = given.folder / "files", given.folder / "untouched"
    files.write_text(files.read_text() + "root dpkg 9 usr/lib/dtb/bcm2712-rpi-5-b.dtb\n")
    (given.card / "a").mkdir()
    before.mkdir()
    (before / "bcm2712-d-rpi-5-b.dtb").write_bytes(b"nine byte")
    for name in ("bcm2712-d-rpi-5-b.dtb", "bcm2712-rpi-5-b.dtb"):
        (given.card / "a" / name).write_bytes(b"nine bytes and a node")
        wrong = given.list("--untouched", before)
        assert (wrong.returncode, "bcm2712-rpi-5-b.dtb" in wrong.stderr) == (name == "bcm2712-rpi-5-b.dtb",) * 2


def test_firmware_of_a_folder_is_listed_with_its_licence_or_ends_the_build(given: Given) -> None:
    folder = given.folder / "firmware"
    folder.mkdir()
    for name in ("start4.elf", "fixup4.dat"):
        (folder / name).write_bytes(b"newer")
        (given.card / name).write_bytes(b"newer")
    done = given.list("--firmware", folder)
    assert done.returncode == 1
    assert "LICENCE.broadcom is missing" in done.stderr
    (folder / "LICENCE.broadcom").write_text("With a Pi only.\n")
    assert given.list("--firmware", folder).returncode == 0
    packages = json.loads((given.folder / "sbom.json").read_text())["packages"]
    (firmware,) = [each for each in packages if "firmware" in each["name"] and "firmware-" not in each["name"]]
    assert firmware["name"] == "raspberrypi-firmware"
    assert firmware["licenseDeclared"].startswith("LicenseRef-Broadcom-")


def test_boot_loaders_for_the_eeprom_are_listed_with_their_licence_or_end_the_build(given: Given) -> None:
    folder = given.folder / "rpi-eeprom"
    for number, day in (("2711", "2026-05-17"), ("2712", "2026-05-26")):
        (folder / f"firmware-{number}/default").mkdir(parents=True)
        (folder / f"firmware-{number}/default/pieeprom-{day}.bin").write_bytes(b"newer")
    done = given.list("--eeprom", folder)
    assert done.returncode == 1
    assert "LICENSE and firmware-2711/default are expected" in done.stderr
    (folder / "LICENSE").write_text("With a Pi only.\n")
    assert given.list("--eeprom", folder).returncode == 0
    packages = json.loads((given.folder / "sbom.json").read_text())["packages"]
    (loaders,) = [each for each in packages if each["name"] == "rpi-eeprom"]
    assert (loaders["versionInfo"], loaders["comment"]) == ("2026-05-26", "in: root")
    assert loaders["licenseDeclared"].startswith("LicenseRef-rpi-eeprom-")


def test_a_kernel_of_a_folder_is_listed_though_dpkg_does_not_know_it(given: Given) -> None:
    deb = build_package(given.folder / "built", "linux-image-rpi", "1:6.12-1")
    lock = given.folder / "lock"
    words = ["add", "--lock", lock, "--keep", given.folder / "keep", "--part", "root", deb]
    subprocess.run([sys.executable, str(IMAGE / "packagelock.py"), *map(str, words)], check=True, timeout=120)
    assert "package linux-image-rpi comes without the text of its licence" in given.list().stderr
    (given.documents / "linux-image-rpi").mkdir()
    (given.documents / "linux-image-rpi/copyright").write_text("The kernel's.\n")
    (kernel,) = [each for each in sbom(given)["packages"] if each["name"] == "linux-image-rpi"]
    assert (kernel["versionInfo"], kernel["supplier"]) == ("1:6.12-1", "Person: Some One (one@example.org)")
    assert kernel["externalRefs"][0]["referenceLocator"] == "pkg:deb/linux-image-rpi@1:6.12-1?arch=arm64"


def test_a_package_that_the_kept_list_does_not_have_ends_the_build(given: Given) -> None:
    lock = given.folder / "lock"
    lock.write_text(lock.read_text().replace("root dpkg ", "root dpkgs "))
    done = given.list()
    assert done.returncode == 1
    assert done.stderr.startswith("contents: dpkg ")
    assert "is in the root, and not in packages.lock" in done.stderr


def test_a_stock_validator_takes_it_with_all_that_ntia_asks(whole: Given) -> None:
    pytest.importorskip("spdx_tools", reason="spdx-tools is not installed: ./build.sh setup brings it")
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    (whole.documents / "dpkg/copyright").write_text("Under a licence of its own.\n")
    document = sbom(whole)
    file = whole.folder / "image.spdx.json"  # the parser derives the format from the name
    pieces = list(_pieces(document))
    for piece in pieces:
        file.write_text(json.dumps(piece))
        assert validate_full_spdx_document(parse_file(str(file))) == []
    ids = [each["SPDXID"] for each in document["packages"]]
    assert {each["SPDXID"] for piece in pieces for each in piece["packages"]} == set(ids)
    assert len(ids) == len(set(ids)), "a piece does not see another's"
    ends = {each[end] for each in document["relationships"] for end in ("spdxElementId", "relatedSpdxElement")}
    assert ends == {*ids, "SPDXRef-DOCUMENT"}, "those between pieces too"
    (dpkg,) = [each for each in document["packages"] if each["name"] == "dpkg"]
    assert dpkg["licenseDeclared"].startswith("LicenseRef-copyright-")
    assert len({each["externalRefs"][0]["referenceLocator"] for each in document["packages"]}) == len(
        document["packages"]
    )
    assert all(each["supplier"] != "NOASSERTION" and each["versionInfo"] for each in document["packages"])
    assert document["creationInfo"]["creators"][0] == "Organization: linetap"


def _pieces(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The document in parts of a hundred packages with the image: the validator compares each package with every
    relationship.
    """
    image, *packages = document["packages"]
    assert image["SPDXID"] == "SPDXRef-image"
    for some in batched(packages, 100, strict=False):
        left_out = {each["SPDXID"] for each in packages} - {each["SPDXID"] for each in some}
        kept = [each for each in document["relationships"]
                if not {each["spdxElementId"], each["relatedSpdxElement"]} & left_out]  # fmt: skip
        yield document | {"packages": [image, *some], "relationships": kept}
