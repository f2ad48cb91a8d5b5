# SPDX-License-Identifier: Apache-2.0
"""Caller ID from independent transmitters (libspandsp, minimodem) and from our own with adjustable defects."""

from __future__ import annotations

import shutil
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anchors import spandsp
from anchors.programs import minimodem_sent
from fsk_rig import amplitude, bits_of, fsk, message, parameter, to_audio
from linetap.recorder.signals.caller.callerid import MDMF, SDMF, CallerHeard, Kind, caller_id, read_digits, read_octets
from linetap.recorder.signals.caller.fsk import Modem, Octet, demodulate
from linetap_core.codecs.codec import RATE_HZ
from linetap_core.codecs.g711 import decode, encode

Audio = NDArray[np.int16]
Body = bytes
MODEMS: tuple[Modem, ...] = ("bell202", "v23")
NUMBER = "0612345678"
PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")  # package asterisk-core-sounds-en-wav


DATE = parameter(0x01, b"11241530")
PLAIN = DATE + parameter(0x02, NUMBER.encode()) + parameter(0x07, "홍길동 과장".encode("euc-kr"))


def heard(body: Body, kind: int = MDMF, modem: Modem = "bell202") -> CallerHeard | None:
    return caller_id(fsk(bits_of(message(kind, body)), modem, np.random.default_rng(7), snr_db=20.0), "auto")


# --- the modem at its limits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("modem", MODEMS)
@pytest.mark.parametrize(
    "worse",
    [
        {},
        {"twist_db": 6.0},
        {"twist_db": -6.0},
        {"baud": 1.01, "pitch": 1.01},
        {"baud": 0.99, "pitch": 0.99},
        {"baud": 1.01, "pitch": 0.99, "twist_db": 6.0},
        {"baud": 0.99, "pitch": 1.01, "twist_db": -6.0},
        {"hum_dbm0": -6.0, "direct": 3000.0},
    ],
    ids=str,
)
def test_every_number_at_the_limits(modem: Modem, worse: dict[str, float]) -> None:
    rng = np.random.default_rng(20241124)
    for _ in range(15):
        number = "".join(rng.choice(list("0123456789"), rng.integers(3, 16)))
        body = DATE + parameter(0x02, number.encode())
        audio = fsk(bits_of(message(MDMF, body)), modem, rng, dbm0=-30.0, snr_db=20.0, **worse)
        assert caller_id(audio, "auto") == CallerHeard(number, None, modem, False, True)


@pytest.mark.parametrize("modem", MODEMS)
@pytest.mark.parametrize("dbm0", [3.0, -44.0])
def test_loud_and_faint_and_through_g711(modem: Modem, dbm0: float) -> None:
    audio = fsk(bits_of(message(MDMF, PLAIN)), modem, np.random.default_rng(1), dbm0=dbm0)
    assert caller_id(decode(encode(audio)), modem) == CallerHeard(NUMBER, "홍길동 과장", modem, False, True)


@pytest.mark.parametrize("modem", MODEMS)
def test_what_the_modems_share_leaves_each_its_own_reading(modem: Modem) -> None:
    audio = fsk(bits_of(message(MDMF, PLAIN)), modem, np.random.default_rng(7), snr_db=20.0)
    alone = [demodulate(audio, [each])[0] for each in MODEMS]
    assert alone[0] != alone[1]
    assert alone[MODEMS.index(modem)]
    assert demodulate(audio, MODEMS) == alone
    assert demodulate(audio, MODEMS[::-1]) == alone[::-1]


def test_seizure_missed_and_octets_apart() -> None:
    """The stretch begins in the mark; the exchange pauses up to 20 bits between octets."""
    bits = [1] * 40
    for octet in message(MDMF, PLAIN):
        bits += bits_of(bytes([octet]), 0, 0)[:10] + [1] * 19
    got = caller_id(fsk(bits + [1] * 10, "bell202", np.random.default_rng(2)), "bell202")
    assert got == CallerHeard(NUMBER, "홍길동 과장", "bell202", False, True)


