# SPDX-License-Identifier: Apache-2.0
"""unit.toml as frozen structs: each field is a key, and the only place for its default, unit and meaning.

The functions at the end derive from one configuration alone: the brightness at a minute of the day, a call's class.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from linetap.config.profile import Profile
from linetap_core.clock import S_PER_DAY
from linetap_core.codecs.registry import MULAW
from linetap_core.evidence.sealing import members
from linetap_core.evidence.signing.unitnames import UnitId
from linetap_core.records import Disposition
from linetap_core.wire.mqtt import Broker
from linetap_core.wire.smdrcolumns import Baud, Format, Standard, TimeIs
from linetap_core.zones import KOREA

Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[int, Meta(ge=1, le=30 * S_PER_DAY)]
DialPlan = Annotated[str, Meta(pattern=r"^[0-9*#X]{1,24}\Z")]  # X is any digit
Megabytes = Annotated[int, Meta(le=1 << 40)]
Code = Annotated[str, Meta(pattern=r"^([0-9*#A-D]{2,8})?\Z")]  # keys that staff dial in a call; "": none
MOST_DAYS = 36_525  # a hundred years: our calendars end with the year 9999

VAULT, LEARNED, RUN_DIR = "/var/lib/linetap/vault", "/var/lib/linetap/learned", "/run/linetap"


class Board(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    kind: Literal["hardware", "simulated"] = "hardware"
    lines: Literal["hardware", "simulated"] | None = None  # default `kind`; "simulated": only LEDs and button are real
    pins: str = "pins.toml"  # the pin table, relative to this file

    @property
    def lines_are_simulated(self) -> bool:
        return (self.lines or self.kind) == "simulated"


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One line card: one codec, one clock, one capture process."""

    number: Annotated[int, Meta(ge=1, le=4)] = 1
    capture_pcm: str = "hw:linetap1,0"  # udev's name: systemd/README.md
    playback_pcm: str = "hw:linetap1,0"
    rate_hz: Literal[8000, 48000] = 48000
    format: Literal["S16_LE", "S32_LE"] = "S16_LE"
    channels: Annotated[int, Meta(ge=1, le=32)] = 8
    buffer_ms: Annotated[int, Meta(ge=200, le=2000)] = 200
    ring_s: Annotated[int, Meta(ge=120, le=900)] = 180
    playback_offset_ms: Annotated[float, Meta(ge=0, le=500)] = 0.0  # calibrated: in addition to ALSA's own figure
    meter_port: str | None = None  # the line meter's serial port; None: udev's name, or no meter on a simulated card
    contacts: bool = False  # each line has a series contact on the card, which ends a call by opening the loop


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    number: Annotated[int, Meta(ge=1, le=128)]
    card: Annotated[int, Meta(ge=1, le=4)] = 1
    channel: Annotated[int, Meta(ge=1, le=32)]
    profile: str = "kr-pstn"
    notice: str | None = None  # replaces [recording] notice
    exempt: bool = False  # neither notice nor recording; its audio never leaves the codec
    caller_id: Literal["bell202", "v23", "dtmf", "auto", "off"] = "auto"
    extension: str | None = None  # its number at the PBX, named by internal calls and SMDR
    trunk: str | None = None  # the trunk's name in SMDR
    retention: str | None = None  # class of its calls; retention.default if unset
    release: Literal["auto", "staff"] = "auto"  # the end of a call: by the card's contact, or always by staff


