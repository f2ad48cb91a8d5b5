# SPDX-License-Identifier: Apache-2.0
"""The access log: a row for every view, search, play and export, committed before the response."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
import msgspec
from sqlalchemy import Connection, Engine, delete, insert, select

from linetap_core.clock import Clock, rfc3339
from linetap_core.errors import BadInput, Refusal, ShownRefusal
from linetap_core.evidence.calls.sealed import CALL_ID
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import PublicKey, SigningKey
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.mask import masked
from linetap_desk.inputs import strict
from linetap_desk.serve.database.tables import access, access_anchor, access_head
from linetap_desk.serve.database.transactions import one_at_a_time, writing

NOTHING = "0" * 64
FIELDS = ("seq", "at", "person", "address", "act", "outcome", "calls", "terms", "purpose", "case_number", "remark")
_PREFIX = b"linetap access row\n"


class ChainFault(ShownRefusal):
    """The log was changed, or its signature is not the expected one."""


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Number and hash of the last row. `kind`: head, or anchor of removed rows."""

    kind: str
    seq: int
    hash: str
    at: str


def hash_of(row: Mapping[str, Any], before: str) -> str:
    data = msgspec.json.encode([row[name] for name in FIELDS])
    return hashlib.sha256(_PREFIX + before.encode("ascii", "replace") + data).hexdigest()


def signed_head(head: Head, key: SigningKey) -> dict[str, str]:
    text = msgspec.json.encode(head).decode()
    return {"head": text, "sig": sshsig.sign(text.encode(), key, namespaces.ACCESS_TABLE)}


def own_head(text: str, sig: str, kind: str, key: PublicKey) -> Head:
    """A head read as by `read_signed_head`, if `key` has signed it: the log is never continued under another key."""
    head, signer = read_signed_head(text, sig, kind)
    if keys.public_blob(signer) != keys.public_blob(key):
        raise ChainFault(
            "access_head_foreign", f"the {kind} is signed by {keys.fingerprint(signer)}, which is not serve.log_key"
        )
    return head


def read_signed_head(text: str, sig: str, kind: str) -> tuple[Head, PublicKey]:
    """The head and the key that signed it, which may be any key. ChainFault for a bad signature or another kind."""
    try:
        public = sshsig.check(text.encode(), sig.encode("ascii", "replace"), namespaces.ACCESS_TABLE)
        head = strict.decode(text, Head)
    except (Refusal, BadInput) as error:
        raise ChainFault("access_head_bad", f"the {kind}: {error}") from None
    if head.kind != kind:
        raise ChainFault("access_head_bad", f"the {kind} is of kind {head.kind!r}")
    return head, public


_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class ChainVerdict:
    rows: int
    head: Head
    key: PublicKey
    anchor: Head | None


def verify_chain(db: Connection, kept: Sequence[Head] = ()) -> ChainVerdict:
    """Verifies the log. ChainFault names the row that is changed, missing or misplaced. `kept`: heads stored
    elsewhere."""
    found = db.execute(select(access_head)).one_or_none()
    if found is None:
        raise ChainFault("access_head_bad", "the access log has no head")
    head, key = read_signed_head(found.head, found.sig, "head")
    anchor = _anchor(db, key)
    seq, before = (anchor.seq, anchor.hash) if anchor else (0, NOTHING)
    wanted, rows = {one.seq: one for one in kept if one.seq > seq}, 0
    all_rows = select(access).order_by(access.c.seq).execution_options(yield_per=_AT_ONCE)
    with db.execute(all_rows) as result:
        for row in result.mappings():
            if row["seq"] != seq + 1:
                raise ChainFault("access_row_missing", f"row {seq + 1} of the access log is missing")
            if hash_of(dict(row), before) != row["hash"]:
                raise ChainFault("access_row_changed", f"row {row['seq']} was changed or moved")
            seq, before, rows = row["seq"], row["hash"], rows + 1
            if (one := wanted.pop(seq, None)) is not None and one.hash != before:
                raise ChainFault("access_log_rewritten", f"the first {seq} rows are not those of the head of {one.at}")
    if seq == head.seq and before != head.hash:
        raise ChainFault("access_log_rewritten", f"the head is not that of these {seq} rows")
    if seq != head.seq:
        raise ChainFault("access_log_shortened", f"the access log ends with row {seq}, its head with {head.seq}")
    if wanted:
        one = max(wanted.values(), key=lambda head: head.seq)
        raise ChainFault("access_log_shortened", f"the access log had {one.seq} rows on {one.at} and has {head.seq}")
    return ChainVerdict(rows, head, key, anchor)