@pytest.mark.parametrize("modem", MODEMS)
def test_loud_noise_right_before_and_after(modem: Modem) -> None:
    """The next ring burst may follow at once."""
    rng = np.random.default_rng(13)
    audio = fsk(bits_of(message(MDMF, PLAIN)), modem, rng, dbm0=-30.0)
    sent = np.flatnonzero(audio)
    audio[: sent[0]] = rng.normal(0, 5000, sent[0])
    audio[sent[-1] - 50 :] = rng.normal(0, 5000, len(audio) - sent[-1] + 50)  # over the last marks
    assert caller_id(audio, "auto") == CallerHeard(NUMBER, "홍길동 과장", modem, False, True)


@pytest.mark.parametrize("modem", MODEMS)
def test_cut_off_anywhere(modem: Modem) -> None:
    rng = np.random.default_rng(3)
    whole = fsk(bits_of(message(MDMF, PLAIN), seizure=120), modem, rng, snr_db=20.0)
    begins = int(np.flatnonzero(np.abs(whole[:9000].astype(int)) > 4000)[0])
    ends = len(whole) - 2000 - int(12 * RATE_HZ / 1200)
    for cut in range(begins, ends, 97):
        got = caller_id(np.concatenate([whole[:cut], np.zeros(3000, np.int16)]), "auto")
        assert got is None or (got.number is None and not got.readable)
        if cut > begins + 320 * RATE_HZ / 1200:  # after seizure, mark and type it certainly was one
            assert got is not None


# --- messages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body", "number", "name", "withheld"),
    [
        (MDMF, PLAIN, NUMBER, "홍길동 과장", False),
        (MDMF, DATE + parameter(0x02, b"02-123-4567"), "021234567", None, False),
        (MDMF, DATE + parameter(0x04, b"P") + parameter(0x08, b"P"), None, None, True),
        (MDMF, DATE + parameter(0x04, b"O") + parameter(0x07, b"City hall"), None, "City hall", True),
        (MDMF, DATE + parameter(0x02, b"P"), None, None, True),
        (MDMF, DATE + parameter(0x04, b"C"), None, None, False),
        (MDMF, parameter(0x02, b"119") + parameter(0x55, b"?"), "119", None, False),
        (MDMF, parameter(0x02, b"1") + parameter(0x07, "뷁".encode("cp949")), "1", "뷁", False),
        (MDMF, parameter(0x02, b"1") + parameter(0x07, b"\xff\xfe!"), "1", "��!", False),
        (MDMF, parameter(0x02, b"1") + parameter(0x07, b"a\x1b[2Jb\n"), "1", "a�[2Jb�", False),
        (SDMF, b"11241530" + NUMBER.encode(), NUMBER, None, False),
        (SDMF, b"11241530P", None, None, True),
        (SDMF, b"11241530O", None, None, True),
    ],
)
def test_messages(kind: int, body: Body, number: str | None, name: str | None, withheld: bool) -> None:
    assert heard(body, kind) == CallerHeard(number, name, "bell202", withheld, True)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (MDMF, DATE + b"\x02\x20061"),  # a parameter longer than its message
        (MDMF, DATE + b"\x02"),
        (MDMF, DATE + parameter(0x02, b"06:1234")),
        (MDMF, DATE + parameter(0x02, b"0" * 40)),
        (SDMF, b"1124"),
        (SDMF, b"11241530anybody"),
    ],
)
def test_nonsense_with_a_good_checksum_is_unreadable(kind: int, body: Body) -> None:
    assert heard(body, kind) == CallerHeard(None, None, "bell202", False, False)


def test_a_bad_checksum_is_never_a_number() -> None:
    good = message(MDMF, PLAIN)
    for place in range(len(good)):
        bad = bytes(o ^ (0x04 if i == place else 0) for i, o in enumerate(good))
        got = caller_id(fsk(bits_of(bad), "v23", np.random.default_rng(place)), "auto")
        assert got is not None
        assert (got.number, got.name, got.readable) == (None, None, False)


def test_a_broken_frame_is_never_a_number() -> None:
    raw = message(MDMF, PLAIN)
    for place in range(1, len(raw)):
        octets = [Octet(o, i != place, 0.0, 0.0 if i else 180.0) for i, o in enumerate(raw)]
        assert read_octets(octets, "v23") == CallerHeard(None, None, "v23", False, False)


def test_a_repeated_message_mends_the_first() -> None:
    bad = bytearray(message(MDMF, PLAIN))
    bad[12] ^= 1
    bits = bits_of(bytes(bad)) + bits_of(message(MDMF, PLAIN))
    got = caller_id(fsk(bits, "bell202", np.random.default_rng(5)), "auto")
    assert got is not None
    assert got.number == NUMBER


