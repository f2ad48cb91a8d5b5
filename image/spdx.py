# SPDX-License-Identifier: Apache-2.0
"""Writes an image's packages as an SPDX 2.3 document with NTIA's minimum elements: supplier, name, version, identifier
and relationships of each package, and the author and time of the document.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from licences import Texts

IMAGE = "SPDXRef-image"


@dataclass(frozen=True, order=True, slots=True)
class Package:
    name: str
    version: str
    source: str  # name and version, as used by Debian's tracker and a licence search
    url: str
    homepage: str = "NOASSERTION"
    licence: str = "NOASSERTION"
    supplier: str = "NOASSERTION"  # where it was obtained
    originator: str = "NOASSERTION"  # its author
    sha256: str = ""
    file: str = ""
    places: tuple[str, ...] = ()  # root, initramfs, boot partition
    needs: tuple[str, ...] = ()


def document(packages: list[Package], texts: Texts, version: str, commit: str, made: str) -> dict[str, Any]:
    by_name = {each.name: f"SPDXRef-{index}" for index, each in enumerate(packages)}
    image = Package(
        "linetap-image", version, f"linetap {version}", f"pkg:generic/linetap-image@{version}",
        supplier="Organization: linetap", originator="Organization: linetap",
    )  # fmt: skip
    related = [("SPDXRef-DOCUMENT", "DESCRIBES", IMAGE)]
    related += [(IMAGE, "CONTAINS", by_name[each.name]) for each in packages]
    for each in packages:
        needed = sorted({by_name[name] for name in each.needs if name in by_name and name != each.name})
        related += [(by_name[each.name], "DEPENDS_ON", other) for other in needed]
    found: dict[str, Any] = {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"linetap-image-{version}",
        "creationInfo": {"created": made, "creators": ["Organization: linetap", "Tool: linetap-image-contents"]},
        "packages": [_entry(IMAGE, image), *(_entry(by_name[each.name], each) for each in packages)],
        "relationships": [
            {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
            for one, kind, other in related
        ],
        "hasExtractedLicensingInfos": [
            {"licenseId": reference, "name": name, "extractedText": text}
            for reference, (name, text) in sorted(texts.found.items())
        ],
    }  # fmt: skip
    # Unique for each document (SPDX 2.3, 6.5), and one commit is built with the packages of more than one day.
    digest = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]
    return found | {"documentNamespace": f"urn:linetap:image:{version}:{commit}:{digest}"}


def _entry(reference: str, package: Package) -> dict[str, Any]:
    entry = {
        "SPDXID": reference, "name": package.name, "versionInfo": package.version, "homepage": package.homepage,
        "supplier": package.supplier, "originator": package.originator,
        "downloadLocation": "NOASSERTION", "licenseConcluded": "NOASSERTION", "licenseDeclared": package.licence,
        "copyrightText": "NOASSERTION", "filesAnalyzed": False, "sourceInfo": f"source package {package.source}",
        "externalRefs": [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": package.url}
        ],
    }  # fmt: skip
    if package.sha256:
        entry |= {
            "checksums": [{"algorithm": "SHA256", "checksumValue": package.sha256}], "packageFileName": package.file
        }  # fmt: skip
    if package.places:
        entry["comment"] = f"in: {', '.join(package.places)}"
    return entry
