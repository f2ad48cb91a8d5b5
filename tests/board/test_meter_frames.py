# SPDX-License-Identifier: Apache-2.0
"""The framing: whole frames or none, whatever happens to the bytes; and the document that describes it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linetap.board.meter import protocol as wire
from linetap.board.meter.protocol import Deframer, encode

DOCUMENT = Path(__file__).resolve().parents[2] / "hardware" / "meter-protocol.md"
Pieces = st.lists(st.integers(1, 300), max_size=20)
VOLTS = st.binary(min_size=80, max_size=80)


def samples(volts: bytes, sequence: int = 7, at_us: int = 1000) -> bytes:
    return encode(wire.SAMPLES, sequence, at_us, 5, 8, each=volts)


def fed(deframer: Deframer, data: bytes, pieces: list[int]) -> list[tuple[int, int, bytes]]:
    found, at = [], 0
    for piece in [*pieces, len(data)]:
        found += deframer.feed(data[at : at + piece])
        at += piece
    return found


@given(frames=st.lists(VOLTS, min_size=1, max_size=5), pieces=Pieces)
def test_every_frame_comes_back_however_it_is_cut(frames: list[bytes], pieces: list[int]) -> None:
    deframer = Deframer()
    data = b"".join(samples(volts, sequence) for sequence, volts in enumerate(frames))
    found = fed(deframer, data, pieces)
    assert [(code, sequence) for code, sequence, _ in found] == [(2, sequence) for sequence in range(len(frames))]
    assert [payload[wire.SAMPLES.size :] for _, _, payload in found] == frames
    assert deframer.noise == 0


@given(volts=VOLTS, noise=st.binary(max_size=400), pieces=Pieces)
def test_the_frame_after_noise_is_whole(volts: bytes, noise: bytes, pieces: list[int]) -> None:
    found = fed(Deframer(), noise + samples(volts), pieces)
    assert found[-1][2][wire.SAMPLES.size :] == volts


@given(volts=VOLTS, at=st.integers(0, 80), bit=st.integers(0, 7))
def test_a_damaged_frame_is_none_and_the_next_is_whole(volts: bytes, at: int, bit: int) -> None:
    spoilt = bytearray(samples(volts))
    spoilt[1 + at] ^= 1 << bit
    found = Deframer().feed(bytes(spoilt) + samples(volts, 8))
    assert [sequence for _, sequence, _ in found] == [8]


@pytest.mark.parametrize("kind", ["random", "zeros", "escapes", "ends", "ones"])
def test_ten_megabytes_of_garbage_are_no_frame_and_take_no_memory(kind: str) -> None:
    size = 10_000_000
    garbage = {"zeros": bytes(size), "escapes": b"\xdb" * size, "ends": b"\xc0" * size, "ones": b"\xff" * size}
    data = garbage.get(kind) or np.random.default_rng(3).bytes(size)
    deframer = Deframer()
    for at in range(0, size, 4096):
        assert deframer.feed(data[at : at + 4096]) == []
        assert len(deframer._rest) <= 2 * wire.MOST_BODY
    assert deframer.feed(samples(bytes(80)))[-1][0] == wire.SAMPLES.code


def test_what_is_longer_than_any_frame_is_dropped_until_the_next_one_begins() -> None:
    deframer = Deframer()
    long = encode(wire.SAMPLES, 1, 0, 5, 8, each=bytes(2 * wire.MOST_BODY))
    assert fed(deframer, long + samples(bytes(80), 2), [100] * 20)[-1][1] == 2
    assert deframer.noise >= 1


def bits_per_second(*, escaped: bool) -> int:
    """Line rate required for the samples of eight channels: start bit, 8 bits, stop bit."""
    samples = wire.SAMPLES_A_FRAME
    return wire.bytes_of(samples, 8, escaped) * 10 * 1_000_000 // (wire.SAMPLE_US * samples)


def test_the_line_carries_the_worst_case() -> None:
    worst = samples(b"\xc0\xdb" * 40, sequence=0xC0DB, at_us=0xC0DBC0DBC0DBC0DB)
    assert len(worst) <= wire.bytes_of(5, 8, escaped=True)
    assert len(samples(bytes(80), at_us=0)) == wire.bytes_of(5, 8)
    assert bits_per_second(escaped=False) < bits_per_second(escaped=True) < wire.BAUD


def test_codes_are_distinguished() -> None:
    codes = [frame.code for frame in wire.FRAMES]
    assert len(set(codes)) == len(codes)
    assert all((frame.code >= 0x80) == (frame.sender == "linetap") for frame in wire.FRAMES)


def test_the_document_has_the_same_frames() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (0x[0-9a-f]{2}) \| (\w+) \| `([^`]*)` \| (.*) \|$", DOCUMENT.read_text(), re.M)
    want = [
        (f.name, f"0x{f.code:02x}", f.sender, f.layout, f.fields + (f"; {f.each}" if f.each else ""))
        for f in wire.FRAMES
    ]
    assert rows == want


def test_the_document_has_the_same_numbers() -> None:
    rows = dict(re.findall(r"^\| ([A-Z_]+) \| ([0-9a-fx ]+?) \|", DOCUMENT.read_text(), re.M))
    for name, text in rows.items():
        assert int(text.replace(" ", ""), 0) == getattr(wire, name), name
    want = "VERSION BAUD END ESC ESC_END ESC_ESC MOST_CHANNELS SAMPLE_US SAMPLES_A_FRAME MOST_SAMPLES HELLO_EVERY_MS"
    more = "STATUS_EVERY_MS BEAT_EVERY_MS RELAY_EXPIRY_MS LAMPS_EXPIRY_MS LAMP_STEP_MS"
    more += " CONTACT_EXPIRY_MS CONTACT_MOST_MS CONTACT_REST_MS"
    assert set(rows) == {*want.split(), *more.split()}
    text = DOCUMENT.read_text()
    for bits in (bits_per_second(escaped=False), bits_per_second(escaped=True)):
        assert f"{bits:,} bit/s".replace(",", " ") in text


def test_the_document_has_the_same_lamps() -> None:
    words = {"11111111": "", "11110000": ", slow", "10101010": ", fast", "10000000": ", one flash a second"}
    section = DOCUMENT.read_text().partition("## Lamps")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \| (\w[^|]*?) \| .* / .* \|$", section, re.M)
    want = [(led, colour + words.get(rhythm, "")) for led, (colour, rhythm) in wire.LAMPS.items()]
    assert rows == want
    assert list(wire.LAMPS) == list(wire.LEDS)
    assert len({wire.LAMPS[led] for led in wire.LEDS}) == len(wire.LEDS)
