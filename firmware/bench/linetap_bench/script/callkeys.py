# SPDX-License-Identifier: Apache-2.0
"""The keys of one [[call]] in calls.toml: parties, digits, speech, other sounds, the network behind the exchange, the
end.

Times are seconds from the script's start, or where noted from the call's answer; lengths in seconds or `_ms`, levels in
dBm0.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from linetap_bench.sounds.voices import Language, Speaker
from linetap_core.clock import S_PER_DAY

Level = Annotated[float, Meta(ge=-90, le=0)]
Seconds = Annotated[float, Meta(ge=0, le=S_PER_DAY)]
Hz = Annotated[float, Meta(ge=20, le=3900)]
Codec = Literal["g711", "gsm", "g723", "opus"]
SoundName = Literal[
    "music",  # colour ring: a melody with chords and a rhythm
    "song",  # the same with a singing voice
    "jingle",  # a few notes
    "announcement",  # `text` by the network's voice, in `language`; or `prompt` of Debian's asterisk-core-sounds
    "speech",  # `text` by `speaker`
    "sit",  # special information tone (ITU-T E.180): three rising tones
    "tone",  # `hz` together, on and off by `cadence_ms`
    "howler",  # for a handset off its cradle
    "cough",
    "keyboard",
    "modem_2225",  # Bell 103 and 212A: the answer tone of card terminals
    "v22",  # ITU-T V.22: unscrambled ones, then scrambled data
    "fax_calling",  # ITU-T T.30: 1100 Hz
    "fax_answer",  # 2100 Hz
]


class CallSound(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A sound on the line, from the network or from the room of the telephone."""

    play: SoundName
    at_s: Seconds
    after: Literal["off_hook", "dialled", "answer"] = "dialled"  # an incoming call has only "answer"
    by: Literal["far", "near"] = "far"
    for_s: Annotated[float, Meta(gt=0, le=600)] | None = None  # maximum; a finite sound ends by itself
    dbm0: Level = -18.0  # of its active parts
    which: Annotated[int, Meta(ge=0, le=63)] = 0  # number of the melody, cough or typing
    text: Annotated[str, Meta(max_length=300)] = ""
    prompt: Annotated[str, Meta(pattern=r"^[a-z0-9-]*\Z", max_length=60)] = ""
    language: Language = "ko"
    speaker: Speaker = "announcer"
    hz: Annotated[list[Hz], Meta(max_length=8)] = []
    cadence_ms: Annotated[list[Annotated[int, Meta(ge=20, le=20000)]], Meta(max_length=8)] = []
    alone: bool = False  # after the answer: no speech during it


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The path between the exchange and the far end, for all of its sounds."""

    codec: Codec = "g711"
    loss_percent: Annotated[float, Meta(ge=0, le=30)] = 0.0  # of 20 ms packets; a fainter copy replaces each
    delay_ms: Annotated[int, Meta(ge=0, le=2000)] = 0  # one way: each answer reaches the staff member later
    echo_db: Annotated[float, Meta(ge=-60, le=0)] | None = None  # of the staff member's voice, after twice the delay
    noise_dbm0: Level | None = None  # of the channel, with and without speech: comfort noise


class Party(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Another party joins the line, with its own voice and network."""

    at_s: Seconds  # from the answer
    speaker: Speaker = "second"
    network: Network = Network()
    dbm0: Level = -22.0


LineNumber = Annotated[int, Meta(ge=1, le=32)]
ToneName = Literal["dial", "ringback", "busy", "congestion", "unobtainable", "call_waiting"]


