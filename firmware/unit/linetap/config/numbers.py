# SPDX-License-Identifier: Apache-2.0
"""Numbers of the sound detectors, each with its source; "ours" is our estimate. Profiles may override any number."""

from __future__ import annotations

import msgspec


class ToneShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tone of call progress: its frequencies, and its on and off times; an empty cadence is continuous."""

    name: str
    hz: tuple[float, ...]
    cadence_ms: tuple[int, ...]
    known_after: int  # elements of the cadence that must match; then known again once a cadence


# ITU-T E.180 data for Korea. Busy and congestion: three periods (DAHDI busycount).
KR_TONES = (
    ToneShape("dial", (350.0, 440.0), (), 0),
    ToneShape("ringback", (440.0, 480.0), (1000, 2000), 1),
    ToneShape("busy", (480.0, 620.0), (500, 500), 6),
    ToneShape("congestion", (480.0, 620.0), (300, 200), 6),
    ToneShape("unobtainable", (450.0,), (200, 100, 200, 1500), 4),
    ToneShape("call_waiting", (350.0, 440.0), (250, 250, 250, 3250), 1),
)


class CadenceNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    tolerance: float = 0.20  # ours: PBXs have their own timing
    slack_ms: int = 25  # ours: an edge is found within 10 ms, and noise costs a window
    bridge_ms: int = 45  # ours: a click spoils up to three windows; the shortest pause is 90 ms
    burst_min_ms: int = 110  # ours: the shortest burst is 180 ms; speech holds a pair for less
    ringback_goes_on_s: float = 7.0  # ours: after a voice in its pause: two cadences of E.180 Korea
    dial_min_ms: int = 600  # ours: longer than any burst of its frequencies
    fax_calling_ms: int = 425  # ITU-T T.30: 0.5 s, 15 % less
    fax_answer_ms: int = 500  # ITU-T T.30: 2.6 to 4 s; this is long enough to act on
    modem_ms: int = 450  # ITU-T V.25: a calling modem's bursts last 0.5 to 0.7 s; answering ones last longer
    ansam_depth: tuple[float, float] = (0.1, 0.35)  # ITU-T V.8: 0.2; noise of 20 dB S/N leaves 0.03
    fax_maybe_ms: int = 120  # ours: five windows, the first half empty; known 90 to 190 ms after the tone's beginning


class BankNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Numbers of a bank of tone filters over one window."""

    tolerance: float = 0.018  # must accept +-1.5 %; the rest is our margin
    purity: float = 0.88  # ours: 15 dB S/N in 4 kHz leave 0.97; with a quarter of the window cut off 0.75
    twist_share: float = 0.1  # ours: the weaker of two tones has a tenth of the energy
    lone_share: float = 0.95  # ours: a higher share in one tone is no pair
    tone_min_dbm0: float = -37.0  # ours: -35 dBm0 for each tone are -32 together
    mains_hz: float = 60.0  # Korea; hum is excluded from the energy
    mains_harmonics: int = 3


class VoiceNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    min_dbm0: float = -42.0  # ours: a faint far end; G.711's idle noise is below -65
    above_floor_db: float = 5.0  # ours: 40 ms of steady noise stay within 1.5 dB
    floor_min_dbm0: float = -50.0  # ours: lower limit of the floor, from which it rises quickly after silence
    floor_rise_db_s: float = 6.0  # ours: the pauses of speech are more frequent
    min_ms: int = 300  # a shorter sound is a click, a cough, an edge of a tone
    pause_ms: int = 240  # ours: between words; a longer one ends the stretch
    tone_weighs: int = 5  # ours: windows of voice that one window of a tone cancels
    talk_ms: int = 2000  # ours: a question and its answer
    steady_share: float = 0.04  # ours: windows of a tone differ by less, those of speech in one of 100 cases
    steady_weighs: int = 12  # ours: windows of talk that a steady one cancels: digits, unknown tones
    talk_outlasts: int = 4  # ours: windows of silence that cancel one of voice


class SoundNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Thresholds for the classes of sound on a line. A window is 32 ms, a chunk eight of them."""

    sound_min_dbm0: float = -45.0  # ours: below it is silence on a line without faults
    active_above_db: float = 4.0  # ours: above the quietest window of the last second; noise alone stays below
    pause_ms: int = 240  # ours: between words; sound after a longer pause is classified anew
    silence_ms: int = 1000  # ours: longer than a speaker's pause for breath
    announcement_ms: int = 3000  # ours: a person who answers a telephone speaks for a shorter time at first
    decide_windows: int = 16  # ours: half a second of sound, without its pauses
    tone_ms: int = 180  # ours: longer than a vowel of constant pitch
    steady_flux_max: float = 0.25  # ours, measured: pairs 40 Hz apart beat with 0.22, vowels glide with 0.3 and more
    steady_share_min: float = 0.95  # ours: share of the power in one or two peaks; 20 dB S/N leave 0.99
    run_bins: float = 0.6  # ours: 19 Hz; the centre of a steady tone moves by less
    run_min_ms: int = 90  # ours: a shorter one is a vowel
    sit_hz: tuple[float, float, float] = (950.0, 1400.0, 1800.0)  # ITU-T E.180 and Q.35
    sit_tolerance_hz: float = 55.0  # Q.35: +-50 Hz; 913.8 to 1776.7 Hz of North America are within that
    sit_min_ms: int = 180  # Q.35: 330 ms; North America also 274 ms; an edge takes a window
    sit_max_ms: int = 480  # Q.35: 330 +-70 ms, North America also 380 ms
    sit_lost_ms: int = 640  # ours: if the second tone was missed: its 330 +-70 ms, two gaps, edges
    sit_gap_ms: int = 100  # Q.35: up to 30 ms; an edge takes two windows
    period_min_ms: int = 350  # ours: congestion of 0.2 s on, 0.2 s off (memory) is the shortest
    period_max_ms: int = 7000  # ours: ringback of 2 s on and 4 s off, and a margin
    period_tolerance: float = 0.05  # ours: a PBX times its cadence with a quartz; burst edges are uncertain by 32 ms
    lone_period_ms: int = 1500  # ours: from this period on three bursts are enough, below it four
    edge_ms: int = 70  # ours: two windows
    melody_changes: int = 3  # ours: changes of pitch within melody_ms; a special information tone has two
    melody_ms: int = 3000  # ours
    music_tone_ms: int = 1200  # ours: held notes of music are shorter
    noise_chunks: int = 4  # ours: a second of constant level and flat spectrum has no voice
    noise_flat_min: float = -1.8  # ours: ln of the spectrum's flatness: white noise -0.6, music -3 and less
    noise_range_db: float = 5.0  # ours: the range of a second of white noise or of a modem's data
    # Fitted to 2 h of asterisk's prompts in four languages, espeak-ng's Korean and English, and an hour of music, a
    # third of it under a voice; order: `recorder/signals/sound/windows.py`. `bench accuracy` measures the result.
    speech_weights: tuple[float, ...] = (
        0.0, 55.58, -11.66, 5.215, -1.571, -0.09432, -0.04834, 0.9484, 13.41, 3.801, 4.767, -4.371, 0.3562,
        -0.1066, 1.019, 0.1938, 0.7742,
    )  # fmt: skip
    speech_bias: float = -26.65
    score_keeps: float = 0.6  # ours: share of the sum of scores kept from chunk to chunk
    score_min: float = 1.0  # ours: absolute sum; a smaller one decides nothing
    score_sure: float = 4.0  # ours: one chunk with this sum is enough
    hold_ms: int = 1500  # ours: examined length of a held call's audio, or all of it
    hold_notes: float = 0.8  # ours, bench day: music through codecs has 0.97 and more, music-like voices at most 0.55
    voice_in_music_chunks: int = 4  # ours: voice without a pause before it; an answer has a pause or is longer
    channel_change_db: float = 5.0  # ours: change of the noise between sounds
    channel_change_bins: float = 12.0  # ours: 375 Hz of the noise's centre; white noise of a chunk stays within 3
    channel_least_dbm0: float = -75.0  # ours: below this level a codec sends nothing
    channel_ms: int = 768  # ours: duration of the new level
    channel_quiet_windows: int = 6  # ours: windows without sound in a counted chunk


class AnswerNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Thresholds for the answer of an outgoing call."""

    seizure_ms: int = 3000  # ours: a reversal this soon after off-hook, before any digit, is a seizure
    polarity_after_digit_ms: int = 600  # DAHDI sample configuration: guard around reversals
    tone_min_dbm0: float = -40.0  # ours: E.180 requires -15 and more at the exchange, a long line loses 15 dB
    line_share: float = 0.06  # ours: share of a window's power in a bin of 12.5 Hz that makes the bin a line of a tone
    lines_max: int = 12  # ours: four frequencies, three bins each
    tone_share: float = 0.88  # ours: share of power in the lines and beside them; speech reaches it in single windows
    hz_tolerance: float = 0.015  # must accept +-1.5 %
    burst_min_ms: int = 200  # ours: the lines of a vowel last for less
    present_db: float = 4.0  # ours: more below the previous bursts it is no burst; talk over it only adds power
    steady_db: float = 3.0  # ours: between windows of a burst
    covered_db: float = 3.0  # ours: a tone of the profile under talk stays within this, talk alone never ...
    covered_rise_db: float = 6.0  # ours: rise at its beginning; steady noise has none
    covered_ms: int = 640  # ours: ... for this long
    absent_ms: int = 120  # ours: a dropout is shorter
    whole_share: float = 0.6  # ours: share of a burst's length; speech in the same bins ends sooner
    length_tolerance: float = 0.15  # ours: must accept +-10 %
    short_ms: int = 130  # ours: a burst that ends this much early was cut off
    longer_max_ms: int = 400  # ours: a syllable extends a burst by this at most
    cut_sure_ms: int = 280  # ours: no sound follows within this time
    cut_silent_ms: int = 900  # ours: ... and in silence within this time: a busy tone may begin half a second later
    stands_db: float = 10.0  # ours: silence is this much below a burst
    late_ms: int = 250  # ours: a burst later than this is missing
    group_gap_ms: int = 800  # ours: bursts nearer to each other are one ring (0.4/0.2/0.4/2 s) or a busy tone
    busy_bursts: int = 4  # ours: this many in one group are a busy tone
    ring_burst_min_ms: int = 300  # ours: the longest burst of a ring; those of "unobtainable" have 200 ms
    ring_period_ms: tuple[int, int] = (1800, 8000)  # E.180: 3 to 6 s; PBXs go down to 2
    long_pause_ms: int = 2200  # ours: with longer pauses the missing burst is certain only 3 s after the answer
    long_pause_waits_ms: int = 500  # ours, like notice_delay_ms: waits for a burst due before the notice
    long_pause_speech_ms: int = 900  # ours: speech in such a pause, louder than colleagues, of a single voice
    lone_burst_s: float = 4.8  # ours: the longest pause of E.180's ringback is 4 s, or 5 (memory)
    loud_dbm0: float = -33.0  # ours: colleagues in the room are at -36, a far end at -22
    loud_above_floor_db: float = 8.0  # ours
    floor_rise_db_s: float = 6.0  # ours: as in VoiceNumbers
    stretch_min_ms: int = 280  # ours: a shorter one is a click or a cough
    stretch_pause_ms: int = 280  # ours: between two such sounds
    turn_db: float = 4.0  # ours: near end and far end differ by more on nearly every line
    turn_alone_db: float = 7.0  # ours: without ringback; phrases of one announcer differ by 6.6 (decision 0126)
    turn_pause_ms: int = 2000  # ours: between a short word and its reply
    music_min_ms: int = 1500  # ours: shorter music is a chime
    jingle_max_ms: int = 6000  # ours: longer music is a colour ring; only its end is evidence
    speech_after_music_ms: int = 700  # ours
    silence_after_music_ms: int = 2500  # ours: the pause before a song restarts is shorter (memory)
    hush_db: float = 18.0  # ours, bench day: the fall below the mean at the end of music; within music it is less
    hush_ms: int = 200  # ours: ... for this long
    hush_voice_ms: int = 480  # ours: length of the sound after it; its notes distinguish it from music
    hush_notes: float = 0.8  # ours, bench day: in half a second; voices have 0.75 at most, 92 % of music more
    hush_word_ms: int = 1500  # ours: a longer silence with at most one word is no pause of the song
    speech_at_once_ms: int = 640  # ours: speech of numbers that answer without ringback
    speech_with_channel_ms: int = 320  # ours: "yes?"
    channel_settled_ms: int = 2000  # ours: before this time the change may come from dialling
    channel_near_ms: int = 2500  # ours: between the answer and the first word
    channel_after_digit_ms: int = 1200  # ours: within this time it is the exchange's own change after the digit
    network_speaks_ms: int = 7000  # ours: announcements of the network come sooner after the last digit
    pickup_after_ms: int = 2000  # ours: by then a PBX has connected the call, or refused it with a tone
    other_tone_ms: int = 3000  # ours: by then an unknown busy tone is recognised
    beep_ms: tuple[int, int] = (250, 1500)  # (memory) a mailbox beeps for 0.3 to 1 s
    beep_hz: float = 700.0  # ours: tones of call progress end at 620 Hz, beeps are at 800 to 1400 Hz (memory)
    beep_within_s: int = 40  # ours: after the answer: the network's announcement before the beep
    spoken_ms: int = 2000  # ours: after this much loud talk without ringback the detector stops waiting for an answer
    dial_gives_up_ms: int = 5000  # (memory) exchanges give dial tone for 6 to 30 s; dialling ends it sooner


class DtmfNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits from Q.24, each in the middle between the required acceptance and the required rejection."""

    offset_max_percent: float = 2.5  # Q.24: 1.5 % accepted, 3.5 % rejected
    tone_min_ms: float = 31.0  # Q.24: 40 ms accepted, 23 ms rejected
    bridge_ms: float = 22.0  # Q.24: with a break of 10 ms one digit, with a gap of 40 ms two
    level_min_dbm0: float = -35.0  # ours: -32 dBm0 a tone accepted (Q.24: -26); 3 dB for noise and the codec's gain
    column_above_row_db: float = 6.0  # Q.24: 4 dB accepted; 2 dB for noise
    row_above_column_db: float = 10.0  # Q.24: 8 dB accepted; 2 dB for noise
    # Share of the power in both tones. A digit within Q.24's limits has 0.97 (15 dB S/N) ...
    purity_min: float = 0.85  # ours: 7.5 dB S/N
    # ... and under speech or more noise a digit still counts in the exact form that telephones send, which speech has
    # only by chance.
    covered_purity_min: float = 0.68  # ours: 3.3 dB S/N; no digit in 1.7 hours of prompts at four levels
    covered_offset_max_percent: float = 1.0  # dividers of a 3.58 MHz quartz deviate by up to 0.75 % (memory)
    covered_twist_max_db: float = 5.0  # ours: telephones send the column 2 dB above the row; lines change that
    steadiness_min: float = 0.8  # ours: share of a tone's power with one phase; speech glides
    proven_min: float = 0.6  # ours: share of a digit's length that passed all checks; 0.8 with Q.24's break in it
    beneath_hz: tuple[float, float] = (350.0, 440.0)  # E.180 Korea: dial tone, still present during the first digit
    mains_hz: tuple[float, ...] = (60.0, 50.0)  # Korea's, and that of countries with 50 Hz
    hum_to_hz: float = 600.0  # ours: harmonics up to here are removed from a digit; the lowest row is at 697 Hz
    low_hz: float = 250.0  # ours: power below this in the 20 ms of the gate is hum, or a voice, which is tested again


class NearEndNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The similarity of a digit to those of this line's own telephone; the numbers are measured."""

    level_db: float = 3.0  # ours: a telephone's level is constant within 1 dB, speech over it adds 1 to 2
    twist_db: float = 2.0  # ours: constant within 0.5 dB; under speech as loud as the digits within 1.5
    pitch_percent: float = 0.12  # (memory) a resonator keeps 0.05 %, two differ by 0.3; quartzes hardly differ
    codec_rest_db: tuple[float, float] = (-44.0, -32.0)  # G.711 A-law and mu-law: 35 to 39 dB below the tones


class FskNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Thresholds for an FSK carrier."""

    floor_dbm0: float = -48.0  # ours: 18 dB below the weakest required caller ID
    purity: float = 0.66  # ours: share of the power in the tones; white noise stays below 0.62, 6 dB S/N above 0.7
    settle_ms: float = 20.0  # ours: averaging time of level and purity
    dropout_ms: float = 10.0  # ours: after a shorter break it is the same carrier
    twist_db: float = 10.0  # (memory) standards require 6; more is not a pair of one modem's tones


class CallerIdNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Thresholds for a caller ID."""

    mark_bits: float = 20.0  # ours: enough with a valid checksum, if the stretch begins late
    rest_bits: float = 55.0  # 180 are sent, 80 in a call (spandsp adsi.h), +-25 (memory); speech must not pass
    pause_bits: float = 25.0  # (memory) up to 20 marks between octets; more are the message's end
    seizure_octets: int = 8  # of 30 sent; speech has fewer in a row
    digits_max: int = 24  # ours: 15 of E.164, and a prefix
    # EN 300 659-1: an alerting signal (two tones, a pulse of ringing, the line reversed), a message of up to 2 s, and
    # ringing 0.2 to 0.5 s after it
    before_ring_ms: int = 5000
    bare_digits_min: int = 3  # ours: an extension; fewer without a letter before them are chance
    bare_gap_ms: int = 1000  # ours: between two digits; exchanges send one in 140 ms


class ProofNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    echo_db: float = -6.0  # the line's echo of a notice, relative to the played notice; learnt per line
    level_tolerance_db: float = 20.0  # ours: a lower level is the echo of a neighbouring line
    level_error_db: float = 1.5  # ours: the accuracy of a level after a line that disperses or clips
    block_ms: int = 250  # ours
    active_below_db: float = 15.9  # ITU-T P.56: levels lower than this below the active level are pauses
    delay_max_ms: int = 400  # ours: playback buffer, codec and line together, and an IP gateway in between
    drift_max_ppm: float = 250.0  # two quartzes of 100 ppm each, and a quarter more
    echo_delay_ms: float | None = None  # the delay of the line's own echo; learnt per line
    # ours: a codec's period in both directions; another line's equal notice begins at another time
    echo_delay_spread_ms: float = 10.0
    delays_known_after: int = 3  # ours: consecutive notices with the same delay ...
    delays_agree_ms: float = 5.0  # ... within this; three within 100 ms agree by chance once in 138 times
    delay_spread_ms: int = 5  # ours: largest difference of a block from the common delay
    full_share: float = 0.95  # ours
    partial_share: float = 0.20  # ours
    found_min: int = 3  # ours: measured: without a notice one block in 600 is found, sometimes two of eight ...
    found_min_share: float = 0.5  # ... and two of four hardly ever: enough for short notices, which need more than one
    # ours, measured: one block in a thousand of a deaf line reaches it; under speech 6 dB louder 99.9 % are above 10
    significance: float = 3.5  # a block's gain over its own deviation
    deaf_share: float = 0.5  # ours: share of blocks with too weak a line sound to mask the notice
    stray_significance: float = 8.0  # ours: of a correlation peak that moves a block off the common delay
    band_low_hz: int = 200  # below this: mains hum
    band_high_hz: int = 3600  # above this: outside a telephone line's band


class NoticeNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The playing of a notice on a line. No gain exceeds the output's designed level: hardware/README.md."""

    captured_db: float = -0.8  # by board/frontend.py: -1.29 to -0.31
    most_gain_db: float = 6.0  # ours: no line of 600 ohm gets a mean above -9 dBm (47 CFR 68.308)
    most_mean_dbm0: float = -8.5  # ours: at most -9.5 dBm on 600 ohm (hardware/README.md); 47 CFR 68.308: -9
    tone_hz: float = 1400.0  # 47 CFR 64.501, the tone that indicates a recording; between the columns of DTMF
    tone_dbm0: float = -16.0  # ours: as loud as the notice
    tone_pause_ms: int = 150  # ours: between the tone and the first word


class GreetingNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The first words of the answering person. Measured on eight Korean greetings of espeak-ng at three speeds."""

    min_dbm0: float = -42.0  # ours: like VoiceNumbers.min_dbm0
    above_floor_db: float = 10.0  # ours: 10 ms of steady noise stay within 3 dB, speech falls by 20 and more
    floor_percent: float = 10.0  # ours: the quietest blocks are the line's level without speech
    click_ms: int = 40  # ours: a shorter sound is a handset lifted from its cradle
    spurt_min_ms: int = 150  # ours: a single "네" lasts 240 to 400 ms
    pause_ms: int = 350  # ours: after a comma or a full stop of a greeting at ordinary speed: 140 to 340 ms
    begins_ms: int = 1500  # ours: without speech by then there is no greeting
    lead_ms: int = 250  # time between the request to capture and the notice; the length of a replay's batch


class BeneathNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Thresholds for the tone of a fax or a modem while our own notice is on the line."""

    around_hz: float = 130.0  # ours: half width; a voice has one or two harmonics in it
    alone_share: float = 0.7  # ours: share of the power around
    above_echo: float = 2.5  # ours: 4 dB above the echo's maximum there
    level_share: float = 0.5  # ours: share of the loudest 100 ms, required of each of the four
    phase_max_rad: float = 0.5  # ours: a voice's pitch drifts by more within 400 ms
    beep_to_hz: float = 1600.0  # (memory) mailboxes beep at 800 to 1400 Hz
    beep_looks: int = 2  # ours: of 400 ms each, 100 ms apart: a beep of half a second
    least_power: float = 2.5e10  # ours: power in the transform of a tone of -43 dBm0
    delay_max_ms: int = 200  # as for the proof


FSK = FskNumbers()
CALLER_ID = CallerIdNumbers()
