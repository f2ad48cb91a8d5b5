# SPDX-License-Identifier: Apache-2.0
"""What health says of the outbox: how much is in it, how old what nobody has confirmed is, and whose word counts."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap_core import jsontext
from linetap_core.clock import NS_PER_S, parse_rfc3339
from linetap_core.records import ConfirmedBy


@dataclass(frozen=True, slots=True)
class Outgoing:
    queue_length: int  # events that no broker has taken yet
    outbox_seq: int
    unconfirmed: int
    confirmed_by: ConfirmedBy
    outbox_bytes: int
    oldest_s: float | None  # since the oldest of the unconfirmed; None: all are


class _Dated(msgspec.Struct):
    at: str


def outgoing(reader: OutboxReader, delivered_seq: int, confirmed: int | None, utc_ns: int) -> Outgoing:
    """`reader` is one for this alone, so that no other's place is moved. `confirmed` None: no desk is named."""
    newest = reader.last_seq()
    through = delivered_seq if confirmed is None else confirmed
    return Outgoing(
        queue_length=max(0, newest - delivered_seq),
        outbox_seq=newest,
        unconfirmed=max(0, newest - through),
        confirmed_by="broker" if confirmed is None else "desk",
        outbox_bytes=reader.size_bytes(),
        oldest_s=_age_s(reader, through + 1, utc_ns),
    )


def _age_s(reader: OutboxReader, seq: int, utc_ns: int) -> float | None:
    found = reader.from_seq(seq, 1)
    if not found:
        return None
    try:
        at_ns = parse_rfc3339(jsontext.decode(found[0][1], type=_Dated).at)
    except (ValueError, OverflowError):
        return None
    return round(max(0, utc_ns - at_ns) / NS_PER_S, 1)
