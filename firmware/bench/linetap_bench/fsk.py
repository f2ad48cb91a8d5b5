# SPDX-License-Identifier: Apache-2.0
"""Who calls, as an exchange tells it between the first burst of ringing and the second: GR-30, EN 300 659."""

from __future__ import annotations

import numpy as np

from linetap.ring import RATE_HZ
from linetap_bench.callkeys import CallerId
from linetap_bench.synth import Wave, peak_of

MARK_SPACE_HZ = {"bell202": (1200.0, 2200.0), "v23": (1300.0, 2100.0)}
BAUD = 1200
SEIZURE_BITS, MARK_BITS, LAST_MARK_BITS = 300, 180, 10  # spandsp adsi
SDMF, MDMF = 0x04, 0x80
DATE, NUMBER, NUMBER_ABSENT, NAME, NAME_ABSENT = 0x01, 0x02, 0x04, 0x07, 0x08
SENT_AT = b"11250900"  # MMDDHHMM: nobody reads it
PRIVATE = b"P"


def message(told: CallerId) -> bytes:
    """Type, length, what is said and the checksum: two's complement of the sum of all octets."""
    number = told.number.encode("ascii")
    if told.message == "sdmf":
        kind, body = SDMF, SENT_AT + (PRIVATE if told.withheld else number)
    else:
        kind, body = MDMF, _parameter(DATE, SENT_AT)
        if told.withheld:
            body += _parameter(NUMBER_ABSENT, PRIVATE) + _parameter(NAME_ABSENT, PRIVATE)
        if number:
            body += _parameter(NUMBER, number)
        if told.name:
            body += _parameter(NAME, told.name.encode("euc-kr"))
    unsummed = bytes([kind, len(body)]) + body
    return unsummed + bytes([(-sum(unsummed) + told.broken) % 256])


def sound(told: CallerId) -> Wave:
    """Channel seizure, mark, then octets of a start, eight data and a stop bit, in one unbroken wave."""
    framed = [bit for octet in message(told) for bit in (0, *((octet >> k) & 1 for k in range(8)), 1)]
    bits = np.array([*(k % 2 for k in range(SEIZURE_BITS)), *[1] * MARK_BITS, *framed, *[1] * LAST_MARK_BITS])
    samples = len(bits) * RATE_HZ // BAUD
    sent = bits[np.arange(samples) * BAUD // RATE_HZ]
    mark_hz, space_hz = MARK_SPACE_HZ[told.kind]
    phase = np.cumsum(np.where(sent == 1, mark_hz, space_hz)) * (2 * np.pi / RATE_HZ)
    return Wave(np.rint(peak_of(told.dbm0) * np.sin(phase)).astype(np.int16), 1.0, samples)


def _parameter(kind: int, value: bytes) -> bytes:
    return bytes([kind, len(value)]) + value
