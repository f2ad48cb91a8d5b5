# SPDX-License-Identifier: Apache-2.0
"""The check that a card is unchanged since this unit used it: the state partition has the number of its last boot, and
the TPM counts boots.

An older copy of a card, restored after a boot, has a lower number than the TPM and is refused. The number is inside the
encrypted file system: only a person who can open it can write another. The data partition is mounted later, without the
TPM: state, by then known to be fresh, has the number that data must have.

Without a counting TPM (boardkey.py) state has a number too: an older copy of data alone is refused, but an older copy
of the whole card is not detected.
"""

from __future__ import annotations

from pathlib import Path

from linetap.tpm.commands import OWNER
from linetap.tpm.device import TpmFault, Transport
from linetap.tpm.wire import password, run, sized, u16, u32
from linetap_core.durable import copies
from linetap_core.durable.smallfile import Broken, SmallFile
from linetap_core.errors import Refusal

NAME = ".boots"
DATA = ".data-boots"  # on state: the permitted numbers of data
_LIMIT_BYTES = 512
_NONE, _FIRST = 0, 1  # `_NONE`: a partition that was never mounted; the TPM counts from 1
_BOOTS = SmallFile("boots", int, _LIMIT_BYTES)
_DUE = SmallFile("data_boots", list[int], _LIMIT_BYTES)


class Stale(Refusal):
    """The card is not as this unit left it: an older copy, or another unit's."""

    code = "card_stale"


def begin(state: Path, transport: Transport) -> int:
    """Sets the number of a card that was encrypted in this boot: a higher one than that of any earlier card."""
    count = make_counter(transport) if read_counter(transport) is None else raise_counter(transport)
    copies.replace_both(_BOOTS, state / NAME, count)
    return count


def check_state(state: Path, transport: Transport) -> int:
    """Writes this boot's number, first to the card and then to the TPM. Stale if card and TPM differ otherwise.

    After a power cut in between, the card is one ahead, never behind. The TPM is then raised to the card's number
    first: a copy made at that moment is an older one after this boot too.
    """
    count, found = read_counter(transport) or _NONE, _read(_BOOTS, state / NAME)
    if count == _NONE or found not in (count, count + 1):
        words = "has no boot number" if found is None else f"is of boot {found}"
        raise Stale(f"the card {words}, and the TPM has counted {count}: an older copy, and not taken")
    if found > count:
        count = raise_counter(transport)
    copies.replace_both(_BOOTS, state / NAME, count + 1)
    return raise_counter(transport)


def begin_uncounted(state: Path) -> int:
    """Does the same as `begin` without a TPM that counts boots."""
    copies.replace_both(_BOOTS, state / NAME, _FIRST)
    return _FIRST


def next_uncounted(state: Path) -> int:
    """Writes this boot's number without a counting TPM. Stale if the card has none."""
    found = _read(_BOOTS, state / NAME)
    if found is None:
        raise Stale("the card does not say of which boot it is: it is not as this unit left it")
    copies.replace_both(_BOOTS, state / NAME, found + 1)
    return found + 1


def check_data(state: Path, data: Path) -> None:
    """Accepts data if its number is that of the last boot that used it, and gives it this boot's number."""
    this, found = _read(_BOOTS, state / NAME), _read(_BOOTS, data / NAME)
    due = _read(_DUE, state / DATA)
    due = due if due is not None or (state / DATA).exists() else [_NONE]
    if found is None and not (data / NAME).exists():
        found = _NONE
    if this is None or due is None or found is None or found not in due:
        wanted = " or ".join(map(str, due or [])) or "an unknown one"
        words = "has no boot number" if found is None else f"is of boot {found}"
        raise Stale(f"{data}: it {words}, and {wanted} is due: an older copy, and not taken")
    copies.replace_both(_DUE, state / DATA, [found, this])  # for a power cut before or after the next line
    copies.replace_both(_BOOTS, data / NAME, this)
    copies.replace_both(_DUE, state / DATA, [this])


def _read[T](file: SmallFile[T], path: Path) -> T | None:
    """The content; None if it is missing, or broken in both copies, which then stay."""
    try:
        return copies.read_file_or_twin(file, path, stays=True)
    except (OSError, Broken):
        return None


# --- The boot counter -------------------------------------------------------------------------------------------------


INDEX = 0x01804C54  # in the owner's range (TCG, Registry of reserved TPM 2.0 handles): "LT"
_SHA256 = 0x000B
# TPMA_NV (part 2, 13.4): a counter; any user of the TPM may read and increment it, only the owner may delete it; noDA.
_ATTRIBUTES = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 17 | 1 << 18 | 1 << 25
_BYTES = 8


def read_counter(transport: Transport) -> int | None:
    """The count; None without a counter: this unit has never encrypted a card."""
    try:
        parameters = u16(_BYTES) + u16(0)
        _, answer = run(transport, 0x14E, u32(INDEX) + u32(INDEX), parameters, password())
    except TpmFault as fault:
        if fault.code == "tpm_handle":
            return None
        raise
    return int.from_bytes(answer.sized(), "big")


def make_counter(transport: Transport) -> int:
    """Makes a counter, which starts above every former counter of this TPM: deleting it does not reset the count."""
    public = u32(INDEX) + u16(_SHA256) + u32(_ATTRIBUTES) + sized(b"") + u16(_BYTES)
    run(transport, 0x12A, u32(OWNER), sized(b"") + sized(public), password())
    return raise_counter(transport)


def raise_counter(transport: Transport) -> int:
    run(transport, 0x134, u32(INDEX) + u32(INDEX), auth=password())
    count = read_counter(transport)
    assert count is not None
    return count
