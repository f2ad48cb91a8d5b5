# SPDX-License-Identifier: Apache-2.0
"""Fuzzed files for people: the unpacking and reading of a custodian's package, and bundles as archives.

The structure of an archive (names, links, sizes, growth when unpacked) and its contents are fuzzed separately, so that
trials of the contents are not refused for the structure.
"""

from __future__ import annotations

import io
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import custody_rig
from foreign import Find, Target

from linetap_desk.bundle import container
from linetap_desk.custody.package import unpack
from release_rig import Desk

_LARGEST_RAW = 64 << 20  # limit of a small package's size when unpacked in RAM


def case(work: Path) -> tuple[Desk, dict[str, bytes]]:
    """A desk with a released call, and the members of the call's package."""
    root = work / "custody"
    root.mkdir()
    desk = Desk.make(root)
    return desk, custody_rig.released(desk, desk.call)


def all_packages(work: Path, members: dict[str, bytes]) -> Iterator[Target]:
    packed = custody_rig.pack(members)
    links = io.BytesIO()
    with tarfile.open(fileobj=links, mode="w", format=tarfile.USTAR_FORMAT) as file:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            info = tarfile.TarInfo("request.json")
            info.type, info.linkname = kind, "/etc/passwd"
            file.addfile(info)

    def taken(data: bytes) -> None:
        folder = work / "unpacked"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        outside = set(work.iterdir())
        try:
            package = unpack(io.BytesIO(data), folder)
            for call in package.request.calls:
                package.closings()
                package.handed(call.call_id)
        finally:
            strange = [path for path in folder.rglob("*") if path.is_symlink() or not (path.is_file() or path.is_dir())]
            if strange or set(work.iterdir()) != outside:
                raise Find(f"it left {strange} or something outside of its folder")
            if sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) > max(len(data), _LARGEST_RAW):
                raise Find("it grew")

    yield Target("package, archive", [packed, links.getvalue()], taken, trials=80)
    small = [name for name in members if "audio" not in name]

    def member(data: bytes) -> None:
        name, _, content = data.partition(b"\n")
        changed = members | {name.decode("utf-8", "replace"): content}
        try:
            whole = custody_rig.pack(changed)
        except (ValueError, UnicodeError):  # a name that tar cannot store
            return
        taken(whole)

    yield Target("package, its files", [name.encode() + b"\n" + members[name] for name in small], member, trials=80)

    def bundle(data: bytes) -> None:
        path = work / "strange.zip"
        path.write_bytes(data)
        with path.open("rb") as file:
            container.read(file)

    yield Target("bundle, archive", _archives(work), bundle, trials=80)


def _archives(work: Path) -> list[bytes]:
    """Small archives: mutations of a whole case would mostly change audio."""
    found = []
    for how in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", how) as file:
            for name in ("bundle.json", "calls/x/record.json", "manifest.json", "../../x", "/etc/x", "a" * 300):
                file.writestr(name, b'{"format": 2}' * (200_000 if how == zipfile.ZIP_DEFLATED else 1))
            link = zipfile.ZipInfo("link")
            link.external_attr = 0o120777 << 16
            file.writestr(link, "/etc/passwd")
        found.append(buffer.getvalue())
    return [*found, (work / "unit-0.1" / "case.zip").read_bytes()]
