# SPDX-License-Identifier: Apache-2.0
"""The expiry date of the unit's TLS certificate, read from its file by the reporter."""

from __future__ import annotations

from pathlib import Path

from linetap.reporter.link import Certificate
from linetap_core.clock import SYSTEM, parse_rfc3339
from pki_rig import Pki


def test_a_renewed_certificate_is_read_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    path = Pki(tmp_path / "authority").unit("floor-03").certificate
    whole = path.read_bytes()
    certificate = Certificate(str(path))
    assert parse_rfc3339(certificate.until() or "") > SYSTEM.utc_ns()
    path.write_text("not a certificate")
    assert certificate.until() is None
    path.unlink()
    assert certificate.until() is None
    path.write_bytes(whole)
    assert certificate.until() is not None
    assert Certificate(None).until() is None
