# SPDX-License-Identifier: Apache-2.0
"""Input and output of image/contents.py."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

IMAGE = Path(__file__).parents[2] / "image"
PAYLOAD = "0123456789abcdef" * 4
KIT = """\
Package: raspi-firmware
Version: 1:1.20250430-1
Architecture: arm64
Maintainer: Some Team <team@example.org>

Package: gcc
Version: 4:14.2.0-1
Architecture: arm64
"""
DEP5 = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: Expat\n"


def module(folder: Path, name: str, version: str, installer: str, licence: str = "Text of its licence.\n") -> None:
    """A Python module as left behind by the image ("linetap-image\\n") or by a package of Debian's ("debian\\n", or no
    such file).
    """
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nAuthor: Some One\nAuthor-email: one@example.org\n"
        "License: BSD-3-Clause\n\nText.\n"
    )
    if installer:
        (info / "INSTALLER").write_text(installer)
    if licence:
        (info / "LICENSE.txt").write_text(licence)


@dataclass
class Given:
    """An image whose root has the packages of `status`, and whose card has a file from the kit's raspi-firmware."""

    folder: Path
    status: Path
    modules: Path
    documents: Path = field(init=False)
    card: Path = field(init=False)

    def __post_init__(self) -> None:
        self.documents, self.card = self.folder / "doc", self.folder / "card"
        self.card.mkdir()
        (self.card / "start4.elf").write_bytes(b"\x7fELF firmware")
        (self.folder / "drivers").mkdir()
        (self.folder / "drivers/linetap_tryboot.ko").write_bytes(b"\x7fELF module")
        (self.folder / "kit").write_text(KIT)
        (self.folder / "files").write_text(
            "kit raspi-firmware 13 usr/lib/raspi-firmware/start4.elf\nkit gcc 4 usr/bin/gcc\n"
        )
        lines = [_line("root", *each) for each in installed(self.status)]
        lines += [_line("kit", "raspi-firmware", "1:1.20250430-1"), _line("kit", "gcc", "4:14.2.0-1")]
        (self.folder / "lock").write_text("".join(lines))
        for name, _ in [*installed(self.status), ("raspi-firmware", "")]:
            (self.documents / name).mkdir(parents=True, exist_ok=True)
            (self.documents / name / "copyright").write_text(DEP5)

    def list(self, *more: object) -> subprocess.CompletedProcess[str]:
        folder = self.folder
        words = ["--status", self.status, "--modules", self.modules, "--manifest", folder / "manifest.txt"]
        words += ["--sbom", folder / "sbom.json", "--kit", folder / "kit", "--lock", folder / "lock"]
        words += ["--files", folder / "files", "--documents", self.documents]
        words += ["--drivers", folder / "drivers", "--keep", folder / "keep"]
        words += [
            "--tree",
            "boot partition",
            self.card,
            "--version",
            "1.2",
            "--commit",
            "abc",
            "--payload",
            PAYLOAD,
            "--epoch",
            "1700000000",
            *more,
        ]
        command = [sys.executable, IMAGE / "contents.py", *words]
        return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120, check=False)


def installed(status: Path) -> list[tuple[str, str]]:
    found = []
    for paragraph in status.read_text(encoding="utf-8").split("\n\n"):
        if "\nStatus: install ok installed\n" in paragraph:
            fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
            found.append((fields["Package"], fields["Version"]))
    return found


def _line(part: str, name: str, version: str) -> str:
    return f"{part} {name} {version} arm64 {'a' * 64} debian pool/main/{name}.deb\n"


def listed(folder: Path, status: Path, modules: Path) -> tuple[Path, Path]:
    """Makes manifest and SBOM of version 1.2, in `folder`."""
    done = Given(folder, status, modules).list()
    assert done.returncode == 0, done.stderr
    return folder / "manifest.txt", folder / "sbom.json"