def test_message_waiting_is_no_caller() -> None:
    assert heard(parameter(0x0B, b"\xff"), 0x82) is None


def test_the_configured_kind_decides() -> None:
    audio = fsk(bits_of(message(MDMF, PLAIN)), "v23", np.random.default_rng(6))
    assert caller_id(audio, "off", "A0311112222C") is None
    assert caller_id(audio, "dtmf") is None
    assert caller_id(audio, "dtmf", "A0311112222C") == CallerHeard("0311112222", None, "dtmf", False, True)
    for kind in ("auto", "v23"):
        got = caller_id(audio, kind, "A0311112222C")
        assert got is not None
        assert (got.number, got.by) == (NUMBER, "v23")
    cut = caller_id(audio[: len(audio) - 2500], "auto", "D0311112222C")
    assert cut == CallerHeard("0311112222", None, "dtmf", False, True)


@pytest.mark.parametrize(
    ("digits", "number", "withheld", "readable"),
    [
        ("A0612345678C", NUMBER, False, True),
        ("A0612345678#", NUMBER, False, True),
        ("D0612345678C", NUMBER, False, True),
        ("9A12A0612345678C7", NUMBER, False, True),
        ("A0612345678D031999B5C", NUMBER, False, True),
        ("AB10C", None, True, True),
        ("D1#", None, True, True),
        ("AC", None, False, False),
        ("A06123", None, False, False),
        ("A" + "1" * 40 + "C", None, False, False),
        ("0612345678", NUMBER, False, True),
        ("0612345678C", NUMBER, False, True),
        ("0612345678#", NUMBER, False, True),
        ("214", "214", False, True),
    ],
)
def test_dtmf(digits: str, number: str | None, withheld: bool, readable: bool) -> None:
    assert read_digits(digits) == CallerHeard(number, None, "dtmf", withheld, readable)


@pytest.mark.parametrize("digits", ["", "C#", "**9", "12", "12#", "1" * 25, "06123B45678", "061#45678", "C0612345678"])
def test_digits_that_are_no_number_are_no_caller(digits: str) -> None:
    assert read_digits(digits) is None


# --- other signals -----------------------------------------------------------------------------------------------

