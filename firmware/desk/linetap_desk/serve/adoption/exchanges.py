# SPDX-License-Identifier: Apache-2.0
"""Unconfirmed exchanges with units: in memory only, bounded, each with one attempt at its digits.

A unit polls until an officer chooses it on the page. Only then does the desk make its part of the exchange: an attacker
who searches for matching digits gets one number for each choice by a person. The page never shows the digits: a person
must read them at the unit and type them. Wrong digits end the exchange.
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
SILENT_S = 60  # an exchange that is not chosen or opened polls every 3 s
MOST, MOST_OF_AN_ADDRESS, MOST_CHOSEN = 64, 8, 64
NAME = "linetap"


class TooMany(AdoptionFault):
    """Too many exchanges wait: the unit must retry later, or an officer must first compare others."""

    def __init__(self, most: int) -> None:
        super().__init__("adoption_many", f"{most} exchanges are open")


@dataclass(slots=True)
class Waiting:
    """An exchange. `answer` is set by an officer's choice, `channel` by the unit's opening."""

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
    is_compared: bool = False  # with the right digits; the unit polls until the database has it


class Runs:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[str, Waiting] = {}
        self.wrong = self.refused = 0  # wrong digits, and refused units, since the start

    def begin(self, first: Begin, address: str) -> Waits:
        """Begins an exchange. TooMany without room. It never displaces a chosen exchange, or one of an address with
        fewer exchanges."""
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
        """Records an officer's choice, once for each exchange; a repetition changes nothing. KeyError, TooMany."""
        one = self.get(run)
        if one.answer is None:
            if sum(each.answer is not None for each in self._waiting.values()) >= MOST_CHOSEN:
                raise TooMany(MOST_CHOSEN)
            nonce = secrets.token_hex(adoption.NONCE_BYTES)
            one.answer = Answer(run=run, key=adoption.public_of(one.own), nonce=nonce, name=NAME)
            one.chosen_ns = self._clock.monotonic_ns()
        return one

    def answer(self, run: str) -> Chosen:
        """The desk's part of a chosen exchange. KeyError without one."""
        one = self.get(run)
        one.asked_ns = self._clock.monotonic_ns()
        return Chosen(answer=one.answer)

    def open(self, run: str, opening: Opening) -> None:
        """Opens an exchange. KeyError if there is no such exchange. AdoptionFault, which ends it, if the opening does
        not match the commitment."""
        one = self.get(run)
        if one.answer is None:
            raise AdoptionFault("adoption_early", "an opening before anybody has chosen this unit")
        if opening == one.opening:
            return  # the answer was lost
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
        """The exchange. KeyError if there is none."""
        self._forget_old()
        return self._waiting[run]

    def listed(self) -> list[Waiting]:
        """The exchanges, chosen ones first, by age."""
        self._forget_old()
        return sorted(self._waiting.values(), key=lambda one: one.answer is None)

    def compare(self, run: str, typed: str) -> Waiting:
        """Compares the typed digits; the caller must call `settle` afterwards. KeyError without an exchange with
        digits. AdoptionFault, which ends the exchange, for wrong digits."""
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
        """Ends a comparison: `is_kept` if the database has the exchange, otherwise it stays here. Meanwhile no question
        is answered: the unit would be reported as unknown, or two answers would have the same number."""
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
    """The address; for IPv6 its /64, which may belong to one machine."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))
