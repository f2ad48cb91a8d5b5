# SPDX-License-Identifier: Apache-2.0
"""The call record, and the event that reports a step of a call. Times are RFC 3339 UTC text.

Field names are a contract: new ones may be added, and CHANGELOG.md lists a change of one.
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
AnsweredBy = Literal["hook", "polarity", "pbx", "tone", "sound", "code", "unknown"]
AnswerConfidence = Literal["certain", "high", "low", "none"]
InternalBy = Literal["dialled", "caller", "ring", "smdr"]  # the evidence that a call is internal
PartyBy = Literal["key", "flash", "neighbour", "hold", "channel"]  # the evidence of another party on the line
# released: the unit ended it and measured the line as free; staff_after_notice: staff hung up after the notice
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
    unreadable: bool = False  # a message with a wrong checksum arrived: no number is better than a wrong one


NoticeProof = Literal["full", "partial", "early", "absent", "none"]


class NoticeRecord(msgspec.Struct, kw_only=True):
    """One playing of a notice. `proof`: how much of it was measured on the line; `early`: part or all of it, but before
    the party answered, or when that was unknown. `score` and `level_db` are the measurements.
    """

    id: str
    started_at: str
    ended_at: str | None = None
    proof: NoticeProof = "none"
    score: float | None = None
    level_db: float | None = None
    began_after_answer: bool | msgspec.UnsetType = msgspec.UNSET  # unset by a version without this field
    delay_ms: float | msgspec.UnsetType = msgspec.UNSET  # from playing the notice until the line returned it
    # the notice was on the line, but not at our time: another line's, which proves nothing
    elsewhere_ms: float | msgspec.UnsetType = msgspec.UNSET


class Gap(msgspec.Struct, frozen=True):
    """A hole in the audio, filled with silence: seconds from the recording's first sample, length, cause.

    A `power` gap after the last sample is the loss by a power cut: at most `ms`, or if `unbounded` a likely length
    without a known bound.
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
    """The system's clock at the call's end, and the codec's drift against it."""

    synced: bool
    source: Literal["ntp", "none"] | msgspec.UnsetType = msgspec.UNSET  # the clock's source; unset in a replay
    offset_ms: float | None = None  # above 0: the clock was behind; None: not measured
    drift_ppm: float | None = None  # CaptureState.drift_ppm; None before ten minutes of operation
    # the clock's jump during the call, above 0 forward; excluded from the other times
    stepped_ms: int | msgspec.UnsetType = msgspec.UNSET


ABUSE = "abuse"  # a mark set by staff


class Mark(msgspec.Struct, frozen=True):
    at_s: float
    kind: str


# The steps of the end of a call, as marks in its record: the warning before the end of the time was played; staff gave
# more time; staff stopped a situation's notice; a situation's code was refused, or not dialled by this telephone.
END_STEPS = ("warned", "extended", "end_cancelled", "end_refused", "end_far", "end_uncertain")
ReleaseSeenBy = Literal["idle_voltage", "dial_tone", "busy_tone", "staff", "none"]


class EndRecord(msgspec.Struct, kw_only=True):
    """The end of a call by staff, or by the time limit. Times are RFC 3339.

    `seen_by`: the measurement that the line is free; `staff`: staff hung up after the notice; `none`: the line did not
    become free within its limit.
    """

    situation: str  # its name in unit.toml
    by: Literal["code", "time"]
    code_at: str  # time of the code's last digit, or when the limit was reached
    notice: NoticeRecord | None = None
    released_at: str | None = None  # when the loop was opened; None: the line has no contact, or it was not opened
    seen_by: ReleaseSeenBy = "none"


class Retention(msgspec.Struct, kw_only=True, rename={"class_": "class"}):
    class_: str
    epoch: str  # the day of expiry, or overflow-N
    until: str | None = None  # None: an overflow epoch has no day yet
    class_pending: bool | msgspec.UnsetType = msgspec.UNSET  # True: sealed to `epoch`, not yet the class's
    # Without an agreed clock the call has no day until an amendment gives it one (evidence/calls/amendment.py).
    waits_for: Literal["clock"] | msgspec.UnsetType = msgspec.UNSET
    days: int | msgspec.UnsetType = msgspec.UNSET  # of the class, if there is no `until` without a clock


class CountedMoment(msgspec.Struct, kw_only=True, frozen=True):
    """A moment of the time that the unit counts while it is on, independent of every clock.

    `memory`: the name of the count, which restarts when it is lost; `boot`: the number of the boot; `ms` since its
    start.
    """

    memory: str
    boot: int
    ms: int


class ActualTime(msgspec.Struct, kw_only=True, frozen=True):
    """The true time of a call, by counted time, if the clock of its other times was wrong.

    The latest possible times; the call may have been up to `uncertainty_s` earlier, None: without a bound.
    """

    began_at: str
    ended_at: str
    uncertainty_s: int | None


KeyPlace = Literal["file", "tpm"]


