# SPDX-License-Identifier: Apache-2.0
"""The call record, and the event that reports a step of a call. Times are RFC 3339 UTC text.

Field names are a contract: a new one is free, and a change to one is listed in CHANGELOG.md.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from linetap_core.codecs.codec import RATE_HZ
from linetap_core.codecs.mulaw import MuLaw
from linetap_core.records.states import Colour

SUITE = "linetap-1"  # X25519 and ChaCha20-Poly1305 (age v1), Ed25519 (SSHSIG), SHA-256; audio.codec names the codec
Direction = Literal["in", "out", "unknown"]
Disposition = Literal["recorded", "missed", "unanswered", "discarded", "skipped", "exempt", "fax", "modem"]
# "timeout" occurs in records of earlier versions: `unknown` replaces it
AnsweredBy = Literal["hook", "polarity", "pbx", "tone", "sound", "code", "unknown", "timeout"]
AnswerConfidence = Literal["certain", "high", "low", "none"]
InternalBy = Literal["dialled", "caller", "ring", "smdr"]  # the evidence that a call is internal
PartyBy = Literal["key", "flash", "neighbour", "hold", "channel"]  # the evidence of another party on the line
# released: the unit ended it and measured that the line is free; staff_after_notice: staff hung up after the notice
EndedBy = Literal["on_hook", "tone", "loop_break", "time_limit", "power", "released", "staff_after_notice"]
EventKind = Literal[
    "started",
    "notice",
    "answered",
    "ended",
    "sealed",
    "missed",
    "marked",
    "call_time",
    "warned",
    "extended",
    "ending",
    "end_cancelled",
    "end_refused",
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


# --- the call record ----------------------------------------------------------------------------------------


class Caller(msgspec.Struct, omit_defaults=True):
    number: str | None = None
    name: str | None = None
    by: str | None = None  # bell202, v23, dtmf
    withheld: bool = False  # the caller withheld the number
    unreadable: bool = False  # a message with a wrong checksum came: no number is better than a wrong one


NoticeProof = Literal["full", "partial", "early", "absent", "none"]


class NoticeRecord(msgspec.Struct, kw_only=True):
    """One playing of a notice. `proof`: how much of it was measured on the line; `early`: part or all of it, but
    before the party answered, or when that was unknown. `score` and `level_db` are the measurements."""

    id: str
    started_at: str
    ended_at: str | None = None
    proof: NoticeProof = "none"
    score: float | None = None
    level_db: float | None = None
    began_after_answer: bool | msgspec.UnsetType = msgspec.UNSET  # unset: by a version without this field
    delay_ms: float | msgspec.UnsetType = msgspec.UNSET  # from when it was played until the line returned it
    # the same notice was on the line at another time than ours: another line's, which proves nothing
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
    codec: str = MuLaw.name
    rate: int = RATE_HZ
    samples: int = 0
    gaps: list[Gap] = []
    parts: list[Part] = []


class ClockRecord(msgspec.Struct, kw_only=True):
    """The system's clock at the call's end, and how the codec ran against it."""

    synced: bool
    source: Literal["ntp", "none"] | msgspec.UnsetType = msgspec.UNSET  # who keeps it; unset in a replay
    offset_ms: float | None = None  # above 0 it was behind; None: not measured
    drift_ppm: float | None = None  # CaptureState.drift_ppm; None: it has not run for ten minutes
    # its change during the call, above 0 forward, which the other times exclude
    stepped_ms: int | msgspec.UnsetType = msgspec.UNSET


ABUSE = "abuse"  # a mark set by staff


class Mark(msgspec.Struct, frozen=True):
    at_s: float
    kind: str


# The steps of ending a call, as marks in its record: the notice before the end of the time was played; staff gave it
# more time; staff stopped the notice of a situation; the code of one was refused, or was not dialled by this telephone.
END_STEPS = ("warned", "extended", "end_cancelled", "end_refused", "end_far", "end_uncertain")
ReleaseSeenBy = Literal["idle_voltage", "dial_tone", "busy_tone", "staff", "none"]


class EndRecord(msgspec.Struct, kw_only=True):
    """The end of a call by staff, or by the policy of time. Times are RFC 3339.

    `seen_by`: the measurement that the line is free; `staff`: staff hung up after the notice; `none`: the line did not
    become free within its limit.
    """

    situation: str  # a name of unit.toml
    by: Literal["code", "time"]
    code_at: str  # the last digit of the code, or the moment at which the time was over
    notice: NoticeRecord | None = None
    released_at: str | None = None  # the loop was opened; None: this line has no contact, or it was not opened
    seen_by: ReleaseSeenBy = "none"


class Retention(msgspec.Struct, kw_only=True, rename={"class_": "class"}):
    class_: str
    epoch: str  # the day of expiry, or overflow-N
    until: str | None = None  # an overflow epoch has no day of its own yet
    class_pending: bool | msgspec.UnsetType = msgspec.UNSET  # True: sealed to `epoch`, which is not the class's yet
    # There was no agreed clock: the call has no day until an amendment gives it one (evidence/calls/amendment.py).
    waits_for: Literal["clock"] | msgspec.UnsetType = msgspec.UNSET
    days: int | msgspec.UnsetType = msgspec.UNSET  # of the class, where there is no `until` for want of a clock


class CountedMoment(msgspec.Struct, kw_only=True, frozen=True):
    """A moment of the time that the unit counts while it is on, which no change of a clock affects.

    `memory`: the name of the count, which begins again when it is lost; `boot`: the number of the boot; `ms` since its
    start.
    """

    memory: str
    boot: int
    ms: int


class ActualTime(msgspec.Struct, kw_only=True, frozen=True):
    """The true time of a call, by counted time, if the clock of its other times was wrong.

    The latest possible moments; the call may have been up to `uncertainty_s` earlier, None: without a bound.
    """

    began_at: str
    ended_at: str
    uncertainty_s: int | None


KeyPlace = Literal["file", "tpm"]


class UnitKeyRecord(msgspec.Struct, frozen=True, rename={"in_": "in"}):
    """The place of the signing key: in a file, which can be copied, or in a TPM, which it never leaves.

    This is the signer's own statement: who lists a key for a unit has seen where it was made. An Ed25519 key is in
    no TPM.
    """

    in_: KeyPlace


class PersonalRecord(msgspec.Struct, kw_only=True):
    """The fields that only meta.age holds, sealed with the call: who called whom."""

    dialled: str | None = None
    also_dialled: list[str] | None = None  # in the middle of the call: of further parties
    caller: Caller | None = None
    smdr: str | None = None


class AnswerRecord(msgspec.Struct, frozen=True):
    """The evidence that a call was answered, its confidence, and the reasons in short words."""

    by: AnsweredBy
    confidence: AnswerConfidence
    evidence: list[str] = []


class PublicRecord(msgspec.Struct, kw_only=True):
    """The content of record.json, readable by everyone with access to the vault: nothing that identifies a person.

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
    end: EndRecord | msgspec.UnsetType = msgspec.UNSET  # unset: the unit did not end it
    # when it was closed; unset in a replay and in old records
    counted: CountedMoment | msgspec.UnsetType = msgspec.UNSET
    actual: ActualTime | msgspec.UnsetType = msgspec.UNSET  # set when its other times are by a wrong clock
    # How another party was detected, in a call that was first skipped and then recorded.
    party_by: PartyBy | msgspec.UnsetType = msgspec.UNSET
    party_unknown: bool | msgspec.UnsetType = msgspec.UNSET  # the party may have changed; the line cannot tell
    # Seconds of it in which the card's meter was silent: then the line's states are known by sound alone. Unset: 0.
    by_sound_s: float | msgspec.UnsetType = msgspec.UNSET
    unit_key: UnitKeyRecord | msgspec.UnsetType = msgspec.UNSET  # unset: by a version without this field
    recovered: bool = False  # sealed from the journal after a power cut: meta.age is of a moment before it
    # SHA-256 of key.age without its epoch's layer, which re-wrapping does not change. Unset after a power cut.
    inner_sha256: str | msgspec.UnsetType = msgspec.UNSET
    suite: str = SUITE


