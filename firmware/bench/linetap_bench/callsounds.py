# SPDX-License-Identifier: Apache-2.0
"""The keys of calls.toml for what is heard beside ringback and talk, and for the network behind the exchange."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from linetap_bench.voices import Language, Speaker
from linetap_core.clock import S_PER_DAY

Level = Annotated[float, Meta(ge=-90, le=0)]
Seconds = Annotated[float, Meta(ge=0, le=S_PER_DAY)]
Hz = Annotated[float, Meta(ge=20, le=3900)]
Codec = Literal["g711", "gsm", "g723", "opus"]
SoundName = Literal[
    "music",  # colour ring: a melody with chords and a rhythm
    "song",  # the same with a voice that sings it
    "jingle",  # a few notes
    "announcement",  # `text` by the network's voice, in `language`; or `prompt` of Debian's asterisk-core-sounds
    "speech",  # `text` by `speaker`
    "sit",  # the special information tone (ITU-T E.180): three tones that rise
    "tone",  # `hz` together, on and off by `cadence_ms`
    "howler",  # handset off its cradle
    "cough",
    "keyboard",
    "modem_2225",  # Bell 103 and 212A: the answer tone of card terminals
    "v22",  # ITU-T V.22: unscrambled ones, then scrambled data
    "fax_calling",  # ITU-T T.30: 1100 Hz
    "fax_answer",  # 2100 Hz
]


class CallSound(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Something heard on the line, from the network or from the room in which the telephone stands."""

    play: SoundName
    at_s: Seconds
    after: Literal["off_hook", "dialled", "answer"] = "dialled"  # an incoming call has only an answer
    by: Literal["far", "near"] = "far"
    for_s: Annotated[float, Meta(gt=0, le=600)] | None = None  # no longer than so; what has an end ends by itself
    dbm0: Level = -18.0  # of its active parts
    which: Annotated[int, Meta(ge=0, le=63)] = 0  # of several melodies, coughs, hands on a keyboard
    text: Annotated[str, Meta(max_length=300)] = ""
    prompt: Annotated[str, Meta(pattern=r"^[a-z0-9-]*$", max_length=60)] = ""
    language: Language = "ko"
    speaker: Speaker = "announcer"
    hz: Annotated[list[Hz], Meta(max_length=8)] = []
    cadence_ms: Annotated[list[Annotated[int, Meta(ge=20, le=20000)]], Meta(max_length=8)] = []
    alone: bool = False  # after the answer: nobody speaks meanwhile


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is between the exchange and the far end, whatever it plays or says."""

    codec: Codec = "g711"
    loss_percent: Annotated[float, Meta(ge=0, le=30)] = 0.0  # of 20 ms packets: the last one is heard again, fainter
    delay_ms: Annotated[int, Meta(ge=0, le=2000)] = 0  # one way: the staff member waits longer for each answer
    echo_db: Annotated[float, Meta(ge=-60, le=0)] | None = None  # of the staff member's voice, twice the delay later
    noise_dbm0: Level | None = None  # of the channel, whoever speaks or not: comfort noise


class Party(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Another party comes on the line, with a voice and a network of its own."""

    at_s: Seconds  # from the answer
    speaker: Speaker = "second"
    network: Network = Network()
    dbm0: Level = -22.0
