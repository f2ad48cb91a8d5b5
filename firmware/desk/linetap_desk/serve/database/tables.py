# SPDX-License-Identifier: Apache-2.0
"""serve's own tables. migrations/ makes them; a test holds the two together.

Times are RFC 3339 UTC with milliseconds, so that their order is that of the text.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

people = Table(
    "people",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),  # typed at the login
    Column("shown", Text, nullable=False),  # shown to others
    Column("roles", Text, nullable=False),  # sorted, with commas
    Column("departments", Text, nullable=False, server_default=""),  # of a supervisor, one a line; empty: all
    Column("password", Text),  # argon2id; null: by OIDC alone
    Column("subject", Text, unique=True),  # ISSUER SUB, at the OIDC provider
    Column("locked", Boolean, nullable=False),
    Column("made_at", Text, nullable=False),
    Column("changed_at", Text, nullable=False),
)

# Only the browser has the token; a reader of this table cannot log in with it.
sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", Text, primary_key=True),
    Column("person", Integer, ForeignKey("people.id"), nullable=False),
    Column("address", Text, nullable=False),
    Column("began_at", Text, nullable=False),
    Column("seen_at", Text, nullable=False),  # a person's last action, not a stream's
    Column("ends_at", Text, nullable=False),
    Column("locked", Boolean, nullable=False),
    Index("sessions_person", "person"),
)

# The second factor of a login, a person's only one; the first is a password or the OIDC provider.
passkeys = Table(
    "passkeys",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("person", Integer, ForeignKey("people.id"), nullable=False, unique=True),
    Column("credential", Text, nullable=False, unique=True),  # base64url, by which the browser finds it
    Column("key", LargeBinary, nullable=False),  # public, in SSH's form, with the host name that it is bound to
    Column("counter", BigInteger, nullable=False),
    Column("made_at", Text, nullable=False),
    Column("used_at", Text),
)

# One-time codes; the halves of a restoration are known to one person each.
invitations = Table(
    "invitations",
    metadata,
    Column("person", Integer, ForeignKey("people.id"), primary_key=True),
    Column("first_sha256", Text, nullable=False),
    Column("second_sha256", Text),  # null: not confirmed; an account's first code has one part
    Column("asked_by", Text, nullable=False),
    Column("confirmed_by", Text),
    Column("reason", Text, nullable=False),  # empty of an account's first code
    Column("asked_at", Text, nullable=False),
    Column("ends_at", Text, nullable=False),
)

# Failed logins, by account name and address.
attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),  # name, address
    Column("value", Text, nullable=False),
    Column("at", Text, nullable=False),
    Index("attempts_value", "kind", "value", "at"),
)

# A row is never changed; access/log.py defines what its hash covers.
access = Table(
    "access",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("person", Text, nullable=False),  # the name; empty: not logged in
    Column("address", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("outcome", Text, nullable=False),  # shown, refused, done
    Column("calls", Text, nullable=False),  # with spaces between
    Column("terms", Text, nullable=False),  # of a search; numbers masked
    Column("purpose", Text, nullable=False),
    Column("case_number", Text, nullable=False),
    Column("remark", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index("access_at", "at"),
    Index("access_person", "person", "at"),
)

# One row: the signed head of the access log.
access_head = Table(
    "access_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("head", Text, nullable=False),  # the exact text
    Column("sig", Text, nullable=False),  # armored, as ssh-keygen reads it
)

# One row, once the oldest rows are removed: the last of those, signed, so that the rest has a beginning.
access_anchor = Table(
    "access_anchor",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("head", Text, nullable=False),
    Column("sig", Text, nullable=False),
)

# A request for a recording and its progress. `request` and `approvals` are the signed files that count.
requests = Table(
    "requests",
    metadata,
    Column("id", Text, primary_key=True),  # 2026-0042
    Column("unit", Text, nullable=False),
    Column("call_id", Text, nullable=False),
    Column("line", Integer, nullable=False),
    Column("record_sha256", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("case_number", Text, nullable=False),
    Column("requester", Text, nullable=False),
    Column("recipient", Text, nullable=False),  # age1..., the requester's own
    Column("asked_by", Text, nullable=False),  # names of accounts, as all `_by`
    Column("asked_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Column("one_time", Text),  # age1..., public
    Column("keyed_by", Text),
    Column("request", LargeBinary),  # request.json, the exact bytes that are signed
    Column("inner_age", LargeBinary),  # closed to the one-time key and a custodian's
    Column("unwrapped_by", Text),
    Column("unwrapped_at", Text),
    Column("closed_by", Text),
    Column("closed_at", Text),
    Column("outcome", Text),  # given, not_given
    Column("remark", Text),
    Column("party", Text),  # who asks, where the purpose has rules
    Column("approvals_needed", Integer),  # by its rule when request.json was made; null: two
    Index("requests_closed", "closed_at"),
    Index("requests_asked", "asked_at", "id"),
    Index("requests_expires", "expires_at", "id"),
)

# As many as its rule takes: each by another account and by another role of the roles file.
approvals = Table(
    "approvals",
    metadata,
    Column("request", Text, ForeignKey("requests.id"), primary_key=True),
    Column("role", Text, nullable=False),  # of the account
    Column("signer", Text, nullable=False),  # as the roles file has them
    Column("signer_role", Text, nullable=False),
    Column("sig", LargeBinary, nullable=False),
    Column("by", Text, primary_key=True),
    Column("at", Text, nullable=False),
    UniqueConstraint("request", "signer_role"),
)

# One for each request; a reader of this table cannot use it.
tickets = Table(
    "tickets",
    metadata,
    Column("request", Text, ForeignKey("requests.id"), primary_key=True),
    Column("sha256", Text, nullable=False, unique=True),
    Column("by", Text, nullable=False),
    Column("ends_at", Text, nullable=False),
)

# Partials that members of a group hand on, of a request or a hold: encrypted to the following members, and emptied as
# soon as the step is done. Who took part is kept.
partials = Table(
    "partials",
    metadata,
    Column("about", Text, primary_key=True),  # the id of the request or the hold
    Column("kind", Text, primary_key=True),  # officer, custodian
    Column("key_sha256", Text, primary_key=True),  # of the key.age that it came out of; empty of a custodian's
    Column("taken", Text, primary_key=True),  # the members whose layers are removed: 1-2. Of custodians the first: 1
    Column("left", Integer, nullable=False),  # the number of people still needed
    Column("data", LargeBinary),
    Column("by", Text, nullable=False),
    Column("at", Text, nullable=False),
)

# A requested hold, and the vault officer's signed command.
holds = Table(
    "holds",
    metadata,
    Column("id", Text, primary_key=True),  # H2026-0001
    Column("unit", Text, nullable=False),
    Column("call_id", Text, nullable=False),
    Column("record_sha256", Text, nullable=False),
    Column("case_number", Text, nullable=False),
    Column("basis", Text, nullable=False),
    Column("until", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", Text, nullable=False),
    Column("command", LargeBinary),
    Column("signer", Text),
    Column("command_expires", Text),
    Column("command_by", Text),
    Column("command_at", Text),
    Column("closed_by", Text),
    Column("closed_at", Text),
    Column("remark", Text),
    Index("holds_asked", "asked_at", "id"),
)

# A citizen's request for access to their own call. What is about the person goes half a year after its end.
citizens = Table(
    "citizens",
    metadata,
    Column("id", Text, primary_key=True),  # C2026-0001
    Column("alias", Text),  # a name, or a pseudonym of the case
    Column("digits", Text),  # the last four of their number
    Column("called_on", Text),  # the day of the call, in the desk's zone, as all `_on`
    Column("asked", Text, nullable=False),  # listen, copy
    Column("verified", Text),  # how who they are was verified, by who registered it
    Column("received_on", Text, nullable=False),
    Column("counted_from", Text, nullable=False),  # the ten days: the day of receipt, or the end of a postponement
    Column("registered_by", Text, nullable=False),
    Column("registered_at", Text, nullable=False),
    Column("decision", Text),  # granted, partial, postponed, refused
    Column("ground", Text),
    Column("reason", Text),
    Column("decided_by", Text),
    Column("decided_at", Text),
    Column("meets_at", Text),
    Column("room", Text),
    Column("attending", Text),
    Column("outcome", Text),  # listened, copied, withdrawn, refused
    Column("closed_by", Text),
    Column("closed_at", Text),
    Column("cleared_at", Text),
    Index("citizens_closed", "closed_at", "cleared_at"),
)

# One row: the newest roles file that was in force here, so that an older one is refused.
roles_seen = Table(
    "roles_seen",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("sha256", Text, nullable=False),
)

# One row: what the orders of all units share, as JSON (orders/template.py).
order_template = Table(
    "order_template",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("template", LargeBinary, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Text, nullable=False),
)

# A new unit: its configuration, the exchange that two people have confirmed, and its certificate.
adoptions = Table(
    "adoptions",
    metadata,
    Column("id", Text, primary_key=True),  # A2026-0001
    Column("unit", Text, nullable=False),
    Column("place", Text),  # where it will hang, as the form of its order has it
    Column("draft", LargeBinary),  # linetap.toml as the desk made it, until the authority has signed it
    Column("order", LargeBinary),  # the signed one; null before, and once the unit has its certificate
    Column("signature", LargeBinary),
    Column("prepared_by", Text, nullable=False),
    Column("prepared_at", Text, nullable=False),
    Column("run", Text, unique=True),  # the exchange; its keys until the unit has its certificate
    Column("unit_key", LargeBinary),
    Column("desk_key", LargeBinary),
    Column("count", BigInteger, nullable=False),  # of the unit's last question
    Column("serial", Text),  # as the unit reported it, before or after the comparison of digits
    Column("mac", Text),
    Column("address", Text),
    Column("confirmed_by", Text),  # who typed the digits
    Column("confirmed_at", Text),
    Column("pressed_at", Text),  # the button at the unit
    Column("asked_at", Text),  # its last question
    Column("taken_at", Text),  # its configuration is in force
    Column("fault", Text),  # why it refuses the order
    Column("request", LargeBinary),
    Column("certificate", LargeBinary),
    Column("certified_by", Text),
    Column("certified_at", Text),
    Column("closed_at", Text),
    Column("outcome", Text),  # adopted, ended
    Index("adoptions_closed", "closed_at", "prepared_at"),
)

# Supervisors' reviews of calls that units ended. None is changed: the newest of a call counts.
end_reviews = Table(
    "end_reviews",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("unit", Text, nullable=False),
    Column("call_id", Text, nullable=False),
    Column("finding", Text, nullable=False),  # justified, unjustified, unclear
    Column("remark", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Text, nullable=False),
    Index("end_reviews_call", "unit", "call_id"),
    Index("end_reviews_at", "at"),
)

# The shift log of the control room: a fault was acknowledged, or a note was left for whoever is next.
shift_log = Table(
    "shift_log",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    Column("person", Text, nullable=False),  # the account's name
    Column("shown", Text, nullable=False),  # as others were shown the person
    Column("kind", Text, nullable=False),  # seen, note
    Column("unit", Text, nullable=False),  # empty of a note
    Column("faults", Text, nullable=False),  # what was acknowledged: hashes, as in a picture (live/journal.py)
    Column("text", Text, nullable=False),  # of an acknowledgement the fault's words as they were shown
    Index("shift_log_unit", "kind", "unit", "id"),
)
