# SPDX-License-Identifier: Apache-2.0
"""Opus files checked by ffmpeg: the length is exact to the sample, for complete, cut and continued files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from codec_rig import I16, SPEECH, decoded, lag, stream
from dtmf_rig import Case, correct, heard, own_sine, random_keys
from linetap_core.codecs import opus
from linetap_core.codecs.codec import CodecMissing, Undecodable
from linetap_core.codecs.registry import codec_named
from linetap_core.evidence.sealing import age
from sealing_rig import run

OPUS = codec_named("opus")
# ffmpeg's own decoder prints this message at the end of every Ogg Opus file, including those of opusenc and ffmpeg.
FLUSHED = "non monotonically increasing dts to muxer"
TO_PCM = ("-f", "s16le", "-")


def decoded_by_ffmpeg(data: bytes, decoder: str) -> I16:
    """The file decoded at 48 kHz, six samples for each of linetap's; ffmpeg must report no error."""
    found = run(["ffmpeg", "-v", "error", "-xerror", "-c:a", decoder, "-i", "-", *TO_PCM], stdin=data)
    said = [line for line in found.stderr.decode().splitlines() if FLUSHED not in line]
    assert (found.returncode, said) == (0, [])
    return np.frombuffer(found.stdout, "<i2")


@pytest.mark.parametrize("decoder", ["opus", "libopus"])
@pytest.mark.parametrize("samples", [1228, 1229, 1389, 8000, 24_037, 72_000])
def test_ffmpeg_plays_exactly_what_was_spoken(samples: int, decoder: str) -> None:
    heard = decoded_by_ffmpeg(stream(OPUS, SPEECH[:samples]), decoder)
    assert len(heard) == 6 * samples
    if samples > 20_000:
        late, like = lag(heard[::6], SPEECH[:samples])
        assert abs(late) <= 1
        assert like > 0.8


def test_our_decoder_comes_neither_early_nor_late() -> None:
    late, like = lag(decoded(OPUS.decoder(), stream(OPUS, SPEECH), len(SPEECH)), SPEECH)
    assert late == 0
    assert like > 0.9


@pytest.mark.parametrize("pages", [1, 2, 9, 30])
def test_ffmpeg_plays_what_is_cut_behind_any_page(pages: int) -> None:
    data = stream(OPUS, SPEECH)[: opus.PAGE_BYTES * (1 + pages)]
    samples = OPUS.samples(len(data))
    assert len(decoded_by_ffmpeg(data, "opus")) == 6 * samples
    assert len(decoded(OPUS.decoder(), data, samples)) == samples


def test_ffprobe_knows_how_long_it_is() -> None:
    data = stream(OPUS, SPEECH)
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", "-"]
    found = json.loads(run(command, stdin=data).stdout)
    told = found["streams"][0]
    assert (told["codec_name"], told["channels"], told["sample_rate"]) == ("opus", 1, "48000")
    assert found["format"]["format_name"] == "ogg"
    assert told["initial_padding"] == 6 * opus.DELAY


def test_a_chunk_is_twenty_seconds_and_a_second_three_kilobytes() -> None:
    assert OPUS.samples(2 * age.CHUNK_BYTES) - OPUS.samples(age.CHUNK_BYTES) == 163_840
    assert len(stream(OPUS, SPEECH)) / 9 == pytest.approx(3200, abs=100)


def test_every_changed_byte_of_a_page_is_seen() -> None:
    data = bytearray(stream(OPUS, SPEECH[:9000]))
    for at in range(0, len(data), 11):
        data[at] ^= 0x10
        with pytest.raises(Undecodable):
            decoded(OPUS.decoder(), bytes(data), 9000)
        data[at] ^= 0x10
    assert len(decoded(OPUS.decoder(), bytes(data), 9000)) == 9000


def test_pages_that_are_whole_and_none_of_ours_are_refused() -> None:
    data = stream(OPUS, SPEECH[:9000])
    page = opus.PAGE_BYTES
    for wrong in (
        data[:page] + data[2 * page :],  # a page is missing
        data[: 2 * page] + data[page:],  # a page is repeated
        data + data[page:],  # pages follow the last one
        data[:-1],
    ):
        with pytest.raises(Undecodable, match="not one that linetap writes"):
            decoded(OPUS.decoder(), wrong, 9000)


def test_where_libopus_is_missing_one_line_says_what_would_be_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opus, "LIBRARY", "libopus-of-nobody.so.0")
    opus._library.cache_clear()
    try:
        with pytest.raises(CodecMissing) as caught:
            OPUS.require()
    finally:
        opus._library.cache_clear()
    assert str(caught.value).startswith("codec 'opus' needs libopus-of-nobody.so.0, Debian's libopus0: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", [Case(-3, -3), Case(-32, -32), Case(-13.5, -10), Case(off_percent=-1.4)])
def test_a_digit_that_was_dialled_is_still_heard_in_the_recording(case: Case) -> None:
    """Digits dialled by staff are detected again in recordings; at 15.6 kbit/s a quarter of these digits was lost."""
    chance = np.random.default_rng(31)
    keys = random_keys(chance, 60)
    audio = case.audio(chance, keys, own_sine)
    heard_again = decoded(OPUS.decoder(), stream(OPUS, audio), len(audio))
    assert correct(keys, heard(heard_again)) >= 59


def test_no_more_is_decoded_than_the_record_says() -> None:
    """A decoded page is five times as large, and a stolen unit's key could sign such a record."""
    found: list[I16] = []
    with pytest.raises(Undecodable, match="9068 samples decoded, 1300 in the record"):
        found.extend(OPUS.decoder().decode([stream(OPUS, SPEECH[:9000])], 1300))
    assert sum(map(len, found)) <= 1300
