# SPDX-License-Identifier: Apache-2.0
"""Every message that passes between services, and the call record.

Field names of CallRecord, CallEvent and the MQTT payloads are fixed by the contract: adding is free,
changing one needs a word in CHANGELOG.md. Times are RFC 3339 UTC text in what leaves the unit and
monotonic nanoseconds in what stays on it.

One file, however long: it is the vocabulary of four processes, and is read as one.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Direction = Literal["in", "out", "unknown"]
Disposition = Literal["recorded", "missed", "unanswered", "discarded", "skipped", "exempt", "fax", "modem"]
# "timeout" stands in records of before: what it was is `unknown` now
AnsweredBy = Literal["hook", "polarity", "pbx", "tone", "sound", "code", "unknown", "timeout"]
AnswerConfidence = Literal["certain", "high", "low", "none"]
InternalBy = Literal["dialled", "caller", "ring", "smdr"]  # what says that a call is internal
PartyBy = Literal["key", "flash", "neighbour", "hold", "channel"]  # what said that another party is on the line
EndedBy = Literal["on_hook", "tone", "loop_break", "time_limit", "power"]
LineStatus = Literal["idle", "ringing", "dialling", "notice", "recording", "off_hook", "fault"]
FREE: tuple[LineStatus, ...] = ("idle", "fault")  # of a line that nobody uses; one at fault records nothing either
ConfirmedBy = Literal["desk", "broker"]  # whose word counts: a broker's where the roles name no desk
PbxPort = Literal["none", "open", "shut"]  # where the PBX prints its calls; none: the configuration names none
Severity = Literal["warning", "critical"]
EventKind = Literal[
    "started",
    "notice",
    "answered",
    "ended",
    "sealed",
    "missed",
    "marked",
    "call_time",
    "held",
    "copied",
    "destroyed",
    "dropped",
    "rebuilt",
    "amended",
    "tested",
    "walked",
    "vault",
    "log_begun",
]
Colour = Literal["green", "yellow", "red"]
WalkStep = Literal["free", "lift", "dial", "notice", "down", "seal"]
WalkBy = Literal["button", "terminal"]
RemovalState = Literal["ending", "ready"]
WalkEnd = Literal["done", "stopped", "time_limit"]
UpdateStep = Literal["fetching", "installing", "waiting", "trying", "done", "failed"]
UpdateBy = Literal["command", "stick"]


# --- recorder -> capture and back, over rooms.socket_path -----------------------------------------


class PlayNotice(msgspec.Struct, frozen=True, tag="play", tag_field="verb"):
    """Play a notice on a line so that its first sample is on the line at ring frame `at_frame`, or at once if late."""

    line: int
    notice: str
    at_frame: int
    plain: bool = False  # without the line's gain, to measure how loud it arrives


class StopNotice(msgspec.Struct, frozen=True, tag="stop", tag_field="verb"):
    line: int


class Refused(msgspec.Struct, frozen=True, tag="refused", tag_field="verb"):
    """Capture could not do what was asked: unknown notice or line, relay fault."""

    line: int
    why: str


CaptureCommand = PlayNotice | StopNotice


# --- panel and terminal -> recorder, over run_dir/door/recorder.sock ------------------------------------------------

RECORDER_SOCKET = "door/recorder.sock"


class StartWalk(msgspec.Struct, frozen=True, tag="start_walk", tag_field="verb"):
    """A walk test of these lines; of all, where none is named. `Walking` comes back, or `Refused`."""

    by: WalkBy
    lines: list[int] = []


class StopWalk(msgspec.Struct, frozen=True, tag="stop_walk", tag_field="verb"):
    """The one that runs ends here, with a report on what was done of it."""


class PrepareRemoval(msgspec.Struct, frozen=True, tag="prepare_removal", tag_field="verb"):
    """Somebody wants to pull the disk: calls end now, no new one is recorded; the state says when that is done."""


class CancelRemoval(msgspec.Struct, frozen=True, tag="cancel_removal", tag_field="verb"):
    """The disk stays where it is: calls are recorded again."""


class Walking(msgspec.Struct, frozen=True, tag="walking", tag_field="verb"):
    """Which one was started, or stopped, by the time it began."""

    began_at: str


RecorderCommand = StartWalk | StopWalk | PrepareRemoval | CancelRemoval


# --- state files in run_dir, rewritten a few times a second ------------------------------------------------


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


# --- the call record ----------------------------------------------------------------------------------------


class Caller(msgspec.Struct, omit_defaults=True):
    number: str | None = None
    name: str | None = None
    by: str | None = None  # bell202, v23, dtmf
    withheld: bool = False  # the caller's number was held back
    unreadable: bool = False  # a message came and its checksum did not fit: no number is better than a wrong one


NoticeProof = Literal["full", "partial", "early", "absent", "none"]


class NoticeRecord(msgspec.Struct, kw_only=True):
    """One playing of a notice. `proof`: how much of it was measured on the line; `early`: some or all of it was, but
    before the party had answered, or when nobody knew whether it had. `score` and `level_db` say how much."""

    id: str
    started_at: str
    ended_at: str | None = None
    proof: NoticeProof = "none"
    score: float | None = None
    level_db: float | None = None
    began_after_answer: bool | msgspec.UnsetType = msgspec.UNSET  # unset: of a version that did not say
    delay_ms: float | msgspec.UnsetType = msgspec.UNSET  # from when it was played until the line returned it
    # the same notice was on the line at another time than the line's own: somebody else's, which proves nothing
    elsewhere_ms: float | msgspec.UnsetType = msgspec.UNSET


class Gap(msgspec.Struct, frozen=True):
    """A hole in the audio, filled with silence: seconds from the recording's first sample, length, cause.

    A `power` gap behind the last sample stands for the loss by a power cut: at most `ms` or, if `unbounded`, a likely
    length without a known bound.
    """

    at_s: float
    ms: float
    cause: str
    unbounded: bool | msgspec.UnsetType = msgspec.UNSET


class Part(msgspec.Struct, frozen=True):
    """One age file of the audio: its name, its first sample counted from the recording's start, its length."""

    file: str
    first: int
    samples: int


