# SPDX-License-Identifier: Apache-2.0
"""The state files in run_dir: each service's report to the others, a few times a second.

Times are monotonic nanoseconds, except those that leave the unit, which are RFC 3339 UTC text.
"""

from __future__ import annotations

from typing import Literal

import msgspec

LineStatus = Literal["idle", "ringing", "dialling", "notice", "recording", "off_hook", "fault"]
FREE: tuple[LineStatus, ...] = ("idle", "fault")  # states of a line without a call; a faulty line records none
# The means of ending a line's calls: its card's contact; otherwise staff, because the card has none, unit.toml says so,
# or the exchange was measured not to release the line.
LineRelease = Literal["contact", "no_contact", "staff", "exchange"]
ConfirmedBy = Literal["desk", "broker"]  # the confirming party; the broker if the roles name no desk
PbxPort = Literal["none", "open", "shut"]  # the port for SMDR; none: not configured
KeyHolder = Literal["tpm", "otp"]  # holder of the key of the vault's partition: the unit's TPM, or the board's fuses
Severity = Literal["warning", "critical"]
Colour = Literal["green", "yellow", "red"]
WalkStep = Literal["free", "lift", "dial", "notice", "down"]
WalkBy = Literal["button", "terminal"]
RemovalState = Literal["ending", "ready"]
WalkEnd = Literal["done", "stopped", "time_limit"]
UpdateStep = Literal["fetching", "installing", "waiting", "trying", "done", "failed"]
UpdateBy = Literal["command", "stick"]


class Fault(msgspec.Struct, frozen=True):
    """The fault of a service: a stable code and one line for a person."""

    code: str
    text: str


class ServiceState(msgspec.Struct, kw_only=True):
    """The common part of every state. `progress` grows while the service does its work, not merely while it runs."""

    service: str
    version: str
    pid: int
    started_ns: int  # monotonic
    mono_ns: int  # monotonic time of this state
    progress: int
    fault: Fault | None = None
    leaving: bool = False  # it ends on request, or for another configuration; usually it starts again
    broken_files: list[str] = []  # names of small files recently found damaged


class MeterState(msgspec.Struct, kw_only=True):
    """The line meter's state, as read by capture."""

    connected: bool
    frames_lost: int = 0
    restarts: int = 0
    tamper: bool = False  # the housing is open
    power_fail: bool = False
    unset: list[int] = []  # converters whose gain or format may differ: 1 has lines 1 to 4, 2 has 5 to 8
    contacts: bool = False  # it reports its series contacts; an earlier version does not
    opened: list[int] = []  # lines whose contact is held open
    charged: list[int] = []  # lines whose telephone was charged when the contact closed, which proves the closing


class CaptureState(ServiceState, kw_only=True):
    card: int
    device_rate_hz: int
    device_format: str
    channels: int
    lines: list[int]
    ring_locked: bool
    realtime: bool
    overruns: int = 0
    overruns_lately: int = 0  # clock.py
    underruns: int = 0
    gap_ms: float = 0.0
    drift_ppm: float | None = None  # of the codec against the system's clock, over at most an hour; above 0: slow
    meter: MeterState | None = None  # None: the card has no meter
    opened: list[int] = []  # lines whose series contact is held open
    contact_stuck: list[int] = []  # lines whose loop stayed closed although the contact was opened
    contact_open: list[int] = []  # lines whose contact may not have closed again


class LineState(msgspec.Struct, kw_only=True):
    line: int
    state: LineStatus
    since: str
    call_id: str | None = None
    troubles: list[str] = []  # the line's faults, as codes of checks
    release: LineRelease | None = None  # None: no situation ends a call, or the line is exempt


class KeyListState(msgspec.Struct, kw_only=True):
    """The recorder's signed list of epochs; all None without a usable one."""

    version: int | None = None
    last_day: str | None = None
    fits_days: int | None = None  # number of days from today with an epoch for a call of the longest class


