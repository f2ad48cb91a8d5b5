# SPDX-License-Identifier: Apache-2.0
"""Decides from the line's audio, every 80 ms, whether an outgoing call was answered.

Evidence is examined in the order of its strength. Polarity and the PBX's report come as events and are not decided
here. Next are the missing burst of ringback, and music that is followed by a voice. Without ringback and music, the
evidence is a voice at a number that answers at once, or two ends that take turns. A single voice is no answer: it may
be the network's.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from linetap.config.numbers import AnswerNumbers, ToneShape
from linetap.recorder.calls.evidence.bursts import Bursts
from linetap.recorder.calls.evidence.voices import Faint, Hush, SoundAfterSilence, Speech
from linetap.recorder.calls.evidence.windows import Missing, Window
from linetap.recorder.signals.events import SPEECH
from linetap.ring import RATE_HZ
from linetap_core.records import AnswerConfidence, AnsweredBy

# Kinds of dialled numbers. `at_once`: answered without ringback; `pickup`: a code that picks up another line's call;
# `unfinished`: not yet complete; `hotline`: no number, on a hotline or a line that was lifted just as it rang;
# `unheard`: dial tone without a digit, from a handset off its cradle or an undetected number.
Number = Literal["ordinary", "at_once", "pickup", "unfinished", "hotline", "unheard"]
_PER_MS = RATE_HZ // 1000
_SIT_SPEAKS_S = 4  # ours: the tones take 1 s, and the voice after them may be classified as music for another 2
_SLOWEST_BUSY_MS = 1500  # E.180: busy tone has a period of 0.3 to 1.1 s, ringback one of 2 s and more


class Verdict(NamedTuple):
    """An answer: its frame, its kind, and the evidence for it."""

    at: int
    by: AnsweredBy
    confidence: AnswerConfidence
    evidence: tuple[str, ...]


class Dialled(NamedTuple):
    """The number being dialled.

    `since`: frame of the last digit, or of off-hook. `tone`: busy, dial, unobtainable or the like, if one is on.
    """

    number: Number
    since: int
    tone: str


class Evidence(msgspec.Struct):
    """The evidence of an answer so far: state, kept in the checkpoint."""

    bursts: Bursts = msgspec.field(default_factory=Bursts)
    speech: Speech = msgspec.field(default_factory=Speech)
    sound: str = ""  # the line's sound now
    sound_at: int = 0
    music_from: int | None = None
    music_until: int | None = None
    music_ms: int = 0  # in all
    network: bool = False  # a special information tone, or an announcement without an answer
    sit: bool = False  # a special information tone: after it only ringback can lead to an answer
    sit_part_at: int | None = None  # frame of two of its three tones: a voice must follow soon
    beats: int = 0  # consecutive bursts of a cadence too fast to be ringback
    beat_at: int | None = None  # the last one
    hush: Hush | None = None  # a silence in the music that is on now
    faint: Faint | None = None  # music that began too quietly for the far end
    channel_at: int | None = None  # last change of the far channel

    def add_sound(self, text: str, at: int, loud: bool = True, period_ms: int = 0) -> None:
        """Adds a change of the line's sound at `at`. Tones are followed in the windows instead."""
        self.faint = None
        if text == "cadence":
            self._count_beat(at, period_ms)
        elif text != "tone":
            self.beats = 0
        if text in ("music", "speech") and not loud:
            if text == "music":
                self.faint = Faint(at)
                self.speech.forget()
            text = "noise"  # from this room: keys, colleagues
        tone, text = text, {"cadence": "tone", "cadence_over": "silence"}.get(text, text)
        if text == "tone" and tone == "tone" and self.sound == "music":
            return  # a held note
        if self.sound == "music" and text != "music":
            self.music_until = at
            self.music_ms += max(0, at - self.sound_at) // _PER_MS
            self.hush = None
            if not self.bursts.stood:
                self.bursts = Bursts()  # the bursts were notes
        if text == "music":
            self.hush = Hush() if self.sound != "music" else self.hush
            self.music_from = at if self.music_from is None else self.music_from
            self.music_until = None
            self.speech.forget()
        self._informs(text, at)
        if text != "sit_part":
            self.sound, self.sound_at = text, at

    def _informs(self, text: str, at: int) -> None:
        """Adds a special information tone. A part of that tone is a chime unless a voice follows."""
        part = self.sit_part_at
        if text == "sit":
            self.sit, self.sit_part_at = True, None
        elif text == "sit_part":
            self.sit_part_at = at
        elif text in SPEECH and part is not None and at - part <= _SIT_SPEAKS_S * RATE_HZ:
            self.sit = True
        self.network |= self.sit

    def _count_beat(self, at: int, period_ms: int) -> None:
        """Adds a burst of an unknown cadence, which may be too fast for `bursts`."""
        fast = 0 < period_ms < _SLOWEST_BUSY_MS
        self.beats, self.beat_at = (self.beats + 1 if fast else 0), at
        if self.beats:
            self.speech.forget()  # its loud windows are no voice

    def add_channel_change(self, at: int) -> None:
        """Adds a change of the noise between sounds: the music is over."""
        if self.sound == "music" and at > self.sound_at:
            hush = self.hush
            self.add_sound("silence", at)
            self.hush = hush  # the sound after the silence is still judged
        self.channel_at = at

    def follow(self, windows: list[Window], shapes: tuple[ToneShape, ...], numbers: AnswerNumbers) -> None:
        """Adds windows."""
        for window in windows:
            last = self.bursts.last_end
            self.bursts.follow(window, shapes, numbers)
            if self.bursts.last_end != last:
                if self.bursts.rings or self.bursts.stood:
                    self.speech.forget()  # voices during ringing are no answer
                self._rang(shapes, numbers)
            toned = bool(window.lines) and self.bursts.in_tone
            self.speech.follow(window, numbers, toned)
            if self.hush is not None and self.hush.follow(window, numbers):
                self.speech.forget()  # the loud windows were music
            if self.faint is not None and not toned and self.faint.follow(window, numbers):
                self.add_sound("music", self.faint.at)

    def sound_after_silence(self, now: int, numbers: AnswerNumbers) -> SoundAfterSilence | None:
        """The sound to be judged, after a silence in the music; None without one."""
        return None if self.hush is None else self.hush.sound_after(now, numbers)

    def judge_sound(self, behind: SoundAfterSilence, notes: float | None, sung: bool, numbers: AnswerNumbers) -> None:
        """Judges the sound `behind` a silence. `notes`: steadiness of its notes; `sung`: the music before was sung."""
        sung = sung and (self.channel_at is None or self.channel_at < behind.hush - RATE_HZ // 2)
        if self.hush is not None and self.hush.judge_sound(behind, notes, sung, numbers):
            self._spoken(behind.start, self.hush)

    def _spoken(self, start: int, hush: Hush) -> None:
        """Adds a voice after the silence, or a word in it."""
        self.add_sound("speech", start)
        self.music_until, self.hush = hush.at, None
        self.speech.first = start if self.speech.first is None else self.speech.first

    def _rang(self, shapes: tuple[ToneShape, ...], numbers: AnswerNumbers) -> None:
        """Removes music that was ringback: two beating tones in a long burst are classified as music for a while."""
        burst = self.bursts.current[-1] if self.bursts.current else None
        if burst is None or self.music_from is None or self.music_from < burst.start - RATE_HZ // 5:
            return
        if self.bursts.follows("ringback", shapes, numbers):
            self.music_from = self.music_until = None
            self.music_ms = 0
            self.sound, self.sound_at = "tone", burst.start

    def judge(self, now: int, dialled: Dialled, numbers: AnswerNumbers) -> Verdict | None:
        """The answer that the evidence proves at `now`, or None."""
        bursts = self.bursts
        if dialled.tone or bursts.busy or self.busy_tone_is_on(now, numbers):
            return None
        if self.sound != "music" or (bursts.prior and bursts.groups > 1):  # one or two notes are no ringback
            missing = bursts.missing(now, numbers)
            if missing is None and not self.network and self.sound != "announcement":
                missing = bursts.missing_second(now, numbers)  # the network's information tones prove more
            if missing is not None:
                return self._no_burst(now, missing, numbers)
            if bursts.rings:
                self._rings_on()
            if bursts.rings and (verdict := self._within_long_pause(now, numbers)) is not None:
                return verdict
            if bursts.rings or bursts.sounds:
                return None
        if self.sit and not (self.sit_part_at is not None and dialled.number == "at_once"):  # a company's chime
            return None
        if self.hush is not None and (word := self.hush.spoken(now, numbers)) is not None:
            self._spoken(word, self.hush)
        if self.sound == "music" and self.music_from is None:  # classified as music since the digits
            self.music_from = self.sound_at = now
        if self.music_from is not None:
            return self._after_music(now, numbers)
        if self.network:
            return None
        return self._without_ringback(now, dialled, numbers)

    def keeping_sound(self) -> Evidence:
        """Returns new evidence with only the line's present sound: the past proves nothing for the answer."""
        return Evidence(sound=self.sound, sound_at=self.sound_at)

    def busy_tone_is_on(self, now: int, numbers: AnswerNumbers) -> bool:
        """Whether an unknown busy tone is on, or the pause in it."""
        lasts = self.beat_at is not None and now - self.beat_at < numbers.ring_period_ms[0] * _PER_MS
        return lasts and self.beats >= numbers.busy_bursts - 1

    def reset_at_gap(self) -> None:
        """Discards ringing and speech at a gap, which may contain a burst. The next burst shows ringing again."""
        self.bursts.forget()
        self.speech.forget()

    @property
    def talked_ms(self) -> int:
        """Milliseconds of loud voice that is not explained by music or the network."""
        explained = self.network or self.music_from is not None or self.sound == "announcement"
        return 0 if explained else self.speech.loud_ms

    @property
    def waits(self) -> bool:
        """Whether the line rings, or plays music in place of ringing."""
        return self.bursts.rings or self.sound == "music"

    @property
    def rings(self) -> bool:
        """Whether ringback is on."""
        return self.bursts.rings

    def _rings_on(self) -> None:
        """Discards sounds before the last burst (a jingle, "please hold", colleagues): ringback followed them."""
        last = self.bursts.last_end
        if last is None:
            return
        self.network = self.sit = False
        self.sit_part_at = None
        if self.music_from is not None and self.music_from < last and self.sound != "music":
            self.music_from = self.music_until = None
            self.music_ms = 0

    def _no_burst(self, now: int, missing: Missing, numbers: AnswerNumbers) -> Verdict | None:
        """The answer by a missing burst of ringback, unless a busy tone may have replaced the burst."""
        bursts = self.bursts
        if bursts.other_at is not None and now < bursts.other_at + numbers.other_tone_ms * _PER_MS:
            return None  # a busy tone in place of the burst would be an end and no answer
        silent = self.speech.first is None or self.speech.first < missing.after
        if missing.how == "burst_cut" and silent and now < missing.at + numbers.cut_silent_ms * _PER_MS:
            return None  # the busy tone of a rejected call would be an end too
        if self.sound == "music" and self.sound_at >= missing.after:
            bursts.forget()  # the exchange's ringback was replaced by a colour ring
            return None
        kind = self.sound if self.sound in (*SPEECH, "modem") else ""
        kind = kind if self.sound_at >= missing.after else ""
        voice = self.speech.current or self.speech.before
        at = missing.at
        if voice is not None and voice.start >= missing.after:
            at, kind = min(voice.start, missing.at), kind or "voice"
        channel = ("channel",) if self.channel_at is not None and self.channel_at >= missing.after else ()
        sure: AnswerConfidence = "high" if bursts.groups > 1 or bursts.prior else "low"
        return Verdict(at, "tone", sure, ("ringback", missing.how, *((kind,) if kind else ()), *channel))

    def _within_long_pause(self, now: int, numbers: AnswerNumbers) -> Verdict | None:
        """An answer within a long pause of ringback, before the missing burst could show it: a voice with another
        channel.

        Voices alone may be this end's: they count if the burst is not due before the notice would begin.
        """
        bursts, speech, last = self.bursts, self.speech, self.bursts.last_end
        long = bursts.pause >= numbers.long_pause_ms * _PER_MS
        if bursts.sounds or not long or last is None or speech.first is None or speech.first < last:
            return None
        channel = self.channel_at is not None and self.channel_at >= last
        if channel and speech.loud_ms >= numbers.speech_with_channel_ms:
            return Verdict(speech.first, "sound", "high", ("ringback", "channel", "voice"))
        if last + bursts.pause - now <= numbers.long_pause_waits_ms * _PER_MS:
            return None
        if speech.turn is not None:
            return Verdict(speech.first, "sound", "low", ("ringback", "two_voices"))
        enough = speech.loud_ms >= numbers.long_pause_speech_ms
        return Verdict(speech.first, "sound", "low", ("ringback", "voice")) if enough else None

    def _after_music(self, now: int, numbers: AnswerNumbers) -> Verdict | None:
        """An answer after music: a colour ring ends at the answer, while ringing follows a jingle."""
        if self.sound == "music" or self.music_until is None:
            return None
        if self.music_ms < numbers.music_min_ms:
            self.music_from = self.music_until = None
            return None
        speech = self.speech
        channel = ("channel",) if self.channel_at is not None and self.channel_at >= self.music_until else ()
        enough = numbers.speech_with_channel_ms if channel else numbers.speech_after_music_ms
        if self.sound in SPEECH:
            enough = 0  # it lasted long enough to be classified
        if speech.first is not None and speech.loud_ms >= enough:
            sure: AnswerConfidence = "high" if channel or self.sound in SPEECH else "low"
            return Verdict(
                max(speech.first, self.music_until),
                "sound",
                sure,
                ("music", "music_stopped", self.sound or "voice", *channel),
            )
        silent = now - self.music_until >= numbers.silence_after_music_ms * _PER_MS
        if self.music_ms >= numbers.jingle_max_ms and silent and not speech.loud_ms:
            return Verdict(self.music_until, "sound", "low", ("music", "music_stopped", "silence", *channel))
        return None

    def _without_ringback(self, now: int, dialled: Dialled, numbers: AnswerNumbers) -> Verdict | None:
        """An answer without ringback and music."""
        speech, since = self.speech, dialled.since
        if self.bursts.fresh is not None:
            return None
        if dialled.number == "pickup":
            picked_up = now >= since + numbers.pickup_after_ms * _PER_MS
            return Verdict(since, "code", "high", ("pickup_code", "no_tone")) if picked_up else None
        if dialled.number == "unfinished":
            return None
        first = speech.first
        named = self.sound in SPEECH  # by the sound detector, after half a second
        enough = numbers.speech_with_channel_ms if named else numbers.speech_at_once_ms
        at_once = dialled.number in ("at_once", "hotline") and now >= since + numbers.polarity_after_digit_ms * _PER_MS
        if first is not None and at_once and speech.loud_ms >= numbers.speech_at_once_ms:
            sure: AnswerConfidence = "high" if dialled.number == "at_once" else "low"
            return Verdict(first, "sound", sure, (f"number_{dialled.number}", self.sound or "voice"))
        if first is not None and self._began_with_new_channel(first, since, numbers):
            return Verdict(first, "sound", "high", ("no_ringback", "channel", self.sound or "voice"))
        late = first is not None and first >= since + numbers.network_speaks_ms * _PER_MS
        if first is not None and late and speech.loud_ms >= enough:
            return Verdict(first, "sound", "low", ("no_ringback", "silence", self.sound or "voice"))
        if self.sound == "announcement" and dialled.number in ("ordinary", "unheard"):
            self.network = True
            return None
        lone = self.bursts.first_burst_end(numbers) if self.bursts.may_ring(numbers) else None
        if first is not None and lone is not None and first > lone:
            another = self.channel_at is not None and self.channel_at >= lone - RATE_HZ // 2  # the tone may be cut
            if another or speech.loud_ms >= enough or speech.turn is not None:
                channel = ("channel",) if another else ()
                return Verdict(first, "sound", "low", ("tone", self.sound or "voice", *channel))
        if speech.far_turn is not None and first is not None and not self.bursts.current:
            return Verdict(first, "sound", "low", ("no_ringback", "two_voices"))
        return None

    def _began_with_new_channel(self, first: int, since: int, numbers: AnswerNumbers) -> bool:
        """Whether the far channel changed shortly before the voice, without the last digit, which always changes it."""
        if self.channel_at is None or self.speech.loud_ms < numbers.speech_with_channel_ms:
            return False
        of_dialling = self.channel_at < since + numbers.channel_after_digit_ms * _PER_MS
        of_dialling |= first < since + numbers.channel_settled_ms * _PER_MS
        return not of_dialling and abs(first - self.channel_at) <= numbers.channel_near_ms * _PER_MS