class Audio(msgspec.Struct, kw_only=True):
    codec: str = "mulaw"
    rate: int = 8000
    samples: int = 0
    gaps: list[Gap] = []
    parts: list[Part] = []


class ClockRecord(msgspec.Struct, kw_only=True):
    """The system's clock at the call's end, and how the codec ran against it."""

    synced: bool
    source: Literal["ntp", "none"] | msgspec.UnsetType = msgspec.UNSET  # who keeps it; unset in a replay
    offset_ms: float | None = None  # above 0 it was behind; None: nobody measured it
    drift_ppm: float | None = None  # CaptureState.drift_ppm; None: it has not run for ten minutes
    stepped_ms: int | msgspec.UnsetType = msgspec.UNSET  # it was set while the call went on, above 0 forward: not in it


ABUSE = "abuse"  # the kind of a mark that staff set


class Mark(msgspec.Struct, frozen=True):
    at_s: float
    kind: str


class Retention(msgspec.Struct, kw_only=True, rename={"class_": "class"}):
    class_: str
    epoch: str  # the day of expiry, or overflow-N
    until: str | None = None  # an overflow epoch has no day of its own yet
    class_pending: bool | msgspec.UnsetType = msgspec.UNSET  # True: sealed to `epoch`, which is not the class's yet
    # There was no agreed clock: the call has no day until an amendment gives it one (evidence/calls/amendment.py).
    waits_for: Literal["clock"] | msgspec.UnsetType = msgspec.UNSET
    days: int | msgspec.UnsetType = msgspec.UNSET  # of the class, where there is no `until` for want of a clock


class CountedMoment(msgspec.Struct, kw_only=True, frozen=True):
    """A moment in the time that the unit has counted while it was on, which no clock moves.

    `memory`: the name of the count, which begins anew where it is lost; `boot`: of how many; `ms` since it began.
    """

    memory: str
    boot: int
    ms: int


class ActualTime(msgspec.Struct, kw_only=True, frozen=True):
    """When a call was, by counted time, if the clock of its other times was wrong.

    The latest possible moments; it may have been up to `uncertainty_s` earlier, None: without a bound.
    """

    began_at: str
    ended_at: str
    uncertainty_s: int | None


KeyPlace = Literal["file", "tpm"]


class UnitKeyRecord(msgspec.Struct, frozen=True, rename={"in_": "in"}):
    """Where the key is that signs: in a file, which can be copied, or in a TPM, which it never leaves.

    The signer's own word: whoever names a key for a unit has seen where it was made. One of Ed25519 is in no TPM.
    """

    in_: KeyPlace


class PersonalRecord(msgspec.Struct, kw_only=True):
    """What meta.age holds beside that, sealed with the call: who called whom."""

    dialled: str | None = None
    also_dialled: list[str] | None = None  # in the middle of the call: of further parties
    caller: Caller | None = None
    smdr: str | None = None


class AnswerRecord(msgspec.Struct, frozen=True):
    """What says that a call was answered, how sure that is, and in short words what it stands on."""

    by: AnsweredBy
    confidence: AnswerConfidence
    evidence: list[str] = []


