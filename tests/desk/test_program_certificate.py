# SPDX-License-Identifier: Apache-2.0
"""A unit's certificate from the program with the certificate authority's key: in the Windows-like environment, and
accepted by stock openssl.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from program_rig import Browser, InThread, OnWindows

from linetap_desk.custody.program import settings
from linetap_desk.custody.program.settings import Settings
from pki_rig import Asking, Pki
from release_rig import Desk


@pytest.fixture
def pki(desk: Desk) -> Pki:
    return Pki(desk.root / "medium")


def asked(desk: Desk, asking: Asking, name: str = "got.request") -> Path:
    path = desk.root / name
    path.write_bytes(asking.request())
    return path


def shown(browser: Browser, path: Path) -> str:
    found = re.search(r'name="fingerprint" value="([^"]+)"', browser.choose("request", path))
    assert found
    return found[1]


def test_from_the_request_to_the_certificate_and_its_renewal(desk: Desk, pki: Pki) -> None:
    out, asking = desk.root / "out", Asking.new("floor-03")
    out.mkdir()
    settings.save(desk.folder, Settings(output=str(out)))
    with OnWindows(desk.root, desk.folder) as run:
        browser = run.browser
        fingerprint = shown(browser, asked(desk, asking))
        assert "authority is not chosen" in browser.refused("/certificate", fingerprint=fingerprint)
        browser.choose("pki", pki.folder)
        page = browser.do("/certificate", fingerprint=fingerprint)
        assert "floor-03 namespaces=" in page
        made = out / "floor-03.pem"
        assert pki.verified(made, "-purpose", "sslclient") == ""
        assert "floor-03 " in pki.signers.read_text()
        browser.refused("/certificate", fingerprint=fingerprint, renews="on")  # nothing is overwritten
        first = made.rename(out / "first.pem")
        assert "enrolled" in browser.refused("/certificate", fingerprint=fingerprint)
        browser.do("/certificate", fingerprint=fingerprint, renews="on")
        assert pki.verified(made, "-purpose", "sslclient") == ""
        assert made.read_bytes() != first.read_bytes()
        run.end()
    assert len(pki.register.read_text().splitlines()) == 2


def test_what_is_signed_is_what_was_shown(desk: Desk, pki: Pki) -> None:
    """The request is replaced by another; and an invalid request is not even shown."""
    path = asked(desk, Asking.new("floor-03"))
    with InThread(desk, Settings(output=str(desk.root / "out"), pki=str(pki.folder))) as run:
        fingerprint = shown(run.browser, path)
        asked(desk, Asking.new("floor-03"))
        assert "request_fingerprint" in run.browser.refused("/certificate", fingerprint=fingerprint)
        for bad in (b"", b"{}", b"x" * 100_000):
            (desk.root / "bad.request").write_bytes(bad)
            answer = run.browser.post("/choose", what="request", path=str(desk.root / "bad.request"))
            assert answer.status_code == 409
        run.browser.refused("/certificate", fingerprint="")
    assert pki.register.read_text() == ""
    assert not list((desk.root / "out").iterdir())