class CallerId(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The exchange's report of the caller: FSK after the first burst of ringing, DTMF before it."""

    kind: Literal["none", "bell202", "v23", "dtmf"] = "none"
    message: Literal["mdmf", "sdmf"] = "mdmf"
    number: Annotated[str, Meta(pattern=r"^[0-9]*\Z", max_length=20)] = ""
    name: Annotated[str, Meta(max_length=15)] = ""  # EUC-KR unless ASCII
    withheld: bool = False
    broken: bool = False  # wrong checksum; with DTMF, no end digit
    dbm0: Level = -14.0  # of each tone of a digit


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Digits during a call, without speech."""

    at_s: Seconds  # from the answer
    digits: Annotated[str, Meta(pattern=r"^[0-9*#A-D]+\Z", max_length=32)]
    by: Literal["staff", "caller"] = "staff"
    dbm0: Level | None = None  # of each tone, as received from a telephone on this line or from the far end


class ExchangeTone(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A tone of the exchange during a call, without speech except for call waiting."""

    at_s: Seconds  # from the answer
    tone: ToneName
    for_s: Annotated[float, Meta(gt=0, le=600)]


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One call. `in` starts with ringing; `out` goes off-hook at `start_s`, without digits by accident."""

    line: LineNumber
    start_s: Seconds
    direction: Literal["in", "out"]
    outcome: Literal["answered", "unanswered", "busy", "congestion", "unobtainable"] = "answered"
    caller_id: CallerId = CallerId()
    rings: Annotated[int, Meta(ge=1, le=60)] = 2  # bursts of ringing (in), of ringback (out)
    answer_in_burst_ms: Annotated[int, Meta(ge=1, le=999)] | None = None  # within the last burst; None: after it
    shake: bool = False  # ringing reaches the hook comparator
    digits: Annotated[str, Meta(pattern=r"^[0-9*#A-D]*\Z", max_length=32)] = ""
    dialling: Literal["dtmf", "pulse"] = "dtmf"
    dial_tone: bool = True
    pause_after: Annotated[int, Meta(ge=0, le=31)] = 0  # number of digits before a pause of `pause_s`
    pause_s: Annotated[float, Meta(ge=0, le=60)] = 0.0
    second_dial: bool = False  # a dial tone during that pause
    ringback: bool = True  # the exchange's ringback; if False, only the `sound` keys
    ringback_after_s: Annotated[float, Meta(ge=0, le=60)] = 1.2  # from the last digit
    # From the last digit to the answer, to the end of waiting or to the busy tone; without it `rings` bursts are.
    # Without digits from the off-hook: a hotline.
    progress_s: Annotated[float, Meta(ge=0, le=600)] | None = None
    hold_s: Annotated[float, Meta(ge=0.02, le=600)] = 1.0  # length of an accidental off-hook
    polarity: bool = False  # the exchange reverses the loop while the far end is connected
    seizure: bool = False  # the exchange reverses it once after the last digit, which is no answer
    network: Network = Network()  # of the far end
    early: Network = Network()  # of sounds from the last digit to the answer
    sound: list[CallSound] = []
    party: list[Party] = []
    fax: Literal["none", "answer", "answer_reversed", "calling"] = "none"  # the far end; its phase may reverse (V.25)
    talk: list[str] = []  # spoken in turn, repeatedly until the end of `talk_s`
    first_speaker: Literal["staff", "caller"] = "staff"
    talk_after_s: Seconds = 1.0  # from the answer
    talk_s: Seconds = 10.0
    pause_ms: Annotated[int, Meta(ge=-2000, le=5000)] = 350  # between two utterances; negative: the speaker interrupts
    staff_dbm0: Level = -14.0
    caller_dbm0: Level = -22.0
    dense_dbm0: Level | None = None  # noise during the whole call, so that all samples differ
    flash_at_s: list[Seconds] = []  # from the answer
    flash_ms: Annotated[int, Meta(ge=20, le=3000)] = 600
    keys: list[Keys] = []
    tone: list[ExchangeTone] = []
    ends: Literal["staff", "far"] = "staff"
    loop_break_ms: Annotated[int, Meta(ge=0, le=5000)] = (
        0  # how long the exchange opens the loop when the far end hangs up
    )
    busy_s: Annotated[float, Meta(ge=0, le=60)] = 3.0  # the exchange's tone before the staff member hangs up
    bounce_ms: Annotated[int, Meta(ge=0, le=15)] = 8