class RetentionTimeState(msgspec.Struct, kw_only=True):
    """The clock for the destruction of calls; `now` None: never agreed."""

    now: str | None = None
    agreed: bool = False  # in this boot
    ahead_s: int = 0  # the machine's clock, beyond the explained time: two vault officers must confirm it
    behind_s: int = 0
    early: str | None = None  # a proven lower bound of the time, if the machine's synchronised clock is earlier
    unconfirmed_s: int = 0  # accepted from a time server or one person; at most retention.largest_gap_days
    challenge: str = ""  # challenge for a signed answer (command `time`)


class KernelClockState(msgspec.Struct, frozen=True, kw_only=True):
    """The machine's clock as the recorder measures it, and its jumps."""

    synced: bool
    offset_ms: float | None  # None: not measured
    synced_ns: int | None = None  # monotonic time of the last synchronisation; None: not since the recorder's start
    step_ms: int = 0  # the last jump, above 0: forward
    stepped_ns: int | None = None  # its monotonic time; None: no jump since the recorder's start


class DeliveryState(msgspec.Struct, frozen=True, kw_only=True):
    """The desk's confirmations of the unit's events, and whether they are signed by the desk."""

    desk: bool = False  # the roles name a desk; otherwise the broker's acknowledgement counts
    confirmed: int = 0  # the desk has stored all events up to this number
    resend: int = 0  # grows with each request of the desk for events, from `resend_from` to `resend_to`
    resend_from: int = 0
    resend_to: int = 0


