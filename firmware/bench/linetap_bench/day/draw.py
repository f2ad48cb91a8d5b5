# SPDX-License-Identifier: Apache-2.0
"""The random parts of the kinds of calls: numbers, voices, networks, levels."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np

from linetap_bench.exchange.callplay import utterances
from linetap_bench.script.callkeys import Call, CallSound, Codec, Network, SoundName
from linetap_bench.script.timing import times_of
from linetap_bench.sounds.voices import Voices

MOBILE: tuple[Codec, ...] = ("gsm", "opus")
EARLY: tuple[Codec, ...] = ("g711", "g711", "gsm", "opus")
TALKS = (
    ["네, 민원실입니다. 말씀하세요.", "여권 재발급을 하려고 하는데요, 무엇을 가져가야 합니까?"],
    ["안녕하세요, 시청 세무과입니다.", "재산세 고지서를 아직 받지 못했습니다.", "확인해 보겠습니다, 잠시만요."],
    ["네, 주민센터입니다.", "전입 신고는 몇 시까지 됩니까?", "오후 여섯 시까지 오시면 됩니다."],
    ["안녕하세요, 문의하신 건으로 전화드렸습니다.", "아, 네. 기다리고 있었습니다.", "서류가 한 장 빠졌습니다."],
    ["여보세요, 건축과 담당자입니다.", "지금 통화 가능합니다. 말씀하십시오."],
)
SAID_AT_ANSWER = ("여보세요.", "네, 여보세요.", "네.", "네, 말씀하세요.", "여보세요? 누구세요?")
OFFICE_TALK = (
    "어제 그 서류 결재 올라갔습니까? 아니요, 아직 과장님 책상 위에 있습니다.",
    "점심은 열두 시에 나갑시다. 오늘은 회의가 길어질 것 같습니다.",
    "이 주소가 도로명으로 어떻게 되는지 좀 찾아 주세요. 네, 지금 보고 있습니다.",
)
PLEASE_HOLD = (
    "잠시만 기다려 주십시오. 연결 중입니다.",
    "고객님의 전화를 연결하고 있습니다. 잠시만 기다려 주시기 바랍니다.",
)
GREETINGS = (
    "안녕하십니까, 은행 고객센터입니다. 상담원 연결은 일 번, 계좌 조회는 이 번을 눌러 주십시오.",
    "전기 고장 신고 센터입니다. 통화 내용은 서비스 품질 향상을 위해 녹음됩니다.",
)
NO_NUMBER = (
    "지금 거신 번호는 없는 번호입니다. 다시 확인하시고 걸어 주시기 바랍니다.",
    "결번입니다. 국번을 확인하신 후 다시 걸어 주십시오.",
)
SWITCHED_OFF = (
    "전원이 꺼져 있어 소리샘으로 연결되며, 삐 소리 후 통화료가 부과됩니다.",
    "고객이 전화를 받지 않아 음성 사서함으로 연결됩니다.",
)
OFF_HOOK = "수화기가 잘못 놓여 있습니다. 확인하여 주시기 바랍니다."


class Draw:
    """A random generator with the vocabulary of this bench; the same seed draws the same values."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def pick[T](self, among: tuple[T, ...] | list[T]) -> T:
        return among[int(self.rng.integers(len(among)))]

    def between(self, low: float, high: float) -> float:
        return round(float(self.rng.uniform(low, high)), 2)

    def whole(self, low: int, high: int) -> int:
        """A random integer from `low` to `high`, both included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def digits(self, n: int) -> str:
        return "".join(str(int(d)) for d in self.rng.integers(0, 10, n))

    def outside(self) -> str:
        """A random number of the public network."""
        return self.pick(["010", "02", "031", "0505"]) + str(self.whole(2, 9)) + self.digits(7)

    def internal(self) -> str:
        return str(self.whole(2, 8)) + self.digits(3)

    def network(self) -> Network:
        """A citizen's network: a mobile, a landline, or a telephone over IP."""
        how = self.rng.random()
        if how < 0.55:
            return Network(
                codec=self.pick(MOBILE), loss_percent=self.pick([0.0, 0.0, 1.0, 3.0]),
                delay_ms=self.whole(60, 200), noise_dbm0=self.between(-64, -50),
                echo_db=self.pick([None, None, self.between(-50, -30)]),
            )  # fmt: skip
        if how < 0.85:
            return Network(delay_ms=self.whole(0, 30), noise_dbm0=self.between(-70, -58))
        return Network(codec="g723", loss_percent=self.pick([0.0, 1.0, 3.0]), delay_ms=self.whole(60, 300),
                       echo_db=self.pick([None, self.between(-45, -25)]),
                       noise_dbm0=self.between(-66, -56))  # fmt: skip

    def early(self) -> Network:
        """The network of sounds before the answer: the exchange or the mobile network."""
        codec = self.pick(EARLY)
        return Network(codec=codec, noise_dbm0=self.pick([None, None, -66.0, -60.0]))

    def talk(self, **more: Any) -> dict[str, Any]:
        """The talk of an answered call: speakers, length, level and network."""
        keys: dict[str, Any] = {
            "talk": list(self.pick(TALKS)),
            "talk_s": self.between(11, 16),
            "talk_after_s": self.between(0.3, 1.3),
            "pause_ms": self.whole(-700, 900),
            "staff_dbm0": self.between(-20, -10),
            "caller_dbm0": self.between(-30, -17),
            "network": self.network(),
        }
        return keys | more

    def called(self, **more: Any) -> dict[str, Any]:
        """The talk of a call whose far end answers and speaks first."""
        talk = [self.pick(SAID_AT_ANSWER), *self.pick(TALKS)]
        keys = {"talk": talk, "first_speaker": "caller", "talk_after_s": self.between(0.3, 1.2)}
        return self.talk() | keys | more

    def sound(self, play: SoundName, at_s: float, **more: Any) -> CallSound:
        return CallSound(play=play, at_s=at_s, which=self.whole(0, 7), **more)


