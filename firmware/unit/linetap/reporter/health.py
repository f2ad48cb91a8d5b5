# SPDX-License-Identifier: Apache-2.0
"""The unit's health as one flat object. What a machine has no sensor for is null, and never a guess."""

from __future__ import annotations

import msgspec

from linetap.checks import Judgement, Snapshot
from linetap.reporter.outgoing import Outgoing
from linetap_core.clock import NS_PER_S, S_PER_DAY, rfc3339
from linetap_core.records import FREE, ConfirmedBy, PbxPort, RecorderState
from linetap_core.wire.legend import CONDITIONS, standing

_FORECAST_AFTER_S = 600  # a forecast from less is a guess


class Health(msgspec.Struct, frozen=True, kw_only=True):
    at: str
    storage_days_left: float | None  # at the rate of writing since the recorder's start
    storage_free_bytes: int | None
    storage_total_bytes: int | None
    recording_refused: str | None
    card_encrypted: bool | None  # whether the vault is on a partition whose key the TPM gave out; null: not known
    gap_ms: float  # of all recordings since the recorder's start
    capture_gap_ms: float  # of all cards since their captures' start, whether recorded or not
    overruns: int
    clock_synced: bool
    clock_offset_ms: float | None
    calls_undated: int | None  # calls that have no day to go, since no clock was agreed when they were sealed
    temperature_c: float | None
    throttled: bool | None
    queue_length: int  # events that no broker has taken yet
    outbox_seq: int
    outbox_bytes: int
    outbox_oldest_s: float | None  # since the oldest event that is not confirmed
    unconfirmed: int  # events
    confirmed_by: ConfirmedBy  # whose word counts: a broker's where the roles name no desk
    lines_in_use: int
    lines: int
    pbx_port: PbxPort | None  # null: there is no recorder to say
    pbx_day: str | None  # the last one that is settled, as the next four are of it: 2026-11-25 where the unit is
    pbx_calls: int | None  # external ones on the unit's lines that the PBX told of
    pbx_recorded: int | None  # of these
    pbx_missing: int | None  # of these: a recording was due, and there is none
    pbx_unseen: int | None  # recordings beside them that the PBX said nothing of
    config_sha256: str | None  # of the effective configuration
    config_pending: str | None  # of the one that waits for a moment without a call
    update: str  # how far one is that is on its way, and its version
    departures: str  # what it records that is not recorded by default; names with a blank between
    services_dead: str  # names with a blank between
    services_starting: str
    condition: str  # what the LEDs show, by the legend
    records: bool  # whether calls are recorded in it
    alerts: int  # that stand, as they are told


def health(snapshot: Snapshot, events: Outgoing, judgement: Judgement) -> Health:
    services, machine = snapshot.services, snapshot.machine
    condition = standing(judgement.leds, bool(judgement.starting))[0]
    recorder = services.recorder.word
    captures = [state for seen in services.capture.values() if (state := seen.word)]
    dead = [f"capture@{card}" for card, seen in services.capture.items() if seen.status == "dead"]
    dead += [name for name in ("recorder", "panel") if getattr(services, name).status == "dead"]
    # The recorder's word: the reporter's sandbox takes no adjtimex(2), and every clock would look unkept.
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


def _days_left(recorder: RecorderState | None, free: int | None, reserve: int) -> float | None:
    if recorder is None or free is None or not recorder.written_bytes:
        return None
    seconds = (recorder.mono_ns - recorder.started_ns) / NS_PER_S
    if seconds < _FORECAST_AFTER_S:
        return None
    return round(max(0, free - reserve) / (recorder.written_bytes / seconds) / S_PER_DAY, 1)
