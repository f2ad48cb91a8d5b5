# SPDX-License-Identifier: Apache-2.0
"""Unconfirmed exchanges with units: in memory only, bounded, and each with one attempt at its digits.

A unit polls until an officer chooses it on the page. Only then does the desk make its part of the exchange: an attacker
in search of matching digits gets one number for each choice of a person. The page never shows the digits: a person has
to read them at the unit and type them. Wrong ones end the exchange.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections import Counter
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from linetap_core.clock import NS_PER_S, Clock
from linetap_core.enrolment import adoption
from linetap_core.enrolment.adoption import AdoptionFault, Answer, Begin, Channel, Chosen, Opening, Waits

RUN_S = 960  # a unit shows the same digits for 900
SILENT_S = 60  # an exchange that is not chosen or not opened polls every three
MOST, MOST_OF_AN_ADDRESS, MOST_CHOSEN = 64, 8, 64
NAME = "linetap"


class TooMany(AdoptionFault):
    """Too many exchanges wait: the unit has to retry later, or an officer has to compare first."""

    def __init__(self, most: int) -> None:
        super().__init__("adoption_many", f"{most} exchanges are open")


@dataclass(slots=True)
class Waiting:
    """`answer` comes with an officer's choice, `channel` with the unit's opening."""

    run: str
    begin: Begin
    address: str
    asked_ns: int
    began_ns: int
    own: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate, repr=False)
    answer: Answer | None = None
    chosen_ns: int = 0
    opening: Opening | None = None
    channel: Channel | None = None
    count: int = 0
    is_compared: bool = False  # with the right digits; until that is in the database the unit has to poll


class Runs:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[str, Waiting] = {}
        self.wrong = self.refused = 0  # wrong digits, and refused units, since the start

    def begin(self, first: Begin, address: str) -> Waits:
        """TooMany if there is no room. An exchange that was chosen, or whose address has fewer, is never displaced."""
        self._forget_old()
        waiting = [one for one in self._waiting.values() if one.answer is None]
        of = Counter(_network(one.address) for one in waiting)
        (most, count), *_ = of.most_common(1) or [("", 0)]
        here = of[_network(address)]
        if here >= MOST_OF_AN_ADDRESS or (len(waiting) >= MOST and count <= here + 1):
            self.refused += 1
            raise TooMany(len(waiting))
        if len(waiting) >= MOST:
            self.refused += 1
            del self._waiting[[one.run for one in waiting if _network(one.address) == most][-1]]
        now_ns = self._clock.monotonic_ns()
        run = secrets.token_hex(adoption.KEY_BYTES)
        self._waiting[run] = Waiting(run, first, address, now_ns, now_ns)
        return Waits(run=run)

    def choose(self, run: str) -> Waiting:
        """An officer's choice, once for each exchange; a repetition changes nothing. KeyError, TooMany."""
        one = self.get(run)
        if one.answer is None:
            if sum(each.answer is not None for each in self._waiting.values()) >= MOST_CHOSEN:
                raise TooMany(MOST_CHOSEN)
            nonce = secrets.token_hex(adoption.NONCE_BYTES)
            one.answer = Answer(run=run, key=adoption.public_of(one.own), nonce=nonce, name=NAME)
            one.chosen_ns = self._clock.monotonic_ns()
        return one

    def answer(self, run: str) -> Chosen:
        """KeyError if there is no such run."""
        one = self.get(run)
        one.asked_ns = self._clock.monotonic_ns()
        return Chosen(answer=one.answer)

    def open(self, run: str, opening: Opening) -> None:
        """KeyError if there is no such run. For an opening that does not match the commitment: AdoptionFault, and the
        run ends."""
        one = self.get(run)
        if one.answer is None:
            raise AdoptionFault("adoption_early", "an opening before anybody has chosen this unit")
        if opening == one.opening:
            return  # its answer was lost
        try:
            if one.opening is not None:
                raise AdoptionFault("adoption_opened", "this exchange was opened before")
            adoption.require_opened(one.begin.commitment, opening)
            one.channel = adoption.channel(one.own, one.begin, one.answer, opening, opening.key)
        except AdoptionFault:
            del self._waiting[run]
            raise
        one.opening = opening

    def get(self, run: str) -> Waiting:
        """KeyError if there is none."""
        self._forget_old()
        return self._waiting[run]

    def listed(self) -> list[Waiting]:
        """The exchanges, chosen ones first, the oldest first."""
        self._forget_old()
        return sorted(self._waiting.values(), key=lambda one: one.answer is None)

    def compare(self, run: str, typed: str) -> Waiting:
        """`settle` must follow. KeyError if there is none with digits. For wrong digits: AdoptionFault, and the run
        ends."""
        one = self.get(run)
        if one.channel is None or one.is_compared:
            raise KeyError(run)
        if not hmac.compare_digest(one.channel.digits.encode(), typed.encode()):
            del self._waiting[run]
            self.wrong += 1
            raise AdoptionFault("adoption_digits", "these are not the digits that this desk has for the unit")
        one.is_compared = True
        return one

    def settle(self, run: str, is_kept: bool) -> None:
        """Ends a comparison: the database has the exchange, or it stays here. In between no question is answered: the
        unit would be reported as unknown, or two answers would have one number."""
        if is_kept:
            self._waiting.pop(run, None)
        elif run in self._waiting:
            self._waiting[run].is_compared = False

    def _forget_old(self) -> None:
        now_ns = self._clock.monotonic_ns()
        for run, one in list(self._waiting.items()):
            is_silent = one.opening is None and now_ns - one.asked_ns >= SILENT_S * NS_PER_S
            if is_silent or (one.answer is not None and now_ns - one.chosen_ns >= RUN_S * NS_PER_S):
                del self._waiting[run]


def _network(address: str) -> str:
    """The address, or its /64 for IPv6, which may belong to one machine."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))
