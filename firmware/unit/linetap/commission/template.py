# SPDX-License-Identifier: Apache-2.0
"""unit.toml as `config init` writes it: every key of the schema, its meaning, its unit and its default."""

from __future__ import annotations

import json
from dataclasses import dataclass

from linetap.config.schema import LEARNED, RUN_DIR, VAULT

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
    broker_ca: str | None = None  # with it, the unit has a certificate
    broker_port: int = 8883
    authority: tuple[str, ...] | None = None  # with key_list, or neither
    authority_needed: int = 1
    key_list: str | None = None
    needed: int = 1  # of the custodians

    @property
    def cards(self) -> int:
        return -(-self.lines // LINES_A_CARD)


def render(plan: Plan) -> str:
    """Returns the whole file. Lines fill cards of 8, in order."""
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
    return head + _POLICY.replace("{broker}", _broker(plan)) + _CARDS + cards + _LINES + lines


def _key_list(plan: Plan) -> str:
    """Commented out if there is none."""
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
    """The files are commented out where there is no TLS."""
    mark = "# " if plan.broker_ca is None else ""
    return (
        f"host = {_text(plan.broker or 'localhost')}\nport = {plan.broker_port}\nkeepalive_s = 30\n"
        f"{mark}ca = {_text(plan.broker_ca or 'ca.pem')}\n"
        f'{mark}certificate = "tls.pem"\n{mark}key = "tls.key"\n'
    )


def _card(plan: Plan, number: int) -> str:
    """With hardware, udev's name of the codec; simulated, the exchange's names of its cable."""
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
    """A JSON string is a TOML basic string, except for DEL, which JSON does not escape."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


_HEAD = """\
# linetap: the configuration of one unit. An unknown key is an error: `linetap config check` tells every one with its
# line. What stands here is the default, unless it had to be given; times carry their unit in the name. Paths are
# relative to this file.

# The unit's name in every report and record: 2 to 40 of a-z, 0-9 and -.
unit = {unit}
# The site's number, 1 to 9999: the CALL LED counts it out, digit by digit, when the button is pressed shortly.
# site_number = 117
# Its Ed25519 signing key, as OpenSSH writes it (0600). Its public half lies beside it.
key = {key}
# Where sealed calls, reports and the log are kept, and the folder on tmpfs where the services meet.
vault = {vault}
run_dir = {run_dir}
# The spoken notices: `linetap notice import` puts them there.
notices = {notices}
# What `linetap line learn` has measured, one file a line: voltages, polarity, the echo of a notice.
learned = {learned}

[board]
# "hardware" (a Raspberry Pi) or "simulated" (the simulated exchange gives the levels).
kind = {board}
# The one table of pins; a simulated board does not read it.
pins = {pins}

[keys]
# Public age keys only (age1...): a unit cannot open what it has sealed. Opening a call takes so many of the
# custodians, and the epoch. Where more than one is needed their order is that in which they open.
custodians = [
{custodians}]
custodians_needed = {needed}
# What is sealed to when no key of the day is at hand, and its number in the records.
overflow_epoch = {epoch}
overflow_number = 1
# Whose signature on the list of epochs counts, an ssh-ed25519 line, or a list of them of which so many sign together;
# and that list (keylist.json, with keylist.json.sig beside it): each call is sealed to its day of expiry. The
# custodians and overflow epochs of the list then count, not those above. A changed list is taken up at once, an older
# or damaged one never.
{key_list}
# Where the unit's signing key is: "file" (unit.key), or "tpm", a TPM 2.0 that it never leaves; unit.key then holds what
# is of use to that TPM alone; tpm, boots (what says in which boots it signs) and release (whose word on that counts,
# when it is made) are the image's.
unit_key = "file"
# tpm = "/dev/tpmrm0"
# boots = "/proc/cmdline"
# release = "/usr/lib/linetap/release.pem"
"""

_POLICY = """
[recording]
# The id of the notice that is played, and how long after the answer: a handset takes time to reach the ear.
notice = "ko"
notice_delay_ms = 500
# "notice_start": the notice itself is in the recording. "notice_end": only what follows it.
record_from = "notice_start"
# How audio is coded: "mulaw" as the exchange has it, 8 kB a second; "opus" 3.2 kB a second, with some loss of sound.
# docs/storage.md has what it costs. It counts from the next call on.
codec = "mulaw"
# A tone of 1400 Hz before each notice, in ms; 0: none.
notice_tone_ms = 0
# How loud a notice is on the line. `linetap line learn` measures how loud it arrives there, and it is raised by what is
# missing, 9 dB at most; on a line that was never learnt it is played as it is.
notice_target_dbm0 = -16.0
# Of a call that comes in, the notice waits until whoever answered has said their greeting, at most so long after the
# answer; 0: it does not wait.
greeting_max_ms = 6000
# When the notice cannot be played: "discard" the call, or "record_and_flag" it.
on_notice_failure = "discard"
# Calls to these numbers, also behind a trunk prefix, are not recorded unless record_emergency is true.
emergency_numbers = ["112", "113", "119"]
trunk_prefixes = ["9", "0"]
record_emergency = false
# Numbers dialled that match are internal calls, not recorded unless record_internal is true.
internal_pattern = '^[2-8]\\d{3}$'
record_internal = false
# An outgoing call is answered by evidence: a reversal of polarity, the PBX's word, the burst of ringback that does not
# come, music that gives way to a voice. Without any, "unknown" is what the record says after so many seconds since the
# last digit or ringback: where somebody speaks, where nothing is heard, and, since the call began, where no digit was.
# "announce_and_flag" plays the notice and records then, "wait" goes on waiting and records nothing.
answer_timeout_s = 8
answer_silence_s = 30
answer_unheard_s = 15
on_unknown_answer = "announce_and_flag"
# Numbers that answer without ringback, and the codes that take a call which rings elsewhere; X is any digit.
numbers_at_once = ["1XX", "1XXX", "15XXXXXX", "16XXXXXX", "18XXXXXX", "080XXXXXXX"]
pickup_codes = ["*7", "*7XX", "*7XXX", "*7XXXX"]
# An end by busy tone may be taken back for so long, while the handset is off: by a flash, or by somebody who speaks.
tone_end_s = 30
# When a call gets so long the desk is told, and a notice can be played once. Of the longest length it is sealed, and
# goes on in a new record.
recommended_call_s = 1200
# end_notice = "end"
longest_call_s = 14400
# What a staff member dials to mark a call as abusive, and the notice that the caller then hears.
mark_code = "**9"
# What a staff member dials to have the notice played now: another party has come on the line, or the call is not
# recorded and has to be. Empty: nothing.
notice_code = "**1"
# mark_notice = "warning"
# A beep of 1400 Hz in every recorded call, each so many seconds (15 would be usual); 0: none.
beep_every_s = 0
beep_dbm0 = -16.0
# After so many calls running, over at least so long, whose notice was played to its end on a quiet line and not heard,
# the line is at fault: an alarm stands, and its calls are still announced, recorded and flagged.
deaf_calls = 3
deaf_span_s = 1800
# An outgoing call was taken for answered after a time, was announced, and proves to be answered only later: the notice
# is played again, and what was recorded before is withheld ("withhold"), or kept and flagged ("keep_and_flag"). To
# withhold it, such a call is written to the disk only so long after its notice.
recorded_before_answer = "withhold"
answer_doubt_s = 30

[retention]
# A call is kept so many days, to the end of the day in this time zone. Calls are of the default class, marked ones of
# the class that `marked` names: the one with the most days, where nothing is said. A line may name another class than
# the default (`retention`, below), and so may what became of a call, whatever its line; a mark never shortens.
zone = "Asia/Seoul"
default = "standard"
# marked = "marked"
# A unit that was off for longer, in all since the vault officer or the desk last told it the time, destroys nothing by
# its clock until they do.
largest_gap_days = 7
# dispositions = { missed = "standard", unanswered = "standard" }

[[retention.classes]]
name = "standard"
days = 60

[broker]
# The MQTT broker. On the loopback it may be plain; on the network it takes TLS, with ca and the unit's certificate,
# which `linetap pki request` asks for.
{broker}
[storage]
# With less than this free, new calls are neither announced nor recorded; those in progress go on into it.
reserve_mb = 256
# The most that reports may take while the desk is away: a month of 32 busy lines.
outbox_mb = 1024

[smdr]
# What the PBX prints of its calls (8N1) is joined to them by the extension or trunk that a line has below, and by time:
# a call that has ended waits wait_s for it, and the PBX's clock, of this zone, may be wrong by tolerance_s. A line that
# has neither is known by the number dialled or calling alone; where no line has any, trunk 01 is line 1 besides.
# Without a port nothing waits.
# port = "/dev/linetap/smdr"
# 1200, 2400, 4800 or 9600.
baud = 9600
wait_s = 15
tolerance_s = 120
# zone = "Asia/Seoul"       retention.zone, where nothing is said
# "panasonic" is T MM/DD HH:MM:SS HH:MM:SS NNN digits(28) account(10) code(5) trunk. "columns" is any other: `columns`
# then names them, as the PBX's manual does, with their widths and one space between, or with their places from 1
# (ext:17-21). Names are kind, date, time, duration, ext, trunk, number, and skip for what is not wanted.
format = "panasonic"
# columns = "date:8 time:7 ext:5 trunk:2 number:25 skip:4 duration:8"
# Letters stand for digits (Y, M, D; H, M, S), AM for AM or PM, a sign for any sign. time_is says which end of the call
# is printed, kinds what the column kind may hold. Where nothing is said: MM/DD, HH:MM:SS, HH:MM:SS, start, I=in O=out.
# C=connected is a line that the PBX prints at the answer, while the call lasts: it answers a call that goes out.
# What stands here is another family of Panasonic's.
# date = "YY/MM/DD"
# time = "HH:MMAM"
# duration = "HH:MM'SS"
# time_is = "end"
# kinds = "I=in O=out"

[panel]
# The LEDs' brightness by night, in percent, and when night is, in retention.zone; the same twice: never.
night_from = "20:00"
night_to = "06:00"
night_percent = 20

[policy]
# What weakens recording, notice or retention takes two signatures (docs/commands.md), and is put in effect so many
# hours later, 720 at most: meanwhile anybody of another role can cancel it.
weakening_delay_h = 0

[update]
# Another version has to be in a log of versions that witnesses have cosigned, with its proof beside it: docs/update.md.
# log_policy = \"\"\"
# log 4f2e...
# witness city 6e5d...
# witness court 0a17...
# group both 2 city court
# quorum both
# \"\"\"

[home_assistant]
# Whether the unit tells Home Assistant (MQTT device discovery) of its lines, alerts and storage. docs/broker.md.
discovery = false

# Lines of another kind than "kr-pstn" name a profile of their own; what it does not say is as in "kr-pstn".
# [[profile]]
# name = "pbx"
# hook_debounce_ms = 25
# lift_debounce_ms = 35
# flash_min_ms = 300
# flash_max_ms = 1000
# An opening longer than any flash key's and a number within redial_ms behind it: a call put down, and another.
# flash_key_max_ms = 700
# redial_ms = 10000
# party_ms = 3000
# swap_ms = 2000
# colleague_ms = 15000
# dial_end_ms = 3000
# A loop that is broken for so long, with a meter, was a cable; what it is mended to is a call of its own.
# loop_break_max_ms = 4000
# ring_min_ms = 150
# ring_gap_ms = 400
# ring_give_up_ms = 8000
# polarity_debounce_ms = 64
# no_line_v = 3.0
# loop_break_min_ms = 200
# loop_break_settle_ms = 50
# How loud a telephone on this line dials, until it was learnt or has dialled, and how much softer a press may be and
# still count as one of its own.
# near_digit_dbm0 = -8.0
# near_digit_slack_db = 6.0
# Its tones, all of them: `linetap tones learn` makes them from a recording. How many elements of the cadence must have
# been heard before the tone is known stands in known_after.
# [[profile.tone]]
# name = "busy"
# hz = [480.0, 620.0]
# cadence_ms = [500, 500]
# known_after = 6
# The numbers of the detectors, each in a table; their keys, defaults and sources stand in config/numbers.py.
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
# When a line returns its notice is learnt; here it can be said of all lines of the profile.
# echo_delay_ms = 30.0
# [profile.beneath]
# [profile.health]
"""

_CARDS = """
# One a line card: one codec, one clock. linetapN is what udev calls card N's (systemd/README.md), and capture of card N
# may open no other; `arecord -l` shows it. What a codec is must be what stands here, or capture does not start.
# rate_hz is 8000 or 48000, format "S16_LE" or "S32_LE", channels 1 to 32.
"""

_CARD = """
[[card]]
number = {number}
capture_pcm = {capture}
playback_pcm = {playback}
rate_hz = {rate_hz}
format = "S16_LE"
channels = 8
# ALSA's buffer, 200 to 2000; the ring in memory, 120 to 900; how much later a notice is heard than ALSA says.
buffer_ms = 200
ring_s = 180
playback_offset_ms = 0.0
# The line meter's serial port; without one the HOOK pins alone decide.
# meter_port = "/dev/linetap/card{number}/meter"
"""

_LINES = """
# One a telephone line: its number in records and on the panel, and the card and channel that it is wired to. Besides
# these a line may have
# profile = "kr-pstn"
# notice = "en"             another notice than [recording] names
# exempt = false            true: neither notice nor recording, and its audio never leaves the codec
# caller_id = "auto"        or "bell202", "v23", "dtmf", "off": how the exchange tells who calls
# extension = "2101"        its own number at the PBX
# trunk = "01"              what SMDR calls it, where it is a trunk line
# retention = "standard"    the class of its calls
"""
