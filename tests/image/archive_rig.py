# SPDX-License-Identifier: Apache-2.0
"""A small archive in Debian's form on the loopback, signed, with a server of snapshots beside it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SUITES = ("trixie", "trixie-updates", "trixie-backports", "forky")
STAMP = "20260801T000000Z"


class Archive:
    """`folder/debian` and `folder/debian-security`; after `snapshot` the same below `folder/archive`."""

    def __init__(self, folder: Path, gnupg: Path) -> None:
        self.folder, self._gnupg = folder, gnupg
        self._index: dict[str, list[str]] = {suite: [] for suite in (*SUITES, "trixie-security")}
        gnupg.mkdir(mode=0o700)
        self._gpg("--passphrase", "", "--quick-generate-key", "archive@example.org", "rsa2048", "sign", "never")
        self.keyring = gnupg / "archive.pgp"
        self._gpg("--output", str(self.keyring), "--export")

    def add(self, name: str, version: str, suite: str = "trixie", fields: str = "") -> None:
        deb = build_package(self.folder.parent / "built", name, version, fields)
        path = f"pool/main/{name[0]}/{name}/{deb.name}"
        to = self._base(suite) / path
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(deb, to)
        control = subprocess.run(["dpkg-deb", "-f", str(deb)], capture_output=True, text=True, check=True).stdout
        digest = hashlib.sha256(deb.read_bytes()).hexdigest()
        self._index[suite].append(f"{control}Filename: {path}\nSize: {deb.stat().st_size}\nSHA256: {digest}\n")

    def drop(self, name: str) -> None:
        """Removes the package, as Debian's archive does with a replaced one."""
        for suite, paragraphs in self._index.items():
            for paragraph in [each for each in paragraphs if each.startswith(f"Package: {name}\n")]:
                paragraphs.remove(paragraph)
                path = paragraph.partition("Filename: ")[2].splitlines()[0]
                (self._base(suite) / path).unlink()

    def publish(self) -> None:
        for suite, paragraphs in self._index.items():
            dists = self._base(suite) / "dists" / suite
            lines = []
            for component in ("main",) if suite == "trixie-security" else ("main", "non-free-firmware"):
                file = dists / component / "binary-arm64" / "Packages"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("\n".join(paragraphs) if component == self._component(suite) else "")
                digest = hashlib.sha256(file.read_bytes()).hexdigest()
                lines.append(f" {digest} {file.stat().st_size} {file.relative_to(dists)}\n")
            (dists / "Release").write_text(
                f"Origin: Debian\nSuite: {'stable' if suite == 'trixie' else suite}\nCodename: {suite}\n"
                f"Architectures: arm64\nComponents: main non-free-firmware\n"
                f"Date: Sat, 01 Aug 2026 00:00:00 UTC\nSHA256:\n{''.join(lines)}"
            )
            self._gpg("--clearsign", "--output", str(dists / "InRelease"), str(dists / "Release"))

    def snapshot(self) -> str:
        """Stores the present archive as a snapshot; returns its folder below the server."""
        for name in ("debian", "debian-security"):
            shutil.copytree(self.folder / name, self.folder / "archive" / name / STAMP)
        return f"archive/debian/{STAMP}"

    def _component(self, suite: str) -> str:
        return "non-free-firmware" if suite == "forky" else "main"

    def _base(self, suite: str) -> Path:
        return self.folder / ("debian-security" if suite == "trixie-security" else "debian")

    def _gpg(self, *words: str) -> None:
        command = ["gpg", "--homedir", str(self._gnupg), "--batch", "--yes", "--quiet", *words]
        subprocess.run(command, check=True, timeout=120, capture_output=True)


def build_package(
    folder: Path, name: str, version: str, fields: str = "", licence: str = "Text.\n", linked: str = ""
) -> Path:
    """Builds a .deb with a copyright file, or with a link to another package's documents instead, or with neither."""
    tree = folder / f"{name}-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: arm64\nMaintainer: Some One <one@example.org>\n{fields}"
        "Description: text\n"
    )
    documents = tree / "usr/share/doc"
    documents.mkdir(parents=True)
    if linked:
        (documents / name).symlink_to(linked)
    elif licence:
        (documents / name).mkdir()
        (documents / name / "copyright").write_text(licence)
    program = tree / "usr/bin" / name
    program.parent.mkdir(parents=True)
    program.write_bytes(b"\x7fELF" + name.encode())
    deb = folder / f"{name}_{version.partition(':')[2] or version}_arm64.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", str(tree), str(deb)], check=True, capture_output=True)
    return deb


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
