#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is in an image: every package with its version, as a list for people and as SPDX 2.3 for tools.

`python3 image/contents.py --status DPKG_STATUS --modules DIST_PACKAGES ...`; the same input, the same bytes. Known
holes are no part of it, since they change by the day: holes.py lists them, of an SBOM.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import BytesParser
from pathlib import Path
from typing import Any

SUITE = "trixie"


@dataclass(frozen=True, order=True, slots=True)
class Package:
    name: str
    version: str
    source: str  # name and version: what Debian's tracker and a licence search know it by
    url: str
    homepage: str = "NOASSERTION"
    licence: str = "NOASSERTION"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("status", "modules", "manifest", "sbom"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("version", "commit"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--epoch", type=int, required=True, help="SOURCE_DATE_EPOCH")
    args = parser.parse_args()
    packages = sorted({*of_debian(args.status), *of_python(args.modules), of_kernel(args.version)})
    args.manifest.write_text(manifest(packages, args.version, args.commit))
    made = datetime.fromtimestamp(args.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    args.sbom.write_text(json.dumps(spdx(packages, args.version, args.commit, made), indent=1, sort_keys=True) + "\n")
    return 0


def of_debian(status: Path) -> list[Package]:
    found = []
    for paragraph in status.read_text(encoding="utf-8").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status") == "install ok installed":
            name, version = fields["Package"], fields["Version"]
            source, _, of_source = fields.get("Source", name).partition(" ")
            source += f" {of_source.strip('()') or version}"
            url = f"pkg:deb/debian/{name}@{version.replace('+', '%2B')}?arch={fields['Architecture']}&distro={SUITE}"
            found.append(Package(name, version, source, url, fields.get("Homepage", "NOASSERTION")))
    return found


def of_python(modules: Path) -> list[Package]:
    """What came as a wheel (image/steps/root.sh); Debian's own modules are its packages, and say Debian or nothing."""
    found = []
    for metadata in modules.glob("*.dist-info/METADATA"):
        installer = metadata.parent / "INSTALLER"
        if installer.exists() and installer.read_text().strip() == "linetap-image":
            fields = BytesParser().parsebytes(metadata.read_bytes(), headersonly=True)
            name, version = fields["Name"], fields["Version"]
            found.append(Package(f"python:{name}", version, f"{name} {version}", f"pkg:pypi/{name.lower()}@{version}"))
    return found


def of_kernel(version: str) -> Package:
    """image/tryboot: what is linked with a kernel is under that kernel's licence."""
    url = f"pkg:generic/linetap-tryboot@{version}"
    return Package("kernel:linetap_tryboot", version, f"linetap {version}", url, licence="GPL-2.0-only")


def manifest(packages: list[Package], version: str, commit: str) -> str:
    lines = [f"linetap {version} ({commit})", ""]
    return "\n".join(lines + [f"{package.name} {package.version}" for package in packages]) + "\n"


def spdx(packages: list[Package], version: str, commit: str, made: str) -> dict[str, Any]:
    entries = [
        {
            "SPDXID": f"SPDXRef-{index}", "name": each.name, "versionInfo": each.version, "homepage": each.homepage,
            "downloadLocation": "NOASSERTION", "licenseConcluded": "NOASSERTION", "licenseDeclared": each.licence,
            "copyrightText": "NOASSERTION", "filesAnalyzed": False, "sourceInfo": f"source package {each.source}",
            "externalRefs": [
                {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": each.url}
            ],
        }
        for index, each in enumerate(packages)
    ]  # fmt: skip
    return {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"linetap-image-{version}", "documentNamespace": f"urn:linetap:image:{version}:{commit}",
        "creationInfo": {"created": made, "creators": ["Tool: linetap image/contents.py"]},
        "packages": entries,
        "relationships": [
            {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": each["SPDXID"]}
            for each in entries
        ],
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
