# SPDX-License-Identifier: Apache-2.0
"""The text of unit.toml for `config init`: every key of the schema, its meaning, its unit and its default.

Longer than other modules: most of it is that one text, in the order in which an administrator reads it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from linetap.config.schema import LEARNED, RUN_DIR, VAULT
from linetap_core.wire.situations import SITUATIONS

LINES_A_CARD = 8
MOST_CARDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The options of `config init`. Paths as they will be in the file."""

    unit: str
    lines: int
    custodians: tuple[str, ...]
    epoch: str
    key: str
    notices: str
    board: str = "hardware"
    pins: str = "pins.toml"
    vault: str = VAULT
    run_dir: str = RUN_DIR
    learned: str = LEARNED
    broker: str | None = None
    broker_ca: str | None = None  # implies that the unit has a certificate
    broker_port: int = 8883
    authority: tuple[str, ...] | None = None  # set together with key_list
    authority_needed: int = 1
    key_list: str | None = None
    needed: int = 1  # number of custodians
    spoken: frozenset[str] | None = frozenset()  # the existing notices; None: those of the image

    @property
    def cards(self) -> int:
        return -(-self.lines // LINES_A_CARD)


def render(plan: Plan) -> str:
    """The whole file. Lines fill cards of 8, in order."""
    cards = "".join(_card(plan, number) for number in range(1, plan.cards + 1))
    lines = "".join(_line(number) for number in range(1, plan.lines + 1))
    custodians = "".join(f"  {_text(recipient)},\n" for recipient in plan.custodians)
    head = _HEAD.format(
        unit=_text(plan.unit),
        key=_text(plan.key),
        vault=_text(plan.vault),
        run_dir=_text(plan.run_dir),
        notices=_text(plan.notices),
        learned=_text(plan.learned),
        board=_text(plan.board),
        pins=_text(plan.pins),
        custodians=custodians,
        needed=plan.needed,
        epoch=_text(plan.epoch),
        key_list=_key_list(plan),
    )
    policy = _POLICY.replace("{broker}", _broker(plan)).replace("{situations}", _situations(plan))
    return head + policy + _CARDS + cards + _LINES + lines


def _key_list(plan: Plan) -> str:
    """The lines of the key list, commented out if there is none."""
    mark = "# " if plan.authority is None else ""
    lines, needed = plan.authority or ("ssh-ed25519 AAAA...",), plan.authority_needed
    authority = _text(lines[0]) if len(lines) == 1 else f"[{', '.join(map(_text, lines))}]"
    words = (
        ("authority", authority),
        ("authority_needed", needed),
        ("key_list", _text(plan.key_list or "keylist.json")),
    )
    return "".join(f"{mark}{name} = {value}\n" for name, value in words)


def _broker(plan: Plan) -> str:
    """The lines of the broker; its files are commented out without TLS."""
    mark = "# " if plan.broker_ca is None else ""
    return (
        f"host = {_text(plan.broker or 'localhost')}\nport = {plan.broker_port}\nkeepalive_s = 30\n"
        f"{mark}ca = {_text(plan.broker_ca or 'ca.pem')}\n"
        f'{mark}certificate = "tls.pem"\n{mark}key = "tls.key"\n'
    )


def _situations(plan: Plan) -> str:
    """The shipped situations, commented out if their notice is missing."""
    tables = []
    for each in SITUATIONS:
        mark = "" if plan.spoken is None or each.notice in plan.spoken else "# "
        table = ["[[situation]]", f"name = {_text(each.name)}", f"code = {_text(each.code)}",
                 f"notice = {_text(each.notice)}"]  # fmt: skip
        tables.append("\n".join([f"# {each.ko} / {each.en}", *(mark + line for line in table)]))
    return "\n\n".join(tables)


def _card(plan: Plan, number: int) -> str:
    """A [[card]]: with hardware udev's name of the codec; simulated, the exchange's names of its cable."""
    simulated = plan.board == "simulated"
    return _CARD.format(
        number=number,
        capture=_text("unit_capture" if simulated else f"hw:linetap{number},0"),
        playback=_text("unit_playback" if simulated else f"hw:linetap{number},0"),
        rate_hz=8000 if simulated else 48000,
    )


def _line(number: int) -> str:
    card, channel = divmod(number - 1, LINES_A_CARD)
    return f"\n[[line]]\nnumber = {number}\ncard = {card + 1}\nchannel = {channel + 1}\n"


def _text(value: str) -> str:
    """The value as a TOML string: a JSON string is one, except for DEL, which JSON does not escape."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


_HEAD = """\
# linetap: the configuration of one unit. An unknown key is an error: `linetap config check` lists all errors with their
# lines. Values are the defaults, except those without one; the unit of a value is part of its name. Paths are relative
# to this file.

# The unit's name in reports and records: 2 to 40 characters of a-z, 0-9 and -.
unit = {unit}
# The site's number, 1 to 9999: after a short press of the button the CALL LED counts it, digit by digit.
# site_number = 117
# Its Ed25519 signing key in OpenSSH's format (0600), with the public key beside it.
key = {key}
# The folder of sealed calls, reports and the log, and the folder on tmpfs that the services share.
vault = {vault}
run_dir = {run_dir}
# The spoken notices, as `linetap notice import` writes them.
notices = {notices}
# Measurements of `linetap line learn`, one file a line: voltages, polarity, the echo of a notice.
learned = {learned}

[board]
# "hardware" (a Raspberry Pi) or "simulated" (levels from the simulated exchange).
kind = {board}
# "simulated": LEDs and button alone are a Raspberry Pi's. Not set, it is as `kind`.
# lines = "simulated"
# The table of pins; not used by a simulated board.
pins = {pins}

[keys]
# Public age keys only (age1...): a unit cannot open its sealed calls. Opening a call takes `custodians_needed` of the
# custodians, in the order of the list, and the key of the epoch.
custodians = [
{custodians}]
custodians_needed = {needed}
# The epoch for calls whose day has no key, and its number in the records.
overflow_epoch = {epoch}
overflow_number = 1
# authority: the signer of the list of epochs, an ssh-ed25519 line, or a list of them of which authority_needed sign
# together. key_list: that list (keylist.json, with keylist.json.sig beside it), by which each call is sealed to its day
# of expiry. Its custodians and overflow epochs replace those above. A new list takes effect at once; an older or
# damaged one is refused.
{key_list}
# The place of the unit's signing key: "file" (unit.key), or "tpm", a TPM 2.0 that it never leaves; unit.key then holds
# a form that only this TPM can use. boots: the file that determines in which boots the key signs; release: the signer
# of that rule when the key is made. The image sets tpm, boots and release.
unit_key = "file"
# tpm = "/dev/tpmrm0"
# boots = "/proc/cmdline"
# release = "/usr/lib/linetap/release.pem"
"""

_POLICY = """
[recording]
# The id of the notice, and its delay after the answer: a handset takes time to reach the ear.
notice = "ko"
notice_delay_ms = 500
# "notice_start": the recording contains the notice. "notice_end": it begins after the notice.
record_from = "notice_start"
# The codec: "mulaw", as the exchange uses it, 8 kB a second; "opus", 3.2 kB a second with some loss of quality and more
# load (docs/storage.md). A change takes effect with the next call.
codec = "mulaw"
# A tone of 1400 Hz before each notice, in ms; 0: none.
notice_tone_ms = 0
# The notice's level on the line. `linetap line learn` measures the level that arrives, and the notice is raised by the
# difference, at most 6 dB; on a line without measurements it is played unchanged.
notice_target_dbm0 = -16.0
# Incoming calls: the notice waits for the end of the answering person's greeting, at most this long after the answer;
# 0: no wait.
greeting_max_ms = 6000
# If the notice cannot be played: "discard" the call, or "record_and_flag" it.
on_notice_failure = "discard"
# Calls to these numbers, also behind a trunk prefix, are not recorded unless record_emergency is true.
emergency_numbers = ["112", "113", "119"]
trunk_prefixes = ["9", "0"]
record_emergency = false
# Calls to or from matching numbers are internal; they are not recorded unless record_internal is true.
internal_pattern = '^[2-8]\\d{3}$'
record_internal = false
# The answer of an outgoing call is detected by evidence: a reversal of polarity, the PBX's report, a missing burst of
# ringback, music followed by a voice. Without evidence it is "unknown" after answer_timeout_s of speech or
# answer_silence_s of silence since the last digit or ringback, or, without digits, answer_unheard_s after off-hook.
# "announce_and_flag" then plays the notice and records; "wait" continues to wait and records nothing.
answer_timeout_s = 8
answer_silence_s = 30
answer_unheard_s = 15
on_unknown_answer = "announce_and_flag"
# Numbers that answer without ringback, and codes for call pick-up; X is any digit.
numbers_at_once = ["1XX", "1XXX", "15XXXXXX", "16XXXXXX", "18XXXXXX", "080XXXXXXX"]
pickup_codes = ["*7", "*7XX", "*7XXX", "*7XXXX"]
# How long an end by busy tone can be reversed while the handset is off-hook: by a flash or by speech.
tone_end_s = 30
# At recommended_call_s the desk is notified, and end_notice is played once. At longest_call_s the call is sealed and
# continues in a new record.
recommended_call_s = 1200
# end_notice = "end"
longest_call_s = 14400
# The code that staff dial to mark a call as abusive, and the notice that is then played to the caller.
mark_code = "**9"
# The code that staff dial to play the notice now: for another party on the line, or to record an unrecorded call.
# Empty: no code.
notice_code = "**1"
# mark_notice = "warning"
# The interval of a beep of 1400 Hz in recorded calls (usually 15); 0: none.
beep_every_s = 0
beep_dbm0 = -16.0
# A line is at fault after deaf_calls consecutive calls over at least deaf_span_s in which the notice was played to its
# end on a quiet line and was not detected there. This raises an alert; calls are still announced, recorded and flagged.
deaf_calls = 3
deaf_span_s = 1800
# If an outgoing call was announced on a guess and is answered later, the notice is played again. Earlier audio is
# withheld ("withhold"), or kept and flagged ("keep_and_flag"). To make withholding possible such a call is written to
# the disk answer_doubt_s after its notice.
recorded_before_answer = "withhold"
answer_doubt_s = 30

# Situations in which staff end a call, by a code that they dial: its notice plays, then the card's contact opens the
# line (`contacts = true` of its card), or staff hang up. then: "end", "warn" (the notice alone) or "nothing" (the mark
# alone). Its calls have the class `retention`, by default that of a marked call.
# retention = "standard"
# then = "end"

{situations}

# The longest time of a call since its answer; 0: off. After warn_s the warning plays; at end_s the call is ended as
# end_situation says. Staff give extend_s more by extend_code, at most extend_most times, and the warning plays again.
# 통화 시간의 예고와 종료. 15분과 20분: warn_s = 900, end_s = 1200
[ending]
warn_s = 0
warn_notice = "warn-overlong"
end_s = 0
end_situation = "overlong"
extend_code = "**0"
extend_s = 300
extend_most = 2

[retention]
# A class is a number of days, to the end of the last day in this time zone. A call has the class of its disposition
# (`dispositions`), else of its line (`retention` below), else the default; a marked call has the class `marked`, by
# default the longest. A mark never shortens the retention. A rule in years needs the days of its longest case: 366 for
# one year, 1096 for three, 1827 for five, 3653 for ten (docs/epochs.md).
zone = "Asia/Seoul"
default = "standard"
# marked = "marked"
# After more than this time switched off, in total since the vault officer or the desk last confirmed the time, a unit
# destroys nothing until they confirm it again.
largest_gap_days = 7
# dispositions = { missed = "standard", unanswered = "standard" }

[[retention.classes]]
name = "standard"
days = 60

[broker]
# The MQTT broker: without TLS on the loopback only; on the network with ca and the unit's certificate, which
# `linetap pki request` requests.
{broker}
# false: the broker does not repeat what it retains to a filter with a wildcard (RabbitMQ).
# retained = true

[storage]
# Free space below which new calls are neither announced nor recorded; calls in progress continue into it.
reserve_mb = 256
# The limit of reports that wait for the desk: a month of 32 busy lines.
outbox_mb = 1024

[smdr]
# The PBX's call reports (8N1) are matched to calls by a line's extension or trunk, below, and by time: an ended call
# waits wait_s for its report, and the PBX's clock, of this zone, may be wrong by tolerance_s. A line with neither is
# matched by number alone; if no line has one, trunk 01 is also line 1. Without a port no call waits.
# port = "/dev/linetap/smdr"
# 1200, 2400, 4800 or 9600.
baud = 9600
wait_s = 15
tolerance_s = 120
# zone = "Asia/Seoul"       default: retention.zone
# "panasonic" is T MM/DD HH:MM:SS HH:MM:SS NNN digits(28) account(10) code(5) trunk. "columns" is any other: `columns`
# lists them as in the PBX's manual, with their widths and one space between, or with their places from 1 (ext:17-21).
# Names are kind, date, time, duration, ext, trunk, number, and skip for unused columns.
format = "panasonic"
# columns = "date:8 time:7 ext:5 trunk:2 number:25 skip:4 duration:8"
# Letters are digits (Y, M, D; H, M, S), AM is AM or PM, and a sign is any sign. time_is: whether the printed time is
# the call's start or end; kinds: the values of the column kind. Defaults: MM/DD, HH:MM:SS, HH:MM:SS, start, I=in O=out.
# C=connected is a report at the answer, during the call; it is evidence of an outgoing call's answer. The values below
# are those of another family of Panasonic's.
# date = "YY/MM/DD"
# time = "HH:MMAM"
# duration = "HH:MM'SS"
# time_is = "end"
# kinds = "I=in O=out"

[panel]
# The hours of the night, in retention.zone, and the LEDs' brightness then, in percent; equal hours: no night.
night_from = "20:00"
night_to = "06:00"
night_percent = 20

[policy]
# A change that weakens recording, notice or retention takes two signatures (docs/commands.md), and takes effect this
# many hours later, 720 at most; until then a person of any other role can cancel it.
weakening_delay_h = 0

[update]
# The policy for updates: a bundle needs a proof that its version is in a log that witnesses cosigned (docs/update.md).
# log_policy = \"\"\"
# log 4f2e...
# witness city 6e5d...
# witness court 0a17...
# group both 2 city court
# quorum both
# \"\"\"

[home_assistant]
# Whether the unit announces its lines, alerts and storage to Home Assistant (MQTT device discovery, docs/broker.md).
discovery = false

# A profile for lines other than "kr-pstn"; missing values are those of "kr-pstn".
# [[profile]]
# name = "pbx"
# hook_debounce_ms = 25
# lift_debounce_ms = 35
# flash_min_ms = 300
# flash_max_ms = 1000
# A break longer than flash_key_max_ms, followed by a number within redial_ms, is the end of one call and a new call.
# flash_key_max_ms = 700
# redial_ms = 10000
# party_ms = 3000
# swap_ms = 2000
# colleague_ms = 15000
# After a gap in the captured audio of this length another party may be on the line: the notice plays again.
# gap_party_ms = 5000
# A longer gap ends a recording where it begins.
# gap_end_s = 300
# dial_end_ms = 3000
# A loop break longer than this is a cut cable; after its repair a new call begins.
# loop_break_max_ms = 4000
# ring_min_ms = 150
# ring_gap_ms = 400
# ring_give_up_ms = 8000
# polarity_debounce_ms = 64
# no_line_v = 3.0
# loop_break_min_ms = 200
# loop_break_settle_ms = 50
# The level of digits of this line's telephone, until it is learnt or has dialled, and the margin below it within which
# a digit still counts as the telephone's.
# near_digit_dbm0 = -8.0
# near_digit_slack_db = 6.0
# All of its tones, as `linetap tones learn` makes them from a recording. known_after: the number of elements of the
# cadence by which the tone is recognised.
# [[profile.tone]]
# name = "busy"
# hz = [480.0, 620.0]
# cadence_ms = [500, 500]
# known_after = 6
# The detectors' numbers, one table for each; config/numbers.py has their keys, defaults and sources.
# [profile.meter]
# [profile.near_end]
# [profile.pulses]
# [profile.tones]
# [profile.cadence]
# [profile.voice]
# [profile.sound]
# [profile.answer]
# [profile.dtmf]
# [profile.fsk]
# [profile.caller_id]
# [profile.greeting]
# [profile.notice]
# [profile.proof]
# echo_db = -6.0
# The delay of the notice's echo: by default learnt for each line; here it can be set for all lines of the profile.
# echo_delay_ms = 30.0
# [profile.beneath]
# [profile.health]
"""

_CARDS = """
# One for each line card: one codec, one clock. linetapN is udev's name for the codec of card N (systemd/README.md), the
# only one that capture of card N may open; `arecord -l` shows it. Capture starts only if the codec matches these
# values. rate_hz is 8000 or 48000, format "S16_LE" or "S32_LE", channels 1 to 32.
"""

_CARD = """
[[card]]
number = {number}
capture_pcm = {capture}
playback_pcm = {playback}
rate_hz = {rate_hz}
format = "S16_LE"
channels = 8
# ALSA's buffer, 200 to 2000; the ring in memory, 120 to 900; the notice's delay on the line beyond ALSA's own figure.
buffer_ms = 200
ring_s = 180
playback_offset_ms = 0.0
# The line meter's serial port, if it is another than this. A simulated card has a meter only where this is set.
# meter_port = "/dev/linetap/card{number}/meter"
# Whether the card has a series contact on each line, which ends a call by opening the line.
# contacts = false
"""

_LINES = """
# One for each telephone line: its number in records and on the panel, and the card and channel of its wires. Optional
# keys:
# profile = "kr-pstn"
# notice = "en"             instead of the notice in [recording]
# exempt = false            true: neither notice nor recording, and its audio never leaves the codec
# caller_id = "auto"        or "bell202", "v23", "dtmf", "off": the exchange's form of caller ID
# extension = "2101"        its own number at the PBX
# trunk = "01"              of a trunk line: its name in SMDR
# retention = "standard"    the class of its calls
# release = "auto"          "staff": its contact is never opened, staff hang up after the notice
"""
