# SPDX-License-Identifier: Apache-2.0
"""The desk's tables. `events` is what was proved; `calls` and `origins` are made from it and can be made again, but for
what was cleared (clear.py)."""

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

# By code point, as Python and SQLite compare: an index in one order is of no use to a join with a column in another.
_CallName = Text().with_variant(Text(collation="C"), "postgresql")

# Times are RFC 3339 UTC with milliseconds, so that their order is that of the text.

units = Table(
    "units",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("named", Boolean, nullable=False),  # in the signers' file
    Column("state", Text),  # online, offline; null: nothing is retained of it at the broker
    Column("session", Text),
    Column("version", Text),
    Column("since", Text),
    Column("outbox_seq", BigInteger),  # as its last health has it: unsigned, good for a question only
    Column("health_at", Text),
    Column("heard_at", Text),  # the desk's time of whatever came last
    Column("pbx_port", Text),  # none, open, shut; null: never reported
    Column("set_aside", Integer, nullable=False, default=0),  # how many, kept or not
)

# What stands of a unit's own alerts, as the broker has it retained: unsigned, as `units`.
unit_alerts = Table(
    "unit_alerts",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("check", Text, primary_key=True, quote=True),
    Column("severity", Text, nullable=False),
    Column("since", Text, nullable=False),
)

# What the PBX of a unit reported of a day, and what became of it (pbxdays.py): unsigned, as `units`.
pbx_days = Table(
    "pbx_days",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("day", Text, primary_key=True),  # 2026-11-25, where the unit is
    Column("calls", Integer, nullable=False),
    Column("recorded", Integer, nullable=False),  # of the calls
    Column("missing", Integer, nullable=False),  # of the calls: a recording was due
    Column("unseen", Integer, nullable=False),  # recordings beside them
    Column("told_at", Text, nullable=False),  # by the desk's time; of a correction, when that came
    Index("pbx_days_day", "day"),
)

# One row for each chain of a unit, by its key and vault (chain.py): its events have their own numbers.
origins = Table(
    "origins",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("origin", Text, primary_key=True),
    Column("through", BigInteger, nullable=False),  # every event up to it is here, or the unit says it dropped it
    Column("newest", BigInteger, nullable=False),
    Column("heard_at", Text, nullable=False),
)

# The chains of one key of a unit, once it has more than one, or its vault a name (vaults.py): it has lost its disk.
vaults = Table(
    "vaults",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("origin", Text, primary_key=True),  # the chain
    Column("number", Integer, nullable=False),  # counted by the desk, per key
    Column("before", Text, nullable=False),  # the chain that was in use until then; empty: none
    Column("began_at", Text, nullable=False),  # of its first event here, by the unit's clock
    Column("first_at", Text, nullable=False),  # by the desk's
    Column("since_at", Text, nullable=False),  # it is in use since then, by the desk's; later than first_at: again
    Column("signed", Integer),  # its number as the unit itself has signed it
    Column("over_at", Text),  # another vault is in use since then, by the desk's clock
    Column("lost_to", BigInteger),  # the newest event of it that anybody has named: behind it nothing is known
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

# The few events that say which others will not come.
Index(
    "events_dropped",
    events.c.unit,
    events.c.origin,
    events.c.dropped_to,
    sqlite_where=events.c.dropped_to.is_not(None),
    postgresql_where=events.c.dropped_to.is_not(None),
)

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
    Column("payload", LargeBinary, nullable=False),  # its beginning, where it was too large
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
    ),  # event, as `last`; of a log the leaves of the head and of the one known
    Column("last", BigInteger, nullable=False),
    Column("since", Text, nullable=False),
    Column("alerted_at", Text, nullable=False),
    Column("ended_at", Text),
)

