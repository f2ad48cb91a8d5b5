# SPDX-License-Identifier: Apache-2.0
"""Another key for the access log. Nobody goes on from a head that another key has signed, so this is said once, by a
person, and all of it is looked at under the old key first."""

from __future__ import annotations

from sqlalchemy import delete, insert

from linetap_core.evidence import keys
from linetap_core.evidence.keys import PublicKey
from linetap_desk.serve.access import chain
from linetap_desk.serve.access.chain import ChainFault
from linetap_desk.serve.access.log import DONE, AccessTable
from linetap_desk.serve.access.subject import Subject
from linetap_desk.serve.access.verify import verify
from linetap_desk.serve.tables import access_anchor, access_head
from linetap_desk.serve.transactions import writing


def rekey(table: AccessTable, old: PublicKey) -> int:
    """How many rows there are. ChainFault where they are not whole, or not signed by `old`."""
    with writing(table.engine) as db:
        verdict = verify(db)
        if keys.public_blob(verdict.key) != keys.public_blob(old):
            raise ChainFault("access_head_foreign", f"the access log is signed by {keys.fingerprint(verdict.key)}")
        for place, head in ((access_head, verdict.head), (access_anchor, verdict.anchor)):
            if head is not None:
                db.execute(delete(place))
                db.execute(insert(place).values(id=1, **chain.signed(head, table.key)))
        new = keys.fingerprint(table.key.public_key())
        table.append_in(db, "", "", "access_rekey", Subject(remark=f"{keys.fingerprint(old)} -> {new}"), DONE)
    return verdict.rows
