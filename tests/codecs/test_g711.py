# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from linetap_core.codecs import g711
from linetap_core.codecs.mulaw import HEADER
from sealing_rig import run

EVERY_SAMPLE = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
EVERY_CODE = np.arange(256, dtype=np.uint8)
RAW_16 = ["-t", "raw", "-r", "8000", "-c", "1", "-e", "signed", "-b", "16", "-L"]


def test_decode_is_what_ffmpeg_decodes() -> None:
    command = ["ffmpeg", "-v", "error", "-f", "mulaw", "-ar", "8000", "-i", "-", "-f", "s16le", "-"]
    theirs = np.frombuffer(run(command, stdin=EVERY_CODE.tobytes()).stdout, np.int16)
    assert np.array_equal(g711.decode(EVERY_CODE), theirs)


def test_encode_follows_the_decision_values_of_the_standard() -> None:
    """G.711 table 2a: each output value is the middle of its interval, and the first interval ends at 1 (of 8159)."""
    outputs = g711.decode(EVERY_CODE[:127:-1]).astype(np.int64)  # 0, 8, 24 ... 32124
    decisions = [4]
    for output in outputs[1:]:
        decisions.append(2 * int(output) - decisions[-1])
    assert decisions[-1] == 8159 * 4
    interval = np.minimum(np.searchsorted(decisions, np.abs(EVERY_SAMPLE.astype(np.int64)), side="right"), 127)
    expected = np.where(EVERY_SAMPLE < 0, -outputs[interval], outputs[interval])
    assert np.array_equal(g711.decode(g711.encode(EVERY_SAMPLE)), expected)


def test_code_survives_decoding_and_encoding() -> None:
    again = g711.encode(g711.decode(EVERY_CODE))
    assert np.array_equal(np.delete(again, 0x7F), np.delete(EVERY_CODE, 0x7F))  # 0x7F is the second code for zero
    assert g711.encode(np.zeros(1, np.int16))[0] == g711.SILENCE


def test_shape_is_kept_and_the_input_need_not_be_contiguous() -> None:
    planar = np.arange(800, dtype=np.int16).reshape(8, 100) * 40
    assert np.array_equal(g711.encode(planar[:, ::2]), g711.encode(planar)[:, ::2])


def test_header_is_read_by_ffmpeg_and_sox_from_a_pipe() -> None:
    mulaw = g711.encode((8000 * np.sin(np.arange(16000) / 3)).astype(np.int16)).tobytes()
    want = g711.decode(np.frombuffer(mulaw, np.uint8)).tobytes()
    stream = HEADER + mulaw
    assert run(["ffmpeg", "-v", "error", "-i", "-", "-f", "s16le", "-"], stdin=stream).stdout == want
    assert run(["sox", "-t", "au", "-", *RAW_16, "-"], stdin=stream).stdout == want


def test_full_scale_sine_is_3_14_dbm0() -> None:
    """The reference is G.711's digital milliwatt of 0 dBm0, a 1 kHz sine of eight codes."""
    milliwatt = np.array([0x1E, 0x0B, 0x0B, 0x1E, 0x9E, 0x8B, 0x8B, 0x9E], np.uint8)
    rms = np.sqrt(np.mean(g711.decode(milliwatt).astype(float) ** 2))
    dbm0 = 20 * np.log10(rms * np.sqrt(2) / 32768) + g711.FULL_SCALE_DBM0
    assert abs(dbm0) < 0.1