def _anchor(db: Connection, key: PublicKey) -> Head | None:
    found = db.execute(select(access_anchor)).one_or_none()
    if found is None:
        return None
    anchor, signer = read_signed_head(found.head, found.sig, "anchor")
    if keys.public_blob(signer) != keys.public_blob(key):
        raise ChainFault("access_head_bad", "anchor and head are signed by different keys")
    return anchor


@dataclass(frozen=True, slots=True)
class Subject:
    """Subject and reason of an access: the columns of a row besides person, time and address."""

    calls: tuple[str, ...] = ()
    terms: str = ""  # of a search or a unit; telephone numbers are masked
    request: str = ""  # an id that this server assigned, so not masked
    purpose: str = ""
    case: str = ""
    remark: str = ""


SHOWN, REFUSED, DONE = "shown", "refused", "done"
_TEXT_LIMIT, _CALLS_LIMIT = 300, 8000  # characters: a long text must not prevent the row
_LOCK = 0x6C74616363  # PostgreSQL: the advisory lock held while appending
_ONLY = 1


class AccessTable:
    """The log in its table. Several processes append: the server, and commands on its terminal."""

    def __init__(self, engine: Engine, clock: Clock, key: SigningKey) -> None:
        self.engine, self.clock, self.key = engine, clock, key
        self.refused: Counter[str] = Counter()  # since the start, by act

    async def write(self, person: str, address: str, act: str, subject: Subject, outcome: str = SHOWN) -> None:
        """Writes a row; committed on return. After SQLAlchemyError or ChainFault nothing may be shown."""
        await anyio.to_thread.run_sync(self.append, person, address, act, subject, outcome)

    def append(self, person: str, address: str, act: str, subject: Subject, outcome: str = SHOWN) -> None:
        with writing(self.engine) as db:
            self.append_in(db, person, address, act, subject, outcome)

    def append_in(
        self, db: Connection, person: str, address: str, act: str, subject: Subject, outcome: str = SHOWN
    ) -> Head:
        """Appends a row within a transaction of `writing`, atomically with the change that it records."""
        last = last_head(db, self.key.public_key())
        now = rfc3339(self.clock.utc_ns())
        row = {
            "seq": last.seq + 1,
            "at": now,
            "person": _cut(person),
            "address": _cut(address),
            "act": act,
            "outcome": outcome,
            "calls": _cut(" ".join(map(call_without_numbers, subject.calls)), _CALLS_LIMIT),
            "terms": _cut(" ".join(filter(None, (subject.request, without_numbers(subject.terms))))),
            "purpose": _cut(without_numbers(subject.purpose)),
            "case_number": _cut(case_without_numbers(subject.case)),
            "remark": _cut(without_numbers(subject.remark)),
        }
        head = Head("head", last.seq + 1, hash_of(row, last.hash), now)
        db.execute(insert(access).values(**row, hash=head.hash))
        self.refused[act] += outcome == REFUSED  # under the lock of `last_head`
        db.execute(delete(access_head))
        db.execute(insert(access_head).values(id=_ONLY, **signed_head(head, self.key)))
        return head

    def signed(self, head: Head) -> dict[str, str]:
        """Text and signature of a head."""
        return signed_head(head, self.key)


def last_head(db: Connection, key: PublicKey) -> Head:
    """The last head; locks the log for this transaction. ChainFault unless the rows end with a head that `key`
    signed."""
    one_at_a_time(db, _LOCK)
    found = db.execute(select(access_head)).one_or_none()
    last = db.execute(select(access.c.seq, access.c.hash).order_by(access.c.seq.desc()).limit(1)).one_or_none()
    if found is None:
        if last is not None:
            raise ChainFault("access_head_bad", "the access log has rows and no head")
        return Head("head", 0, NOTHING, "")
    head = own_head(found.head, found.sig, "head", key)
    end: Any = last
    if end is None and (gone := db.execute(select(access_anchor)).one_or_none()) is not None:
        end = own_head(gone.head, gone.sig, "anchor", key)  # all rows were older than two years
    if end is None or (end.seq, end.hash) != (head.seq, head.hash):
        ends = "has no rows" if end is None else f"ends with row {end.seq}"
        raise ChainFault("access_log_changed", f"the access log {ends}, its head has {head.seq}")
    return head