# Of each key of a unit the head of its log over most leaves; and heads that do not fit one that was there, kept as the
# evidence: both are signed.
heads = Table(
    "heads",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("unit", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("code", Text, nullable=False),  # log_rollback, log_fork; empty: this is the one that others are held against
    Column("size", BigInteger, nullable=False),
    Column("root", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("head", LargeBinary, nullable=False),  # the exact bytes
    Column("sig", Text, nullable=False),  # armored
    Column("received_at", Text, nullable=False),
    Column("log", Text),  # which log of that key; null, as empty: of a vault without a name
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
    Column("late", Boolean, nullable=False),  # something of it came late
    Column("rebuilt", Boolean),  # part of it was reconstructed from log and record
    Index("calls_began", "began_at"),
    # Behind the time of a search's index stand columns that are asked besides: a row that does not fit is not read.
    Index("calls_at_line", "unit", "line", "began_at", "call_id", "disposition", "direction"),
    Index("calls_disposition", "disposition", "began_at", "direction"),
)

# True of every call, and said only by a search for a whole unit: SQLite's planner, which has no figures, would else
# look for a line through all calls of its unit.
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

# In one expression: of three conditions PostgreSQL takes each to be true of half the calls, and all of an eighth.
IN_PROGRESS = func.coalesce(calls.c.ended_at, calls.c.sealed_at, calls.c.destroyed_at, type_=Text).is_(None)

# What few calls are: a search for one of these would else look through all the others. SQLite asks the condition
# again of whatever it finds there, so its columns stand behind the time too.
_RARE = {
    "marked": (calls.c.mark.is_not(None), ["mark"]),
    "held": (calls.c.held_at.is_not(None), ["held_at"]),
    "gone": (calls.c.destroyed_at.is_not(None), ["destroyed_at"]),
    "in_progress": (IN_PROGRESS, ["ended_at", "sealed_at", "destroyed_at"]),
}
for _name, (_rare, _asked) in _RARE.items():
    _columns = [calls.c.began_at, *(calls.c[name] for name in (*_asked, "unit", "line"))]
    Index(f"calls_{_name}", *_columns, sqlite_where=_rare, postgresql_where=_rare)

SUPERSEDED = ("calls_line", "calls_open", "calls_astray")  # indexes of earlier versions, which another does the work of

# The few that something is still to be done about.
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

# Of calls whose own events are nowhere any more (`linetap desk rebuild`): a `sealed` made from the record that lies in
# the store and was proved there, as the unit would tell it anew; a `held` from a hold. A signed one counts for more.
from_record = Table(
    "from_record",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("call_id", _CallName, primary_key=True),
    Column("event", Text, primary_key=True),
    Column("at", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
)

# The second copy of a call, as it lies in the store.
copies = Table(
    "copies",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("call_id", _CallName, primary_key=True),
    Column("record_sha256", Text, nullable=False),
    Column("until", Text),  # as the record has it; null: an overflow epoch has no day
    Column("stored_at", Text, nullable=False),
    Column("look_at", Text),  # when it is to be asked again whether it may go: `until`, later while it is held
    Column("removed_at", Text),
    Column("period_s", BigInteger),  # so long a call of its class is kept; null: of an earlier version
    Column("counted_ms", BigInteger),  # what the ingest had counted when it was stored; null: of an earlier version
    Column("closing_at", Text),  # when the proof that it stands in its unit's log was put beside it
)
# What a unit has signed of a call's time and end behind its record (evidence/calls/amendment.py).
amendments = Table(
    "amendments",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("call_id", _CallName, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("document", LargeBinary, nullable=False),  # the exact bytes
    Column("sig", Text, nullable=False),  # armored
    Column("until", Text, nullable=False),
    Column("stored_at", Text),  # when it was put beside the copy
)

# So long the ingest has run, by the monotonic clock: no clock that is set moves it.
counted = Table(
    "counted",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("ms", BigInteger, nullable=False),
)
_STANDING = copies.c.removed_at.is_(None)
Index("copies_standing", copies.c.look_at, sqlite_where=_STANDING, postgresql_where=_STANDING)
UNCLOSED = copies.c.removed_at.is_(None) & copies.c.closing_at.is_(None)
Index("copies_unclosed", copies.c.unit, copies.c.stored_at, sqlite_where=UNCLOSED, postgresql_where=UNCLOSED)

# When the desk did not hear a unit, or the unit reported that it records nothing: by the desk's clock, from words that
# no one has signed (outages.py). Without them "no call" could not be told from "no one knows".
outages = Table(
    "outages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("unit", Text, nullable=False),  # empty: the desk itself heard nothing
    Column("kind", Text, nullable=False),  # before, offline, unheard, not_recording, desk
    Column("why", Text, nullable=False),
    Column("began_at", Text, nullable=False),
    Column("ended_at", Text),
    Column("times", Integer, nullable=False),  # more than once: it came and went with less than a minute between
    Index("outages_unit", "unit", "began_at"),
)
_NOT_OVER = outages.c.ended_at.is_(None)
Index("outages_standing", outages.c.unit, sqlite_where=_NOT_OVER, postgresql_where=_NOT_OVER)
