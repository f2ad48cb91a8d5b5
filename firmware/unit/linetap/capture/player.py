# SPDX-License-Identifier: Apache-2.0
"""Plays notices into the playback stream, on one or many lines at once, at exact times, with each line's gain.

There are two counts. Playback frames are counted at their write. Ring device frames are counted at their capture (ring
frames times the decimation). `shift` = ring device frame - playback frame of the same moment on the line; it is
constant while neither stream restarts, since one codec has one clock. When playback restarts, the position on the line
is kept, and the rest of the notice continues at its original time. When capture restarts, the played notice is not
changed, and its position is computed anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linetap.board.interface import CardBoard
from linetap.capture.lineaudio import Upsampler
from linetap.config import profile_of
from linetap.config.numbers import NoticeNumbers
from linetap.config.schema import Card, Config, Line
from linetap.learned import Learned, LearnedWatch
from linetap.notices import Notice, notices_of
from linetap.notices.level import gain_db, limited, raised
from linetap.ring import I16, RATE_HZ, SLOT_FRAMES, SLOT_MS

# TE Schrack RT2, Rev. 1014: operates within 8 ms, bounces for 4; the rest is for the meter and the driver. No sample is
# played before the relay settles.
RELAY_LEAD_MS = 15
MOST_PLAYS = 2  # a line: an ending notice and its successor


@dataclass(slots=True, eq=False)
class _Play:
    row: int
    channel: int
    tag: int
    samples: I16  # at 8 kHz
    at: int  # ring device frame of the first sample; the requested one until committed
    start: int | None = None  # playback frame of the first sample once committed
    length: int = 0  # device frames; shorter after a stop


class Player:
    """The notices of one card.

    After an unreported restart of a stream, notices would be played at the wrong time: see `lost_playback`.
    """

    def __init__(self, card: Card, lines: list[Line], notices: dict[str, Notice], board: CardBoard) -> None:
        self._decimation = card.rate_hz // RATE_HZ
        self._channels = card.channels
        self._upsampler = Upsampler() if self._decimation > 1 else None
        self._wide = card.format == "S32_LE"
        self._lead = card.rate_hz * (RELAY_LEAD_MS + SLOT_MS) // 1000  # a period for the relay's own write
        self._rows = {line.number: (row, line.channel - 1) for row, line in enumerate(lines) if not line.exempt}
        self._board = board
        self._tags = {name: notice.tag for name, notice in notices.items()}
        # At 8 kHz: at the codec's rate six notices of 12 s, each raised for eight lines, would be 55 MB.
        self._most_dbm0 = NoticeNumbers().most_mean_dbm0
        self._samples = {name: limited(notice.samples, self._most_dbm0) for name, notice in notices.items()}
        self._raised: dict[tuple[int, str], I16] = {}  # by line, for lines with a gain
        self._plays: list[_Play] = []
        self.shift: int | None = None
        self._tag_row = np.zeros(len(lines), np.uint32)
        self._frame_row = np.zeros(len(lines), np.int32)

    @property
    def busy(self) -> bool:
        """Whether a notice is in the stream: `shift` must then not be refined."""
        return any(play.start is not None for play in self._plays)

    def has(self, line: int) -> bool:
        """Whether a notice of this line is requested, or not yet captured to its end."""
        return any(play.row == self._rows[line][0] for play in self._plays)

    def set_samples(self, line: int, notice: str, samples: I16) -> None:
        """Replaces the samples (8 kHz, the same length) of this notice on this line from now on."""
        self._raised[line, notice] = limited(samples, self._most_dbm0)

    def play(self, line: int, notice: str, at_frame: int, *, plain: bool = False) -> str | None:
        """Requests a notice at ring frame `at_frame`, which replaces a played one; returns why it was refused, or None.

        `plain`: without the line's gain.
        """
        if line not in self._rows:
            return f"line {line} is no line of this card, or is exempt from notices"
        if notice not in self._samples:
            return f"no notice {notice!r}"
        if self._board.meter is not None and not self._board.meter.connected:
            return f"line {line}: its card's meter, which closes the relay, does not answer"
        row, channel = self._rows[line]
        if sum(play.row == row for play in self._plays) >= MOST_PLAYS:
            return f"line {line} has {MOST_PLAYS} notices already"
        samples = self._samples[notice] if plain else self._raised.get((line, notice), self._samples[notice])
        length = len(samples) * self._decimation
        self._plays.append(_Play(row, channel, self._tags[notice], samples, at_frame * self._decimation, length=length))
        return None

    def stop(self, line: int, written: int) -> str | None:
        """Ends the line's notice after playback frame `written`; returns the reason of a refusal, or None."""
        if line not in self._rows:
            return f"line {line} is no line of this card, or is exempt from notices"
        row = self._rows[line][0]
        self._plays = [play for play in self._plays if play.row != row or play.start is not None]
        for play in self._plays:
            if play.row == row and play.start is not None:
                play.length = min(play.length, max(0, written - play.start))
        return None

    def lost_playback(self) -> None:
        """Discards the shift after an underrun: playback frames have shifted against positions on the line."""
        self.shift = None

    def set_shift(self, shift: int, playback_restarted: bool) -> None:
        """Sets the shift, measured after a restart of one of the streams, or refined while not `busy`."""
        self.shift = shift
        for play in self._plays:
            if play.start is None:
                continue
            if playback_restarted:
                play.start = play.at - shift
            else:
                play.at = play.start + shift

    def fill(self, first: int, queued: int) -> bytes | None:
        """The period of playback frames from `first` on, with `queued` frames not yet played; None: silence."""
        if not self._plays or self.shift is None:
            return None
        period = SLOT_FRAMES * self._decimation
        mixed: npt.NDArray[np.int16] | None = None
        for play in self._plays:
            if play.start is None and not self._commit(play, first, queued, self.shift):
                continue
            assert play.start is not None
            a, b = max(first, play.start), min(first + period, play.start + play.length)
            if b <= a:
                continue
            if mixed is None:
                mixed = np.zeros((period, self._channels), np.int16)
            where, (c, d) = mixed[a - first : b - first, play.channel], (a - play.start, b - play.start)
            if self._upsampler is None:
                where[:] = play.samples[c:d]
            else:
                where[:] = self._upsampler.piece(play.samples, c, d)
        if mixed is None:
            return None
        return (mixed.astype(np.int32) << 16).tobytes() if self._wide else mixed.tobytes()

    def _commit(self, play: _Play, first: int, queued: int, shift: int) -> bool:
        """Whether the notice begins in the period from `first`: then closes the relay and fixes the start."""
        earliest = first - queued + self._lead + shift
        at = max(play.at, earliest, first + shift)
        at += -at % self._decimation
        if at - shift >= first + SLOT_FRAMES * self._decimation:
            return False
        for other in self._plays:  # the previous notice ends here
            if other is not play and other.row == play.row and other.start is not None:
                other.length = min(other.length, max(0, at - shift - other.start))
        play.at, play.start = at, at - shift
        self._board.relay(play.row, True)
        return True

    def report(self, device_frame: int) -> tuple[npt.NDArray[np.uint32] | None, npt.NDArray[np.int32] | None]:
        """The tag and notice frame of each line for the slot at ring `device_frame`, overwritten by the next call.

        None if no notice is requested.
        """
        if not self._plays:
            return None, None
        self._tag_row[:] = 0
        self._frame_row[:] = 0
        end = device_frame + SLOT_FRAMES * self._decimation
        for play in self._plays:
            if play.start is not None and play.at < end and play.at + play.length > device_frame:
                self._tag_row[play.row] = play.tag
                self._frame_row[play.row] = (device_frame - play.at) // self._decimation
        return self._tag_row, self._frame_row

    def finish(self, device_frame: int) -> None:
        """Ends the notices that were captured completely before ring `device_frame`; their relays open."""
        if not self._plays:
            return
        over = [p for p in self._plays if p.start is not None and p.at + p.length <= device_frame]
        self._plays = [play for play in self._plays if play not in over]
        playing = {play.row for play in self._plays if play.start is not None}
        for row in {play.row for play in over} - playing:
            self._board.relay(row, False)