def _cut(text: Any, limit: int = _TEXT_LIMIT) -> str:
    """The text without NUL and lone surrogates, which PostgreSQL refuses."""
    return str(text).replace("\0", "")[:limit].encode("utf-8", "backslashreplace").decode("utf-8")


def rekey(table: AccessTable, old: PublicKey) -> int:
    """Replaces the key of the access log, by a person's command; otherwise a head of another key is never continued.

    Verifies the whole log under `old` first. Returns the number of rows; ChainFault if it is not intact or not signed
    by `old`.
    """
    with writing(table.engine) as db:
        verdict = verify_chain(db)
        if keys.public_blob(verdict.key) != keys.public_blob(old):
            raise ChainFault("access_head_foreign", f"the access log is signed by {keys.fingerprint(verdict.key)}")
        for place, head in ((access_head, verdict.head), (access_anchor, verdict.anchor)):
            if head is not None:
                db.execute(delete(place))
                db.execute(insert(place).values(id=1, **signed_head(head, table.key)))
        new = keys.fingerprint(table.key.public_key())
        table.append_in(db, "", "", "access_rekey", Subject(remark=f"{keys.fingerprint(old)} -> {new}"), DONE)
    return verdict.rows


# --- The last safeguard before the log: masks typed text that looks like a telephone number ---------------------------


_BETWEEN = r"[-. ()/]{0,3}"
_ABROAD = re.compile(r"(?:\+|00)?82[-. ]?(?:\(0\)|0)?")
_MOBILE = rf"1[016-9]{_BETWEEN}\d{{3,4}}{_BETWEEN}\d{{4}}"
_FIXED = rf"(?:2|[3-6]\d|70|80|50\d){_BETWEEN}\d{{3,4}}{_BETWEEN}\d{{4}}"
# Recognised by form: mobile numbers anywhere; others unless digits and a hyphen before them make a longer number.
_KOREAN = (
    rf"(?<!\d)(?:{_ABROAD.pattern}{_BETWEEN}|0){_MOBILE}(?!\d)",
    rf"(?<!\d)(?<!\d-)(?:{_ABROAD.pattern}{_BETWEEN}|0){_FIXED}(?!\d)",
    r"(?<!\d)(?<!\d-)1[568]\d\d[- ]?\d{4}(?!\d|-\d)",
)
_IN_CASE = re.compile("|".join(_KOREAN), re.ASCII)
# Masked too, except in case numbers: mistyped numbers, numbers without an area code, and any long run of digits, but
# not a date (2026-11-24).
_OTHERS = (
    rf"(?<![\d-])0\d{{1,2}}{_BETWEEN}\d{{3,4}}{_BETWEEN}\d{{4,5}}(?!\d)",
    r"(?<![\d-])\d{3,4}[- ]\d{4}(?!\d)",
    r"\d{7,}",
)
_ANYWHERE = re.compile("|".join(_KOREAN + _OTHERS), re.ASCII)


def without_numbers(text: str) -> str:
    return _with_masked(text, _ANYWHERE)


def case_without_numbers(text: str) -> str:
    """The case number (2026-0042), masked if it has the form of a Korean telephone number."""
    return _with_masked(text, _IN_CASE)


def call_without_numbers(call_id: str) -> str:
    """A call id unchanged; any other text masked."""
    return call_id if CALL_ID.fullmatch(call_id) else without_numbers(call_id)


def has_number(text: str) -> bool:
    """Whether the text contains a telephone number, by the narrow rule for case numbers."""
    return _IN_CASE.search(_plain(text)) is not None


def _with_masked(text: str, number: re.Pattern[str]) -> str:
    parts, end = [], 0
    for found in number.finditer(_plain(text)):
        parts += [text[end : found.start()], masked(_domestic(found[0]))]
        end = found.end()
    return "".join([*parts, text[end:]])


def _domestic(number: str) -> str:
    abroad = _ABROAD.match(number)
    return number if abroad is None else f"0{number[abroad.end() :]}"


def _plain(text: str) -> str:
    """The text at the same length, with digits of any script as ASCII, any dash as a hyphen, any space as a space."""
    return "".join(map(_plain_sign, text))


def _plain_sign(sign: str) -> str:
    if sign.isascii():
        return sign
    if (digit := unicodedata.decimal(sign, None)) is not None:
        return str(digit)
    sign = {"Pd": "-", "Zs": " "}.get(unicodedata.category(sign), sign)
    return "+" if sign == "＋" else sign