class OutboxState(msgspec.Struct, frozen=True, kw_only=True):
    """The events sent and not yet sent by the reporter."""

    oldest_s: float | None = None  # age of the oldest unconfirmed event; None: all are confirmed
    unconfirmed: int = 0  # events
    confirmed_by: ConfirmedBy = "broker"
    size_bytes: int = 0
    limit_bytes: int = 1  # above it the oldest events are dropped, confirmed or not


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of `alert/<check>`."""

    severity: Severity
    line: int | None
    since: str
    text_ko: str
    text_en: str
    action_ko: str
    action_en: str
    changes: int = 0  # number of recurrences; 0: a standing alert
    led: str = ""  # the LED condition of the alert; empty from an earlier version
    lines: tuple[int, ...] = ()  # all affected lines; `line` names a single one
    cards: tuple[int, ...] = ()


class RefusedState(msgspec.Struct, frozen=True):
    """The commands refused since the recorder's start: their number, and the last one's code and role."""

    count: int = 0
    code: str = ""
    role: str = ""  # empty: unknown signer
    mono_ns: int = 0  # monotonic, of the last


class WalkedLine(msgspec.Struct, frozen=True, kw_only=True):
    """The findings of a walk test for one line. None: not measured, or no meter."""

    line: int
    colour: Colour
    found: list[str] = []  # codes, the worst first; empty: no finding
    at: str = ""  # time of the result
    on_hook_v: float | None = None  # signed
    off_hook_v: float | None = None
    level_dbm0: float | None = None  # of the loudest half second outside the notice
    digit: bool = False  # whether a digit was detected
    proof: str | None = None  # of the notice, like the next two
    score: float | None = None
    echo_db: float | None = None
    echo_delay_ms: float | None = None  # from playing the notice to capturing it
    call_id: str | None = None  # the test call
    record_sha256: str | None = None  # of its record.json; None: not sealed


class WalkState(msgspec.Struct, frozen=True, kw_only=True):
    """The walk test in progress, and for a minute after its end."""

    began_at: str
    by: WalkBy
    line: int | None = None  # the current line
    step: WalkStep | None = None
    left_s: int = 0  # remaining time for this line
    waiting: list[int] = []
    lines: list[WalkedLine] = []
    shows: Colour | None = None  # briefly after each line; after the end, the worst of all
    ended_by: WalkEnd | None = None


class UpdateState(msgspec.Struct, frozen=True, kw_only=True):
    """The progress or result of an update of the unit. `waiting`: for a moment without calls; `trying`: the new version
    must prove that it works.
    """

    step: UpdateStep
    version: str
    sha256: str  # of the bundle
    by: UpdateBy
    at: str  # time of this step
    code: str = ""  # UpdateFault's code, if it failed
    text: str = ""
    size: int = 0  # bytes
    fetched: int = 0
    starts: int = 0  # number of starts: a bundle that crashes its installer is not retried for ever
    slot: str = ""  # on trial
    before: list[str] = []  # faults before the trial: a check, with its line if any


class PbxDay(msgspec.Struct, frozen=True, kw_only=True):
    """A past day of the PBX's SMDR: external calls on the unit's lines, and their recordings."""

    day: str  # 2026-11-25, the unit's local date
    calls: int
    recorded: int
    missing: int  # recordings that were due but do not exist
    unseen: int  # further recordings, without SMDR


class WeakeningState(msgspec.Struct, frozen=True, kw_only=True):
    """Less is or will be recorded, announced, kept or reported, and no second person has confirmed that yet."""

    id: str  # the id for `confirm` and `cancel`
    at: str  # time of the request or detection
    by: Literal["command", "file", "update", "authority"]
    codes: list[str]  # config/weakening.py
    in_effect: bool
    waits_s: int  # the policy's delay before it takes effect


class OrderState(msgspec.Struct, frozen=True):
    """The result of an order on the card in this boot: `taken`, `retired`, or the reason of its refusal."""

    at: str
    code: str
    sha256: str


class RecorderState(ServiceState, kw_only=True):
    unit: str
    lines: list[LineState]
    config_sha256: str
    key_fault: str | None = None  # why the unit's key does not sign; calls sealed meanwhile wait for a signature
    unsigned: int = 0  # number of waiting calls
    recording_refused: str | None = None  # why new calls are not recorded, e.g. "disk_full"
    gap_ms: float = 0.0
    ring_lag_ms: float = 0.0
    overtaken_ns: int | None = None  # monotonic time of the last loss of unread audio; None: none since the start
    outbox_seq: int = 0
    outbox_dropped_to: int = 0  # the newest event that was dropped for lack of space, or found damaged
    logs_kept: list[str] = []  # logs in the vault that did not match their head, and were set aside
    written_bytes: int = 0  # audio written since the start, for the storage forecast
    smdr_connected: bool | None = None  # None: no PBX reports calls
    smdr_lines: int = 0  # of today, like the next two
    smdr_bad: int = 0  # invalid or truncated lines
    smdr_unmatched: int = 0  # calls on our lines without a record, and recordings without SMDR
    pbx_day: PbxDay | None = None  # the last complete day
    key_list: KeyListState | None = None  # None: not configured
    retention_time: RetentionTimeState | None = None
    clock: KernelClockState | None = None
    undated: int = 0  # calls without an expiry day, because no clock was agreed when they were sealed
    full_in_days: int | None = None  # at the present rate the disk is full in so many days, before its calls expire
    retention_days: int = 0  # of the default class
    delivery: DeliveryState = DeliveryState()
    refused_commands: RefusedState = RefusedState()
    identify_until_ns: int = 0  # monotonic: until then the unit shows itself to a person
    config_pending: str | None = None  # SHA-256 of the configuration that waits for a moment without calls
    departures: list[str] = []  # settings that record more than the default
    weakenings: list[WeakeningState] = []  # not confirmed yet
    walk: WalkState | None = None
    removal: RemovalState | None = None  # a person is about to remove the disk; ready: all calls are sealed
    standing: list[str] = []  # its hanging threads: vault, journal
    not_kept: str | None = None  # why a successor could not continue the calls in progress
    update: UpdateState | None = None  # None: there was no update
    order: OrderState | None = None  # None: no order on the card in this boot


class ReporterState(ServiceState, kw_only=True):
    connected: bool
    tried: bool = True  # a connection has succeeded or failed since the start
    session: str
    delivered_seq: int = 0
    queue_length: int = 0
    broker: str = ""
    certificate_until: str | None = None  # end of the unit's TLS certificate; None: missing or unreadable
    outbox: OutboxState | None = None
    alerts: dict[str, Alert] = {}  # its alerts, by check


class PanelState(ServiceState, kw_only=True):
    unit_state: str
    leds: dict[str, bool]
    patterns: dict[str, str] = {}
    meaning_ko: str = ""
    meaning_en: str = ""
    alerts: dict[str, Alert] = {}  # its alerts, by check