class LineGains:
    """Applies the gains that `linetap line learn` has measured to each line's notices, while capture runs.

    One notice of one line at a time: the gain costs some milliseconds of a thread with a period of ten.
    """

    def __init__(self, config: Config, lines: list[Line], player: Player, watch: LearnedWatch) -> None:
        self._config, self._lines, self._player = config, [line for line in lines if not line.exempt], player
        self._notices = notices_of(config)
        self._gains: dict[tuple[int, str], float] = {}
        self._work: Iterator[None] = iter(())
        self._watch, self._found = watch, dict[int, Learned]()

    def follow(self) -> None:
        """Applies changed gains; call it a few times a second. Never waits for the disk."""
        found = self._watch.found  # read once: the thread may replace it meanwhile
        if found is not self._found:
            self._found, self._work = found, self._renew(found)
        next(self._work, None)

    def _renew(self, found: dict[int, Learned]) -> Iterator[None]:
        """Applies the changed gains, one step for each notice of a line."""
        for line in self._lines:
            numbers = profile_of(self._config, line.profile).notice
            for name, notice in self._notices.items():
                by_db = gain_db(notice.samples, found.get(line.number), self._config.recording, numbers)
                if self._gains.get((line.number, name), 0.0) != by_db:
                    self._gains[line.number, name] = by_db
                    self._player.set_samples(line.number, name, raised(notice.samples, by_db))
                    yield
