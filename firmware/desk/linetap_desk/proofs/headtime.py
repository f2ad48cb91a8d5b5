# SPDX-License-Identifier: Apache-2.0
"""The time of a log's head, compared with the present: a head of the future was signed by a wrong clock or invented."""

from __future__ import annotations

from linetap_core.clock import NS_PER_S, Clock, parse_rfc3339, rfc3339
from linetap_core.errors import BadInput
from linetap_core.timekeeping import KEPT

SKEW_NS = 60 * NS_PER_S  # between the clocks of two machines; a log has a leaf for a larger step


def ahead(what: str, at: str, clock: Clock = KEPT) -> str | None:
    """A sentence about a head that is dated later than now, or on a machine without the time; else None."""
    try:
        now_ns = clock.utc_ns()
    except BadInput as error:
        return f"{what} is dated {at}, and {error}"
    if parse_rfc3339(at) <= now_ns + SKEW_NS:
        return None
    return f"{what} is dated {at}, and now it is {rfc3339(now_ns)}: its clock or this one is wrong"


def by_now(at: str, clock: Clock = KEPT) -> int:
    """The time, ns, by which files are judged: the head's, and never later than now. A head of the future would excuse
    what is missing, and make late what is not. On a machine without the time the head's alone."""
    try:
        return min(parse_rfc3339(at), clock.utc_ns())
    except BadInput:
        return parse_rfc3339(at)
