# SPDX-License-Identifier: Apache-2.0
"""What one member of a group hands on to the next, judged. Pure.

An officer's partial is held against the key.age that was verified: each piece of it is named there by its hash. A
custodian's, whose layers lie inside the one-time key's, names its call in its header (evidence/ofcall.py); of a call of
version 0.1 it has to open this very call's record, on the next one's own machine.
"""

from __future__ import annotations

from collections.abc import Sequence

from linetap_core.errors import Refusal
from linetap_core.evidence import group, members, ofcall
from linetap_core.evidence.group import OtherLayer, Place
from linetap_core.evidence.ofcall import OfCall
from linetap_core.evidence.release import NotReleased
from linetap_desk.serve.release.stepfault import StepFault
from linetap_desk.unsealing.checkedcall import KEY_LIMIT_BYTES, require_of_call


def judged(data: bytes, keys: Sequence[bytes]) -> tuple[bytes, Place]:
    """Which of the keys it came out of, and where it stands. StepFault where it is no partial of a group at all."""
    if all(group.needed(key) < 2 for key in keys):
        raise StepFault("partial_not_needed", "one officer opens this call's key: bring the half itself")
    _require_sealed(data)
    said: Refusal | None = None
    for key in keys:
        try:
            return key, group.place(key, data)
        except Refusal as error:
            said = said or error
    raise said if isinstance(said, OtherLayer) else StepFault("partial_malformed", str(said))


def is_partial(data: bytes, keys: Sequence[bytes]) -> bool:
    """Whether the file is a partial that was brought as the half."""
    try:
        judged(data, keys)
    except Refusal:
        return False
    return True


def custodians_left(data: bytes, call: OfCall, named: bool) -> int:
    """How many custodians it still takes. StepFault unless it looks like what one of them hands on, NotReleased where
    it is of another call. `named`: the call is of a version whose keys name their call; of an earlier one nobody can
    tell from outside whose it is."""
    _require_sealed(data)
    try:
        left = group.needed(data)
    except Refusal as error:
        raise StepFault("partial_malformed", str(error)) from None
    if left >= members.MOST_NEEDED:
        raise StepFault("partial_malformed", f"it still takes {left} people: no layer has been taken off")
    require_of_call(data, call)
    if named and ofcall.read(data) is None:
        raise NotReleased("key_of_another_call", f"it names no call, as what is handed on of {call} does")
    return left


def _require_sealed(data: bytes) -> None:
    if len(data) > KEY_LIMIT_BYTES or not group.is_sealed(data):
        raise StepFault("partial_malformed", "not what `linetap unwrap` or `linetap custody` writes for the next one")
