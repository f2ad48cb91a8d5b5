# SPDX-License-Identifier: Apache-2.0
"""The interface of every codec: sizes determine the number of samples, and a stream can continue after any unit."""

from __future__ import annotations

import numpy as np
import pytest

from codec_rig import SPEECH, decoded, stream
from linetap_core.codecs.codec import Codec, Undecodable, part_offset
from linetap_core.codecs.registry import CODECS, UnknownCodec, codec_named
from linetap_core.evidence.sealing import age

LENGTHS = (1, 53, 107, 108, 109, 1227, 1228, 1229, 1280, 1389, 1460, 2507, 2508, 2509, 8000, 70_001)


@pytest.fixture(params=CODECS)
def codec(request: pytest.FixtureRequest) -> Codec:
    return codec_named(request.param)


@pytest.mark.parametrize("samples", LENGTHS)
def test_a_stream_decodes_to_its_samples_and_its_size_allows_them(codec: Codec, samples: int) -> None:
    data = stream(codec, SPEECH[:samples])
    assert samples in codec.possible(len(data))
    assert len(codec.possible(len(data))) <= 160
    assert len(decoded(codec.decoder(), data, samples)) == samples


@pytest.mark.parametrize("block_bytes", [1, 31, 33, 511, 513, 4096])
def test_how_the_bytes_of_a_part_come_is_of_no_account(codec: Codec, block_bytes: int) -> None:
    data = stream(codec, SPEECH[:20_001])
    at_once = decoded(codec.decoder(), data, 20_001, len(data))
    assert np.array_equal(decoded(codec.decoder(), data, 20_001, block_bytes), at_once)


def test_how_the_samples_come_is_of_no_account(codec: Codec) -> None:
    assert stream(codec, SPEECH[:20_000], 1, 159, 160, 161, 7000, 7001) == stream(codec, SPEECH[:20_000])


def test_units_are_where_they_are_said_to_be(codec: Codec) -> None:
    encoder, data = codec.encoder(0), codec.header
    for end in range(100, 50_000, 700):
        data += encoder.encode(SPEECH[encoder.taken : end])
        assert codec.samples(len(data)) == encoder.position
        assert codec.offset(encoder.position) == len(data)
        assert encoder.taken - encoder.position < codec.unit + codec.delay
        assert not len(data) or encoder.position in codec.possible(len(data))


def test_a_chunk_of_an_age_file_ends_where_a_unit_ends(codec: Codec) -> None:
    for chunks in range(1, 5):
        size = chunks * age.CHUNK_BYTES
        assert codec.offset(codec.samples(size)) == size
        assert codec.possible(size) == range(codec.samples(size), codec.samples(size) + 1)


def test_the_last_unit_never_fills_a_chunk(codec: Codec) -> None:
    """A part is cut back to whole chunks, and its continuation must be able to begin there."""
    if codec.unit == 1:
        return  # every byte is a unit, including the last
    begins, long = codec.samples(age.CHUNK_BYTES), np.resize(SPEECH, 250_000)
    for samples in range(begins + 1, begins + 1 + codec.unit, 37):
        encoder = codec.encoder(begins)
        tail = encoder.encode(long[encoder.taken : samples]) + encoder.finish()
        assert encoder.position == samples
        assert len(tail) % codec.offset(0) != 0
        assert samples in codec.possible(age.CHUNK_BYTES + len(tail))


@pytest.mark.parametrize("units", [1, 3, 20])
def test_another_encoder_goes_on_at_any_unit(codec: Codec, units: int) -> None:
    """After a restart each sample is there once, with the quality of a single encoder around the seam."""
    samples = 60_000
    seam = codec.samples(codec.offset(units * codec.unit))
    one = stream(codec, SPEECH[:samples])
    encoder = codec.encoder(seam)
    assert 0 <= encoder.taken <= seam
    tail = encoder.encode(SPEECH[encoder.taken : samples]) + encoder.finish()
    joined = one[: codec.offset(seam)] + tail
    assert len(joined) == len(one)
    decoder = codec.decoder()
    parts = [decoded(decoder, joined[: codec.offset(seam)], seam), decoded(decoder, tail, samples - seam)]
    assert part_offset(codec, seam) == len(joined) - len(tail)
    around = slice(max(0, seam - 400), seam + 800)
    wrong = [float(np.abs(pcm[around] - SPEECH[around].astype(float)).mean()) for pcm in (
        np.concatenate(parts), decoded(codec.decoder(), one, samples)
    )]  # fmt: skip
    assert wrong[0] <= 1.3 * wrong[1] + 10


def test_a_stream_without_its_header_is_refused(codec: Codec) -> None:
    data = stream(codec, SPEECH[:8000])
    with pytest.raises(Undecodable, match="does not begin as"):
        decoded(codec.decoder(), b"x" + data[1:], 8000)


def test_a_part_that_does_not_hold_what_the_record_says_is_refused(codec: Codec) -> None:
    data = stream(codec, SPEECH[:8000])
    for wrong in (7000, 8200):
        with pytest.raises(Undecodable, match=f"{wrong} in the record"):
            decoded(codec.decoder(), data, wrong)


def test_nothing_was_said(codec: Codec) -> None:
    assert codec.encoder(0).finish() == b""


def test_a_codec_that_nobody_knows_is_one_line() -> None:
    with pytest.raises(UnknownCodec, match=r"^codec 'g729' is not known; mulaw or opus expected$"):
        codec_named("g729")
