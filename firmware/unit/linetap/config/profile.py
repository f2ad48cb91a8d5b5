# SPDX-License-Identifier: Apache-2.0
"""Line profiles: every number of the line, with its source. A configuration may override any of them."""

from __future__ import annotations

import msgspec

from linetap.config.loopnumbers import HealthNumbers, MeterNumbers, PulseNumbers
from linetap.config.numbers import (
    KR_TONES,
    AnswerNumbers,
    BankNumbers,
    BeneathNumbers,
    CadenceNumbers,
    CallerIdNumbers,
    DtmfNumbers,
    FskNumbers,
    GreetingNumbers,
    NearEndNumbers,
    NoticeNumbers,
    ProofNumbers,
    SoundNumbers,
    ToneShape,
    VoiceNumbers,
)


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a line of one kind does. Defaults are Korea's public network (`kr-pstn`)."""

    name: str = "kr-pstn"
    hook_debounce_ms: int = 25  # ours: bounce of 15 ms passes, a 30 ms dial pulse is seen
    # ours: 15.3 Hz of ringing hold a comparator on the off-hook side for less than half a cycle, 32.7 ms
    lift_debounce_ms: int = 35  # of a loop that was no call's, or open for longer than a dial pulse
    flash_min_ms: int = 300  # DAHDI, AOpen and NEC manuals
    flash_max_ms: int = 1000  # receivers go up to 1250 ms; longer is on-hook
    flash_key_max_ms: int = 700  # (memory) flash keys of telephones open for 80 to 600 ms; longer, it may be put down
    redial_ms: int = (
        10_000  # ours: who has put the handset down for a moment dials within it, or within it of dial tone
    )
    party_ms: int = 3000  # ours: behind an answer or a flash so much is not yet another party
    swap_ms: int = 2000  # ours: behind a flash whoever dials has dial tone by then, or has begun
    colleague_ms: int = 15_000  # ours: a colleague who calls has passed a citizen on by then, or nobody knows
    dial_end_ms: int = 3000  # ours: so long a dial tone in a call says that the far end has gone
    ring_min_ms: int = 150  # one burst shorter than this is no ringing (ring detector asserts within 180 ms)
    ring_gap_ms: int = 400  # ring detector dropouts shorter than this stay one burst
    ring_give_up_ms: int = 8000  # DAHDI ringtimeout: no burst for so long is a missed call
    polarity_debounce_ms: int = 64  # DAHDI fxo_modes, wctdm
    no_line_v: float = 3.0  # Si2400 5.5.1: below is no line
    loop_break_min_ms: int = 200  # ours: exchanges break for 250 to 900 ms (sandman.com, CPC bulletin)
    loop_break_max_ms: int = 4000  # ours: longer is a cable that was cut, and what it is mended to is a call of its own
    loop_break_settle_ms: int = 50  # ours: a wire that dies later than this after the loop opened was hung up before
    pulses: PulseNumbers = PulseNumbers()
    near_digit_dbm0: float = -8.0  # ours: of a telephone on this line, until it has dialled or was learnt
    near_digit_slack_db: float = 6.0  # ours: a line of which nothing was learnt yet
    near_end: NearEndNumbers = NearEndNumbers()
    tone: tuple[ToneShape, ...] = KR_TONES  # `linetap tones learn` makes those of a PBX
    tones: BankNumbers = BankNumbers()
    cadence: CadenceNumbers = CadenceNumbers()
    voice: VoiceNumbers = VoiceNumbers()
    sound: SoundNumbers = SoundNumbers()
    answer: AnswerNumbers = AnswerNumbers()
    dtmf: DtmfNumbers = DtmfNumbers()
    fsk: FskNumbers = FskNumbers()
    caller_id: CallerIdNumbers = CallerIdNumbers()
    proof: ProofNumbers = ProofNumbers()
    greeting: GreetingNumbers = GreetingNumbers()
    beneath: BeneathNumbers = BeneathNumbers()
    notice: NoticeNumbers = NoticeNumbers()
    meter: MeterNumbers = MeterNumbers()
    health: HealthNumbers = HealthNumbers()


KR_PSTN = Profile()
BUILT_IN = {KR_PSTN.name: KR_PSTN}
