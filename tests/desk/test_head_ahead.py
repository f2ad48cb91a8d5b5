# SPDX-License-Identifier: Apache-2.0
"""A log's head that is dated in the future: `verify` names it, with both times."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from bundle_rig import BundleRig, members, pack
from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.timekeeping import PossibleClock
from linetap_desk.bundle import facts, report
from linetap_desk.proofs.headtime import SKEW_NS, ahead
from sealing_rig import UNIT

AHEAD = "2099-01-01T00:00:00.000Z"
NAMED = re.compile(
    rf"^\?    .*{UNIT}.* is dated {re.escape(AHEAD)}, and now it is 20\d\d-\d\d-\d\dT[0-9:.]+Z", re.MULTILINE
)


def redated(rig: BundleRig, data: bytes, at: str) -> tuple[bytes, bytes]:
    head = unitlog.encode_head(msgspec.structs.replace(unitlog.decode_head(data), at=at))
    return head, sshsig.sign(head, rig.rig.unit_key, namespaces.HEAD).encode()


def test_of_a_vault(bundled: BundleRig, capsys: pytest.CaptureFixture[str]) -> None:
    bundled.verify(bundled.rig.vault)
    assert "is dated" not in capsys.readouterr().out
    path = bundled.rig.vault / "log" / "head.json"
    data, signature = redated(bundled, path.read_bytes(), AHEAD)
    path.write_bytes(data)
    namespaces.signature_path(path).write_bytes(signature)
    bundled.verify(bundled.rig.vault)
    assert NAMED.search(capsys.readouterr().out)


def test_of_a_bundle(bundled: BundleRig, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert bundled.bundle() == 0
    assert bundled.verify(bundled.root / "case.zip") == 0
    assert "is dated" not in capsys.readouterr().out
    found, name = members(bundled.root / "case.zip"), f"logs/{UNIT}/head.json"
    found[name], found[f"{name}.sig"] = redated(bundled, found[name], AHEAD)
    found |= report.derived(found, facts.load(found))
    assert bundled.verify(pack(tmp_path / "ahead.zip", found)) == 0  # unsure, and nothing else is wrong
    assert NAMED.search(capsys.readouterr().out)


def judged(now_ns: int) -> str | None:
    return ahead(f"the head of {UNIT}", AHEAD, PossibleClock(ManualClock(now_ns)))


def test_a_clock_may_be_off_by_so_much() -> None:
    at_ns = parse_rfc3339(AHEAD)
    assert judged(at_ns - SKEW_NS) is None
    assert judged(at_ns + NS_PER_S) is None
    said = judged(at_ns - SKEW_NS - NS_PER_S)
    assert said is not None
    assert said.startswith(f"the head of {UNIT} is dated {AHEAD}, and now it is 2098-12-31T23:58:59.000Z")


def test_without_the_time_that_is_said_and_nothing_is_refused() -> None:
    said = judged(40 * NS_PER_S)
    assert said is not None
    assert "and this machine's clock is at 1970-01-01T00:00:40.000Z" in said
