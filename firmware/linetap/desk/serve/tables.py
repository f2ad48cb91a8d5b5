# SPDX-License-Identifier: Apache-2.0
"""serve's own tables. migrations/ makes them; a test holds the two together.

Times are RFC 3339 UTC with milliseconds, so that their order is that of the text.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, MetaData, Table, Text

metadata = MetaData()

people = Table(
    "people",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),  # what is typed
    Column("shown", Text, nullable=False),  # what others read
    Column("roles", Text, nullable=False),  # sorted, with commas
    Column("password", Text),  # argon2id; null: by OIDC alone
    Column("subject", Text, unique=True),  # ISSUER SUB, at the OIDC provider
    Column("locked", Boolean, nullable=False),
    Column("made_at", Text, nullable=False),
    Column("changed_at", Text, nullable=False),
)

# The token is with the browser alone; who reads this table cannot become anybody.
sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", Text, primary_key=True),
    Column("person", Integer, ForeignKey("people.id"), nullable=False),
    Column("address", Text, nullable=False),
    Column("began_at", Text, nullable=False),
    Column("seen_at", Text, nullable=False),  # a person's last deed, not a stream's
    Column("ends_at", Text, nullable=False),
    Column("locked", Boolean, nullable=False),
    Index("sessions_person", "person"),
)

# Failed logins, by what was tried and from where.
attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),  # name, address
    Column("value", Text, nullable=False),
    Column("at", Text, nullable=False),
    Index("attempts_value", "kind", "value", "at"),
)

# A row is never changed; access/chain.py says what its hash covers.
access = Table(
    "access",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("person", Text, nullable=False),  # the name; empty: nobody was logged in
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

# One row: how far the access log goes, signed.
access_head = Table(
    "access_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("head", Text, nullable=False),  # the exact text
    Column("sig", Text, nullable=False),  # armored, as ssh-keygen reads it
)

# One row, once the oldest have gone: the last of those, signed, so that the rest still has a beginning.
access_anchor = Table(
    "access_anchor",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("head", Text, nullable=False),
    Column("sig", Text, nullable=False),
)