class Recording(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    notice: str = "ko"
    notice_delay_ms: Annotated[int, Meta(ge=0, le=5000)] = 500
    notice_tone_ms: Annotated[int, Meta(ge=0, le=1000)] = 0  # a tone before each notice; 0: none
    # The notice's active speech level on a line (ITU-T P.56); a line without measurements has no gain.
    notice_target_dbm0: Annotated[float, Meta(ge=-28, le=-9)] = -16.0
    # Incoming: the notice waits for the end of the greeting, at most this long after the answer; 0: no wait.
    greeting_max_ms: Annotated[int, Meta(ge=0, le=8000)] = 6000
    record_from: Literal["notice_start", "notice_end"] = "notice_start"
    codec: str = MULAW.name  # one of linetap_core.codecs.registry
    on_notice_failure: Literal["discard", "record_and_flag"] = "discard"
    internal_pattern: str = r"^[2-8]\d{3}$"
    record_internal: bool = False
    emergency_numbers: list[str] = msgspec.field(default_factory=lambda: ["112", "113", "119"])
    record_emergency: bool = False
    trunk_prefixes: list[str] = msgspec.field(default_factory=lambda: ["9", "0"])
    answer_timeout_s: Seconds = 8  # after the last digit and each ringback, if there is speech
    answer_silence_s: Seconds = 30  # the same, in silence
    on_unknown_answer: Literal["announce_and_flag", "wait"] = "announce_and_flag"  # after either of these times
    # X is any digit. Korea: nationwide numbers and short codes have no ringback; pick-up codes of the PBX connect at
    # once.
    numbers_at_once: list[DialPlan] = msgspec.field(
        default_factory=lambda: ["1XX", "1XXX", "15XXXXXX", "16XXXXXX", "18XXXXXX", "080XXXXXXX"]
    )
    pickup_codes: list[DialPlan] = msgspec.field(default_factory=lambda: ["*7", "*7XX", "*7XXX", "*7XXXX"])
    answer_unheard_s: Seconds = 15  # after off-hook without a digit
    tone_end_s: Annotated[int, Meta(ge=5, le=60)] = 30  # time in which an end by tone can be reversed
    recommended_call_s: Seconds = 1200  # the desk is notified at this length
    end_notice: str | None = None  # played then, once
    longest_call_s: Annotated[int, Meta(ge=1, le=S_PER_DAY)] = 14400  # the desk opens no part of more than 37 h
    mark_code: Annotated[str, Meta(pattern=r"^[0-9*#A-D]{2,8}\Z")] = "**9"  # staff mark the call as abusive
    # Staff play the notice now: for another party, or in an unrecorded call. "": none.
    notice_code: Code = "**1"
    mark_notice: str | None = None  # played to the caller of a marked call, once
    beep_every_s: Annotated[int, Meta(ge=0, le=60)] = 0  # interval of the recording beep; 0: none
    beep_dbm0: Annotated[float, Meta(ge=-40, le=-6)] = -16.0
    deaf_calls: Positive = 3  # this many consecutive notices, played on a quiet line and not detected, ...
    deaf_span_s: Seconds = 1800  # ... over at least this time are a fault of the line; its calls are still recorded
    # The audio before the answer, after a notice on a guess.
    recorded_before_answer: Literal["withhold", "keep_and_flag"] = "withhold"
    answer_doubt_s: Annotated[int, Meta(ge=5, le=45)] = 30  # withhold: time in which a guess may still be proved wrong


class Situation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A reason for which staff end a call, or warn the caller. Its name marks the call."""

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{1,31}\Z")]
    code: Code = ""  # dialled by the line's own staff; "": used only by [ending]
    notice: str | None = None  # gives the caller the reason; required unless `then` is "nothing"
    retention: str | None = None  # class of such calls; by default that of a marked call
    then: Literal["end", "warn", "nothing"] = "end"  # notice and end, notice only, or mark only


class Ending(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The longest time of a call, counted from the answer; 0: off."""

    warn_s: Annotated[int, Meta(ge=0, le=S_PER_DAY)] = 0
    warn_notice: str = "warn-overlong"
    end_s: Annotated[int, Meta(ge=0, le=S_PER_DAY)] = 0  # needs 0 < warn_s < end_s
    end_situation: str = "overlong"
    extend_code: Annotated[str, Meta(pattern=r"^[0-9*#A-D]{2,8}\Z")] = "**0"  # staff extend the call
    extend_s: Annotated[int, Meta(ge=60, le=3600)] = 300
    extend_most: Annotated[int, Meta(ge=0, le=12)] = 2


class RetentionClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Annotated[str, Meta(max_length=100)]  # part of every record
    days: Annotated[int, Meta(ge=1, le=MOST_DAYS)]


class RetentionPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    zone: str = KOREA
    default: str = "standard"
    marked: str | None = None  # class of a marked call; by default the one with the most days
    largest_gap_days: Annotated[int, Meta(ge=0, le=365)] = 7  # limit of the total unconfirmed time
    dispositions: dict[Disposition, str] = {}  # disposition -> class, instead of the line's
    classes: list[RetentionClass] = msgspec.field(default_factory=lambda: [RetentionClass(name="standard", days=60)])


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Public keys only: a unit cannot open a call that it has sealed. An epoch may be a group (members.py)."""

    custodians: Annotated[list[str], Meta(min_length=1)]
    custodians_needed: Positive = 1  # number of custodians who open together
    overflow_epoch: str
    overflow_number: Positive = 1
    authority: str | list[str] | None = None  # ssh-ed25519 line, or several: the signers of the key list
    authority_needed: Positive = 1  # number of them who sign together
    key_list: str | None = None  # keylist.json, with its signature; replaces these custodians and overflow epochs

    @property
    def authority_lines(self) -> list[str]:
        """The authority's lines; empty without one."""
        return [self.authority] if isinstance(self.authority, str) else self.authority or []

    @property
    def custodian_group(self) -> members.Group:
        """The custodians as a group. BadInput if they cannot form one."""
        return members.group_of(self.custodians, self.custodians_needed)

    unit_key: Literal["file", "tpm"] = "file"  # storage of the unit's signing key: recorder/vault/signing.py
    tpm: str = "/dev/tpmrm0"
    boots: str = "/proc/cmdline"  # file with the boots in which the TPM's key signs
    release: str = "/usr/lib/linetap/release.pem"  # the signer of these boots, when the key is made


class Storage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reserve_mb: Annotated[Megabytes, Meta(ge=0)] = (
        256  # kept free for records, log and outbox: below it no audio is written
    )
    outbox_mb: Annotated[Megabytes, Meta(ge=1)] = 1024  # 30 days of 32 busy lines, tools/storage.py


class HomeAssistant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    discovery: bool = False  # requires the broker's permission: systemd/mosquitto/acl


HourMinute = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d\Z")]


class Panel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The panel's settings. Hours in retention.zone; equal times mean no night."""

    night_from: HourMinute = "20:00"
    night_to: HourMinute = "06:00"
    night_percent: Annotated[int, Meta(ge=1, le=100)] = 20


class Smdr(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The PBX's SMDR. Without a port no call waits for a line of it."""

    port: str | None = None
    baud: Baud = Standard.baud
    format: Format = "panasonic"
    columns: str = ""  # wire/smdrcolumns.py, like all formats below; read only with the format "columns"
    date: str = Standard.date
    time: str = Standard.time
    duration: str = Standard.duration
    time_is: TimeIs = Standard.time_is
    kinds: str = Standard.kinds
    zone: str | None = None  # of the PBX's clock; by default retention.zone
    wait_s: Annotated[int, Meta(ge=1, le=60)] = 15  # time for which an ended call waits for its line
    tolerance_s: Annotated[int, Meta(ge=1, le=43200)] = 120  # greatest error of the PBX's clock


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The rule for changes that weaken recording, notice or retention (config/weakening.py)."""

    weakening_delay_h: Annotated[int, Meta(ge=0, le=720)] = 0  # the delay after two signatures


class Update(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Requirements for another version besides its signature."""

    log_policy: str | None = None  # text of a policy (docs/update.md): the required log of versions


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole configuration of one unit, as read and checked. Paths are absolute."""

    unit: UnitId
    site_number: Annotated[int, Meta(ge=1, le=9999)] | None = None  # shown by CALL when the button is pressed
    key: str = "unit.key"
    vault: str = VAULT
    run_dir: str = RUN_DIR
    notices: str = "notices"
    learned: str = LEARNED  # measurements of `linetap line learn`, one file for each line
    board: Board = Board()
    keys: Keys
    card: Annotated[list[Card], Meta(min_length=1, max_length=4)]
    line: Annotated[list[Line], Meta(min_length=1, max_length=128)]
    recording: Recording = Recording()
    situation: Annotated[list[Situation], Meta(max_length=16)] = []
    ending: Ending = Ending()
    retention: RetentionPolicy = RetentionPolicy()
    broker: Broker = Broker()
    storage: Storage = Storage()
    smdr: Smdr = Smdr()
    panel: Panel = Panel()
    home_assistant: HomeAssistant = HomeAssistant()
    policy: Policy = Policy()
    update: Update = Update()
    profile: list[Profile] = []

    def lines_of(self, card: int) -> list[Line]:
        """The lines of one card, in the order of its ring."""
        return sorted((line for line in self.line if line.card == card), key=lambda line: line.channel)

    def card_number(self, number: int) -> Card:
        return next(card for card in self.card if card.number == number)

    def meter_port(self, card: int) -> str | None:
        """The serial port of a card's meter; None for a simulated card without one."""
        port = next((each.meter_port for each in self.card if each.number == card), None)
        return port if port or self.board.lines_are_simulated else f"/dev/linetap/card{card}/meter"

    def situation_named(self, name: str) -> Situation | None:
        return next((each for each in self.situation if each.name == name), None)

    @property
    def ends_calls(self) -> bool:
        """Whether any situation ends calls."""
        return any(each.then == "end" for each in self.situation)

    def has_contact(self, line: Line) -> bool:
        """Whether this line's calls are ended by its card's contact; else staff hang up after the notice."""
        return line.release == "auto" and self.card_number(line.card).contacts

    @property
    def run_path(self) -> Path:
        return Path(self.run_dir)

    @property
    def vault_path(self) -> Path:
        return Path(self.vault)


# --- Derived from one configuration -----------------------------------------------------------------------------------


FULL_PERCENT = 100  # of brightness


def percent_at(panel: Panel, minute: int) -> int:
    """The LEDs' brightness at a minute since midnight, in percent of full brightness.

    The night begins at `night_from` and ends at `night_to`; equal times mean that there is no night.
    """
    begins, ends = _minute(panel.night_from), _minute(panel.night_to)
    over_midnight = begins > ends
    is_night = (minute >= begins or minute < ends) if over_midnight else begins <= minute < ends
    return panel.night_percent if is_night else FULL_PERCENT


def _minute(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])
