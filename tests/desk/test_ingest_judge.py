# SPDX-License-Identifier: Apache-2.0
"""The desk's judgement of a payload: each defect has its kind and code, and none is stored."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ingest_rig import UNIT, Teller, trusted
from linetap_core.clock import NS_PER_S
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.p256 import P256Key
from linetap_core.evidence.signing import signers, sshsig
from linetap_core.evidence.signing.sshsig import unarmored
from linetap_desk.ingest import judge
from linetap_desk.ingest.judge import Event, EventVerdict, Neighbour, Report


@pytest.fixture
def teller(tmp_path: Path) -> Teller:
    teller = Teller(tmp_path)
    for call in range(2):
        teller.call(call)
    return teller


def verdict(report: Report, *tellers: Teller) -> tuple[str, str]:
    found = judge.judge_event(report, trusted(*tellers))
    assert isinstance(found, EventVerdict)
    return found.kind, found.code


def event(report: Report, teller: Teller) -> Event:
    found = judge.judge_event(report, trusted(teller))
    assert isinstance(found, Event), found
    return found


def changed(teller: Teller, **fields: Any) -> Report:
    """The first event with other fields, signed by the unit's own key."""
    told = json.loads(teller.reports(1, 1)[0].payload) | fields
    return teller.report(json.dumps(told).encode())


def test_a_good_one(teller: Teller) -> None:
    report = teller.reports(1, 1)[0]
    found = event(report, teller)
    assert (found.fields.seq, found.fields.event, found.fields.unit) == (1, "started", UNIT)
    assert found.sha256 == hashlib.sha256(report.payload).hexdigest()


class TestRead:
    def test_whoever_is_not_named_is_nobody(self, teller: Teller, tmp_path: Path) -> None:
        other = Teller(tmp_path / "other", unit="floor-04")
        report = teller.reports(1, 1)[0]
        assert verdict(report) == ("bad_signature", "signer_not_trusted")
        assert verdict(report, other) == ("bad_signature", "signer_not_trusted")

    def test_another_units_key_does_not_count_here(self, teller: Teller, tmp_path: Path) -> None:
        """A compromised unit can only send its own events."""
        other = Teller(tmp_path / "other", unit="floor-04")
        other.tell()
        told = json.loads(other.reports()[0].payload) | {"unit": UNIT}
        payload = json.dumps(told).encode()
        report = Report(UNIT, payload, unarmored(other.sign(payload)), 0)
        assert verdict(report, teller, other) == ("bad_signature", "signer_not_trusted")

    def test_another_signature_by_a_key_in_hardware_is_the_same_event(self, tmp_path: Path) -> None:
        """ECDSA gives a different signature each time, and a carrier of a signature can convert it into another."""
        teller = Teller(tmp_path / "p256", key=P256Key(ec.generate_private_key(ec.SECP256R1())))
        teller.call(0)
        first = teller.reports(1, 1)[0]
        again = teller.report(first.payload)
        assert again.sig != first.sig
        known = {1: Neighbour(event(first, teller).sha256, event(first, teller).fields.prev)}
        assert judge.check_chain(event(again, teller), known).kind == "double"

    def test_the_signature_is_of_events(self, teller: Teller) -> None:
        payload = teller.reports(1, 1)[0].payload
        sig = unarmored(sshsig.sign(payload, teller.key, "linetap-record"))
        assert verdict(teller.report(payload, sig), teller) == ("bad_signature", "signature_namespace")

    @pytest.mark.parametrize("sig", ["", "?", "AAAA", "U1NIU0lH", "통화", "A" * 100_000])
    def test_no_signature(self, teller: Teller, sig: str) -> None:
        kind, _ = verdict(teller.report(teller.reports(1, 1)[0].payload, sig), teller)
        assert kind == "bad_signature"

    def test_every_changed_byte_is_found(self, teller: Teller) -> None:
        report = teller.reports(1, 1)[0]
        for at in range(0, len(report.payload), 11):
            broken = bytearray(report.payload)
            broken[at] ^= 1
            found = verdict(Report(UNIT, bytes(broken), report.sig, report.received_ns), teller)
            assert found == ("bad_signature", "signature_does_not_fit")

    def test_the_time_of_the_event_decides_on_a_key_that_ended(self, teller: Teller) -> None:
        line = f'{UNIT} valid-before="20261124225604Z" {keys.public_line(teller.key.public_key())}\n'
        found = [judge.judge_event(report, signers.parse(line)) for report in teller.reports()]
        assert [isinstance(one, Event) for one in found] == [True] * 4 + [False] * 6

    @pytest.mark.parametrize(
        "payload", [b"", b"[]", b"{}", b"\xff", b"null", b"[" * 60_000, b'{"seq":1}', b"x" * judge.LIMIT_BYTES]
    )
    def test_no_event(self, teller: Teller, payload: bytes) -> None:
        report = Report(UNIT, payload, unarmored(teller.sign(payload)), 0)
        assert verdict(report, teller) == ("bad_payload", "payload_malformed")

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"unit": "floor-04"}, "payload_unit"),
            ({"origin": "SHA256:other"}, "payload_origin"),
            ({"seq": 0}, "payload_malformed"),
            ({"seq": 1 << 62}, "payload_malformed"),
            ({"seq": "1"}, "payload_malformed"),
            ({"prev": "0" * 63}, "payload_malformed"),
            ({"prev": "G" * 64}, "payload_malformed"),
            ({"event": "a\u0000b"}, "payload_malformed"),
            ({"event": "x" * 65}, "payload_malformed"),
        ],
    )
    def test_what_the_chain_cannot_stand_on(self, teller: Teller, fields: dict[str, Any], code: str) -> None:
        assert verdict(changed(teller, **fields), teller) == ("bad_payload", code)

    def test_too_large(self, teller: Teller) -> None:
        report = changed(teller, more="x" * judge.LIMIT_BYTES)
        assert verdict(report, teller) == ("bad_payload", "payload_too_large")

    @pytest.mark.parametrize(
        "fields", [{"event": "teleported"}, {"more": 1}, {"why": "a\u0000b"}, {"line": -1}, {"at": ""}, {"at": "0001"}]
    )
    def test_a_later_version_leaves_no_hole(self, teller: Teller, fields: dict[str, Any]) -> None:
        """Fields only for the search may be unreadable: the event is still accepted."""
        report = changed(teller, **fields) if "at" not in fields else None
        if report is None:
            told = json.loads(teller.reports(1, 1)[0].payload) | fields
            payload = json.dumps(told).encode()
            report = Report(UNIT, payload, unarmored(teller.sign(payload)), 5 * NS_PER_S)
            assert event(report, teller).at_ns == 5 * NS_PER_S
        assert event(report, teller).fields.why is None


