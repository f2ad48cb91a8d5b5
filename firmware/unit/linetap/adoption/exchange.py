# SPDX-License-Identifier: Apache-2.0
"""The unit's side of an adoption, one question to the desk a turn. It trusts nothing that the digits do not cover.

The order is handed to root only after a person has pressed the button while these very digits were shown: they do it
when somebody at the desk has told them that the digits are right. Before that moment nothing is kept, and another run
has other digits. After it the keys of the exchange are on the disk, and a power cut ends nothing.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from linetap import cardresult
from linetap.adoption import https, places
from linetap.adoption.https import DeskAway
from linetap.adoption.places import Shown
from linetap.adoption.session import Kept, Session
from linetap.provision import cardfiles
from linetap_core import rooms
from linetap_core.clock import NS_PER_S, Clock
from linetap_core.durable.files import replace_in_ram
from linetap_core.enrolment import adoption
from linetap_core.enrolment.adoption import AdoptionFault, Answer, Begin, Box, Channel, Opening, Question, Reply
from linetap_core.evidence.signing import namespaces

RUN_S = 900  # as long as the same digits are shown
MOST_RUNS = 100  # since power on: somebody in between gets no more tries
_RESERVE = 1 << 12
_MOST_REQUEST_BYTES = 16 * 1024
_MOST_FAULT_BYTES = 1500

log = logging.getLogger("linetap.adoption")
Post = Callable[[tuple[str, int], str, bytes], bytes]


@dataclass(slots=True)
class Run:
    """One exchange. `count`: of its last box; `confirmed`: its keys are on the disk."""

    desk: tuple[str, int]
    channel: Channel
    began_ns: int
    count: int = 0
    reserved: int = 0
    confirmed: bool = False
    certified: bool = False  # the desk was told


class Exchange:
    def __init__(
        self, run_dir: Path, home: Path, adopted: Path, kept: Kept, desks: list[tuple[str, int]], about: dict[str, str],
        clock: Clock, post: Post = https.post,
    ) -> None:  # fmt: skip
        """`home`: /etc/linetap, of which only names are looked at; `adopted`: root's answers."""
        self._run_dir, self._home, self._adopted, self._kept = run_dir, home, adopted, kept
        self._desks, self._about, self._clock, self._post = desks, about, clock, post
        self._handed = ""
        rooms.make(places.sent(run_dir))
        self._runs = 0
        self._run = self._resumed()

    def turn(self) -> bool:
        """Returns whether there is nothing more to do. Faults of the network are logged, and the next turn goes on."""
        if self._run is None and (self._is_commissioned or self._runs >= MOST_RUNS):
            self._show(None)
            return True
        try:
            if self._run is None:
                self._run = self._begin()
                return False
            return self._act(self._run, self._ask(self._run))
        except DeskAway as fault:
            log.warning("%s: %s", fault.code, fault)
            if fault.gone and self._run is not None and not self._run.confirmed:
                self._run = None  # the desk was started anew
        except AdoptionFault as fault:
            log.error("%s: %s", fault.code, fault)
            if self._run is not None and not self._run.confirmed:
                self._run = None
        self._show(self._run)
        return False

    @property
    def _is_commissioned(self) -> bool:
        return (self._home / "unit.key").exists() or (self._home / "order.json").exists()

    @property
    def _is_certified(self) -> bool:
        return self._is_commissioned and (self._home / "tls.pem").exists()

    # --- The exchange of keys -----------------------------------------------------------------------------------

    def _begin(self) -> Run:
        self._show(None)
        self._runs += 1
        own = X25519PrivateKey.generate()
        opening = Opening(key=adoption.public_of(own), nonce=secrets.token_hex(adoption.NONCE_BYTES), **self._about)
        committed = adoption.commitment(opening)
        desk, data = self._first(msgspec.json.encode(Begin(commitment=committed)))
        answer = https.decode(data, Answer)
        made = adoption.channel(own, committed, answer, opening, answer.key)
        self._post(desk, f"/adopt/{answer.run}/open", msgspec.json.encode(opening))
        run = Run(desk, made, self._clock.monotonic_ns())
        self._show(run)
        log.info("adoption_digits: the desk at %s is asked; CALL counts the digits", desk[0])
        return run

    def _first(self, body: bytes) -> tuple[tuple[str, int], bytes]:
        """The first desk that answers."""
        faults = []
        for desk in self._desks:
            try:
                return desk, self._post(desk, "/adopt", body)
            except DeskAway as fault:
                faults.append(str(fault))
        self._runs -= 1  # without an answer
        raise DeskAway("; ".join(faults))

    # --- The questions ------------------------------------------------------------------------------------------

    def _ask(self, run: Run) -> Reply:
        run.certified = self._is_certified
        question = Question(
            pressed=run.confirmed or places.pressed(self._run_dir) == run.channel.digits,
            has_order=self._is_commissioned, has_certificate=run.certified, request=self._request(),
            fault=self._fault(),
        )  # fmt: skip
        run.count += 1
        if run.confirmed and run.count >= run.reserved:
            self._save(run)
        body = msgspec.json.encode(run.channel.close("unit", run.count, question))
        box = https.decode(self._post(run.desk, f"/adopt/{run.channel.run}", body), Box)
        if box.count != run.count:
            raise AdoptionFault("adoption_box", f"an answer to question {box.count}, and {run.count} was asked")
        return run.channel.open("desk", box, Reply)

    def _act(self, run: Run, reply: Reply) -> bool:
        is_pressed = run.confirmed or places.pressed(self._run_dir) == run.channel.digits
        if reply.state == "ended":
            log.warning("adoption_ended: the desk has ended it")
            self._run = None
            self._kept.forget()
        elif reply.state == "order" and is_pressed and not self._is_commissioned:
            self._take(run, reply)
        elif reply.state == "done" and run.certified:
            self._kept.forget()
            self._show(None)
            log.info("adoption_done: configuration and certificate are in force")
            return True
        elif reply.state == "done" and reply.certificate is not None and self._is_commissioned:
            self._hand(cardresult.CERTIFICATE, reply.certificate)
        elif not run.confirmed and self._clock.monotonic_ns() - run.began_ns >= RUN_S * NS_PER_S:
            self._run = None
        self._show(self._run)
        return False

    def _take(self, run: Run, reply: Reply) -> None:
        """The keys are on the disk before root sees the order; its signature is there before it."""
        if reply.order is None or reply.signature is None:
            raise AdoptionFault("adoption_order", "an order without its signature")
        if not run.confirmed:
            self._save(run)
            run.confirmed = True
        if reply.order != self._handed:  # another one, where root has refused the last
            self._handed = reply.order
            self._hand(f"{cardfiles.ORDER}{namespaces.SUFFIX}", reply.signature)
            self._hand(cardfiles.ORDER, reply.order)

    def _hand(self, name: str, text: str) -> None:
        replace_in_ram(places.sent(self._run_dir) / name, text.encode())

    def _request(self) -> str | None:
        found = next(iter(rooms.names(self._adopted, ".request")), None)
        if found is None and self._is_commissioned:
            self._hand(places.ASKED, "")  # after a power cut: root makes it again
        return None if found is None else self._answer(found, _MOST_REQUEST_BYTES)

    def _fault(self) -> str | None:
        return self._answer("linetap-error.txt", _MOST_FAULT_BYTES)

    def _answer(self, name: str, most_bytes: int) -> str | None:
        try:
            return rooms.read(self._adopted, name, most_bytes).decode("utf-8", "replace")
        except OSError:
            return None

    # --- What is kept and shown ---------------------------------------------------------------------------------

    def _save(self, run: Run) -> None:
        run.reserved = run.count + _RESERVE
        made = run.channel
        self._kept.save(
            Session(
                desk=run.desk[0],
                port=run.desk[1],
                run=made.run,
                unit_key=made.unit_key.hex(),
                desk_key=made.desk_key.hex(),
                reserved=run.reserved,
            )
        )

    def _resumed(self) -> Run | None:
        if (session := self._kept.load()) is None:
            return None
        run = Run((session.desk, session.port), session.channel, 0, session.reserved, session.reserved, confirmed=True)
        self._save(run)
        return run

    def _show(self, run: Run | None) -> None:
        """For the LEDs. Once the unit has its configuration they show what they always do."""
        if run is None:
            now = Shown("seek")
        elif run.confirmed:  # not at the press: who presses too early must still be able to read the digits
            now = Shown("confirmed")
        else:
            now = Shown("code", run.channel.digits)
        with contextlib.suppress(OSError):
            places.show(self._run_dir, now)
