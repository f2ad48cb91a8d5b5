#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The contents of an image: every package with its version, as a list for people and as SPDX 2.3 for tools.

`python3 image/contents.py --status DPKG_STATUS --modules DIST_PACKAGES ...`; the same input, the same bytes. Licences
are read in the copyright files that the image brings along (licences.py). Known holes are no part of it, since they
change by the day: holes.py lists them, of an SBOM.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from urllib.parse import quote

from licences import Texts, of_copyright, of_wheel
from origins import OURS, places
from packagelock import Locked, Unusable, control_of, kept, read
from spdx import Package, document

SUITE = "trixie"
LINETAP = ("linetap", "linetap-core")
INPUTS = {
    "status": "dpkg's, of the root",
    "kit": "the index of the kit's packages",
    "lock": "packages.lock",
    "keep": "where packagelock.py has put the packages",
    "files": "the files of all packages, by copyrights.py",
    "documents": "the root's usr/share/doc",
    "modules": "the root's Python packages",
    "drivers": "the folder of modules that Debian's kernel has not",
    "manifest": "to write",
    "sbom": "to write",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, what in INPUTS.items():
        parser.add_argument(f"--{name}", type=Path, required=True, help=what)
    parser.add_argument("--tree", nargs=2, action="append", default=[], metavar=("PLACE", "FOLDER"))
    parser.add_argument("--untouched", type=Path, help="device trees before the build laid an overlay into them")
    parser.add_argument("--firmware", type=Path, help="where the card's firmware is from, if from no package")
    parser.add_argument("--eeprom", type=Path, help="where the root's boot loaders are from, if it brings any")
    for name in ("version", "commit"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--payload", required=True, help="the SHA-256 of the update without its signature")
    parser.add_argument("--epoch", type=int, required=True, help="SOURCE_DATE_EPOCH")
    args = parser.parse_args()
    texts = Texts()
    try:
        trees = {place: Path(folder) for place, folder in args.tree}
        where = places(args.files, trees, args.firmware, args.untouched)
        locked = {(each.part, each.name): each for each in read(args.lock)}
        debian = [*of_debian("root", args.status, locked, where, args.documents, texts)]
        debian += of_debian("kit", args.kit, locked, where, args.documents, texts)
        debian += [of_given(each, args.keep, where, args.documents, texts) for each in read(args.lock) if each.given]
        ours = [*of_python(args.modules, args.documents, texts), *of_kernel(args.drivers, trees, args.version)]
        ours += [] if args.firmware is None else [of_folder(args.firmware, texts)]
        ours += [] if args.eeprom is None else [of_eeprom(args.eeprom, texts)]
        packages = sorted({*debian, *ours})
    except Unusable as why:
        print(f"contents: {why}", file=sys.stderr)
        return 1
    made = datetime.fromtimestamp(args.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    sbom = document(packages, texts, args.version, args.commit, made)
    args.manifest.write_text(manifest(packages, args.version, args.commit, args.payload))
    args.sbom.write_text(json.dumps(sbom, indent=1, sort_keys=True) + "\n")
    return 0


def of_debian(
    part: str, status: Path, locked: dict[tuple[str, str], Locked], where: dict[tuple[str, str], list[str]],
    documents: Path, texts: Texts,
) -> Iterator[Package]:  # fmt: skip
    """The root's installed packages; of the kit's those with a file in an image."""
    for paragraph in status.read_text(encoding="utf-8").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        name = fields.get("Package", "")
        if not (fields.get("Status") == "install ok installed" if part == "root" else (part, name) in where):
            continue
        version, architecture = fields["Version"], fields["Architecture"]
        package = locked.get((part, name))
        if package is None or package.version != version:
            raise Unusable(f"{name} {version} is in the {part}, and not in packages.lock")
        source, _, of_source = fields.get("Source", name).partition(" ")
        yield Package(
            name, version, f"{source} {of_source.strip('()') or version}",
            f"{_purl('debian/', name, version)}?arch={architecture}&distro={SUITE}",
            homepage=fields.get("Homepage", "NOASSERTION"), supplier="Organization: Debian",
            originator=_person(fields.get("Maintainer", "")), sha256=package.sha256, file=Path(package.path).name,
            licence=of_copyright(_text(documents / name, f"package {name}"), texts),
            places=tuple(["root"] * (part == "root") + where.get((part, name), [])),
            needs=_needed(fields),
        )  # fmt: skip


def _needed(fields: dict[str, str]) -> tuple[str, ...]:
    """Debian's policy, 7.2: Pre-Depends is a dependency too, and the only one of most essential packages."""
    said = ",".join(fields.get(key, "") for key in ("Pre-Depends", "Depends"))
    return tuple(re.findall(r"(?:^|[,|]) *([a-z0-9][a-z0-9+.-]+)", said))


def of_given(
    package: Locked, keep: Path, where: dict[tuple[str, str], list[str]], documents: Path, texts: Texts
) -> Package:
    """A package of a folder (LINETAP_KERNEL): not in dpkg's status, and without tracked vulnerabilities."""
    fields = dict(line.split(": ", 1) for line in control_of(kept(keep, package)).splitlines() if ": " in line)
    maker = _person(fields.get("Maintainer", ""))
    return Package(
        package.name, package.version, f"{fields.get('Source', package.name)} {package.version}",
        f"{_purl('', package.name, package.version)}?arch={package.architecture}",
        homepage=fields.get("Homepage", "NOASSERTION"), supplier=maker, originator=maker, sha256=package.sha256,
        file=Path(package.path).name,
        licence=of_copyright(_text(documents / package.name, f"package {package.name}"), texts),
        places=("root", *where.get((package.part, package.name), [])),
    )  # fmt: skip


def of_python(modules: Path, documents: Path, texts: Texts) -> Iterator[Package]:
    """The packages installed as wheels (image/steps/root.sh); Debian's own modules, whose installer is Debian or
    missing, are in its packages.
    """
    for metadata in modules.glob("*.dist-info/METADATA"):
        installer = metadata.parent / "INSTALLER"
        if not installer.exists() or installer.read_text().strip() != "linetap-image":
            continue
        fields = BytesParser().parsebytes(metadata.read_bytes(), headersonly=True)
        name, version = fields["Name"], fields["Version"]
        ours = name in LINETAP
        text = _text(documents / ("linetap" if ours else name), f"wheel {name}", metadata.parent)
        stated = fields["License-Expression"] or fields["License"] or ""
        yield Package(
            f"python:{name}", version, f"{name} {version}", f"pkg:pypi/{name.lower()}@{version}",
            homepage=fields["Home-page"] or "NOASSERTION",
            supplier="Organization: linetap" if ours else "Organization: Python Package Index",
            originator="Organization: linetap" if ours else _author(fields),
            licence="Apache-2.0" if ours else of_wheel(name, stated, text, texts), places=("root",),
        )  # fmt: skip


def of_kernel(drivers: Path, trees: dict[str, Path], version: str) -> Iterator[Package]:
    """The modules that we built for the kernel (image/steps/module.sh), under the kernel's licence."""
    found = {file.stem: ["root"] for file in drivers.glob("*.ko")}
    for place, tree in trees.items():
        for name in sorted({file.stem for file in tree.rglob(f"{OURS}*.ko")}):
            found.setdefault(name, []).append(place)
    for name, where in sorted(found.items()):
        yield Package(
            f"kernel:{name}", version, f"linetap {version}", f"pkg:generic/{name.replace('_', '-')}@{version}",
            supplier="Organization: linetap", originator="Organization: linetap", licence="GPL-2.0-only",
            places=tuple(where),
        )  # fmt: skip


def of_folder(firmware: Path, texts: Texts) -> Package:
    """The Pi's firmware from a folder (LINETAP_FIRMWARE) instead of Debian's; its hash is its version."""
    files = sorted(path for path in firmware.iterdir() if path.is_file())
    digest = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()
    licence = firmware / "LICENCE.broadcom"
    if not licence.is_file():
        raise Unusable(f"the firmware in {firmware} comes without the text of its licence: {licence} is missing")
    name, version = "raspberrypi-firmware", digest[:12]
    return Package(
        name, version, f"{name} {version}", f"pkg:generic/{name}@{version}", supplier="Organization: Raspberry Pi",
        originator="Organization: Raspberry Pi", places=("boot partition",),
        licence=texts.refer("Broadcom", licence.read_text(encoding="utf-8", errors="replace")),
    )  # fmt: skip


def of_eeprom(folder: Path, texts: Texts) -> Package:
    """The boot loaders for the Pi's EEPROM (LINETAP_EEPROM); the newest image's date is their version."""
    licence = folder / "LICENSE"
    dates = sorted(path.stem.removeprefix("pieeprom-") for path in folder.glob("firmware-*/default/pieeprom-*.bin"))
    if not licence.is_file() or not dates:
        raise Unusable(f"{folder}: LICENSE and firmware-2711/default are expected, as in raspberrypi/rpi-eeprom")
    name, version = "rpi-eeprom", dates[-1]
    return Package(
        name, version, f"{name} {version}", f"pkg:generic/{name}@{version}", supplier="Organization: Raspberry Pi",
        originator="Organization: Raspberry Pi", places=("root",),
        licence=texts.refer("rpi-eeprom", licence.read_text(encoding="utf-8", errors="replace")),
    )  # fmt: skip


def _purl(namespace: str, name: str, version: str) -> str:
    """In the only form that tools compare: "+" of a name too is encoded (libstdc%2B%2B6), ":" and "~" are not."""
    return f"pkg:deb/{namespace}{quote(name, safe='')}@{quote(version, safe=':')}"


def _text(folder: Path, whose: str, metadata: Path | None = None) -> str:
    """The text of the licences and notices in a folder; a wheel may have its own beside its metadata."""
    files = [folder / "copyright", *sorted([] if metadata is None else metadata.rglob("*LICEN[CS]E*"))]
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file()]
    if not any(text.strip() for text in texts):
        raise Unusable(f"{whose} comes without the text of its licence: {folder / 'copyright'} is missing")
    return "\n".join(texts)


def _author(fields: Message) -> str:
    return _person(fields["Author-email"] or "", fields["Author"] or "")


def _person(mail: str, name: str = "") -> str:
    """`Name <address>` in SPDX's form."""
    parts = re.fullmatch(r'"?([^"<>]*)"? *<([^<>]+)>', mail.strip())
    name, mail = (parts[1].strip(), parts[2]) if parts else (name, mail)
    return (f"Person: {name} ({mail})" if mail else f"Person: {name}") if name else "NOASSERTION"


def manifest(packages: list[Package], version: str, commit: str, payload: str) -> str:
    lines = [f"linetap {version} ({commit})", f"{payload} linetap-{version}.raucb without its signature", ""]
    return "\n".join(lines + [f"{package.name} {package.version}" for package in packages]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
