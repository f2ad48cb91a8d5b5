# SPDX-License-Identifier: Apache-2.0
"""The state files in run_dir: what each service reports of itself to the others, a few times a second.

Times are monotonic nanoseconds, but for those that leave the unit, which are RFC 3339 UTC text.
"""

from __future__ import annotations

from typing import Literal

import msgspec

LineStatus = Literal["idle", "ringing", "dialling", "notice", "recording", "off_hook", "fault"]
FREE: tuple[LineStatus, ...] = ("idle", "fault")  # of a line that nobody uses; one at fault records nothing either
ConfirmedBy = Literal["desk", "broker"]  # whose word counts: a broker's where the roles name no desk
PbxPort = Literal["none", "open", "shut"]  # where the PBX prints its calls; none: the configuration names none
Severity = Literal["warning", "critical"]
Colour = Literal["green", "yellow", "red"]
WalkStep = Literal["free", "lift", "dial", "notice", "down", "seal"]
WalkBy = Literal["button", "terminal"]
RemovalState = Literal["ending", "ready"]
WalkEnd = Literal["done", "stopped", "time_limit"]
UpdateStep = Literal["fetching", "installing", "waiting", "trying", "done", "failed"]
UpdateBy = Literal["command", "stick"]


class Fault(msgspec.Struct, frozen=True):
    """What a service is suffering from: a stable code and one line for a human."""

    code: str
    text: str


class ServiceState(msgspec.Struct, kw_only=True):
    """What every service says of itself. `progress` grows while it does its real work, not while it merely lives."""

    service: str
    version: str
    pid: int
    started_ns: int  # monotonic
    mono_ns: int  # monotonic, when this was written
    progress: int
    fault: Fault | None = None
    leaving: bool = False  # it ends to start again with another configuration, and will be back
    broken_files: list[str] = []  # small files that were found damaged lately, by name


class MeterState(msgspec.Struct, kw_only=True):
    """The line meter as capture sees it."""

    connected: bool
    frames_lost: int = 0
    restarts: int = 0
    tamper: bool = False  # the housing is open
    power_fail: bool = False
    disagreeing: list[int] = []  # lines whose HOOK pin has said something else than the meter for long


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


class LineState(msgspec.Struct, kw_only=True):
    line: int
    state: LineStatus
    since: str
    call_id: str | None = None
    troubles: list[str] = []  # codes, each of a check: what the line suffers from


class KeyListState(msgspec.Struct, kw_only=True):
    """The signed list of epochs as the recorder has it; all None: none that can be used."""

    version: int | None = None
    last_day: str | None = None
    fits_days: int | None = None  # so many days from today on a call of the longest class still has an epoch


class RetentionTimeState(msgspec.Struct, kw_only=True):
    """The clock by which calls are destroyed; `now` None: there has never been an agreed one."""

    now: str | None = None
    agreed: bool = False  # in this boot
    ahead_s: int = 0  # the machine's clock, of what can be explained: two vault officers must confirm it
    behind_s: int = 0
    early: str | None = None  # it is later than this for sure, and the machine's clock is synchronised before it
    unconfirmed_s: int = 0  # taken on the word of a time server or of one person; retention.largest_gap_days at most
    challenge: str = ""  # what a signed answer (command `time`) has to name


class KernelClockState(msgspec.Struct, frozen=True, kw_only=True):
    """The machine's clock as the recorder sees it, and whether it has jumped."""

    synced: bool
    offset_ms: float | None  # None: nobody measures it
    synced_ns: int | None = None  # monotonic, when it last was; None: not since the recorder's start
    step_ms: int = 0  # the last jump, above 0 forward,
    stepped_ns: int | None = None  # and when, monotonic; None: it has not jumped since the recorder's start


class DeliveryState(msgspec.Struct, frozen=True, kw_only=True):
    """What the desk has said of the unit's events, and has proved to be the desk."""

    desk: bool = False  # the roles name one; without it a broker's word has to do
    confirmed: int = 0  # everything up to this event is safe there
    resend: int = 0  # grows when the desk asks for events again, from `resend_from` to `resend_to`
    resend_from: int = 0
    resend_to: int = 0