class UnitKeyRecord(msgspec.Struct, frozen=True, rename={"in_": "in"}):
    """The storage of the signing key: a file, which can be copied, or a TPM, which the key never leaves.

    This is the signer's own statement: the person who lists a key for a unit has seen where it was made. An Ed25519 key
    is never in a TPM.
    """

    in_: KeyPlace


class PersonalRecord(msgspec.Struct, kw_only=True):
    """The fields that are only in meta.age, sealed with the call: who called whom."""

    dialled: str | None = None
    also_dialled: list[str] | None = None  # dialled during the call: further parties
    caller: Caller | None = None
    smdr: str | None = None


class AnswerRecord(msgspec.Struct, frozen=True):
    """The evidence that a call was answered, its confidence, and the reasons in short words."""

    by: AnsweredBy
    confidence: AnswerConfidence
    evidence: list[str] = []


class PublicRecord(msgspec.Struct, kw_only=True):
    """The content of record.json, readable by everyone with access to the vault: nothing that identifies a person.

    A new field belongs here or into PersonalRecord, and thereby into its schema in docs/schemas (tools/schemas.py).
    """

    call_id: str
    unit: str
    line: int
    direction: Direction = "unknown"
    ring_at: str | None = None
    off_hook_at: str | None = None
    answered_at: str | None = None
    answered_by: AnsweredBy | None = None
    answer: AnswerRecord | msgspec.UnsetType = msgspec.UNSET  # unset: not answered, or of a version without the field
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
    end: EndRecord | msgspec.UnsetType = msgspec.UNSET  # unset: not ended by the unit
    # at its close; unset in a replay and in old records
    counted: CountedMoment | msgspec.UnsetType = msgspec.UNSET
    actual: ActualTime | msgspec.UnsetType = msgspec.UNSET  # set if its other times are from a wrong clock
    # The detection of another party, in a call that was first skipped and then recorded.
    party_by: PartyBy | msgspec.UnsetType = msgspec.UNSET
    party_unknown: bool | msgspec.UnsetType = msgspec.UNSET  # the party may have changed, which the line does not show
    # Seconds without reports of the card's meter, in which the line's states are known only from sound. Unset: 0.
    by_sound_s: float | msgspec.UnsetType = msgspec.UNSET
    unit_key: UnitKeyRecord | msgspec.UnsetType = msgspec.UNSET  # unset by a version without this field
    recovered: bool = False  # sealed from the journal after a power cut: meta.age is from an earlier moment
    # SHA-256 of key.age without its epoch's layer, unchanged by re-wrapping. Unset after a power cut.
    inner_sha256: str | msgspec.UnsetType = msgspec.UNSET
    suite: str = SUITE


class CallRecord(PublicRecord, kw_only=True):
    """The whole record (meta.age, calls.jsonl): exactly the fields of both.

    The personal fields are repeated, since no struct can have two bases; `require_homes` checks that they agree.
    """

    dialled: str | None = None
    also_dialled: list[str] | None = None
    caller: Caller | None = None
    smdr: str | None = None

    def public(self) -> PublicRecord:
        return PublicRecord(**{name: getattr(self, name) for name in PublicRecord.__struct_fields__})


def require_homes(whole: type[msgspec.Struct], public: type[msgspec.Struct], personal: type[msgspec.Struct]) -> None:
    """Raises TypeError unless every field of `whole` belongs to one of the two, with the same type and default."""
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
    """One report on the `call` topic. The exact bytes are signed and chained by `prev`; numbers are masked."""

    seq: int
    event: EventKind
    at: str
    unit: str
    call_id: str | None = None
    line: int | None = None
    origin: str = ""
    vault: str = ""  # the name of its vault (vaultformat/vaultname.py); empty in vaults of earlier versions
    prev: str = ""
    direction: Direction | None = None
    disposition: Disposition | None = None
    why: str | None = None
    duration_s: float | None = None
    notice: str | None = None
    mark: str | None = None  # the kind of the mark
    situation: str | None = None  # for a call that the unit ends: its name in unit.toml
    seen_by: ReleaseSeenBy | None = None  # EndRecord.seen_by
    proof: NoticeProof | None = None  # of the first notice, once the call is sealed
    steps: list[str] = []  # the marks among END_STEPS, in their order, once the call is sealed
    gaps_ms: float | None = None
    record_sha256: str | None = None
    from_seq: int | None = msgspec.field(default=None, name="from")
    to_seq: int | None = msgspec.field(default=None, name="to")
    rebuilt: bool = False  # repeated, from log and record, because the first event is lost; with the next three fields
    began_at: str | None = None
    answered_at: str | None = None
    ended_at: str | None = None
    colour: Colour | None = None  # the result of a line after its test call
    found: list[str] = []  # the walk test's findings for the line, as codes
    green: list[int] = []  # all lines of a walk test, by result
    yellow: list[int] = []
    red: list[int] = []
    document_sha256: str | None = None  # of a walk test's report; of an amendment
    amendment: str | None = None  # its exact text (evidence/calls/amendment.py), and signature without armour
    amendment_sig: str | None = None
    number: int | None = None  # of this vault among the vaults of the unit's key
    before: str | None = None  # the previous vault; of a log that began anew the previous log
