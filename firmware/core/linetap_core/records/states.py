# SPDX-License-Identifier: Apache-2.0
"""The state files in run_dir: what each service reports of itself to the others, a few times a second.

Times are monotonic nanoseconds, but for those that leave the unit, which are RFC 3339 UTC text.
"""

from __future__ import annotations

from typing import Literal

import msgspec

LineStatus = Literal["idle", "ringing", "dialling", "notice", "recording", "off_hook", "fault"]
FREE: tuple[LineStatus, ...] = ("idle", "fault")  # states of an unused line; a faulty line records nothing either
# How a call on a line is ended: by its card's contact; else by staff: the card has none, unit.toml says so, or the
# exchange was measured not to release the line.
LineRelease = Literal["contact", "no_contact", "staff", "exchange"]
ConfirmedBy = Literal["desk", "broker"]  # the confirming party: the broker if the roles name no desk
PbxPort = Literal["none", "open", "shut"]  # where the PBX prints its calls; none: the configuration names none
KeyHolder = Literal["tpm", "otp"]  # of the vault's partition: the unit's TPM, or the fuses of its board
Severity = Literal["warning", "critical"]
Colour = Literal["green", "yellow", "red"]
WalkStep = Literal["free", "lift", "dial", "notice", "down", "seal"]
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
    mono_ns: int  # monotonic, when this was written
    progress: int
    fault: Fault | None = None
    leaving: bool = False  # it was asked to end, or ends for another configuration: it is started again, as a rule
    broken_files: list[str] = []  # names of small files that were recently found damaged


class MeterState(msgspec.Struct, kw_only=True):
    """The line meter, as capture reads it."""

    connected: bool
    frames_lost: int = 0
    restarts: int = 0
    tamper: bool = False  # the housing is open
    power_fail: bool = False
    unset: list[int] = []  # converters that may have another gain or format: 1 has lines 1 to 4, 2 has 5 to 8
    contacts: bool = False  # it reports its series contacts: one of an earlier version does not
    opened: list[int] = []  # lines whose contact it holds open
    charged: list[int] = []  # lines whose telephone was charged when the contact closed: it has closed


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
    drift_ppm: float | None = None  # of the codec against the system's clock, over an hour at most; above 0 it is slow
    meter: MeterState | None = None  # None: the card has none
    opened: list[int] = []  # lines whose series contact it holds open
    contact_stuck: list[int] = []  # lines whose contact was opened, and whose loop stayed closed
    contact_open: list[int] = []  # lines whose contact may not have closed again


class LineState(msgspec.Struct, kw_only=True):
    line: int
    state: LineStatus
    since: str
    call_id: str | None = None
    troubles: list[str] = []  # the line's faults, as codes of checks
    release: LineRelease | None = None  # None: no situation ends a call, or the line is exempt


class KeyListState(msgspec.Struct, kw_only=True):
    """The recorder's signed list of epochs; all None: there is no usable one."""

    version: int | None = None
    last_day: str | None = None
    fits_days: int | None = None  # for how many days from today a call of the longest class has an epoch


class RetentionTimeState(msgspec.Struct, kw_only=True):
    """The clock for the destruction of calls; `now` None: there has never been an agreed one."""

    now: str | None = None
    agreed: bool = False  # in this boot
    ahead_s: int = 0  # the machine's clock, of what can be explained: two vault officers must confirm it
    behind_s: int = 0
    early: str | None = None  # a proven earlier bound of the time, while the machine's clock is synchronised before it
    unconfirmed_s: int = 0  # accepted from a time server or from one person; retention.largest_gap_days at most
    challenge: str = ""  # the challenge for a signed answer (command `time`)


class KernelClockState(msgspec.Struct, frozen=True, kw_only=True):
    """The machine's clock in the recorder's view, and its jumps."""

    synced: bool
    offset_ms: float | None  # None: not measured
    synced_ns: int | None = None  # monotonic, when it last was; None: not since the recorder's start
    step_ms: int = 0  # the last jump, above 0 forward,
    stepped_ns: int | None = None  # and when, monotonic; None: it has not jumped since the recorder's start


class DeliveryState(msgspec.Struct, frozen=True, kw_only=True):
    """The desk's confirmations of the unit's events, and whether they are signed by the desk."""

    desk: bool = False  # the roles name a desk; without one the broker's acknowledgement counts
    confirmed: int = 0  # the desk has stored everything up to this event
    resend: int = 0  # grows when the desk asks for events again, from `resend_from` to `resend_to`
    resend_from: int = 0
    resend_to: int = 0


