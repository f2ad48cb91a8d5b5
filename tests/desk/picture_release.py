# SPDX-License-Identifier: Apache-2.0
"""Data for the pictures: a release that waits for its second approval, a completed one, a requested hold, and a
certificate being sent to the units.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert, select

from linetap_core.clock import NS_PER_S, rfc3339
from linetap_core.evidence.authorization.command import Command, Envelope
from linetap_core.evidence.authorization.release import NamedCall, Request
from linetap_core.evidence.authorization.releaserules import LineStaff, Rule
from linetap_core.evidence.authorization.roles import Person, Purpose, Roles
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.publickeys import encode_recipient
from linetap_core.evidence.signing import document, sshsig
from linetap_desk.ingest import batches
from linetap_desk.ingest.commandfiles import Delivery, sha256_of
from linetap_desk.ingest.tables import calls
from linetap_desk.serve.database.tables import approvals, citizens, holds, requests
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.handling.site import Site

REQUEST, HOLD = "2026-0042", "H2026-0007"
SERVE = 'roles = "roles.json"\nauthority = "authority.pub"'
_DAY_NS = 86_400 * NS_PER_S
_PURPOSES = [
    Purpose("dispute", "통화 내용에 대한 분쟁", "A caller disputes what was said", "통화녹음 지침 제12조"),
    Purpose("complaint", "민원 답변", "To answer a complaint", "통화녹음 지침 제13조"),
    Purpose("investigation", "재판·수사", "A court or an investigation", "형사소송법 제199조"),
]
_KEY = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
_ONE_TIME = encode_recipient(bytes(range(32)))


_RULES = [
    Rule(purpose="complaint", party="own_line", approvals=[["legal"]], max_age_days=14, expires_days=3),
    Rule(purpose="complaint", party="other_office", approvals=[["privacy"], ["legal"]], max_age_days=90),
    Rule(purpose="investigation", party="court", approvals=[["privacy"], ["legal"]], max_age_days=1095),
]
_STAFF = LineStaff(
    name="최은지", unit="main-03", line=1, since="2026-01-01T00:00:00.000Z", recipient=_KEY, supervisors=["이서연"]
)


def write_roles(folder: Path) -> None:
    """Writes the files named by [serve] roles and authority."""
    authority, *others = (_key(name) for name in ("authority", "lee", "park"))
    lines = [keys.public_line(key.public_key()) for key in others]
    people = [Person("이서연", "legal", lines[0]), Person("박준호", "privacy", lines[1])]
    data = document.encode(Roles(3, people, _PURPOSES, rules=_RULES, lines=[_STAFF]))
    (folder / "roles.json").write_bytes(data)
    (folder / "roles.json.sig").write_bytes(sshsig.sign(data, authority, "linetap-roles").encode())
    (folder / "authority.pub").write_text(keys.public_line(authority.public_key()) + "\n")


def register(site: Site, now_ns: int) -> None:
    """Three citizens' requests: overdue, due soon, and one in time and partly granted."""
    today = site.pages.local(now_ns).date()
    common = {"verified": "id_card", "registered_by": "officer"}
    with writing(site.own) as db:
        for number, (alias, days, asked) in enumerate((("민원인 가", 13, "listen"), ("민원인 나", 8, "copy")), 1):
            received = str(today - timedelta(days=days))
            db.execute(insert(citizens).values(
                id=f"C2026-{number:04d}", alias=alias, digits="0417", called_on=received, asked=asked,
                received_on=received, counted_from=received, registered_at=rfc3339(now_ns - days * _DAY_NS), **common,
            ))  # fmt: skip
        received = str(today - timedelta(days=2))
        db.execute(insert(citizens).values(
            id="C2026-0003", alias="홍길동", digits="5678", called_on=received, asked="copy", received_on=received,
            counted_from=received, registered_at=rfc3339(now_ns - 2 * _DAY_NS), decision="partial", ground="others",
            reason="통화 중 제3자가 말한 부분", decided_by="approver-legal", decided_at=rfc3339(now_ns - _DAY_NS),
            meets_at=rfc3339(now_ns + 3 * _DAY_NS), room="1층 민원실 상담실 2", attending="김주무관", **common,
        ))  # fmt: skip


def ask(site: Site, unit: str, call_id: str, now_ns: int) -> None:
    assert site.ingest_db is not None
    with site.ingest_db.connect() as db:
        digest = db.execute(select(calls.c.record_sha256).where(calls.c.call_id == call_id)).scalar_one()
    common = {"unit": unit, "call_id": call_id, "record_sha256": digest}
    at = [rfc3339(now_ns - hours * 3600 * NS_PER_S) for hours in (4, 3, 2, 1)]
    expires = rfc3339(now_ns + 5 * _DAY_NS)
    asked = Request(
        id=REQUEST, calls=[NamedCall(call_id, 1, digest)], purpose="dispute", case="2026-117", requester="정호",
        recipient=_KEY, one_time=_ONE_TIME, created=at[0], expires=expires,
    )  # fmt: skip
    row = {
        **common, "line": 1, "purpose": "dispute", "case_number": "2026-117", "requester": "정호", "recipient": _KEY,
        "asked_by": "officer", "asked_at": at[0], "expires_at": expires, "one_time": _ONE_TIME,
        "keyed_by": "custodian", "request": document.encode(asked),
    }  # fmt: skip
    closed = {"closed_by": "custodian", "closed_at": at[3], "outcome": "given", "remark": ""}
    signed = {"role": "approver-legal", "signer": "이서연", "signer_role": "legal", "sig": b"", "by": "approver-legal"}
    with writing(site.own) as db:
        db.execute(insert(requests).values(id=REQUEST, **row))
        db.execute(insert(requests).values(id="2026-0041", **row, **closed))
        db.execute(insert(approvals).values(request=REQUEST, at=at[2], **signed))
        db.execute(insert(holds).values(
            id=HOLD, **common, case_number="2026-118", basis="형사소송법 제199조", until=rfc3339(now_ns + 90 * _DAY_NS),
            asked_by="officer", asked_at=at[1],
        ))  # fmt: skip


def command(folder: Path, names: list[str], now_ns: int) -> None:
    """A day's certificate being sent: one unit is away, the others have recorded it. And a configuration
    that weakens.
    """
    at = rfc3339(now_ns - 600 * NS_PER_S)
    lines = [_line(name, "destroy", 1, now_ns) for name in names]
    _put(folder, "2026-11-25", lines, {
        name: Delivery(sha256_of(line)) if name == names[0] else Delivery(sha256_of(line), at, at, "done")
        for name, line in zip(names, lines, strict=True)
    })  # fmt: skip
    line = _line(names[1], "config", 2, now_ns)
    said = "announce.when, retention.days: take two signatures"
    _put(folder, "config-2", [line], {names[1]: Delivery(sha256_of(line), at, at, "config_weakens", said)})


def _line(unit: str, verb: str, counter: int, now_ns: int) -> bytes:
    expires = rfc3339(now_ns + 6 * _DAY_NS)
    text = document.encode(Command(unit=unit, verb=verb, role="vault", counter=counter, expires=expires))
    return msgspec.json.encode(Envelope(text.decode(), ""))


def _put(folder: Path, name: str, lines: list[bytes], deliveries: dict[str, Delivery]) -> None:
    batches.add_batch(folder, name, lines)
    answers = folder / "batches-answers"
    answers.mkdir(exist_ok=True)
    (answers / f"{name}.1.json").write_bytes(msgspec.json.encode(deliveries))


def _key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
