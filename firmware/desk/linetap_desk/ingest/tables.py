# SPDX-License-Identifier: Apache-2.0
"""The desk's tables. `events` has the verified reports; `calls` and `origins` are derived from it and can be derived
again, except for cleared data (destroyedcalls.py)."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    literal_column,
    or_,
)

metadata = MetaData()

# By code point, as Python and SQLite compare: an index in another order cannot serve a join.
_CallName = Text().with_variant(Text(collation="C"), "postgresql")

# Times are RFC 3339 UTC with milliseconds, so that their order is that of the text.

units = Table(
    "units",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("named", Boolean, nullable=False),  # in the signers' file
    Column("state", Text),  # online, offline; null: the broker retains no message of it
    Column("session", Text),
    Column("version", Text),
    Column("since", Text),
    Column("outbox_seq", BigInteger),  # by its last health: unsigned, may only trigger a request
    Column("health_at", Text),
    Column("heard_at", Text),  # time of the last message, by the desk's clock
    Column("pbx_port", Text),  # none, open, shut; null: never reported
    Column("set_aside", Integer, nullable=False, default=0),  # how many, stored or only counted
)

# The active alerts of a unit, as the broker retains them: unsigned, like `units`.
unit_alerts = Table(
    "unit_alerts",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("check", Text, primary_key=True, quote=True),
    Column("severity", Text, nullable=False),
    Column("since", Text, nullable=False),
)

# The report of a unit's PBX on a day, and the unit's recordings of it (pbxdays.py): unsigned, like `units`.
pbx_days = Table(
    "pbx_days",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("day", Text, primary_key=True),  # 2026-11-25, in the unit's time zone
    Column("calls", Integer, nullable=False),
    Column("recorded", Integer, nullable=False),  # calls that were recorded
    Column("missing", Integer, nullable=False),  # calls without the recording that was due
    Column("unseen", Integer, nullable=False),  # recordings without such a call
    Column("told_at", Text, nullable=False),  # arrival of the report or its last correction, by the desk's clock
    Index("pbx_days_day", "day"),
)

# One row for each chain of a unit, by its key and vault (`chain_name` in vaults.py). Each chain numbers its own events.
origins = Table(
    "origins",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("origin", Text, primary_key=True),
    Column(
        "through", BigInteger, nullable=False
    ),  # all events up to this one are stored, or the unit reported them as dropped
    Column("newest", BigInteger, nullable=False),
    Column("heard_at", Text, nullable=False),
)

# The chains of a unit's key with more than one chain or a named vault (vaults.py): the unit has lost its disk.
vaults = Table(
    "vaults",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("origin", Text, primary_key=True),  # the chain
    Column("number", Integer, nullable=False),  # counted by the desk, per key
    Column("before", Text, nullable=False),  # the chain in use before; empty: none
    Column("began_at", Text, nullable=False),  # time of its first stored event, by the unit's clock
    Column("first_at", Text, nullable=False),  # the same by the desk's clock
    Column("since_at", Text, nullable=False),  # in use since, by the desk's clock; later than first_at: in use again
    Column("signed", Integer),  # its number, signed by the unit
    Column("over_at", Text),  # another vault is in use since, by the desk's clock
    Column("lost_to", BigInteger),  # its newest known event
)

events = Table(
    "events",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("origin", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("event", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("call_id", _CallName),
    Column("line", Integer),
    Column("prev", Text, nullable=False),
    Column("sha256", Text, nullable=False),  # of the payload
    Column("payload", LargeBinary, nullable=False),  # the exact bytes
    Column("sig", Text, nullable=False),  # armored, as ssh-keygen reads it
    Column("dropped_from", BigInteger),
    Column("dropped_to", BigInteger),
    Column("received_at", Text, nullable=False),
    Column("late", Boolean, nullable=False),
    Index("events_call", "unit", "call_id"),
)

# The few events that list lost ones.
Index(
    "events_dropped",
    events.c.unit,
    events.c.origin,
    events.c.dropped_to,
    sqlite_where=events.c.dropped_to.is_not(None),
    postgresql_where=events.c.dropped_to.is_not(None),
)

# Events of calls that the unit ends: few, and found by their time of receipt (serve/ended/endingcalls.py).
OF_AN_END = events.c.event.in_([literal_column(f"'{kind}'") for kind in ("ending", "end_refused", "end_cancelled")])
Index("events_of_ends", events.c.received_at, sqlite_where=OF_AN_END, postgresql_where=OF_AN_END)

set_aside = Table(
    "set_aside",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("unit", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("payload", LargeBinary, nullable=False),  # its beginning if too large
    Column("sig", Text, nullable=False),
    Column("received_at", Text, nullable=False),
    UniqueConstraint("unit", "code", "sha256"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("unit", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("code", Text, nullable=False),  # events_missing, log_rollback, log_fork, log_begun; those of vaults.py
    Column(
        "first", BigInteger, nullable=False
    ),  # an event's number, as `last`; for a log the leaves of the new and of the known head
    Column("last", BigInteger, nullable=False),
    Column("since", Text, nullable=False),
    Column("alerted_at", Text, nullable=False),
    Column("ended_at", Text),
    Index("alerts_alerted", "alerted_at"),
)
_LASTING = alerts.c.ended_at.is_(None)
Index("alerts_lasting", alerts.c.unit, alerts.c.code, sqlite_where=_LASTING, postgresql_where=_LASTING)

# For each key of a unit the head of its log over most leaves, and as evidence heads that contradict it: both are
# signed.
heads = Table(
    "heads",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("unit", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("code", Text, nullable=False),  # log_rollback, log_fork; empty: the head that others are compared with
    Column("size", BigInteger, nullable=False),
    Column("root", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("head", LargeBinary, nullable=False),  # the exact bytes
    Column("sig", Text, nullable=False),  # armored
    Column("received_at", Text, nullable=False),
    Column("log", Text),  # name of the log; null or empty: of a vault without a name
    Index("heads_unit", "unit", "origin"),
)

calls = Table(
    "calls",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("call_id", _CallName, primary_key=True),
    Column("line", Integer),
    Column("direction", Text),
    Column("disposition", Text),
    Column("began_at", Text, nullable=False),
    Column("answered_at", Text),
    Column("ended_at", Text),
    Column("sealed_at", Text),
    Column("held_at", Text),
    Column("copied_at", Text),
    Column("destroyed_at", Text),
    Column("duration_s", Float),
    Column("notice", Text),
    Column("mark", Text),
    Column("gaps_ms", Float),
    Column("why", Text),
    Column("record_sha256", Text),
    Column("late", Boolean, nullable=False),  # part of it arrived late
    Column("rebuilt", Boolean),  # part of it was reconstructed from log and record
    Column("situation", Text),  # why the unit ended it; null: the unit did not
    Column("seen_by", Text),  # EndRecord.seen_by
    Column("proof", Text),  # proof of its first notice; null: the unit did not report it
    Column("steps", Text),  # the marks of END_STEPS, in their order
    Index("calls_began", "began_at"),
    # The columns after the time are further criteria of a search: rows that do not match are not read.
    Index("calls_at_line", "unit", "line", "began_at", "call_id", "disposition", "direction"),
    Index("calls_disposition", "disposition", "began_at", "direction"),
)

# True for every call; only a search for a whole unit uses it. Without it SQLite's planner, which has no statistics,
# would search for a line through all calls of its unit.
WHOLE_UNIT = calls.c.unit != literal_column("''")
Index(
    "calls_unit",
    calls.c.unit,
    calls.c.began_at,
    calls.c.disposition,
    calls.c.direction,
    sqlite_where=WHOLE_UNIT,
    postgresql_where=WHOLE_UNIT,
)

# One expression: PostgreSQL would estimate each of three conditions at half of the calls, and all three at an eighth.
IN_PROGRESS = func.coalesce(calls.c.ended_at, calls.c.sealed_at, calls.c.destroyed_at, type_=Text).is_(None)

# States that few calls have: otherwise a search for one would read all calls. SQLite checks the condition again for
# each row that it finds, so its columns follow the time too.
_RARE = {
    "marked": (calls.c.mark.is_not(None), ["mark"]),
    "by_situation": (calls.c.situation.is_not(None), ["situation"]),
    "held": (calls.c.held_at.is_not(None), ["held_at"]),
    "gone": (calls.c.destroyed_at.is_not(None), ["destroyed_at"]),
    "in_progress": (IN_PROGRESS, ["ended_at", "sealed_at", "destroyed_at"]),
}
for _name, (_rare, _asked) in _RARE.items():
    _columns = [calls.c.began_at, *(calls.c[name] for name in (*_asked, "unit", "line"))]
    Index(f"calls_{_name}", *_columns, sqlite_where=_rare, postgresql_where=_rare)

_GONE = _RARE["gone"][0]
Index("calls_destroyed", calls.c.destroyed_at, sqlite_where=_GONE, postgresql_where=_GONE)

# Figures of destroyed calls, counted before destroyedcalls.py clears them: by the day on which they began or were
# destroyed, in the time zone of the desk's pages. They name no call.
CALL_FIGURES = (
    "calls", "due", "recorded", "judged", "heard", "over_15", "over_20", "marked", "warned", "extended", "cancelled",
    "refused", "ended", "freed",
)  # fmt: skip
DESTROYED_FIGURES = ("destroyed", "late", "early", "undated")
cleared_days = Table(
    "cleared_days",
    metadata,
    Column("day", Text, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),  # 0: not reported
    Column("situation", Text, primary_key=True),  # empty: not ended by the unit
    *(Column(name, Integer, nullable=False) for name in CALL_FIGURES),
)
destroyed_days = Table(
    "destroyed_days",
    metadata,
    Column("day", Text, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),
    *(Column(name, Integer, nullable=False) for name in DESTROYED_FIGURES),
)

# The few calls that are still to be copied.
_UNCOPIED = (
    calls.c.record_sha256.is_not(None)
    & calls.c.sealed_at.is_not(None)
    & calls.c.copied_at.is_(None)
    & calls.c.destroyed_at.is_(None)
)
_UNCLEARED = calls.c.destroyed_at.is_not(None) & or_(
    calls.c.why.is_not(None), calls.c.sealed_at.is_not(None), calls.c.ended_at.is_not(None)
)
Index("calls_uncopied", calls.c.unit, calls.c.began_at, sqlite_where=_UNCOPIED, postgresql_where=_UNCOPIED)
Index("calls_uncleared", calls.c.destroyed_at, sqlite_where=_UNCLEARED, postgresql_where=_UNCLEARED)

# For calls whose own events are lost (`linetap desk rebuild`): a `sealed` derived from the verified record in the
# store, as the unit would repeat it; a `held` from a hold. A signed event takes precedence.
from_record = Table(
    "from_record",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("call_id", _CallName, primary_key=True),
    Column("event", Text, primary_key=True),
    Column("at", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
)

# The second copy of a call in the store.
copies = Table(
    "copies",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("call_id", _CallName, primary_key=True),
    Column("record_sha256", Text, nullable=False),
    Column("until", Text),  # as in the record; null: an overflow epoch has no day
    Column("stored_at", Text, nullable=False),
    Column("look_at", Text),  # time of the next check for expiry: `until`, later while it is held
    Column("removed_at", Text),
    Column("period_s", BigInteger),  # the retention of its class; null: of an earlier version
    Column("counted_ms", BigInteger),  # the ingest's counted time when it was stored; null: of an earlier version
    Column("closing_at", Text),  # when the log's proof of the call was stored with it
)
# The rows of copies are never deleted. Each index has the few that a repeated search is for.
_STANDING, _REMOVED = copies.c.removed_at.is_(None), copies.c.removed_at.is_not(None)
UNCLOSED = _STANDING & copies.c.closing_at.is_(None)
UNCOUNTED = copies.c.counted_ms.is_(None)
UNTIMED = copies.c.period_s.is_(None) & _STANDING & copies.c.until.is_not(None)
Index("copies_standing", copies.c.look_at, sqlite_where=_STANDING, postgresql_where=_STANDING)
Index("copies_removed", copies.c.removed_at, sqlite_where=_REMOVED, postgresql_where=_REMOVED)
Index("copies_unclosed", copies.c.unit, copies.c.stored_at, sqlite_where=UNCLOSED, postgresql_where=UNCLOSED)
Index("copies_uncounted", copies.c.unit, sqlite_where=UNCOUNTED, postgresql_where=UNCOUNTED)
Index("copies_untimed", copies.c.unit, sqlite_where=UNTIMED, postgresql_where=UNTIMED)

# A unit's signed amendments of a call's times and end (evidence/calls/amendment.py).
amendments = Table(
    "amendments",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("call_id", _CallName, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("document", LargeBinary, nullable=False),  # the exact bytes
    Column("sig", Text, nullable=False),  # armored
    Column("until", Text, nullable=False),
    Column("stored_at", Text),  # when it was stored beside the copy
)
UNSTORED = amendments.c.stored_at.is_(None)
Index("amendments_unstored", amendments.c.unit, sqlite_where=UNSTORED, postgresql_where=UNSTORED)

# The ingest's running time by the monotonic clock, independent of changes of the clock.
counted = Table(
    "counted",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("ms", BigInteger, nullable=False),
)

# Periods without reports of a unit, or in which it reported that it does not record: by the desk's clock, from unsigned
# messages (outages.py). They distinguish "no call" from "unknown".
outages = Table(
    "outages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("unit", Text, nullable=False),  # empty: the desk itself received nothing
    Column("kind", Text, nullable=False),  # before, offline, unheard, not_recording, desk
    Column("why", Text, nullable=False),
    Column("began_at", Text, nullable=False),
    Column("ended_at", Text),
    Column("times", Integer, nullable=False),  # above 1: repeated with less than a minute between
    Index("outages_unit", "unit", "began_at"),
)
_NOT_OVER = outages.c.ended_at.is_(None)
Index("outages_standing", outages.c.unit, sqlite_where=_NOT_OVER, postgresql_where=_NOT_OVER)

# The division of the units among several ingests (share.py), by the database's clock.
shares = Table(
    "shares",
    metadata,
    Column("share", Integer, primary_key=True, autoincrement=False),  # from 1
    Column("owner", Text, nullable=False),  # its name in `ingests`
    Column("epoch", BigInteger, nullable=False),  # how many times the share was taken
    Column("until_ms", BigInteger, nullable=False),  # since 1970; 0: free
    Column("counter", BigInteger, nullable=False),  # at least the counter of its last command to a unit
)
ingests = Table(
    "ingests",
    metadata,
    Column("name", Text, primary_key=True),
    Column("until_ms", BigInteger, nullable=False),
)
