# SPDX-License-Identifier: Apache-2.0
"""libspandsp's DTMF and ADSI (caller ID), both ways, through ctypes, with its defaults."""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import cache
from typing import Any, Literal

import numpy as np

from anchors import not_here
from linetap.recorder.signals.caller.fsk import Modem
from linetap.ring import I16, RATE_HZ
from linetap_core.errors import DeviceFault

ADSI_STANDARD: dict[Modem, int] = {"bell202": 1, "v23": 2}  # CLASS, CLIP
PUT_MESSAGE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint8), ctypes.c_int)
GET_BIT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
PUT_BIT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int)
TONE_REPORT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int)
DTMF_AT_ONCE = 100  # keys; spandsp's queue holds 128
STEP = RATE_HZ // 10

_HANDLE, _INT = ctypes.c_void_p, ctypes.c_int
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "dtmf_rx_init": (_HANDLE, [_HANDLE] * 3),
    "dtmf_rx": (_INT, [_HANDLE, _HANDLE, _INT]),
    "dtmf_rx_get": (ctypes.c_size_t, [_HANDLE, ctypes.c_char_p, _INT]),
    "dtmf_rx_free": (_INT, [_HANDLE]),
    "dtmf_tx_init": (_HANDLE, [_HANDLE]),
    "dtmf_tx_set_level": (None, [_HANDLE, _INT, _INT]),
    "dtmf_tx_set_timing": (None, [_HANDLE, _INT, _INT]),
    "dtmf_tx_put": (_INT, [_HANDLE, ctypes.c_char_p, _INT]),
    "dtmf_tx": (_INT, [_HANDLE, _HANDLE, _INT]),
    "dtmf_tx_free": (_INT, [_HANDLE]),
    "adsi_tx_init": (_HANDLE, [_HANDLE, _INT]),
    "adsi_tx_put_message": (_INT, [_HANDLE, ctypes.c_char_p, _INT]),
    "adsi_tx": (_INT, [_HANDLE, _HANDLE, _INT]),
    "adsi_tx_free": (_INT, [_HANDLE]),
    "adsi_rx_init": (_HANDLE, [_HANDLE, _INT, PUT_MESSAGE, _HANDLE]),
    "adsi_rx": (_INT, [_HANDLE, _HANDLE, _INT]),
    "adsi_rx_free": (_INT, [_HANDLE]),
    "v29_tx_init": (_HANDLE, [_HANDLE, _INT, ctypes.c_bool, GET_BIT, _HANDLE]),
    "v29_tx": (_INT, [_HANDLE, _HANDLE, _INT]),
    "v29_tx_free": (_INT, [_HANDLE]),
    "fsk_tx_init": (_HANDLE, [_HANDLE, _HANDLE, GET_BIT, _HANDLE]),
    "fsk_tx": (_INT, [_HANDLE, _HANDLE, _INT]),
    "fsk_tx_free": (_INT, [_HANDLE]),
    "v22bis_init": (_HANDLE, [_HANDLE, _INT, _INT, ctypes.c_bool, GET_BIT, _HANDLE, PUT_BIT, _HANDLE]),
    "v22bis_tx": (_INT, [_HANDLE, _HANDLE, _INT]),
    "v22bis_free": (_INT, [_HANDLE]),
    "super_tone_rx_make_descriptor": (_HANDLE, [_HANDLE]),
    "super_tone_rx_add_tone": (_INT, [_HANDLE]),
    "super_tone_rx_add_element": (_INT, [_HANDLE, _INT, _INT, _INT, _INT, _INT]),
    "super_tone_rx_free_descriptor": (_INT, [_HANDLE]),
    "super_tone_rx_init": (_HANDLE, [_HANDLE, _HANDLE, TONE_REPORT, _HANDLE]),
    "super_tone_rx": (_INT, [_HANDLE, _HANDLE, _INT]),
    "super_tone_rx_free": (_INT, [_HANDLE]),
}


@cache
def library() -> Any:
    try:
        lib = ctypes.CDLL(ctypes.util.find_library("spandsp") or "libspandsp.so.2")
    except OSError:
        raise not_here("libspandsp", "libspandsp2t64") from None
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


def installed() -> bool:
    try:
        library()
    except DeviceFault:
        return False
    return True


