# SPDX-License-Identifier: Apache-2.0
"""True times of calls that are named by a wrong clock: from amendments, or from the records themselves."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from linetap_core.clock import from_utc_ns, parse_rfc3339
from linetap_core.errors import LinetapError
from linetap_core.evidence import index, sealed
from linetap_core.evidence.index import Entry
from linetap_desk import foreign
from linetap_desk.proofs import amended, callfolder


class TrueTimes:
    """Of the calls in some vaults. What an amendment says is believed as far as an index is: the record decides."""

    def __init__(self, vaults: Iterable[Path]) -> None:
        self._vaults = list(vaults)
        self._began = {
            (each.unit, each.call_id): parse_rfc3339(each.began_at)
            for vault in self._vaults
            for each in amended.every(vault)
        }

    def began_ns(self, entry: Entry) -> int:
        """BadIndex if the entry's call id is none."""
        named_ns = index.began_ns(entry)
        known = self._began.get((entry.unit, entry.call_id))
        if known is None:
            known = self._began[entry.unit, entry.call_id] = self._by_record(entry.call_id, named_ns)
        return known

    def days_of_others(self, first_ns: int, last_ns: int, zone: ZoneInfo) -> set[date]:
        """Days that name a segment with calls which were between these moments, and are called after others."""
        found: set[date] = set()
        for (_, call_id), began_ns in list(self._began.items()):
            if first_ns <= began_ns <= last_ns:
                day = from_utc_ns(sealed.call_ns(call_id)).astimezone(zone).date()
                found |= {day - timedelta(days=1), day, day + timedelta(days=1)}
        return found

    def _by_record(self, call_id: str, named_ns: int) -> int:
        for vault in self._vaults:
            path = vault / sealed.call_path(call_id) / sealed.RECORD
            if not path.exists():
                continue
            try:
                record = foreign.decode(callfolder.read(path, sealed.RECORD_LIMIT_BYTES), _Record)
                return parse_rfc3339(record.actual.began_at) if record.actual else named_ns
            except (LinetapError, ValueError):
                break
        return named_ns


class _Actual(msgspec.Struct):
    began_at: str


class _Record(msgspec.Struct):
    actual: _Actual | None = None
