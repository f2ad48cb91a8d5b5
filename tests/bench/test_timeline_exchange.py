# SPDX-License-Identifier: Apache-2.0
"""The signals of exchange and far end on a line, measured in the rendered result alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scripts import SILENT, call, timeline_of

from fsk_rig import bits_of, message, parameter
from linetap_bench.exchange.timeline import Timeline
from linetap_bench.sounds.signalling import EXCHANGE_TONES
from linetap_bench.sounds.synth import DTMF_COLUMNS_HZ, DTMF_ROWS_HZ, F64
from linetap_core.codecs.g711 import peak_of

ANSWER = 1000 + 1000 + 600  # of an incoming call with one ring
KEY_MS = 300


def heard(line: Timeline, ms: int, end_ms: int) -> F64:
    audio: F64 = line.audio(ms * 8, (end_ms - ms) * 8)[0].astype(np.float64)
    return audio


def dbm0_of(audio: F64, hz: float) -> float:
    """The level of the sine of that frequency in the audio."""
    turns = np.exp(-2j * np.pi * hz / 8000 * np.arange(len(audio)))
    return float(20 * np.log10(2 * abs(audio @ turns) / len(audio) / peak_of(0) + 1e-9))


def loud(audio: F64, hz: float, ms: int = 20, dbm0: float = -30.0) -> list[bool]:
    blocks = audio[: len(audio) // (ms * 8) * ms * 8].reshape(-1, ms * 8)
    return [dbm0_of(block, hz) > dbm0 for block in blocks]


def spoken_bits(audio: F64, mark_hz: float, space_hz: float) -> list[int]:
    """The bits at 1200 bit/s from the first sample on: the nearer of the two tones."""
    bits = []
    for i in range(len(audio) * 1200 // 8000):
        piece = audio[round(i * 8000 / 1200) : round((i + 1) * 8000 / 1200)]
        bits.append(int(dbm0_of(piece, mark_hz) > dbm0_of(piece, space_hz)))
    return bits


@pytest.mark.parametrize(("kind", "mark_hz", "space_hz"), [("bell202", 1200, 2200), ("v23", 1300, 2100)])
@pytest.mark.parametrize("shape", ["mdmf", "sdmf", "withheld", "broken"])
def test_a_caller_id_is_what_the_standards_say(
    tmp_path: Path, kind: str, mark_hz: float, space_hz: float, shape: str
) -> None:
    said = {
        "mdmf": 'number = "01012345678"\nname = "홍길동"\n',
        "sdmf": 'number = "01012345678"\nmessage = "sdmf"\n',
        "withheld": "withheld = true\n",
        "broken": 'number = "01012345678"\nbroken = true\n',
    }[shape]
    line = timeline_of(tmp_path, SILENT + call(outcome="unanswered") + f'[call.caller_id]\nkind = "{kind}"\n{said}')
    date = b"11250900"
    number = parameter(1, date) + parameter(2, b"01012345678")
    octets = {
        "mdmf": message(0x80, number + parameter(7, "홍길동".encode("euc-kr"))),
        "sdmf": message(0x04, date + b"01012345678"),
        "withheld": message(0x80, parameter(1, date) + parameter(4, b"P") + parameter(8, b"P")),
        "broken": message(0x80, number),
    }[shape]
    wanted = bits_of(octets)
    found = spoken_bits(heard(line, 2500, 4000), mark_hz, space_hz)[: len(wanted)]
    wrong = [i for i, (a, b) in enumerate(zip(found, wanted, strict=True)) if a != b]
    if shape == "broken":
        assert wrong
        assert min(wrong) >= len(wanted) - 20  # only in the checksum
    else:
        assert not wrong


def test_whoever_answers_early_cuts_the_caller_id_off(tmp_path: Path) -> None:
    caller = '[call.caller_id]\nkind = "bell202"\nnumber = "0212345678"\ndbm0 = -10.0\n'
    line = timeline_of(tmp_path, SILENT + call(rings=1, bounce_ms=0) + caller)
    assert np.abs(heard(line, ANSWER - 90, ANSWER - 10)).max() > 1000
    assert np.abs(heard(line, ANSWER + 50, ANSWER + 800)).max() < 10


def test_caller_digits_come_before_the_first_ring(tmp_path: Path) -> None:
    caller = '[call.caller_id]\nkind = "dtmf"\nnumber = "17"\n'
    line = timeline_of(tmp_path, SILENT + call(outcome="unanswered", rings=1) + caller)
    ring = line.levels(0, line.duration_ms)[1][0]
    assert int(ring.argmax()) == 1000 + 4 * 180 + 400
    for i, (row, column) in enumerate([(3, 3), (0, 0), (2, 0), (2, 3)]):  # D, 1, 7, C
        digit = heard(line, 1000 + i * 180, 1000 + i * 180 + 90)
        assert dbm0_of(digit, DTMF_ROWS_HZ[row]) == pytest.approx(-14, abs=1)
        assert dbm0_of(digit, DTMF_COLUMNS_HZ[column]) == pytest.approx(-14, abs=1)


@pytest.mark.parametrize(
    ("more", "rows_dbm0", "columns_dbm0"),
    [("", -10, -8), ('by = "caller"\n', -20, -20), ("dbm0 = -11.5\n", -11.5, -11.5)],
)
def test_keys_have_the_level_of_whoever_presses_them(
    tmp_path: Path, more: str, rows_dbm0: float, columns_dbm0: float
) -> None:
    """The staff's keys have those of the dialling telephone."""
    line = timeline_of(tmp_path, SILENT + call(rings=1) + '[[call.keys]]\nat_s = 2.0\ndigits = "*9"\n' + more)
    for i, (row, column) in enumerate([(3, 0), (2, 2)]):
        digit = heard(line, ANSWER + 2000 + i * KEY_MS, ANSWER + 2000 + i * KEY_MS + 160)
        assert dbm0_of(digit, DTMF_ROWS_HZ[row]) == pytest.approx(rows_dbm0, abs=0.5)
        assert dbm0_of(digit, DTMF_COLUMNS_HZ[column]) == pytest.approx(columns_dbm0, abs=0.5)