class TestPlace:
    @pytest.fixture
    def its(self, teller: Teller) -> list[Event]:
        return [event(report, teller) for report in teller.reports()]

    def known(self, its: list[Event], *seqs: int) -> dict[int, Neighbour]:
        return {seq: Neighbour(its[seq - 1].sha256, its[seq - 1].fields.prev) for seq in seqs}

    def test_where_it_stands(self, its: list[Event]) -> None:
        assert judge.check_chain(its[0], {}).kind == "good"
        assert judge.check_chain(its[3], self.known(its, 3)).kind == "good"
        assert judge.check_chain(its[3], self.known(its, 3, 5)).kind == "good"
        assert judge.check_chain(its[3], self.known(its, 5)).kind == "hole"
        assert judge.check_chain(its[3], {}).kind == "hole"
        assert judge.check_chain(its[3], self.known(its, 3, 4, 5)).kind == "double"

    def test_another_event_of_that_number(self, its: list[Event], teller: Teller) -> None:
        other = event(changed(teller, line=7), teller)
        assert judge.check_chain(other, self.known(its, 1)).code == "seq_taken"

    @pytest.mark.parametrize("there", [(3,), (5,), (3, 5)])
    def test_out_of_chain(self, its: list[Event], teller: Teller, there: tuple[int, ...]) -> None:
        """Signed with the unit's own key, but linked neither to earlier nor to later events."""
        told = json.loads(its[3].report.payload) | {"prev": "ab" * 32}
        forged = event(teller.report(json.dumps(told).encode()), teller)
        assert judge.check_chain(forged, self.known(its, *there)) == EventVerdict(
            "out_of_chain", "chain_broken", judge.check_chain(forged, self.known(its, *there)).text
        )
        assert judge.check_chain(its[3], self.known(its, *there)).kind in judge.STORED

    def test_the_first_has_none_before_it(self, teller: Teller) -> None:
        assert judge.check_chain(event(changed(teller, prev="ab" * 32), teller), {}).code == "chain_broken"

    def test_late(self, teller: Teller) -> None:
        soon, late = teller.reports(4, 1)[0], teller.reports(4, 1, late_s=judge.LATE_S)[0]
        assert not judge.is_late(event(soon, teller), 3)
        assert judge.is_late(event(soon, teller), 5)
        assert judge.is_late(event(late, teller), 3)
