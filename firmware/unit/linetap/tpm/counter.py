# SPDX-License-Identifier: Apache-2.0
"""The count of a unit's boots, in the TPM's own memory: a number that only grows, on no card."""

from __future__ import annotations

from linetap.tpm.commands import OWNER
from linetap.tpm.device import TpmFault, Transport
from linetap.tpm.wire import password, run, sized, u16, u32

INDEX = 0x01804C54  # of the owner's range (TCG, Registry of reserved TPM 2.0 handles): "LT"
_SHA256 = 0x000B
# TPMA_NV (part 2, 13.4): a counter, read and raised by whoever can speak to the TPM, deleted by the owner alone; noDA.
_ATTRIBUTES = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 17 | 1 << 18 | 1 << 25
_BYTES = 8


def read(transport: Transport) -> int | None:
    """None: there is none, this unit has never sealed its card."""
    try:
        parameters = u16(_BYTES) + u16(0)
        _, answer = run(transport, 0x14E, u32(INDEX) + u32(INDEX), parameters, password())
    except TpmFault as fault:
        if fault.code == "tpm_handle":
            return None
        raise
    return int.from_bytes(answer.sized(), "big")


def make(transport: Transport) -> int:
    """Begins above every counter that this TPM has had: who deletes it does not set it back."""
    public = u32(INDEX) + u16(_SHA256) + u32(_ATTRIBUTES) + sized(b"") + u16(_BYTES)
    run(transport, 0x12A, u32(OWNER), sized(b"") + sized(public), password())
    return raise_it(transport)


def raise_it(transport: Transport) -> int:
    run(transport, 0x134, u32(INDEX) + u32(INDEX), auth=password())
    count = read(transport)
    assert count is not None
    return count