# --- A call of the day, and the truth about it. Milliseconds from the start of its hour, as in the script -------------


# The right result. `either`: the party was on the line so briefly, or is a machine, that both are right.
Expected = Literal["recorded", "not", "either"]
NOTICE_KEY = "**1"  # the default
LATE_MS = 3000  # after the answer
# If staff greets first, the notice waits for the greeting's end, at most recording.greeting_max_ms (6000).
LATE_GREETED_MS = 6500
SHORT_MS = 4000  # a party that hangs up within this time cannot have heard the whole notice


class Sketch(msgspec.Struct, frozen=True, kw_only=True):
    """A call as its kind draws it, before it has a line and a time."""

    call: Call
    expected: Expected
    why: str = ""  # why it must not be recorded: internal, emergency, fax, modem
    notice_certain: bool = True  # a later party must hear the notice; if False, either is right
    marked: bool = False  # staff marks the call as abusive
    greeted: bool = False  # staff speaks first


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    expected: Expected
    why: str
    began_ms: int
    ended_ms: int
    answer_ms: int | None  # when the far end answered; None: never
    parties_ms: list[int] = []  # when each further party came on the line
    late_ms: int = LATE_MS  # a notice that begins later than this after the answer or a new party is late
    once: bool = True  # no later party, so a second notice is a fault
    keys_ms: list[int] = []  # when staff requested the notice by key
    marked: bool = False
    speech: list[tuple[str, int, int]] = []  # speaker, begin, end


class DayCall(msgspec.Struct, frozen=True, kw_only=True):
    number: int  # from 1
    hour: int  # each hour restarts all lines
    call: Call
    truth: Truth


def truth_of(kind: str, sketch: Sketch, call: Call, voices: Voices) -> Truth:
    """`call` is the sketch's call with its line and time."""
    times = times_of(call)
    expected, answer = sketch.expected, times.answer
    if expected == "recorded" and answer is not None and (times.far_gone or times.end) - answer < SHORT_MS:
        expected = "either"
    speech: list[tuple[str, int, int]] = [
        (utterance.speaker, utterance.at, utterance.end) for utterance in utterances(call, times, "ko", voices)
    ]
    return Truth(
        kind=kind,
        expected=expected,
        why=sketch.why,
        began_ms=times.start,
        ended_ms=times.end,
        answer_ms=answer,
        marked=sketch.marked,
        once=sketch.notice_certain and not call.party and not call.keys,
        late_ms=LATE_GREETED_MS if sketch.greeted else LATE_MS,
        parties_ms=[]
        if answer is None or not sketch.notice_certain
        else [answer + round(party.at_s * 1000) for party in call.party],
        keys_ms=[]
        if answer is None
        else [answer + round(keys.at_s * 1000) for keys in call.keys if keys.digits == NOTICE_KEY],
        speech=speech,
    )
