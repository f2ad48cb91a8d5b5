# SPDX-License-Identifier: Apache-2.0
"""Accuracy of caller ID at -30 dBm0 and 20 dB S/N: both modems, both formats, sent by libspandsp and the bench."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from anchors import spandsp
from anchors.programs import minimodem_heard
from fsk_rig import bits_of, fsk, message, parameter, to_audio
from linetap.recorder.signals.caller.callerid import MDMF, SDMF, caller_id
from linetap.recorder.signals.caller.fsk import Modem
from linetap.ring import I16
from linetap_bench.figures import Row
from linetap_bench.sounds.synth import rms_of

SEED, CALLS = 32, 400
DBM0, SNR_DB = -30.0, 20.0
SPANDSP_DBM0 = -14.0  # its sending level
FORMATS = {"MDMF": MDMF, "SDMF": SDMF}
MODEMS: dict[Modem, str] = {"bell202": "Bell 202", "v23": "V.23"}
EDGE = 1500


def rows(folder: Path, calls: int) -> list[Row]:
    rng = np.random.default_rng(SEED)
    return [_row(folder, rng, calls, modem, format_) for modem in MODEMS for format_ in FORMATS]


def _row(folder: Path, rng: np.random.Generator, calls: int, modem: Modem, format_: str) -> Row:
    right = dict.fromkeys(("linetap", "libspandsp", "minimodem"), 0)
    for call in range(calls):
        number = "0" + "".join(str(digit) for digit in rng.integers(10, size=int(rng.integers(8, 11))))
        raw = _message(format_, number)
        audio = _sent(raw, modem, rng) if call % 2 else fsk(bits_of(raw), modem, rng, dbm0=DBM0, snr_db=SNR_DB)
        got = caller_id(audio, "auto")
        right["linetap"] += got is not None and got.number == number
        right["libspandsp"] += any(it == raw[:-1] for it in spandsp.adsi_heard(modem, audio))
        right["minimodem"] += raw in minimodem_heard(modem, audio, folder)
    share = {name: 100 * count / calls for name, count in right.items()}
    method = (
        f"right of {calls} at {DBM0:g} dBm0 and {SNR_DB:g} dB S/N, sent by libspandsp and by ours in turn; "
        "the reference programs get the modem as a parameter"
    )
    return Row(name=f"caller ID: {MODEMS[modem]}, {format_}", figure=share.pop("linetap"), unit="%", target=100,
               at_most=False, method=method, beside=share)  # fmt: skip


def _message(format_: str, number: str) -> bytes:
    date = b"11241530"
    if format_ == "SDMF":
        return message(SDMF, date + number.encode())
    return message(MDMF, parameter(0x01, date) + parameter(0x02, number.encode()) + parameter(0x07, b"City hall"))


def _sent(raw: bytes, modem: Modem, rng: np.random.Generator) -> I16:
    sent = np.pad(spandsp.adsi_sent(modem, raw), EDGE) * 10 ** ((DBM0 - SPANDSP_DBM0) / 20)
    return to_audio(sent + rng.normal(0, rms_of(DBM0 - SNR_DB), len(sent)))
