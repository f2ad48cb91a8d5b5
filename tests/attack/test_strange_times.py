# SPDX-License-Identifier: Apache-2.0
"""A moment that its zone takes out of the years there are: nobody who signs, or sends, such a time ends a service or a
check by it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest_rig import UNIT as FLOOR
from ingest_rig import Teller, trusted
from linetap.broker.message import unarmored
from linetap.cli import main
from linetap.desk.ingest import judge
from linetap.desk.ingest.judge import Event, Report, Verdict
from linetap.evidence import sshsig, unitlog
from linetap.evidence.unitlog import HEAD, HEAD_NAMESPACE, SIGNATURE_SUFFIX
from sealing_rig import CALL_ID, Rig

RECEIVED_NS = 1_795_000_000 * 10**9
strange = pytest.mark.parametrize("at", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])


@strange
def test_an_event_does_not_end_the_desks_ingest(tmp_path: Path, at: str) -> None:
    """By a key that is anybody's, and by the unit's own: what it says is stored at the time at which it came."""
    teller, stranger = Teller(tmp_path / "unit"), Teller(tmp_path / "stranger")
    for each in (teller, stranger):
        each.call(0)
        payload = json.dumps(json.loads(each.reports(1, 1)[0].payload) | {"at": at}).encode()
        found = judge.read(Report(FLOOR, payload, unarmored(each.sign(payload)), RECEIVED_NS), trusted(teller))
        if each is teller:
            assert isinstance(found, Event)
            assert found.at_ns == RECEIVED_NS
        else:
            assert isinstance(found, Verdict)
            assert found.code == "signer_not_trusted"


@strange
def test_a_head_is_none(tmp_path: Path, at: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Signed with the unit's stolen key: the vault is checked to its end, and the line says what is wrong."""
    rig = Rig.make(tmp_path)
    rig.sealed_call(200)
    rig.publish()
    path = rig.vault / "log" / HEAD
    data = path.read_bytes()
    head = unitlog.decode_head(data)
    data = data.replace(head.at.encode(), at.encode())
    path.write_bytes(data)
    path.with_name(HEAD + SIGNATURE_SUFFIX).write_text(sshsig.sign(data, rig.unit_key, HEAD_NAMESPACE))
    assert main(["verify", str(rig.vault), "--signers", str(rig.signers_file)]) == 1
    out = capsys.readouterr().out
    assert f"ok   {CALL_ID}\n" in out
    assert f"BAD  log: not a tree head: '{at}' is before 1970 or after 9999 in UTC [bad_head]\n" in out
