#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The copyright file of every package, out of the packages themselves, and which files each has.

`copyrights.py --lock LOCK --keep POOL --files FILES INTO` writes `INTO/PACKAGE/copyright` for each package of the
image's root, and for those of the kit that `--also` names. Debian has a link there where packages of one source share a
file: here each has its own, since squashfs keeps equal files once. A package without one is an error: nobody could tell
its licence. `FILES` gets a line for each file of root and kit: part, package, size (- of a link), path.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath

from packagelock import Locked, Unusable, kept, read

DOC = PurePosixPath("usr/share/doc")
LINKS = 8  # from folder to folder, at most

type Documents = dict[PurePosixPath, bytes | PurePosixPath]  # a copyright file's text, or a link's target


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("into", type=Path)
    parser.add_argument("--lock", type=Path, required=True)
    parser.add_argument("--keep", type=Path, required=True, help="where packagelock.py has put the packages")
    parser.add_argument("--files", type=Path, required=True)
    parser.add_argument("--also", action="append", default=[], help="a package of the kit that goes into the image")
    args = parser.parse_args()
    documents: Documents = {}
    lines: list[str] = []
    try:
        packages = read(args.lock)
        for each in packages:
            _look_into(each, kept(args.keep, each), documents, lines)
        for each in packages:
            if each.part == "root" or each.name in args.also:
                folder = args.into / each.name
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "copyright").write_bytes(text_of(each.name, documents))
    except Unusable as why:
        print(f"copyrights: {why}", file=sys.stderr)
        return 1
    args.files.write_text("".join(lines))
    return 0


def _look_into(package: Locked, deb: Path, documents: Documents, lines: list[str]) -> None:
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as tar,
    ):
        for member in tar:
            path = PurePosixPath(member.name)
            if member.isfile() or member.issym():
                size = str(member.size) if member.isfile() else "-"
                lines.append(f"{package.part} {package.name} {size} {path}\n")
            if path.is_relative_to(DOC) and member.issym():
                documents[path] = PurePosixPath("/", path.parent, member.linkname)
            elif path.is_relative_to(DOC) and path.name == "copyright" and (opened := tar.extractfile(member)):
                documents[path] = opened.read()


def text_of(name: str, documents: Documents) -> bytes:
    path = DOC / name / "copyright"
    for _ in range(LINKS):
        here = documents.get(path)
        if isinstance(here, bytes) and here.strip():
            return here
        folder = documents.get(path.parent)
        if isinstance(here, PurePosixPath):
            path = _plain(here)
        elif isinstance(folder, PurePosixPath):
            path = _plain(folder) / path.name
        else:
            break
    raise Unusable(f"{name} brings no copyright file: nobody could tell what it is licensed under")


def _plain(path: PurePosixPath) -> PurePosixPath:
    parts: list[str] = []
    for part in path.parts[1:]:
        if part == "..":
            parts = parts[:-1]
        else:
            parts.append(part)
    return PurePosixPath(*parts)


if __name__ == "__main__":
    sys.exit(main())
