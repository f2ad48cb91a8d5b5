# SPDX-License-Identifier: Apache-2.0
"""Caller ID in the audio between the first two rings or before the first: FSK messages and DTMF digits.

A number is returned only from a message with every octet framed and a correct checksum. Any other message that is
certainly caller ID is reported as unreadable.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from linetap.config.numbers import CALLER_ID, FSK, CallerIdNumbers, FskNumbers
from linetap.recorder.signals.caller.fsk import TONES_HZ, Modem, Octet, demodulate

Kind = Literal["bell202", "v23", "dtmf", "auto", "off"]

SDMF, MDMF = 0x04, 0x80  # GR-30; EN 300 659-3 has MDMF alone
NUMBER, NUMBER_ABSENT, NAME, NAME_ABSENT = 0x02, 0x04, 0x07, 0x08
SDMF_DATE_OCTETS = 8  # MMDDHHMM before the number
SEIZURE = 0x55

_DIGITS = re.compile(r"\+?[0-9*#]+")
_BARE = re.compile(r"([0-9]+)[C#]?")
_DTMF = re.compile(r"([AD])([0-9*]*)(?:D[0-9*]*)?(?:B([0-9]*))?[C#]")


class CallerHeard(msgspec.Struct, frozen=True):
    """A caller ID. `readable` False: it was sent but cannot be trusted; number and name are then None."""

    number: str | None
    name: str | None
    by: Literal["bell202", "v23", "dtmf"]
    withheld: bool
    readable: bool


class _Reading(NamedTuple):
    caller: CallerHeard
    mark_error_hz: float


def caller_id(
    audio: NDArray[np.int16],
    kind: Kind,
    dtmf_digits: str | None = None,
    numbers: CallerIdNumbers = CALLER_ID,
    fsk_numbers: FskNumbers = FSK,
) -> CallerHeard | None:
    """The caller ID in `audio` (samples,) at 8 kHz or in its digits; None: none was sent."""
    readings: list[_Reading] = []
    modems: tuple[Modem, ...] = ("bell202", "v23") if kind == "auto" else (kind,) if kind in ("bell202", "v23") else ()
    for modem, carriers in zip(modems, demodulate(audio, modems, fsk_numbers), strict=True):
        found = [(read_octets(carrier.octets, modem, numbers), carrier) for carrier in carriers]
        readings += [_Reading(h, abs(c.mark_hz - TONES_HZ[modem][0])) for h, c in found if h is not None]
    from_digits = read_digits(dtmf_digits, numbers) if kind in ("dtmf", "auto") and dtmf_digits else None
    # Each modem can read the other's carrier: the modem of the sent mark frequency decides.
    readings.sort(key=lambda r: (not r.caller.readable, r.mark_error_hz))
    if readings and (readings[0].caller.readable or from_digits is None):
        return readings[0].caller
    return from_digits


def read_octets(octets: list[Octet], modem: Modem, numbers: CallerIdNumbers = CALLER_ID) -> CallerHeard | None:
    """The first trustworthy caller ID in the octets of one carrier; else unreadable if one was begun; else None."""
    begun, other = _seized(octets, numbers), False
    for index, octet in enumerate(octets):
        if octet.mark_bits < numbers.mark_bits or not octet.framed:
            continue
        body = _body(octets, index, numbers)
        if octet.value not in (SDMF, MDMF):
            other |= body is not None  # message waiting or the like: a complete message that is no caller ID
            continue
        caller = None
        if body is not None:
            caller = _sdmf(body, modem, numbers) if octet.value == SDMF else _mdmf(body, modem, numbers)
        if caller is not None:
            return caller
        if octet.mark_bits >= numbers.rest_bits:
            begun, other = True, False
    return CallerHeard(None, None, modem, False, False) if begun and not other else None


def read_digits(digits: str, numbers: CallerIdNumbers = CALLER_ID) -> CallerHeard | None:
    """The caller ID in DTMF digits: A or D, number, C or # (the variants in spandsp's adsi.h).

    A start without its stop is unreadable. Some exchanges send the number without a start letter, or without any
    letter; there must then be no other digits.
    """
    found = _DTMF.search(digits)
    if found is None:
        begun = re.search(r"[AD]", digits) is not None
        bare = _BARE.fullmatch(digits)
        if bare is not None and numbers.bare_digits_min <= len(bare[1]) <= numbers.digits_max:
            return CallerHeard(bare[1], None, "dtmf", False, True)
        return CallerHeard(None, None, "dtmf", False, False) if begun else None
    start, number, information = found.groups()
    # B00, B10, D1, D2, D3: number restricted or not available (sources differ which), so the call has no number.
    if (not number and information in ("00", "10")) or (start == "D" and number in ("1", "2", "3")):
        return CallerHeard(None, None, "dtmf", True, True)
    if not number or len(number) > numbers.digits_max:
        return CallerHeard(None, None, "dtmf", False, False)
    return CallerHeard(number, None, "dtmf", False, True)


def _seized(octets: list[Octet], numbers: CallerIdNumbers) -> bool:
    """Whether a channel seizure, the beginning of a message, was on the line."""
    run = 0
    for octet in octets:
        run = run + 1 if octet.value == SEIZURE and octet.framed and octet.mark_bits < 1 else 0
        if run >= numbers.seizure_octets:
            return True
    return False


def _body(octets: list[Octet], index: int, numbers: CallerIdNumbers) -> bytes | None:
    """The content of the message that begins at `index`; None unless it is complete, framed and its checksum fits."""
    if index + 1 >= len(octets):
        return None
    length = octets[index + 1].value + 3  # type, length and checksum around the content
    whole = octets[index : index + length]
    if len(whole) < length or not all(o.framed for o in whole):
        return None
    if any(o.mark_bits > numbers.pause_bits for o in whole[1:]):
        return None
    raw = bytes(o.value for o in whole)
    return raw[2:-1] if sum(raw) % 256 == 0 else None


def _sdmf(body: bytes, modem: Modem, numbers: CallerIdNumbers) -> CallerHeard | None:
    fields = body[SDMF_DATE_OCTETS:]
    if fields in (b"P", b"O"):
        return CallerHeard(None, None, modem, True, True)
    number = _number(fields, numbers)
    return CallerHeard(number, None, modem, False, True) if number is not None else None


def _mdmf(body: bytes, modem: Modem, numbers: CallerIdNumbers) -> CallerHeard | None:
    fields: dict[int, bytes] = {}
    at = 0
    while at < len(body):
        if at + 2 > len(body) or at + 2 + body[at + 1] > len(body):
            return None  # the checksum fits but the parameters do not: no message of this kind
        fields.setdefault(body[at], body[at + 2 : at + 2 + body[at + 1]])
        at += 2 + body[at + 1]
    name = _name(fields[NAME]) if NAME in fields else None
    sent = fields.get(NUMBER, b"")
    if sent in (b"", b"P", b"O"):  # some exchanges send the reason in place of the number
        withheld = b"P" in (sent, fields.get(NUMBER_ABSENT)) or b"O" in (sent, fields.get(NUMBER_ABSENT))
        return CallerHeard(None, name, modem, withheld, True)
    number = _number(sent, numbers)
    return CallerHeard(number, name, modem, False, True) if number is not None else None


def _number(sent: bytes, numbers: CallerIdNumbers) -> str | None:
    """The number's digits, without the spaces and dashes of some exchanges; None: no number."""
    digits = sent.translate(None, b" -()").decode("ascii", "replace")
    return digits if _DIGITS.fullmatch(digits) and len(digits) <= numbers.digits_max else None


def _name(sent: bytes) -> str | None:
    """The name from ASCII, else Korean (EUC-KR or Windows' cp949), else as far as decodable; no control characters."""
    for encoding in ("ascii", "euc-kr", "cp949"):
        try:
            text = sent.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        text = sent.decode("ascii", "replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text).strip() or None
