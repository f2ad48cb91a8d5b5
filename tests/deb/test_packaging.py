# SPDX-License-Identifier: Apache-2.0
"""firmware/debian agrees with the packaged code and its page: versions, users, systemd units. Nothing is built."""

from __future__ import annotations

import configparser
import re
import tomllib
from pathlib import Path

import bare
import yaml
from packaging.requirements import Requirement

from linetap_desk.setup import machine

DEBIAN = bare.ROOT / "firmware/debian"
# Name at PyPI -> Debian's package, if other than python3-NAME.
NAMES = {"argon2-cffi": "python3-argon2", "pyserial": "python3-serial"}
# Folder of the code -> its Debian packages, in addition to linetap-core.
MADE_OF = {"core": ("linetap-core",), "desk": ("linetap-tools", "linetap-desk"), "unit": ("linetap-unit",)}
# pyrage: no Debian package; stock age does its work. pyalsaaudio: within linetap-unit, from requirements.lock.
WITHOUT = {"pyrage", "pyalsaaudio"}


def packages() -> dict[str, dict[str, str]]:
    """Name -> its fields in debian/control."""
    found = {}
    for block in (DEBIAN / "control").read_text().split("\n\n"):
        fields = re.findall(r"^([A-Z][\w-]*):(.*(?:\n .*)*)", block, re.MULTILINE)
        named = {name: " ".join(value.split()) for name, value in fields}
        if "Package" in named:
            found[named["Package"]] = named
    return found


def versions(depends: str) -> dict[str, str]:
    """Package -> the minimum version, without Debian's epoch."""
    return {
        name: re.sub(r"^\d+:", "", least)
        for name, least in re.findall(r"([a-z0-9.-]+)(?: \(>= ([^)]+)\))?(?:,|$)", depends)
    }


def test_each_requirement_is_a_package_of_debians_of_that_version() -> None:
    control = packages()
    for folder, names in MADE_OF.items():
        there: dict[str, str] = {}
        for name in ("linetap-core", *names):
            there |= versions(control[name]["Depends"])
        project = tomllib.loads((bare.ROOT / "firmware" / folder / "pyproject.toml").read_text())["project"]
        for requirement in map(Requirement, project["dependencies"]):
            if requirement.name.startswith("linetap") or requirement.name in WITHOUT:
                continue
            package = NAMES.get(requirement.name, f"python3-{requirement.name}")
            least = next(each.version for each in requirement.specifier if each.operator == ">=")
            assert there.get(package) == least, f"{folder}: {requirement} is not {package} (>= {least})"


def test_users_of_the_units_are_those_that_the_package_makes() -> None:
    made = set(re.findall(r"^u (\S+)", (DEBIAN / "linetap-desk.sysusers").read_text(), re.MULTILINE))
    used = set()
    for path in (bare.ROOT / "systemd/desk").glob("*.service"):
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.optionxform = str  # type: ignore[assignment, method-assign]
        unit.read(path)
        used.add(unit["Service"]["User"])
    assert used == made


def test_a_purge_names_what_stays_and_deletes_nothing() -> None:
    text = (DEBIAN / "linetap-desk.postrm").read_text()
    assert not re.search(r"\b(rm|rmdir|dropdb|deluser|userdel)\b", text)


def test_whatever_a_container_keeps_is_in_a_volume() -> None:
    """The user ids are the same in every image; linetap's package and Mosquitto's set them."""
    compose = yaml.safe_load((DEBIAN / "container/compose.yaml").read_text())
    volumes = {each.partition(":")[2] for each in compose["services"]["desk"]["volumes"]}
    kept = (machine.FOLDER, machine.STATE, machine.PAGES_STATE, machine.COPY, machine.PKI, machine.MOSQUITTO)
    assert {*map(str, kept), "/var/lib/mosquitto"} == volumes
    text = (DEBIAN / "container/Containerfile").read_text()
    assert {name for name, _ in re.findall(r" ([a-z-]+):(8\d\d)", text)} == {machine.DESK, machine.PAGES, "mosquitto"}
    ports = {each.partition(":")[0] for each in compose["services"]["desk"]["ports"]}
    assert ports == {str(machine.PORT), str(machine.PAGES_PORT)}


def test_the_page_has_five_commands() -> None:
    lines = bare.commands(bare.ROOT / "docs/install-desk.md")
    assert len(lines) <= 5
    assert [line for line in lines if "linetap" not in line] == ["apt update"]


def test_no_other_package_of_debian_is_needed_for_a_wheel() -> None:
    """The only compiled dependency is in requirements.lock, with its hash."""
    script = (DEBIAN / "build.sh").read_text()
    assert re.findall(r"grep '\^([a-z]+)==' requirements\.lock", script) == ["pyalsaaudio"]
    assert "--require-hashes" in script
    assert packages()["linetap-unit"]["Provides"] == "python3-alsaaudio (= 0.11.0),"
    assert "pyalsaaudio==0.11.0 " in Path(bare.ROOT / "requirements.lock").read_text()
