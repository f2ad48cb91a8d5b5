# SPDX-License-Identifier: Apache-2.0
"""serve's own tables. migrations/ creates them; a test compares the two.

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
    Column("name", Text, nullable=False, unique=True),  # typed at login
    Column("shown", Text, nullable=False),  # shown to others
    Column("roles", Text, nullable=False),  # sorted, separated by commas
    Column("departments", Text, nullable=False, server_default=""),  # of a supervisor, one per line; empty: all
    Column("password", Text),  # argon2id; null: OIDC only
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
    Column("credential", Text, nullable=False, unique=True),  # base64url; the browser finds the key by it
    Column("key", LargeBinary, nullable=False),  # public key in SSH format, with its host name
    Column("counter", BigInteger, nullable=False),
    Column("made_at", Text, nullable=False),
    Column("used_at", Text),
)

# One-time codes. In a restoration each half is known to one person.
invitations = Table(
    "invitations",
    metadata,
    Column("person", Integer, ForeignKey("people.id"), primary_key=True),
    Column("first_sha256", Text, nullable=False),
    Column("second_sha256", Text),  # null: not confirmed, or a one-part code of a new account
    Column("asked_by", Text, nullable=False),
    Column("confirmed_by", Text),
    Column("reason", Text, nullable=False),  # empty for a new account
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
    Column("person", Text, nullable=False),  # account name; empty: not logged in
    Column("address", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("outcome", Text, nullable=False),  # shown, refused, done
    Column("calls", Text, nullable=False),  # separated by spaces
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

# One row, once the oldest rows are removed: the last removed row, signed, as the beginning of the rest.
access_anchor = Table(
    "access_anchor",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("head", Text, nullable=False),
    Column("sig", Text, nullable=False),
)

# A request for a recording and its progress. The signed files `request` and `approvals` are decisive.
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
    Column("inner_age", LargeBinary),  # encrypted to the one-time key and a custodian's
    Column("unwrapped_by", Text),
    Column("unwrapped_at", Text),
    Column("closed_by", Text),
    Column("closed_at", Text),
    Column("outcome", Text),  # given, not_given
    Column("remark", Text),
    Column("party", Text),  # kind of requester, if the purpose has rules
    Column("approvals_needed", Integer),  # by the rule when request.json was made; null: two
    Index("requests_closed", "closed_at"),
    Index("requests_asked", "asked_at", "id"),
    Index("requests_expires", "expires_at", "id"),
)

# The approvals of a request, as many as its rule requires: each by another account and another role of the roles file.
approvals = Table(
    "approvals",
    metadata,
    Column("request", Text, ForeignKey("requests.id"), primary_key=True),
    Column("role", Text, nullable=False),  # of the account
    Column("signer", Text, nullable=False),  # name in the roles file
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

# Partials that members of a group pass on, of a request or a hold: encrypted to the following members, and emptied
# right after their use. The members' names are kept.
partials = Table(
    "partials",
    metadata,
    Column("about", Text, primary_key=True),  # the id of the request or the hold
    Column("kind", Text, primary_key=True),  # officer, custodian
    Column("key_sha256", Text, primary_key=True),  # of the opened key.age; empty for a custodian's
    Column("taken", Text, primary_key=True),  # members whose layers are removed: 1-2; for custodians only the first: 1
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

# A citizen's request for access to their own call. Personal data is cleared half a year after its end.
citizens = Table(
    "citizens",
    metadata,
    Column("id", Text, primary_key=True),  # C2026-0001
    Column("alias", Text),  # a name, or a pseudonym of the case
    Column("digits", Text),  # the last four of their number
    Column("called_on", Text),  # day of the call in the desk's zone, as all `_on`
    Column("asked", Text, nullable=False),  # listen, copy
    Column("verified", Text),  # how the identity was verified, by the registering person
    Column("received_on", Text, nullable=False),
    Column("counted_from", Text, nullable=False),  # begin of the ten days: the receipt, or the end of a postponement
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

# One row: the newest roles file ever in force here, so that an older one is refused.
roles_seen = Table(
    "roles_seen",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("sha256", Text, nullable=False),
)

# One row: the common part of all units' orders, as JSON (orders/template.py).
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
    Column("place", Text),  # place of the unit, from the form of its order
    Column("draft", LargeBinary),  # linetap.toml made by the desk, until the authority has signed it
    Column("order", LargeBinary),  # the signed order; null before signing and after the certificate
    Column("signature", LargeBinary),
    Column("prepared_by", Text, nullable=False),
    Column("prepared_at", Text, nullable=False),
    Column("run", Text, unique=True),  # id of the exchange; its keys are stored until the certificate
    Column("unit_key", LargeBinary),
    Column("desk_key", LargeBinary),
    Column("count", BigInteger, nullable=False),  # of the unit's last question
    Column("serial", Text),  # as reported by the unit, before or after the comparison
    Column("mac", Text),
    Column("address", Text),
    Column("confirmed_by", Text),  # person who typed the digits
    Column("confirmed_at", Text),
    Column("pressed_at", Text),  # when the unit's button was pressed
    Column("asked_at", Text),  # time of its last question
    Column("taken_at", Text),  # when its configuration came into force
    Column("fault", Text),  # reason for refusing the order
    Column("request", LargeBinary),
    Column("certificate", LargeBinary),
    Column("certified_by", Text),
    Column("certified_at", Text),
    Column("closed_at", Text),
    Column("outcome", Text),  # adopted, ended
    Index("adoptions_closed", "closed_at", "prepared_at"),
)

# Supervisors' reviews of ended calls. Rows are never changed: the newest of a call counts.
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

# The shift log of the control room: acknowledged faults, and notes for the next shift.
shift_log = Table(
    "shift_log",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    Column("person", Text, nullable=False),  # the account's name
    Column("shown", Text, nullable=False),  # display name
    Column("kind", Text, nullable=False),  # seen, note
    Column("unit", Text, nullable=False),  # empty for a note
    Column("faults", Text, nullable=False),  # acknowledged faults: hashes, as in a picture (live/journal.py)
    Column("text", Text, nullable=False),  # the note, or the acknowledged fault's words as shown
    Index("shift_log_unit", "kind", "unit", "id"),
)