STRETCH = np.arange(3 * RATE_HZ)
NOTHINGS: dict[str, Callable[[], NDArray[np.floating[Any]]]] = {
    "empty": lambda: np.zeros(0),
    "short": lambda: np.full(61, 32767.0),
    "silence": lambda: np.zeros(24000),
    "stuck": lambda: np.full(24000, -32768.0),
    "square": lambda: np.where(STRETCH // 3 % 2, 32767.0, -32768.0),
    "seizure for ever": lambda: np.where(STRETCH // 7 % 2, 32767.0, -32768.0),
    "mark for ever": lambda: 9000 * np.sin(2 * np.pi * 1200 / RATE_HZ * STRETCH),
    "ringing": lambda: 32000 * np.sign(np.sin(2 * np.pi * 20 / RATE_HZ * STRETCH)),
    "white noise": lambda: np.random.default_rng(8).normal(0, 3000, 24000),
    "clicks": lambda: 32767.0 * (STRETCH % 801 == 0),
    "fax": lambda: 6000 * np.sin(2 * np.pi * 2100 / RATE_HZ * STRETCH),
}


@pytest.mark.parametrize("nothing", NOTHINGS)
def test_what_is_no_caller_id(nothing: str) -> None:
    assert caller_id(to_audio(NOTHINGS[nothing]()), "auto") is None


@pytest.mark.skipif(not PROMPTS.is_dir(), reason="no recorded prompts here (asterisk-core-sounds-en-wav)")
def test_speech_is_no_caller_id() -> None:
    for path in sorted(PROMPTS.rglob("*.wav")):
        with wave.open(str(path)) as file:
            speech = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        for start in range(0, len(speech), 24000):
            assert caller_id(to_audio(8.0 * speech[start : start + 24000]), "auto") is None, path


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=16000), st.sampled_from(["bell202", "v23", "auto"]), st.text("ABCD#*0123456789", max_size=9))
def test_any_audio(raw: bytes, kind: Kind, digits: str) -> None:
    audio = np.frombuffer(raw[: len(raw) // 2 * 2], np.int16)
    got = caller_id(np.resize(audio, 6000) if len(audio) else audio, kind, digits)
    assert got is None or got.number is None or got.by == "dtmf"


octet_lists = st.lists(
    st.builds(
        Octet,
        st.one_of(st.sampled_from([MDMF, SDMF, 0x55, 0, 1, 2, 3, 4, 7, 0x30, 0x31]), st.integers(0, 255)),
        st.integers(0, 20).map(bool),
        st.just(0.0),
        st.sampled_from([0.0, 0.0, 0.0, 60.0]),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(octet_lists)
def test_any_octets(octets: list[Octet]) -> None:
    got = read_octets(octets, "v23")
    if got is not None and got.readable:
        assert any(
            sum(o.value for o in octets[i : i + n.value + 3]) % 256 == 0
            and all(o.framed for o in octets[i : i + n.value + 3])
            for i, n in enumerate(octets[1:])
        )


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([MDMF, SDMF]), st.binary(max_size=255), st.lists(st.integers(0, 2100), max_size=3, unique=True))
def test_any_message_with_any_bits_wrong(kind: int, body: Body, flips: list[int]) -> None:
    raw = bytearray(message(kind, body))
    for flip in flips:
        raw[flip // 8 % len(raw)] ^= 1 << flip % 8
    got = read_octets([Octet(o, True, 0.0, 0.0 if i else 180.0) for i, o in enumerate(raw)], "bell202")
    if sum(raw[: raw[1] + 3]) % 256 or len(raw) < raw[1] + 3:
        assert got is None or (got.number, got.readable) == (None, False)


# --- independent transmitters and receivers ----------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("minimodem") is None, reason="no minimodem here")
@pytest.mark.parametrize("modem", MODEMS)
def test_octets_of_minimodem(modem: Modem, tmp_path: Path) -> None:
    sent = np.random.default_rng(9).integers(0, 256, 400, dtype=np.uint8).tobytes()
    audio = np.pad(minimodem_sent(modem, sent, tmp_path), 800)
    ((carrier,),) = demodulate(audio, [modem])
    assert bytes(o.value for o in carrier.octets)[: len(sent)] == sent
    assert all(o.framed for o in carrier.octets[: len(sent)])
    noisy = to_audio(audio + np.random.default_rng(10).normal(0, np.std(audio[800:-800]) / 10, len(audio)))
    # It sends two bits of rest: without more, noise may misframe the first octets.
    assert sent[50:] in bytes(o.value for c in demodulate(noisy, [modem])[0] for o in c.octets)


with_spandsp = pytest.mark.skipif(not spandsp.installed(), reason="libspandsp is not installed (libspandsp2t64)")


@with_spandsp
@pytest.mark.parametrize("modem", MODEMS)
def test_messages_of_libspandsp(modem: Modem) -> None:
    rng = np.random.default_rng(11)
    for kind, body, number, withheld in [
        (MDMF, PLAIN, NUMBER, False),
        (MDMF, DATE + parameter(0x04, b"P"), None, True),
        (SDMF, b"11241530" + NUMBER.encode(), NUMBER, False),
    ]:
        sent = np.pad(spandsp.adsi_sent(modem, message(kind, body)), 1500).astype(np.float64)  # it sends at -14 dBm0
        rms = amplitude(-30.0) / np.sqrt(2)
        line = to_audio(sent * 10 ** (-16 / 20) + rng.normal(0, rms / 10, len(sent)))
        got = caller_id(line, "auto")
        assert got is not None
        assert (got.number, got.by, got.withheld, got.readable) == (number, modem, withheld, True)


@with_spandsp
@pytest.mark.parametrize("modem", MODEMS)
@pytest.mark.parametrize("worse", [{"snr_db": 9.0}, {"dbm0": -30.0, "snr_db": 20.0, "twist_db": -6.0}], ids=str)
def test_ahead_of_libspandsp_on_the_same_samples(modem: Modem, worse: dict[str, float]) -> None:
    rng = np.random.default_rng(12)
    ours = theirs = 0
    for _ in range(30):
        audio = fsk(bits_of(message(MDMF, PLAIN)), modem, rng, **worse)
        got = caller_id(audio, modem)
        ours += got is not None and got.number == NUMBER
        theirs += any(NUMBER.encode() in raw for raw in spandsp.adsi_heard(modem, audio))
    assert ours > theirs
    assert ours >= 26