def dtmf_heard(audio: I16) -> str:
    lib = library()
    state = lib.dtmf_rx_init(None, None, None)
    got, buffer = "", ctypes.create_string_buffer(129)
    for at in range(0, len(audio), STEP):
        piece = np.ascontiguousarray(audio[at : at + STEP])
        lib.dtmf_rx(state, piece.ctypes.data, len(piece))
        count = lib.dtmf_rx_get(state, buffer, 128)
        got += buffer.raw[:count].decode()
    lib.dtmf_rx_free(state)
    return got


def dtmf_sent(keys: str, on_ms: int, off_ms: int, row_dbm0: int, column_above_db: int) -> I16:
    """The tones of the keys, without silence before or after."""
    lib = library()
    state = lib.dtmf_tx_init(None)
    lib.dtmf_tx_set_level(state, row_dbm0, column_above_db)
    lib.dtmf_tx_set_timing(state, on_ms, off_ms)
    parts = []
    for first in range(0, len(keys), DTMF_AT_ONCE):
        some = keys[first : first + DTMF_AT_ONCE].encode()
        audio = np.zeros((on_ms + off_ms) * len(some) * RATE_HZ // 1000, np.int16)
        assert lib.dtmf_tx_put(state, some, len(some)) == 0
        parts.append(audio[: lib.dtmf_tx(state, audio.ctypes.data, len(audio))])
    lib.dtmf_tx_free(state)
    return np.concatenate(parts)


def adsi_sent(modem: Modem, raw: bytes) -> I16:
    """The signal of a message at -14 dBm0. The last octet of `raw` is the checksum; libspandsp computes its own."""
    lib = library()
    state = lib.adsi_tx_init(None, ADSI_STANDARD[modem])
    assert lib.adsi_tx_put_message(state, raw[:-1], len(raw) - 1) == len(raw) - 1
    audio = np.zeros(5 * RATE_HZ, np.int16)
    count = lib.adsi_tx(state, audio.ctypes.data, len(audio))
    lib.adsi_tx_free(state)
    return audio[:count]


def adsi_heard(modem: Modem, audio: I16) -> list[bytes]:
    """The received messages with a correct checksum, without that checksum."""
    lib = library()
    got: list[bytes] = []
    callback = PUT_MESSAGE(lambda _, raw, count: got.append(bytes(raw[:count])))
    state = lib.adsi_rx_init(None, ADSI_STANDARD[modem], callback, None)
    piece = np.ascontiguousarray(audio)
    lib.adsi_rx(state, piece.ctypes.data, len(piece))
    lib.adsi_rx_free(state)
    return got


class _Fsk(ctypes.Structure):
    """spandsp's fsk_spec_t."""

    _fields_ = (
        ("name", ctypes.c_char_p), ("centre", _INT), ("shift", _INT), ("tx_level", _INT), ("min_level", _INT),
        ("baud_rate", _INT),
    )  # fmt: skip


V21_CHANNEL_2 = 1  # index in preset_fsk_specs; faxes negotiate with it
V22_GUARD_1800 = 2


def sent(modem: Literal["v21", "v29", "v22"], seconds: float) -> I16:
    """Random bits as a signal of a fax (v21: negotiation, v29: page) or of an answering modem (v22)."""
    lib, rng = library(), np.random.default_rng(9)
    bit, nowhere = GET_BIT(lambda _user: int(rng.integers(2))), PUT_BIT(lambda _user, _bit: None)
    if modem == "v21":
        specs = (_Fsk * (V21_CHANNEL_2 + 1)).in_dll(lib, "preset_fsk_specs")
        state, send, free = (
            lib.fsk_tx_init(None, ctypes.byref(specs[V21_CHANNEL_2]), bit, None),
            lib.fsk_tx,
            lib.fsk_tx_free,
        )
    elif modem == "v29":
        state, send, free = lib.v29_tx_init(None, 9600, False, bit, None), lib.v29_tx, lib.v29_tx_free
    else:
        state = lib.v22bis_init(None, 1200, V22_GUARD_1800, False, bit, None, nowhere, None)
        send, free = lib.v22bis_tx, lib.v22bis_free
    audio = np.zeros(round(seconds * RATE_HZ), np.int16)
    try:
        for at in range(0, len(audio), STEP):
            piece = audio[at : at + STEP]
            send(state, piece.ctypes.data, len(piece))
    finally:
        free(state)
    return audio
