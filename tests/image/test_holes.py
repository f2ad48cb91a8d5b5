# SPDX-License-Identifier: Apache-2.0
"""The known vulnerabilities of an SBOM: Debian's own debsecan, and data in the form of Debian's tracker."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from contents_rig import IMAGE, listed, module

STATUS = """\
Package: libssl3t64
Status: install ok installed
Architecture: arm64
Source: openssl (3.5.1-1)
Version: 3.5.1-1+b2

Package: linux-image-arm64
Status: install ok installed
Architecture: arm64
Source: linux-signed-arm64 (6.17.8+1~bpo13+1)
Version: 6.17.8-1~bpo13+1

Package: age
Status: install ok installed
Architecture: arm64
Version: 1.2.1-1

Package: gone
Status: deinstall ok config-files
Architecture: arm64
Version: 1
"""
# Vulnerabilities, then: package, index of the vulnerability, source, urgency, remote, fixed in the suite; fixed in
# unstable, on other branches. The second is fixed in the installed version, the third on the branch, the fifth nowhere.
TRACKER = """\
VERSION 1
CVE-2026-0001,,first
CVE-2026-0002,,second
CVE-2026-0003,,third
CVE-2026-0004,,of the kernel
CVE-2026-0005,,fifth

openssl,0,SHRF,3.5.2-1,3.5.1-1+deb13u1
openssl,1,SM  ,3.5.1-1,
openssl,2,SL? ,3.5.3-1,3.5.1-1
linux-signed-arm64,3,S   ,6.18.1+1,
age,4,SL? ,,
gone,4,SL? ,,

openssl,libssl3t64
"""

pytestmark = pytest.mark.skipif(shutil.which("debsecan") is None, reason="debsecan is not installed")


@pytest.fixture
def sbom(tmp_path: Path) -> Path:
    """An SBOM of those packages and a wheel, written by contents.py."""
    status, modules = tmp_path / "status", tmp_path / "modules"
    status.write_text(STATUS)
    module(modules, "rpi-lgpio", "0.6", "linetap-image\n")
    return listed(tmp_path, status, modules)[1]


class Tracker(BaseHTTPRequestHandler):
    data = b""
    asked = ""

    def do_GET(self) -> None:
        Tracker.asked = self.path
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def tracker() -> Iterator[str]:
    Tracker.data = zlib.compress(TRACKER.encode())
    with HTTPServer(("127.0.0.1", 0), Tracker) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def holes(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, IMAGE / "holes.py", *words]
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120, check=False)


def test_what_is_installed_is_held_against_where_each_hole_is_mended(sbom: Path, tracker: str) -> None:
    said = holes(sbom, "--source", tracker)
    assert said.returncode == 0, said.stderr
    first, second, *found = said.stdout.splitlines()
    assert first.startswith("linetap-image-1.2, ")
    assert first.endswith(": 3 known to Debian's security tracker, of 4 packages")
    assert second == "it does not speak of: kernel:linetap_tryboot 1.2, python:rpi-lgpio 0.6"
    assert found == [
        "CVE-2026-0001 libssl3t64 (fixed, remotely exploitable, high urgency)",
        "CVE-2026-0004 linux-image-arm64",
        "CVE-2026-0005 age (low urgency)",
    ]
    assert Tracker.asked == "/trixie"


def test_a_tracker_that_is_not_there_is_one_line_and_no_empty_list(sbom: Path) -> None:
    said = holes(sbom, "--source", "http://127.0.0.1:1/")
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr == "holes: not known: [Errno 111] Connection refused\n"


@pytest.mark.parametrize("data", [b"", b"<html>", zlib.compress(b"VERSION 2\n"), zlib.compress(b"VERSION 1\nhalf")])
def test_what_is_no_trackers_data_is_one_line_too(sbom: Path, tracker: str, data: bytes) -> None:
    Tracker.data = data
    said = holes(sbom, "--source", tracker)
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith("holes: not known: ")
    assert len(said.stderr.splitlines()) == 1


# The version of a source package is missing; it has no package of Debian's.
OLD = """{"name": "old", "packages": [{"name": "age", "versionInfo": "1", "sourceInfo": "source package age",
"externalRefs": [{"referenceLocator": "pkg:deb/debian/age@1?arch=arm64&distro=trixie"}]}]}"""
EMPTY = '{"name": "empty", "packages": []}'


@pytest.mark.parametrize("content", ["", "[]", '{"name": "other", "packages": [{}]}', OLD, EMPTY, "\x00\xff"])
def test_what_is_no_sbom_is_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "sbom.json"
    path.write_text(content)
    said = holes(path)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == f"holes: {path}: not an SBOM as image/contents.py writes it\n"


def test_an_sbom_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    said = holes(tmp_path / "none")
    assert (said.returncode, said.stderr) == (2, f"holes: {tmp_path}/none: No such file or directory\n")