class CallRecord(PublicRecord, kw_only=True):
    """The whole record (meta.age, calls.jsonl): the fields of both, and no others.

    The personal fields are repeated, since no struct can have two bases; `require_homes` checks that they agree.
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


PERSONAL_FIELDS = PersonalRecord.__struct_fields__


class CallEvent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One report of the `call` topic. The exact bytes are signed and chained by `prev`; numbers are masked."""

    seq: int
    event: EventKind
    at: str
    unit: str
    call_id: str | None = None
    line: int | None = None
    origin: str = ""
    vault: str = ""  # the name of its vault (vaultformat/vaultname.py); a vault of before has none
    prev: str = ""
    direction: Direction | None = None
    disposition: Disposition | None = None
    why: str | None = None
    duration_s: float | None = None
    notice: str | None = None
    mark: str | None = None  # the kind of the mark
    situation: str | None = None  # of a call that the unit ends: its name in unit.toml
    seen_by: ReleaseSeenBy | None = None  # EndRecord.seen_by
    proof: NoticeProof | None = None  # of the first notice, once the call is sealed
    steps: list[str] = []  # the marks of END_STEPS, in their order, once the call is sealed
    gaps_ms: float | None = None
    record_sha256: str | None = None
    from_seq: int | None = msgspec.field(default=None, name="from")
    to_seq: int | None = msgspec.field(default=None, name="to")
    rebuilt: bool = (
        False  # reported again, from log and record, since the first event is lost; with the three fields below
    )
    began_at: str | None = None
    answered_at: str | None = None
    ended_at: str | None = None
    colour: Colour | None = None  # the result for a line, after its test call
    found: list[str] = []  # findings of the walk test for the line, as codes
    green: list[int] = []  # all lines of a walk test, by result
    yellow: list[int] = []
    red: list[int] = []
    document_sha256: str | None = None  # of the report on a walk test; of an amendment
    amendment: str | None = None  # the exact text of it (evidence/calls/amendment.py), and its signature without armour
    amendment_sig: str | None = None
    number: int | None = None  # of this vault among those of the unit's key
    before: str | None = None  # the vault before this one; of a log that began anew the log before
