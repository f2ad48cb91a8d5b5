# SPDX-License-Identifier: Apache-2.0
"""Whether a card is as this unit left it: the state partition says at which boot that was, and the TPM counts boots.

An older copy of a card, put back after a boot, says less than the TPM and is not taken. The number lies inside the
encrypted file system: only who has opened it can write another. The data partition is mounted later in the start,
without the TPM: state, which is known to be fresh by then, says which number data has to bear.
"""

from __future__ import annotations

from pathlib import Path

from linetap.tpm import counter
from linetap.tpm.device import Transport
from linetap_core.durable import copies
from linetap_core.durable.smallfile import Broken, SmallFile
from linetap_core.errors import Refusal

NAME = ".boots"
DATA = ".data-boots"  # on state: the numbers of which data may bear one
_LIMIT_BYTES = 512
_NONE = 0  # of a partition that was never mounted; the TPM counts from 1
_BOOTS = SmallFile("boots", int, _LIMIT_BYTES)
_DUE = SmallFile("data_boots", list[int], _LIMIT_BYTES)


class Stale(Refusal):
    """The card is not as this unit left it: it is an older copy, or another's."""

    code = "card_stale"


def begin(state: Path, transport: Transport) -> int:
    """A card that was encrypted just now, and is of this boot."""
    count = counter.read(transport)
    count = counter.make(transport) if count is None else count
    copies.replace_both(_BOOTS, state / NAME, count)
    return count


def check_state(state: Path, transport: Transport) -> int:
    """Writes the number of this boot, first to the card and then to the TPM: after a power cut in between the card
    may be one ahead, and never behind. Stale at any other difference."""
    count, found = counter.read(transport) or _NONE, _read(_BOOTS, state / NAME)
    if count == _NONE or found not in (count, count + 1):
        said = "does not say" if found is None else f"is of boot {found}"
        raise Stale(f"the card {said}, and the TPM has counted {count}: an older copy, and not taken")
    copies.replace_both(_BOOTS, state / NAME, count + 1)
    return counter.raise_it(transport)


def check_data(state: Path, data: Path) -> None:
    """Nothing, if data is as the boot left it that had it last; then it is this boot's."""
    this, found = _read(_BOOTS, state / NAME), _read(_BOOTS, data / NAME)
    due = _read(_DUE, state / DATA)
    due = due if due is not None or (state / DATA).exists() else [_NONE]
    if found is None and not (data / NAME).exists():
        found = _NONE
    if this is None or due is None or found is None or found not in due:
        wanted = " or ".join(map(str, due or [])) or "an unknown one"
        said = "does not say" if found is None else f"is of boot {found}"
        raise Stale(f"{data}: it {said}, and {wanted} is due: an older copy, and not taken")
    copies.replace_both(_DUE, state / DATA, [found, this])  # a power cut comes before or after the next line
    copies.replace_both(_BOOTS, data / NAME, this)
    copies.replace_both(_DUE, state / DATA, [this])


def _read[T](file: SmallFile[T], path: Path) -> T | None:
    """None where it is gone, or broken twice: then it stays where it is."""
    try:
        return copies.read_either(file, path, stays=True)
    except (OSError, Broken):
        return None