class OutboxState(msgspec.Struct, frozen=True, kw_only=True):
    """What has left the unit and what has not, as the reporter sees it."""

    oldest_s: float | None = None  # since the oldest event that nobody has confirmed; None: all are
    unconfirmed: int = 0  # events
    confirmed_by: ConfirmedBy = "broker"
    size_bytes: int = 0
    limit_bytes: int = 1  # beyond it the oldest events go, confirmed or not


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of `alert/<check>`."""

    severity: Severity
    line: int | None
    since: str
    text_ko: str
    text_en: str
    action_ko: str
    action_en: str
    changes: int = 0  # of one that comes and goes: how often it did; 0: it stands
    led: str = ""  # the condition of the LEDs that shows it; empty from an earlier version
    lines: tuple[int, ...] = ()  # all lines that it is about; `line` names one alone
    cards: tuple[int, ...] = ()


class RefusedState(msgspec.Struct, frozen=True):
    """Of the commands that were refused since the recorder's start: their number, and the last one's code and role."""

    count: int = 0
    code: str = ""
    role: str = ""  # empty: nobody known has signed it
    mono_ns: int = 0  # monotonic, of the last


class WalkedLine(msgspec.Struct, frozen=True, kw_only=True):
    """What a walk test has found of one line. None: not measured, or there is no meter."""

    line: int
    colour: Colour
    found: list[str] = []  # codes, the worst first; none: all is as it should be
    at: str = ""  # when it was judged
    on_hook_v: float | None = None  # signed
    off_hook_v: float | None = None
    level_dbm0: float | None = None  # of the loudest half second that was not the notice's
    digit: bool = False  # one was heard
    proof: str | None = None  # of the notice, as the two below
    score: float | None = None
    echo_db: float | None = None
    call_id: str | None = None  # the test call
    record_sha256: str | None = None  # of its record.json; None: it is not sealed


class WalkState(msgspec.Struct, frozen=True, kw_only=True):
    """A walk test as it stands, and for a minute after its end."""

    began_at: str
    by: WalkBy
    line: int | None = None  # the one that it is at
    step: WalkStep | None = None
    left_s: int = 0  # for this line
    waiting: list[int] = []
    lines: list[WalkedLine] = []
    shows: Colour | None = None  # for a moment after each line, and after the end: the worst of all
    ended_by: WalkEnd | None = None


class UpdateState(msgspec.Struct, frozen=True, kw_only=True):
    """How far an update of the unit is, or what became of the last one. `waiting`: for a moment without a call;
    `trying`: the new version has to show that it is well."""

    step: UpdateStep
    version: str
    sha256: str  # of the bundle
    by: UpdateBy
    at: str  # when it came to this step
    code: str = ""  # of one that failed: UpdateFault's
    text: str = ""
    size: int = 0  # bytes
    fetched: int = 0
    starts: int = 0  # how often it was begun: a bundle that ends whoever installs it is not tried for ever
    slot: str = ""  # that is tried
    before: list[str] = []  # what was red before the try: a check, and its line if it is of one


class PbxDay(msgspec.Struct, frozen=True, kw_only=True):
    """A day that is over, as the PBX has it: external calls on the unit's lines, and what became of them."""

    day: str  # 2026-11-25, where the unit is
    calls: int
    recorded: int
    missing: int  # a recording was due, and there is none
    unseen: int  # recordings beside them that the PBX said nothing of


class WeakeningState(msgspec.Struct, frozen=True, kw_only=True):
    """Less is recorded, announced, kept or told than before, or will be, until somebody else has confirmed it."""

    id: str  # what `confirm` and `cancel` name
    at: str  # when it was asked for or found
    by: Literal["command", "file", "update", "authority"]
    codes: list[str]  # config/weakening.py
    in_effect: bool
    waits_s: int  # by the policy, before it is put in effect


class OrderState(msgspec.Struct, frozen=True):
    """What became of an order on the card, in this boot: `taken`, `retired`, or why it was refused."""

    at: str
    code: str
    sha256: str


class RecorderState(ServiceState, kw_only=True):
    unit: str
    lines: list[LineState]
    config_sha256: str
    key_fault: str | None = None  # why the unit's key does not sign; what is sealed meanwhile waits for it
    unsigned: int = 0  # so much waits
    recording_refused: str | None = None  # why new calls are not recorded, e.g. "disk_full"
    gap_ms: float = 0.0
    ring_lag_ms: float = 0.0
    overtaken_ns: int | None = None  # monotonic, when audio last went from a ring unread; None: not since the start
    outbox_seq: int = 0
    outbox_dropped_to: int = 0  # the newest event that was let go for want of room, or that was found damaged
    logs_kept: list[str] = []  # logs in the vault that did not fit their own head, and were set aside
    written_bytes: int = 0  # audio written since start, for the storage forecast
    smdr_connected: bool | None = None  # None: no PBX tells us of its calls
    smdr_lines: int = 0  # today, as the two below
    smdr_bad: int = 0  # lines that are none, or were cut off
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
    identify_until_ns: int = 0  # monotonic: somebody looks for this unit
    config_pending: str | None = None  # SHA-256 of the configuration that waits for a moment without a call
    departures: list[str] = []  # where the configuration records what is not recorded by default
    weakenings: list[WeakeningState] = []  # that nobody has confirmed yet
    walk: WalkState | None = None
    removal: RemovalState | None = None  # somebody wants to pull the disk; ready: all calls are sealed
    standing: list[str] = []  # its threads that hang: vault, journal
    not_kept: str | None = None  # why a successor would not know of the calls in progress
    update: UpdateState | None = None  # None: there was never one
    order: OrderState | None = None  # None: there was none on the card in this boot


class ReporterState(ServiceState, kw_only=True):
    connected: bool
    session: str
    delivered_seq: int = 0
    queue_length: int = 0
    broker: str = ""
    certificate_until: str | None = None  # when the unit's TLS certificate ends; None: it has none that can be read
    outbox: OutboxState | None = None
    told: dict[str, Alert] = {}  # its alerts, by check


class PanelState(ServiceState, kw_only=True):
    unit_state: str
    leds: dict[str, bool]
    patterns: dict[str, str] = {}
    meaning_ko: str = ""
    meaning_en: str = ""
    told: dict[str, Alert] = {}  # its alerts, by check