class OutboxState(msgspec.Struct, frozen=True, kw_only=True):
    """The events that the reporter has sent and has not sent."""

    oldest_s: float | None = None  # age of the oldest unconfirmed event; None: all are confirmed
    unconfirmed: int = 0  # events
    confirmed_by: ConfirmedBy = "broker"
    size_bytes: int = 0
    limit_bytes: int = 1  # beyond it the oldest events are dropped, confirmed or not


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of `alert/<check>`."""

    severity: Severity
    line: int | None
    since: str
    text_ko: str
    text_en: str
    action_ko: str
    action_en: str
    changes: int = 0  # of a recurring alert: how often; 0: it stands
    led: str = ""  # the condition of the LEDs that shows it; empty from an earlier version
    lines: tuple[int, ...] = ()  # all lines that it is about; `line` names one alone
    cards: tuple[int, ...] = ()


class RefusedState(msgspec.Struct, frozen=True):
    """The commands refused since the recorder's start: their number, and the last one's code and role."""

    count: int = 0
    code: str = ""
    role: str = ""  # empty: the signer is unknown
    mono_ns: int = 0  # monotonic, of the last


class WalkedLine(msgspec.Struct, frozen=True, kw_only=True):
    """The findings of a walk test for one line. None: not measured, or there is no meter."""

    line: int
    colour: Colour
    found: list[str] = []  # codes, the worst first; empty: no finding
    at: str = ""  # when it was judged
    on_hook_v: float | None = None  # signed
    off_hook_v: float | None = None
    level_dbm0: float | None = None  # of the loudest half second outside the notice
    digit: bool = False  # one was heard
    proof: str | None = None  # of the notice, as the two below
    score: float | None = None
    echo_db: float | None = None
    echo_delay_ms: float | None = None  # from playing the notice to capturing it
    call_id: str | None = None  # the test call
    record_sha256: str | None = None  # of its record.json; None: it is not sealed


class WalkState(msgspec.Struct, frozen=True, kw_only=True):
    """The walk test in progress, and for a minute after its end."""

    began_at: str
    by: WalkBy
    line: int | None = None  # the current line
    step: WalkStep | None = None
    left_s: int = 0  # for this line
    waiting: list[int] = []
    lines: list[WalkedLine] = []
    shows: Colour | None = None  # briefly after each line; after the end, the worst of all
    ended_by: WalkEnd | None = None


class UpdateState(msgspec.Struct, frozen=True, kw_only=True):
    """The progress or the result of an update of the unit. `waiting`: until there is no call; `trying`: the new
    version has to prove that it works."""

    step: UpdateStep
    version: str
    sha256: str  # of the bundle
    by: UpdateBy
    at: str  # when it came to this step
    code: str = ""  # UpdateFault's code, if it failed
    text: str = ""
    size: int = 0  # bytes
    fetched: int = 0
    starts: int = 0  # how often it was begun: a bundle that crashes its installer is not retried for ever
    slot: str = ""  # that is tried
    before: list[str] = []  # faults before the trial: a check, and its line if it has one


class PbxDay(msgspec.Struct, frozen=True, kw_only=True):
    """A past day in the PBX's account: external calls on the unit's lines, and their recordings."""

    day: str  # 2026-11-25, where the unit is
    calls: int
    recorded: int
    missing: int  # a recording was due, and there is none
    unseen: int  # further recordings, which the PBX did not report


class WeakeningState(msgspec.Struct, frozen=True, kw_only=True):
    """Less is recorded, announced, kept or reported than before, or will be, and a second person has not confirmed
    it yet."""

    id: str  # the id for `confirm` and `cancel`
    at: str  # when it was requested or found
    by: Literal["command", "file", "update", "authority"]
    codes: list[str]  # config/weakening.py
    in_effect: bool
    waits_s: int  # the policy's delay before it takes effect


class OrderState(msgspec.Struct, frozen=True):
    """The result of an order on the card in this boot: `taken`, `retired`, or why it was refused."""

    at: str
    code: str
    sha256: str


class RecorderState(ServiceState, kw_only=True):
    unit: str
    lines: list[LineState]
    config_sha256: str
    key_fault: str | None = None  # why the unit's key does not sign; calls sealed meanwhile wait for it
    unsigned: int = 0  # how many wait
    recording_refused: str | None = None  # why new calls are not recorded, e.g. "disk_full"
    gap_ms: float = 0.0
    ring_lag_ms: float = 0.0
    overtaken_ns: int | None = None  # monotonic, when audio was last overwritten unread; None: not since the start
    outbox_seq: int = 0
    outbox_dropped_to: int = 0  # the newest event that was dropped for lack of room, or found damaged
    logs_kept: list[str] = []  # logs in the vault that did not match their head, and were set aside
    written_bytes: int = 0  # audio written since start, for the storage forecast
    smdr_connected: bool | None = None  # None: no PBX reports its calls
    smdr_lines: int = 0  # today, as the two below
    smdr_bad: int = 0  # invalid or truncated lines
    smdr_unmatched: int = 0  # calls on our lines without a record, and recordings the PBX did not see
    pbx_day: PbxDay | None = None  # the last one that is settled
    key_list: KeyListState | None = None  # None: the configuration names none
    retention_time: RetentionTimeState | None = None
    clock: KernelClockState | None = None
    undated: int = 0  # calls that wait for a day, since there was no agreed clock when they were sealed
    full_in_days: int | None = None  # at the present rate the disk is full before the calls in it are over
    retention_days: int = 0  # of the default class
    delivery: DeliveryState = DeliveryState()
    refused_commands: RefusedState = RefusedState()
    identify_until_ns: int = 0  # monotonic: a person is looking for this unit
    config_pending: str | None = None  # SHA-256 of the configuration that waits until there is no call
    departures: list[str] = []  # where the configuration records more than by default
    weakenings: list[WeakeningState] = []  # not confirmed yet
    walk: WalkState | None = None
    removal: RemovalState | None = None  # a person is about to remove the disk; ready: all calls are sealed
    standing: list[str] = []  # its threads that hang: vault, journal
    not_kept: str | None = None  # why a successor would not know of the calls in progress
    update: UpdateState | None = None  # None: there was no update
    order: OrderState | None = None  # None: no order on the card in this boot


class ReporterState(ServiceState, kw_only=True):
    connected: bool
    session: str
    delivered_seq: int = 0
    queue_length: int = 0
    broker: str = ""
    certificate_until: str | None = None  # when the unit's TLS certificate expires; None: missing or unreadable
    outbox: OutboxState | None = None
    alerts: dict[str, Alert] = {}  # its alerts, by check


class PanelState(ServiceState, kw_only=True):
    unit_state: str
    leds: dict[str, bool]
    patterns: dict[str, str] = {}
    meaning_ko: str = ""
    meaning_en: str = ""
    alerts: dict[str, Alert] = {}  # its alerts, by check
