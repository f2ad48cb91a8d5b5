#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The known holes of what an image holds, as they stand today: Debian's debsecan over the image's SBOM.

`python3 image/holes.py build/image/sbom.spdx.json`; as well of an image that was made long ago, by its own SBOM. A line
says which of them it can speak of, then one for each hole and package, in debsecan's words. `--source URL`: where the
security tracker's data is, if not at Debian's. Status 1 where it cannot be had, 2 where the file is no such SBOM.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

LIMIT_S = 120
DEBIAN = "pkg:deb/debian/"
IMAGE = "pkg:generic/linetap-image@"  # the component that contains the others


class Unknown(Exception):
    """An error with its message and exit status."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sbom", type=Path, help="as contents.py writes it")
    parser.add_argument("--source", metavar="URL", help="where the data of Debian's security tracker is")
    args = parser.parse_args()
    try:
        name, suite, status, others = packages(args.sbom)
        found = known(status, suite, args.source)
    except Unknown as why:
        said, number = why.args
        print(f"holes: {said}", file=sys.stderr)
        return int(number)
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    print(f"{name}, {today}: {len(found)} known to Debian's security tracker, of {len(status)} packages")
    if others:
        print(f"it does not speak of: {', '.join(others)}")
    print(*found, sep="\n", end="\n" if found else "")
    return 0


def packages(sbom: Path) -> tuple[str, str, list[str], list[str]]:
    """The SBOM's name, its suite, Debian's packages in the form of dpkg's status, and the names of all others."""
    try:
        document = json.loads(sbom.read_text())
        suites, status, others = set(), [], []
        for each in document["packages"]:
            name, version = each["name"], each["versionInfo"]
            locator = each["externalRefs"][0]["referenceLocator"]
            if locator.startswith(IMAGE):
                continue
            if not locator.startswith(DEBIAN):
                others.append(f"{name} {version}")
                continue
            suites.add(locator.partition("&distro=")[2])
            source, source_version = each["sourceInfo"].removeprefix("source package ").split(" ")
            status.append(
                f"Package: {name}\nStatus: install ok installed\nSource: {source} ({source_version})\n"
                f"Version: {version}\n"
            )
        (suite,) = suites
        return document["name"], suite, status, others
    except OSError as error:
        raise Unknown(f"{sbom}: {error.strerror}", 2) from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Unknown(f"{sbom}: not an SBOM as image/contents.py writes it", 2) from None


def known(status: list[str], suite: str, source: str | None) -> list[str]:
    with tempfile.NamedTemporaryFile("w", prefix="linetap-holes-") as file:
        file.write("\n".join(status))
        file.flush()
        command = ["debsecan", "--suite", suite, "--status", file.name, *(["--source", source] if source else [])]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        except FileNotFoundError:
            raise Unknown("debsecan is not installed: ./build.sh setup brings it", 1) from None
        except subprocess.TimeoutExpired:
            raise Unknown(f"not known: the tracker has said nothing for {LIMIT_S} s", 1) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"debsecan ended with {done.returncode}"])[-1]
        raise Unknown(f"not known: {last.removeprefix('error: ')}", 1)
    return sorted(done.stdout.splitlines())


if __name__ == "__main__":
    sys.exit(main())