@pytest.mark.parametrize("name", sorted(EXCHANGE_TONES))
def test_a_tone_in_the_call_has_its_frequencies_and_cadence(tmp_path: Path, name: str) -> None:
    hz, _, cadence_ms = {
        "dial": ((350, 440), 0, (8000,)),
        "ringback": ((440, 480), 0, (1000, 2000)),
        "busy": ((480, 620), 0, (500, 500)),
        "congestion": ((480, 620), 0, (300, 200)),
        "unobtainable": ((450,), 0, (200, 100, 200, 1500)),
        "call_waiting": ((350, 440), 0, (250, 250, 250, 3250)),
    }[name]
    text = f'[[call.tone]]\nat_s = 1.0\ntone = "{name}"\nfor_s = 8.0\n'
    line = timeline_of(tmp_path, SILENT + call(rings=1, talk_s=10.0) + text)
    audio = heard(line, ANSWER + 1000, ANSWER + 9000)
    pattern = np.concatenate([np.full(ms // 50, i % 2 == 0) for i, ms in enumerate(cadence_ms)])
    wanted = np.tile(pattern, 160 // len(pattern) + 1)[:160]
    for each in hz:
        assert loud(audio, each, 50) == wanted.tolist()
    assert np.abs(heard(line, ANSWER + 9000, ANSWER + 9900)).max() < 10


def test_nobody_speaks_into_the_exchange_or_the_keys(tmp_path: Path) -> None:
    text = '[[call.tone]]\nat_s = 3.0\ntone = "dial"\nfor_s = 1.0\n[[call.keys]]\nat_s = 5.0\ndigits = "12"\n'
    line = timeline_of(tmp_path, SILENT + call(rings=1, talk_after_s=0.5, talk=["네, 여보세요, 누구세요"]) + text)
    assert np.abs(heard(line, ANSWER + 500, ANSWER + 2900)).max() > 1000
    assert np.abs(heard(line, ANSWER + 4010, ANSWER + 5000)).max() < 10  # too short to begin
    assert np.abs(heard(line, ANSWER + 5610, ANSWER + 5950)).max() < 10
    assert np.abs(heard(line, ANSWER + 6000, ANSWER + 9000)).max() > 1000


@pytest.mark.parametrize("outcome", ["busy", "congestion", "unobtainable"])
def test_the_exchange_gives_the_reason_why_nobody_answers(tmp_path: Path, outcome: str) -> None:
    line = timeline_of(tmp_path, SILENT + call(direction="out", digits="1", outcome=outcome, bounce_ms=0))
    first = 1000 + 1200 + 90 + 1200
    pattern = loud(heard(line, first, first + 2000), 450 if outcome == "unobtainable" else 620, 100)
    on_ms = {"busy": 500, "congestion": 300, "unobtainable": 200}[outcome]
    assert pattern.index(False) * 100 == on_ms


def test_a_fax_answers_after_a_while_and_may_turn_its_phase(tmp_path: Path) -> None:
    plain, turning = (
        heard(timeline_of(tmp_path, SILENT + call(direction="out", digits="1", rings=1, fax=fax)), 5090, 15090)
        for fax in ("answer", "answer_reversed")
    )
    for audio in (plain, turning):
        on = np.flatnonzero(loud(audio, 2100))
        assert (on[0] * 20, on[-1] * 20 + 20) == (1800, 4800)
    alike = (plain * turning)[14400:][:24000].reshape(-1, 400).sum(axis=1)
    assert {i * 50 // 450 for i in np.flatnonzero(alike < 0)} == {1, 3, 5}  # every 450 ms


def test_a_fax_that_calls_is_heard_every_few_seconds(tmp_path: Path) -> None:
    line = timeline_of(tmp_path, SILENT + call(rings=1, fax="calling", bounce_ms=0))
    on = loud(heard(line, ANSWER, ANSWER + 7000), 1100, 100)
    assert on == ([True] * 5 + [False] * 30) * 2


@pytest.mark.parametrize("polarity", [False, True])
def test_the_exchange_opens_the_loop_and_gives_battery_again(tmp_path: Path, polarity: bool) -> None:
    text = call(rings=1, bounce_ms=0, talk_s=2.0, ends="far", loop_break_ms=500, polarity=polarity)
    line = timeline_of(tmp_path, SILENT + text)
    hook, _, _, volts = (array[0] for array in line.levels(0, line.duration_ms))
    gone = ANSWER + 1000 + 2000
    assert set(volts[ANSWER:gone]) == {800 if polarity else -800}
    assert set(volts[gone : gone + 500]) == {0}
    assert set(volts[gone + 500 : gone + 3500]) == {-800}
    assert hook[ANSWER : gone + 3500].all()  # without a battery a comparator reads a closed loop
    assert not hook[gone + 3500 :].any()
    assert dbm0_of(heard(line, gone + 550, gone + 950), 620) > -25
    assert np.abs(heard(line, gone + 20, gone + 480)).max() < 10


def test_what_the_pbx_prints_stands_among_the_events(tmp_path: Path) -> None:
    text = '[[smdr]]\nat_s = 2.5\ntext = "second"\n[[smdr]]\nat_s = 0.5\ntext = "first"\n'
    events = list(timeline_of(tmp_path, call(rings=1) + text).events())
    assert [event["t"] for event in events] == sorted(event["t"] for event in events)
    assert [event for event in events if "smdr" in event] == [{"t": 0.5, "smdr": "first"}, {"t": 2.5, "smdr": "second"}]
