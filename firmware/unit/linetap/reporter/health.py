# SPDX-License-Identifier: Apache-2.0
"""Makes the unit's health (wire/health.py) from the snapshot of its checks."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from linetap.checks import Judgement, Snapshot
from linetap.checks.bootstate import Eeprom, day_of
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap_core import jsontext
from linetap_core.clock import NS_PER_S, S_PER_DAY, parse_rfc3339, rfc3339
from linetap_core.records import FREE, ConfirmedBy, PbxPort, RecorderState
from linetap_core.rundir import capture_service
from linetap_core.wire.health import Health
from linetap_core.wire.legend import CONDITIONS, shown_conditions

_FORECAST_AFTER_S = 600  # less data gives no useful forecast


def health(snapshot: Snapshot, events: OutboxFigures, judgement: Judgement) -> Health:
    services, machine = snapshot.services, snapshot.machine
    condition = shown_conditions(judgement.leds, bool(judgement.starting))[0]
    recorder = services.recorder.live
    captures = [state for seen in services.capture.values() if (state := seen.live)]
    dead = [capture_service(card) for card, seen in services.capture.items() if seen.status == "dead"]
    dead += [name for name in ("recorder", "panel") if getattr(services, name).status == "dead"]
    # From the recorder: the reporter's sandbox forbids adjtimex(2), so every clock would look unsynchronised.
    clock = recorder.clock if recorder else None
    lines = recorder.lines if recorder else []
    pbx = recorder.pbx_day if recorder else None
    return Health(
        at=rfc3339(snapshot.utc_ns),
        storage_days_left=_days_left(recorder, snapshot.free_bytes, snapshot.reserve_bytes),
        storage_free_bytes=snapshot.free_bytes,
        storage_total_bytes=snapshot.total_bytes,
        recording_refused=recorder.recording_refused if recorder else None,
        card_encrypted=snapshot.mount.encrypted if snapshot.mount is not None else None,
        card_key=machine.card_key if snapshot.mount is not None and snapshot.mount.encrypted else None,
        gap_ms=recorder.gap_ms if recorder else 0.0,
        capture_gap_ms=round(sum(capture.gap_ms for capture in captures), 3),
        overruns=sum(capture.overruns for capture in captures),
        clock_synced=clock is not None and clock.synced,
        clock_offset_ms=clock.offset_ms if clock is not None and clock.synced else None,
        calls_undated=recorder.undated if recorder else None,
        temperature_c=machine.temperature_c,
        throttled=None if machine.throttled is None else machine.throttled != 0,
        queue_length=events.queue_length,
        outbox_seq=events.outbox_seq,
        outbox_bytes=events.outbox_bytes,
        outbox_oldest_s=events.oldest_s,
        unconfirmed=events.unconfirmed,
        confirmed_by=events.confirmed_by,
        lines_in_use=sum(line.state not in FREE for line in lines),
        lines=len(lines),
        pbx_port=_pbx_port(recorder),
        pbx_day=pbx.day if pbx else None,
        pbx_calls=pbx.calls if pbx else None,
        pbx_recorded=pbx.recorded if pbx else None,
        pbx_missing=pbx.missing if pbx else None,
        pbx_unseen=pbx.unseen if pbx else None,
        config_sha256=recorder.config_sha256 if recorder else None,
        config_pending=recorder.config_pending if recorder else None,
        update=_update(recorder),
        loader=None if machine.loader is None else machine.loader.built_on,
        eeprom=_eeprom(machine.eeprom),
        departures=" ".join(recorder.departures) if recorder else "",
        services_dead=" ".join(dead),
        services_starting=" ".join(judgement.starting),
        condition=condition,
        records=CONDITIONS[condition].records,
        alerts=len(judgement.findings),
    )


def _pbx_port(recorder: RecorderState | None) -> PbxPort | None:
    if recorder is None:
        return None
    return "none" if recorder.smdr_connected is None else "open" if recorder.smdr_connected else "shut"


def _update(recorder: RecorderState | None) -> str:
    found = recorder.update if recorder is not None else None
    return "" if found is None or found.step in ("done", "failed") else f"{found.step} {found.version}"


def _eeprom(found: Eeprom | None) -> str:
    if found is None:
        return ""
    return f"{found.step} {day_of(found.before_s)} {day_of(found.wanted_s)} {found.code}".rstrip()


def _days_left(recorder: RecorderState | None, free: int | None, reserve: int) -> float | None:
    if recorder is None or free is None or not recorder.written_bytes:
        return None
    seconds = (recorder.mono_ns - recorder.started_ns) / NS_PER_S
    if seconds < _FORECAST_AFTER_S:
        return None
    return round(max(0, free - reserve) / (recorder.written_bytes / seconds) / S_PER_DAY, 1)


# --- The outbox in figures --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OutboxFigures:
    """The outbox's fill, the age of its oldest unconfirmed event, and the party whose confirmation counts."""

    queue_length: int  # events that no broker has acknowledged yet
    outbox_seq: int
    unconfirmed: int
    confirmed_by: ConfirmedBy
    outbox_bytes: int
    oldest_s: float | None  # age of the oldest unconfirmed event; None: all are confirmed


class _Dated(msgspec.Struct):
    at: str


class Ages:
    """The age of the oldest unconfirmed event: by its time of day, but at most the counted time since it was written.

    A unit that starts with an old time, and sets its clock then, has written its first events days ago by their time.
    """

    def __init__(self) -> None:
        self._began: tuple[int, int] | None = None  # the newest event at the first look, and its time, ns
        self._seq, self._seen_s, self._seen_ns = 0, 0.0, 0  # the oldest event, with its age when it became the oldest

    def begin(self, newest: int, now_ns: int) -> None:
        self._began = self._began or (newest, now_ns)

    def of(self, seq: int, by_clock_s: float, now_ns: int) -> float:
        """`by_clock_s`: by the time of day, below 0 for an event dated in the future."""
        if seq != self._seq:
            self._seq, self._seen_s, self._seen_ns = seq, by_clock_s, now_ns
        counted = [self._seen_s + (now_ns - self._seen_ns) / NS_PER_S] if self._seen_s >= 0 else []
        if self._began is not None and seq > self._began[0]:
            counted.append((now_ns - self._began[1]) / NS_PER_S)
        return max(0.0, min(by_clock_s, *counted)) if counted else max(0.0, by_clock_s)


def outgoing(
    reader: OutboxReader, delivered_seq: int, confirmed: int | None, ages: Ages, utc_ns: int, now_ns: int
) -> OutboxFigures:
    """The outbox's figures. `reader`: for this function alone, since reading moves its position. `confirmed` None: the
    roles name no desk. `now_ns`: monotonic."""
    newest = reader.last_seq()
    through = delivered_seq if confirmed is None else confirmed
    ages.begin(newest, now_ns)
    oldest = _dated(reader, through + 1)
    return OutboxFigures(
        queue_length=max(0, newest - delivered_seq),
        outbox_seq=newest,
        unconfirmed=max(0, newest - through),
        confirmed_by="broker" if confirmed is None else "desk",
        outbox_bytes=reader.size_bytes(),
        oldest_s=None if oldest is None else round(ages.of(oldest[0], (utc_ns - oldest[1]) / NS_PER_S, now_ns), 1),
    )


def _dated(reader: OutboxReader, seq: int) -> tuple[int, int] | None:
    """The first event from `seq` on, and its time; None without one, or without a valid time."""
    found = reader.from_seq(seq, 1)
    if not found:
        return None
    try:
        return found[0][0], parse_rfc3339(jsontext.decode(found[0][1], type=_Dated).at)
    except (ValueError, OverflowError):
        return None
