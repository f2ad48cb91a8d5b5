# SPDX-License-Identifier: Apache-2.0
"""Accuracy of DTMF at Q.24's limits, beyond them, in noise, over speech; and false digits in speech."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from anchors.people import people
from anchors.programs import multimon_dtmf, sox_sine
from anchors.spandsp import dtmf_heard, dtmf_sent
from dtmf_rig import Case, correct, heard, heard_on_each, own_sine, random_keys, string
from linetap.ring import I16, RATE_HZ
from linetap_bench.figures import Row

SEED, DIGITS = 31, 500
TALK_DBM0, TALK_MIN = -12.0, 30.0
EDGE = 4000  # frames of silence around a list

LIMITS = {
    "-3 dBm0": Case(-3, -3),
    "-26 dBm0": Case(-26, -26),
    "column 3.5 dB above": Case(-13.5, -10),
    "column 7.5 dB below": Case(-10, -17.5),
    "+1.4 %": Case(off_percent=1.4),
    "-1.4 %": Case(off_percent=-1.4),
    "15 dB S/N": Case(snr_db=15),
    "-26 dBm0, 15 dB S/N": Case(-26, -26, snr_db=15),
    "-32 dBm0": Case(-32, -32),
    "-32 dBm0, 15 dB S/N": Case(-32, -32, snr_db=15),
    "column above, +1.4 %, 15 dB S/N": Case(-13.5, -10, 1.4, snr_db=15),
    "column below, -1.4 %, 15 dB S/N": Case(-10, -17.5, -1.4, snr_db=15),
}
BEYOND = {
    "20 ms": Case(on_ms=20, off_ms=60),
    "+3.6 %": Case(off_percent=3.6),
    "-3.6 %": Case(off_percent=-3.6),
}
COVERED = {"6 dB S/N": Case(snr_db=6), "over speech at -16 dBm0": Case(speech_dbm0=-16)}


class Heard(NamedTuple):
    """The digits that each receiver detected in the same samples."""

    linetap: str
    libspandsp: str
    multimon: str


class Judged(NamedTuple):
    """Counts of each receiver: correct digits, or any digits."""

    name: str
    linetap: float
    beside: dict[str, float]


def rows(digits: int, minutes: float) -> list[Row]:
    rng = np.random.default_rng(SEED)
    method = (
        f"correct of {digits}, 41 ms on and off, extra digits taken off; "
        "sent by libspandsp where it can send that, else as sox's sines; then by ours"
    )
    limits = [judged for sender in ("others", "ours") for judged in _cases(LIMITS, digits, rng, sender)]
    behind = sum(case.linetap < case.beside["libspandsp"] for case in limits)
    beyond = _cases(BEYOND, digits, rng, "others", none=True)
    taken = f"digits taken of {digits} that are none, sent as above"
    covered = _cases(COVERED, digits, rng, "others")
    ahead = f"correct of {digits} at -10 dBm0, sent as above; to be ahead of libspandsp"
    return [
        *(_row(case, digits, False, method) for case in limits),
        Row(name="DTMF: limits at which libspandsp detects more", figure=behind, unit="", target=0,
            method=f"of the {len(limits)} lists above"),
        *(_row(case, 0, True, taken) for case in beyond),
        *(_row(case, case.beside["libspandsp"] + 1, False, ahead) for case in covered),
        _talk_off(minutes),
    ]  # fmt: skip


def _row(case: Judged, target: float, at_most: bool, method: str) -> Row:
    return Row(name=f"DTMF: {case.name}", figure=case.linetap, unit="", target=target, at_most=at_most,
               method=method, beside=case.beside)  # fmt: skip


def _cases(
    cases: dict[str, Case], digits: int, rng: np.random.Generator, sender: str, none: bool = False
) -> list[Judged]:
    keys = [random_keys(rng, digits) for _ in cases]
    audios = [_sent(case, sent, rng, sender) for case, sent in zip(cases.values(), keys, strict=True)]
    judged = []
    for name, sent, got in zip(cases, keys, _detected(audios), strict=True):
        linetap, libspandsp, multimon = (float(len(one) if none else correct(sent, one)) for one in got)
        by = "" if sender == "others" else ", our sender"
        judged.append(Judged(f"{name}{by}", linetap, {"libspandsp": libspandsp, "multimon-ng": multimon}))
    return judged


def _sent(case: Case, keys: str, rng: np.random.Generator, sender: str) -> I16:
    if sender == "ours":
        return case.audio(rng, keys, own_sine)
    if case.row == case.column and not case.off_percent and case.speech_dbm0 is None:
        sent = dtmf_sent(keys, round(case.on_ms), round(case.off_ms), round(case.row), 0)
        return case.covered(rng, np.pad(sent.astype(np.float64), EDGE))
    x = string(rng, keys, case.on_ms, case.off_ms, case.row, case.column, case.off_percent, sox_sine)
    return case.covered(rng, x)


def _detected(audios: list[I16]) -> list[Heard]:
    ours = heard_on_each(audios)
    return [
        Heard(linetap, dtmf_heard(audio), multimon_dtmf(audio)) for linetap, audio in zip(ours, audios, strict=True)
    ]


def _talk_off(minutes: float) -> Row:
    speech = people(TALK_DBM0, minutes)
    got = Heard(heard(speech), dtmf_heard(speech), multimon_dtmf(speech))
    case = Judged("digits heard in speech", len(got.linetap),
                  {"libspandsp": len(got.libspandsp), "multimon-ng": len(got.multimon)})  # fmt: skip
    return _row(case, 0, True, f"{len(speech) / RATE_HZ / 60:.0f} minutes of recorded people at {TALK_DBM0:g} dBm0")
