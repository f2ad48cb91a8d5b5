# SPDX-License-Identifier: Apache-2.0
"""All tables of the first release, with the number that its last development version had."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0013", None


def _texts(names: str, *, nullable: bool = False) -> Iterator[sa.Column[str]]:
    return (sa.Column(name, sa.Text, nullable=nullable) for name in names.split())


def _texts_or_null(names: str) -> Iterator[sa.Column[str]]:
    return _texts(names, nullable=True)


def upgrade() -> None:
    _people()
    _access_log()
    _releases_and_holds()
    _units()
    _reviews()


def _people() -> None:
    op.create_table(
        "people",
        sa.Column("id", sa.Integer, primary_key=True),
        *_texts("name shown roles made_at changed_at"),
        sa.Column("departments", sa.Text, nullable=False, server_default=""),
        *_texts_or_null("password subject"),
        sa.Column("locked", sa.Boolean, nullable=False),
        sa.UniqueConstraint("name"),
        sa.UniqueConstraint("subject"),
    )
    op.create_table(
        "sessions",
        sa.Column("token_sha256", sa.Text, primary_key=True),
        sa.Column("person", sa.Integer, sa.ForeignKey("people.id"), nullable=False),
        *_texts("address began_at seen_at ends_at"),
        sa.Column("locked", sa.Boolean, nullable=False),
    )
    op.create_index("sessions_person", "sessions", ["person"])
    op.create_table(
        "passkeys",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("person", sa.Integer, sa.ForeignKey("people.id"), nullable=False, unique=True),
        sa.Column("credential", sa.Text, nullable=False, unique=True),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("counter", sa.BigInteger, nullable=False),
        *_texts("made_at"),
        *_texts_or_null("used_at"),
    )
    op.create_table(
        "invitations",
        sa.Column("person", sa.Integer, sa.ForeignKey("people.id"), primary_key=True),
        *_texts("first_sha256 asked_by reason asked_at ends_at"),
        *_texts_or_null("second_sha256 confirmed_by"),
    )
    op.create_table("attempts", sa.Column("id", sa.Integer, primary_key=True), *_texts("kind value at"))
    op.create_index("attempts_value", "attempts", ["kind", "value", "at"])


def _access_log() -> None:
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "access",
        sa.Column("seq", number, primary_key=True, autoincrement=False),
        *_texts("at person address act outcome calls terms purpose case_number remark hash"),
    )
    op.create_index("access_at", "access", ["at"])
    op.create_index("access_person", "access", ["person", "at"])
    for name in ("access_head", "access_anchor"):
        op.create_table(name, _single_row(), *_texts("head sig"))


def _single_row() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True, autoincrement=False)


def _releases_and_holds() -> None:
    op.create_table(
        "requests",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("line", sa.Integer, nullable=False),
        *_texts("unit call_id record_sha256 purpose case_number requester recipient asked_by asked_at expires_at"),
        *_texts_or_null("one_time keyed_by unwrapped_by unwrapped_at closed_by closed_at outcome remark party"),
        sa.Column("request", sa.LargeBinary),
        sa.Column("inner_age", sa.LargeBinary),
        sa.Column("approvals_needed", sa.Integer),
    )
    op.create_index("requests_closed", "requests", ["closed_at"])
    op.create_index("requests_asked", "requests", ["asked_at", "id"])
    op.create_index("requests_expires", "requests", ["expires_at", "id"])
    op.create_table(
        "approvals",
        sa.Column("request", sa.Text, sa.ForeignKey("requests.id"), primary_key=True),
        sa.Column("by", sa.Text, primary_key=True),
        *_texts("role signer signer_role at"),
        sa.Column("sig", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("request", "signer_role"),
    )
    op.create_table(
        "tickets",
        sa.Column("request", sa.Text, sa.ForeignKey("requests.id"), primary_key=True),
        sa.Column("sha256", sa.Text, nullable=False, unique=True),
        *_texts("by ends_at"),
    )
    op.create_table(
        "partials",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("about", "kind", "key_sha256", "taken")),
        sa.Column("left", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary),
        *_texts("by at"),
    )
    op.create_table(
        "holds",
        sa.Column("id", sa.Text, primary_key=True),
        *_texts("unit call_id record_sha256 case_number basis until asked_by asked_at"),
        sa.Column("command", sa.LargeBinary),
        *_texts_or_null("signer command_expires command_by command_at closed_by closed_at remark"),
    )
    op.create_index("holds_asked", "holds", ["asked_at", "id"])
    op.create_table(
        "citizens",
        sa.Column("id", sa.Text, primary_key=True),
        *_texts("asked received_on counted_from registered_by registered_at"),
        *_texts_or_null("alias digits called_on verified decision ground reason decided_by decided_at"),
        *_texts_or_null("meets_at room attending outcome closed_by closed_at cleared_at"),
    )
    op.create_index("citizens_closed", "citizens", ["closed_at", "cleared_at"])
    op.create_table(
        "roles_seen", _single_row(), sa.Column("version", sa.Integer, nullable=False), *_texts("sha256"),
    )  # fmt: skip


def _units() -> None:
    op.create_table(
        "order_template", _single_row(), sa.Column("template", sa.LargeBinary, nullable=False), *_texts("by at"),
    )  # fmt: skip
    op.create_table(
        "adoptions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("run", sa.Text, unique=True),
        *_texts("unit prepared_by prepared_at"),
        sa.Column("count", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.LargeBinary) for name in ("draft", "order", "signature", "unit_key", "desk_key")),
        *(sa.Column(name, sa.LargeBinary) for name in ("request", "certificate")),
        *_texts_or_null("place serial mac address confirmed_by confirmed_at pressed_at asked_at taken_at fault"),
        *_texts_or_null("certified_by certified_at closed_at outcome"),
    )
    op.create_index("adoptions_closed", "adoptions", ["closed_at", "prepared_at"])


def _reviews() -> None:
    op.create_table(
        "end_reviews", sa.Column("id", sa.Integer, primary_key=True), *_texts("unit call_id finding remark by at"),
    )  # fmt: skip
    op.create_index("end_reviews_call", "end_reviews", ["unit", "call_id"])
    op.create_index("end_reviews_at", "end_reviews", ["at"])
    op.create_table(
        "shift_log", sa.Column("id", sa.Integer, primary_key=True), *_texts("at person shown kind unit faults text"),
    )  # fmt: skip
    op.create_index("shift_log_unit", "shift_log", ["kind", "unit", "id"])