class PublicRecord(msgspec.Struct, kw_only=True):
    """The content of record.json, readable by everybody who has the vault: nothing that identifies a person.

    A new field goes here or into PersonalRecord, and so into its schema in docs/schemas (tools/schemas.py).
    """

    call_id: str
    unit: str
    line: int
    direction: Direction = "unknown"
    ring_at: str | None = None
    off_hook_at: str | None = None
    answered_at: str | None = None
    answered_by: AnsweredBy | None = None
    answer: AnswerRecord | msgspec.UnsetType = msgspec.UNSET  # unset: not answered, or of a version that did not say
    ended_at: str | None = None
    ended_by: EndedBy | None = None
    continues: str | None = None
    duration_s: float | None = None
    internal: bool = False
    internal_by: InternalBy | None = None
    disposition: Disposition = "recorded"
    why: str = ""
    notice: NoticeRecord | None = None
    notices: list[NoticeRecord] = []
    audio: Audio | None = None
    files: dict[str, str] = {}
    clock: ClockRecord | None = None
    marks: list[Mark] = []
    retention: Retention | None = None
    counted: CountedMoment | msgspec.UnsetType = msgspec.UNSET  # when it was closed; unset in a replay, and of old
    actual: ActualTime | msgspec.UnsetType = msgspec.UNSET  # its other times are of a clock that was wrong
    # A call that was skipped and then recorded after all: by what another party was found.
    party_by: PartyBy | msgspec.UnsetType = msgspec.UNSET
    party_unknown: bool | msgspec.UnsetType = msgspec.UNSET  # the party may have changed; the line cannot tell
    unit_key: UnitKeyRecord | msgspec.UnsetType = msgspec.UNSET  # unset: of a version that did not say
    recovered: bool = False  # sealed from the journal after a power cut: meta.age is of a moment before it
    # SHA-256 of what is under the epoch's layer of key.age, however often that is wrapped anew. None after a power cut.
    inner_sha256: str | msgspec.UnsetType = msgspec.UNSET
    suite: str = "linetap-1"


class CallRecord(PublicRecord, kw_only=True):
    """The whole record (meta.age, calls.jsonl): both of the above, and nothing of its own.

    The personal fields stand here again, since no struct can have two bases; `require_homes` holds them together.
    """

    dialled: str | None = None
    also_dialled: list[str] | None = None
    caller: Caller | None = None
    smdr: str | None = None

    def public(self) -> PublicRecord:
        return PublicRecord(**{name: getattr(self, name) for name in PublicRecord.__struct_fields__})


def require_homes(whole: type[msgspec.Struct], public: type[msgspec.Struct], personal: type[msgspec.Struct]) -> None:
    """TypeError unless every field of `whole` belongs to one of the two, with the same type and default."""
    fields = [{field.name: field for field in msgspec.structs.fields(kind)} for kind in (whole, public, personal)]
    for name in {name for each in fields for name in each}:
        (declared, of_public, of_personal) = (each.get(name) for each in fields)
        home = of_public or of_personal
        if (of_public is None) == (of_personal is None):
            raise TypeError(f"{name}: a field of a record is public or personal, one of the two")
        assert home is not None
        if declared is None or (declared.type, declared.default) != (home.type, home.default):
            raise TypeError(
                f"{name}: the whole record has it as another field than {'public' if of_public else 'personal'}"
            )


require_homes(CallRecord, PublicRecord, PersonalRecord)
PERSONAL_FIELDS = PersonalRecord.__struct_fields__
SUITE = "linetap-1"  # X25519 and ChaCha20-Poly1305 (age v1), Ed25519 (SSHSIG), SHA-256, G.711 mu-law


class CallEvent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One report of the `call` topic. The exact bytes are signed and chained by `prev`; numbers are masked."""

    seq: int
    event: EventKind
    at: str
    unit: str
    call_id: str | None = None
    line: int | None = None
    origin: str = ""
    vault: str = ""  # the name of the vault that it lies in (vaultformat/vaultname.py); a vault of before has none
    prev: str = ""
    direction: Direction | None = None
    disposition: Disposition | None = None
    why: str | None = None
    duration_s: float | None = None
    notice: str | None = None
    mark: str | None = None  # what a marked call was marked as
    gaps_ms: float | None = None
    record_sha256: str | None = None
    from_seq: int | None = msgspec.field(default=None, name="from")
    to_seq: int | None = msgspec.field(default=None, name="to")
    rebuilt: bool = False  # told anew, from log and record, since the first telling is gone; with it the three below
    began_at: str | None = None
    answered_at: str | None = None
    ended_at: str | None = None
    colour: Colour | None = None  # of a line, after its test call
    found: list[str] = []  # what a walk test found of it, as codes
    green: list[int] = []  # all lines of a walk test, by what came of them
    yellow: list[int] = []
    red: list[int] = []
    document_sha256: str | None = None  # of the report on a walk test; of an amendment
    amendment: str | None = None  # the exact text of it (evidence/calls/amendment.py), and its signature without armour
    amendment_sig: str | None = None
    number: int | None = None  # of this vault among those of the unit's key
    before: str | None = None  # the vault before this one; of a log that began anew the log before
