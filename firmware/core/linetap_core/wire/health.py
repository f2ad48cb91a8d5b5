# SPDX-License-Identifier: Apache-2.0
"""A unit's published health: one flat object. A value without a sensor is null, never a guess. The desk reads parts of
it, each leniently: watch/units.py, ingest/register.py, outages.py and pbxdays.py.
"""

from __future__ import annotations

import msgspec

from linetap_core.records import ConfirmedBy, KeyHolder, PbxPort


class Health(msgspec.Struct, frozen=True, kw_only=True):
    at: str
    storage_days_left: float | None  # at the write rate since the recorder's start
    storage_free_bytes: int | None
    storage_total_bytes: int | None
    recording_refused: str | None
    card_encrypted: bool | None  # whether the vault is on an encrypted partition; null: unknown
    card_key: KeyHolder | None  # the holder of the card's key: the TPM, or the board's fuses (OTP); null: not encrypted
    gap_ms: float  # in all recordings since the recorder's start
    capture_gap_ms: float  # of all cards since their captures' start, recorded or not
    overruns: int
    clock_synced: bool
    clock_offset_ms: float | None
    calls_undated: int | None  # calls without an end date, sealed while no clock was agreed
    temperature_c: float | None
    throttled: bool | None
    queue_length: int  # events not yet acknowledged by a broker
    outbox_seq: int
    outbox_bytes: int
    outbox_oldest_s: float | None  # age of the oldest unconfirmed event
    unconfirmed: int  # events
    confirmed_by: ConfirmedBy  # the broker's acknowledgement counts if the roles name no desk
    lines_in_use: int
    lines: int
    pbx_port: PbxPort | None  # null: no recorder runs
    pbx_day: str | None  # the last complete day, to which the next four refer, as a local date: 2026-11-25
    pbx_calls: int | None  # external calls on the unit's lines in the SMDR
    pbx_recorded: int | None  # of these calls
    pbx_missing: int | None  # of these calls: a due recording is missing
    pbx_unseen: int | None  # recordings without SMDR
    config_sha256: str | None  # of the effective configuration
    config_pending: str | None  # of the configuration that waits for a moment without a call
    update: str  # progress and version of a running update
    loader: str | None  # build date of the boot loader in the Pi's EEPROM: 2026-05-17
    eeprom: str  # its update: the step, the old version, the requested one, and the reason of a failure
    departures: str  # recordings beyond the default; names separated by blanks
    services_dead: str  # names separated by blanks
    services_starting: str
    condition: str  # the legend's condition that the LEDs show
    records: bool  # whether calls are recorded in that condition
    alerts: int  # standing alerts, after damping
