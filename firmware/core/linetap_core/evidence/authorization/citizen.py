# SPDX-License-Identifier: Apache-2.0
"""A citizen's access to their own call (Personal Information Protection Act, art. 35), in a release request.

A citizen has no key. In place of the requester's key the approved request says how the recording is given out: by
listening only, or as a copy under a passphrase. Both values are public keys without a known private half: points
derived from a hash, so that nobody can open a file encrypted to them. The case ends with the last four digits of the
citizen's number, so that the custodian's program can refuse another person's call.
"""

from __future__ import annotations

import re

from linetap_core.errors import Refusal
from linetap_core.evidence.authorization.release import NotReleased, Request
from linetap_core.evidence.authorization.releaserules import BY_LISTENING as BY_LISTENING
from linetap_core.evidence.authorization.releaserules import BY_PASSPHRASE as BY_PASSPHRASE
from linetap_core.evidence.authorization.releaserules import GIVEN_OUT as GIVEN_OUT
from linetap_core.evidence.authorization.releaserules import Party

PURPOSE = "citizen"  # its id in the signed list of purposes
PARTY: Party = "citizen"  # of its rules, if the signed roles have any
DIGITS = 4  # last digits of the number, as many as a masked number shows
_CASE = re.compile(r"(C20\d\d-\d{4,6})/(\d{4})", re.ASCII)


def case_text(registered: str, digits: str) -> str:
    """The case in the release request for a citizen's registered request: C2026-0001/5678."""
    return f"{registered}/{digits}"


def read_case(case: str) -> tuple[str, str] | None:
    """The registered request and the last digits of the number; None if the case is not a citizen's."""
    found = _CASE.fullmatch(case)
    return None if found is None else (found[1], found[2])


def is_citizens(request: Request) -> bool:
    return request.purpose == PURPOSE or request.recipient in GIVEN_OUT


def require_copy(request: Request) -> None:
    """Raises NotReleased unless a copy under a passphrase, for a citizen, was approved."""
    if request.purpose != PURPOSE or read_case(request.case) is None:
        text = f"request {request.id} is for {request.purpose!r}, case {request.case!r}: not a citizen's access"
        raise NotReleased("not_a_citizens", text)
    if request.recipient != BY_PASSPHRASE:
        raise NotReleased("copy_not_approved", f"request {request.id}: no copy under a passphrase was approved")


def require_own_number(request: Request, numbers: list[str]) -> None:
    """Raises NotReleased if the call has numbers, and none of them has the citizen's last digits."""
    found = read_case(request.case)
    if found is None:
        raise Refusal(f"case {request.case!r}: not a citizen's")
    known = ["".join(filter(str.isdigit, number)) for number in numbers]
    if any(known) and not any(number.endswith(found[1]) for number in known):
        raise NotReleased("call_of_another", f"no number of this call ends with the digits of case {request.case}")
