# SPDX-License-Identifier: Apache-2.0
"""Line profiles: every number of a line, with its source; "ours" is our estimate. Configurations may override any."""

from __future__ import annotations

import msgspec

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

# ----------------------------------------------------------------------------------------------------------------------
# Numbers of a line's loop, each with its source: dial pulses, the meter's voltages, and the limits of line health.


class PulseNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Dial pulses. Breaks shorter than the hook's debounce are never detected."""

    break_min_ms: int = 15  # DAHDI kernel.h: DAHDI_MINPULSETIME
    break_max_ms: int = 200  # DAHDI kernel.h: DAHDI_MAXPULSETIME
    make_min_ms: int = 16  # ours: allows bounce of 15 ms; 20 pps at 60/40 make for 20 ms
    digit_gap_ms: int = 250  # DAHDI kernel.h: DAHDI_PULSETIMEOUT
    period_min_ms: int = 40  # ours: 20 pps are 50 ms
    period_max_ms: int = 150  # ours: 8 pps are 125 ms
    unevenness: float = 1.5  # ours: ratio of longest to shortest period; a governor keeps a dial within 10 %
    lone_break_max_ms: int = 100  # ours: 8 pps at 67/33 break for 84 ms
    after_hook_ms: int = 300  # ours: the shortest time to turn the dial after the loop closed
    awaited_ms: int = 20_000  # (memory) exchanges wait 10 to 30 s for a digit


class MeterNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Thresholds for the meter's voltages. Times apply to the whole card: the longest of its lines."""

    off_below_v: float = 16.0  # Si2400, Synway, Eletech: thresholds of 16, 21 and 25 V; in between the state stays
    on_above_v: float = 25.0  # the same sources
    on_hook_v: float = 48.0  # nominal battery
    off_hook_v: float = 8.0  # Si2400 5.5.1: 6 to 12 V
    low_share: float = 0.4  # ours: share of the difference of the learnt voltages, from either end
    fall_v: float = 8.0  # ours: within 5 ms; a cut wire discharges for a tenth of a second or more
    steady_share: float = 0.05  # ours: within 100 ms; less change is a settled loop, more a discharging wire
    no_line_ms: int = 1000  # ours: a turning dial shorts the line; off-hook ends only after this time
    # Part 68 ringers: 40 Vrms of 15.3 Hz on a battery of 42 V are below on_above_v for 25.9 ms of each cycle
    lift_min_ms: int = 27  # a shorter closed loop is no off-hook ...
    make_min_ms: int = 12  # ... except after a break; ours: 20 pps at 60/40 make for 20 ms
    break_max_ms: int = 200  # DAHDI kernel.h: DAHDI_MAXPULSETIME
    open_min_ms: int = 3  # ours: longer than a spark, or than the end of ringing at an answer
    ring_peak_v: float = 30.0  # ours: 40 Vrms have 56.6; a break of the loop swings 25 V in both directions
    ring_window_ms: int = 66  # a cycle of 15.3 Hz
    ring_share_ms: int = 8  # ours: in the window, beyond the peak on either side; sparks are shorter, 40 Vrms have 21


class HealthNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Thresholds and durations of line faults. Learnt voltages of a line replace the values in `_v` here."""

    cut_v: float = 3.0  # Si2400 5.5.1: a lower voltage means no line
    cut_s: float = 1.0  # DAHDI wctdm: battery alarm after 1000 ms
    steady_v: float = 4.0  # ours: a larger change within half a second is ringing, a pulse or a flash
    hook_v: float = 25.0  # Synway, Eletech, Si2400: the highest threshold between off-hook and on-hook
    short_v: float = 5.0  # ours: off-hook reads 6 to 12 V (Si2400 5.5.1)
    short_share: float = 0.6  # ours: share of the voltage learnt off-hook
    short_s: float = 60.0  # ours: without sound; the exchange's tones come through a telephone, not through a short
    reversed_s: float = 10.0  # ours: on-hook; during a call the exchange may reverse at any time
    battery_low_v: float = 40.0  # ours: 48 V nominal
    battery_low_share: float = 0.8  # ours: share of the voltage learnt on-hook
    battery_high_v: float = 110.0  # ours: above the 105 V of the longest loops (memory); the meter reads to 241 V
    battery_high_share: float = (
        1.3  # ours: ratio to the voltage learnt on-hook at a nominal battery; under charge it stays below
    )
    battery_high_s: float = 10.0  # ours: on-hook
    battery_24v: tuple[float, float] = (18.0, 30.0)  # (memory) a PBX of 24 V nominal
    battery_s: float = 60.0  # ours: an exchange's battery test is no fault
    short_loop_s: float = 5.0  # ours: duration of sound at an on-hook voltage; up to 40 V (Si2400 5.5.1)
    short_loop_drop_v: float = 4.0  # ours: so far below the voltage at rest, the handset is lifted
    sound_dbm0: float = -45.0  # ours: louder is a voice or the exchange; the noise of a bad line is below
    silent_dbm0: float = -72.0  # ours: a lower level is a codec without a telephone line; a quiet line has -68
    silent_s: float = 20.0  # ours: off-hook; an exchange gives dial tone at once
    on_hook_share: float = 0.3  # ours: share of the last half minute with sound; a conversation has 0.5
    hum_dbm0: float = -40.0  # ours: level of mains and harmonics; 26 dB below speech it is audible in every pause
    hum_alone_db: float = 6.0  # ours: excess over all other sound in a pause; music always has more other sound
    hum_s: float = 40.0  # ours: without a break; a voice does not stay on one harmonic
    clip_at: int = 32000  # of 32767: codecs clip a little below
    clip_share: float = 0.005  # ours: share of the samples of half a second; a loud vowel has fewer peaks
    clip_times: int = 5  # ours: in a call, with pauses; an exchange's howler clips without a pause
    faint_dbm0: float = -40.0  # ours: speech is at -10 to -30 dBm0
    faint_above_db: float = 8.0  # ours: excess over the call's quietest half second; speech, even faint, exceeds it
    faint_s: float = 10.0  # ours: duration of speech, nearly none of it louder
    faint_loud_s: float = 2.0  # ours: allowance for clicks and touches of the receiver
    stuck_s: float = 600.0  # ours: off-hook, without voice or digit
    clear_margin_db: float = 3.0  # ours: hysteresis of levels
    clear_margin_v: float = 1.0  # ours: hysteresis of voltages
    clear_s: float = 3.0  # ours: time for which the fault must be gone


# ----------------------------------------------------------------------------------------------------------------------


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The behaviour of one kind of line. Defaults are those of Korea's public network (`kr-pstn`)."""

    name: str = "kr-pstn"
    hook_debounce_ms: int = 25  # ours: bounce of 15 ms is ignored, a dial pulse of 30 ms is detected
    # ours: ringing of 15.3 Hz holds a comparator on the off-hook side for less than half a cycle, 32.7 ms
    lift_debounce_ms: int = 35  # for a loop without a call, or open for longer than a dial pulse
    flash_min_ms: int = 300  # DAHDI, AOpen and NEC manuals
    flash_max_ms: int = 1000  # receivers accept up to 1250 ms; longer is on-hook
    flash_key_max_ms: int = 700  # (memory) flash keys of telephones open for 80 to 600 ms; longer, it may be on-hook
    redial_ms: int = 10_000  # ours: after a short on-hook a person dials within this time, or within it after dial tone
    party_ms: int = 3000  # ours: within this time after an answer or a flash it is the same party
    swap_ms: int = 2000  # ours: after a flash a dialling person has dial tone by then, or has begun
    colleague_ms: int = 15_000  # ours: by then a calling colleague has transferred the citizen
    gap_party_ms: int = 5000  # ours: hanging up takes 1 s, and another call's ringing and answer some 4 s
    gap_end_s: int = 300  # ours: a longer gap would be silence by the megabyte in every recording of the card
    dial_end_ms: int = 3000  # ours: a dial tone of this length in a call means that the far end has left
    ring_min_ms: int = 150  # a shorter single burst is no ringing (ring detector asserts within 180 ms)
    ring_gap_ms: int = 400  # shorter dropouts of the ring detector are within one burst
    ring_give_up_ms: int = 8000  # DAHDI ringtimeout: after this long without a burst the call is missed
    polarity_debounce_ms: int = 64  # DAHDI fxo_modes, wctdm
    no_line_v: float = 3.0  # Si2400 5.5.1: a lower voltage means no line
    loop_break_min_ms: int = 200  # ours: exchanges break for 250 to 900 ms (sandman.com, CPC bulletin)
    loop_break_max_ms: int = 4000  # ours: a longer break is a cut cable; after the repair a new call begins
    loop_break_settle_ms: int = 50  # ours: if the voltage fails later than this, the handset was hung up before
    pulses: PulseNumbers = PulseNumbers()
    near_digit_dbm0: float = -8.0  # ours: level of this line's telephone, until it has dialled or was learnt
    near_digit_slack_db: float = 6.0  # ours: for a line without measurements
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
