# SPDX-License-Identifier: Apache-2.0
"""The unit's side of an adoption, one request to the desk a turn. Only data covered by the digits is trusted.

The order is handed to root only after a person has pressed the button while these digits were shown, which a person
does when the desk has confirmed the digits. Before that nothing is stored. Afterwards the keys of the exchange are on
the disk, and it continues after a power cut.

An attacker in the middle can end an exchange and begin another with the unit. Other digits therefore follow only after
a long dark pause, and none after a press of the button: the press must not confirm other digits.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path

import msgspec

from linetap import cardresult
from linetap.adoption import adoptionfiles, deskrequests
from linetap.adoption.adoptionfiles import AdoptionDisplay, KeptSession, Session
from linetap.adoption.deskrequests import Asking, DeskAway, Post
from linetap.provision import cardfiles
from linetap_core import rundir
from linetap_core.clock import NS_PER_S, Clock
from linetap_core.durable.files import replace_in_ram
from linetap_core.enrolment import adoption
from linetap_core.enrolment.adoption import AdoptionFault, Box, Channel, Opening, Question, Reply
from linetap_core.evidence.signing import namespaces

RUN_S = 900  # how long the same digits are shown
PAUSE_TURNS = 30  # dark turns between two numbers: at least 90 seconds
MOST_RUNS = 100  # per power on: limits an attacker's attempts
_RESERVE = 1 << 12
_MOST_REQUEST_BYTES = 16 * 1024
_MOST_FAULT_BYTES = 512 * 1024  # a hundred errors of the order (tomlfile/source.py)
_MOST_FAULT = 1500  # characters of the fault for the desk

log = logging.getLogger("linetap.adoption")


@dataclass(slots=True, kw_only=True)
class AgreedExchange:
    """One exchange with known digits. `opening`: until the desk has confirmed its receipt; `count`: of the last box;
    `confirmed`: its keys are on the disk.
    """

    desk: tuple[str, int]
    channel: Channel
    began_ns: int
    opening: Opening | None = None
    count: int = 0
    reserved: int = 0
    confirmed: bool = False
    certified: bool = False  # reported to the desk


class Exchange:
    def __init__(
        self, run_dir: Path, home: Path, adopted: Path, kept: KeptSession, desks: list[tuple[str, int]],
        about: dict[str, str], clock: Clock, post: Post = deskrequests.post,
    ) -> None:  # fmt: skip
        """`home`: /etc/linetap; only its file names are read. `adopted`: root's answers."""
        self._run_dir, self._home, self._adopted, self._kept = run_dir, home, adopted, kept
        self._desks, self._about, self._clock, self._post = desks, about, clock, post
        self._handed = ""
        rundir.make(adoptionfiles.sent(run_dir))
        self._numbers = adoptionfiles.numbers(run_dir)
        self._pause = PAUSE_TURNS if self._numbers else 0  # an earlier process may just have shown a number
        self._asking: Asking | None = None
        self._run = self._resumed()
        self._show(self._run)  # before the first request, which may wait half a minute for a missing network

    def turn(self) -> bool:
        """Makes one step; True when the adoption is over. Network faults are logged, and the next turn continues."""
        if self._run is None and self._is_over():
            return True
        if self._run is not None and not self._run.confirmed and self._is_old(self._run):
            self._end()
            return False
        try:
            if self._run is None:
                self._find_desk()
            elif self._run.opening is not None:
                self._open(self._run, self._run.opening)
            elif self._act(self._run, self._send_question(self._run)):
                return True
        except DeskAway as fault:
            log.warning("%s: %s", fault.code, fault)
            if fault.gone and self._run is not None and self._run.confirmed and self._is_certified:
                return self._forget()
            if fault.gone or (self._asking is not None and self._asking.is_lost):
                self._lose()
        except AdoptionFault as fault:
            log.error("%s: %s", fault.code, fault)
            self._lose()
        self._show(self._run)
        return False

    def _is_over(self) -> bool:
        if self._is_begun:
            self._show(None)
            return True
        pressed = adoptionfiles.pressed(self._run_dir)
        if not pressed and self._numbers < MOST_RUNS:
            return False
        why = "the button was pressed for an exchange that ended" if pressed else f"{self._numbers} numbers were shown"
        log.error("adoption_over: %s; no other digits are shown before the next power on", why)
        self._write_display(AdoptionDisplay("over"))
        return True

    @property
    def _is_begun(self) -> bool:
        return self._has_order or (self._home / "order.json").exists()

    @property
    def _has_order(self) -> bool:
        """Whether the order is complete. The key is written last: a power cut leaves an order without it."""
        return (self._home / "unit.key").exists()

    @property
    def _is_certified(self) -> bool:
        return self._has_order and (self._home / "tls.pem").exists()

    # --- The exchange of keys -----------------------------------------------------------------------------------

    def _find_desk(self) -> None:
        if self._pause > 0:
            self._pause -= 1
        elif self._asking is None:
            self._asking = deskrequests.begin(self._desks, self._about, self._post)
        elif (channel := self._asking.ask(self._post)) is not None:
            self._numbers += 1
            adoptionfiles.note_numbers(self._run_dir, self._numbers)
            chosen, self._asking = self._asking, None
            self._run = AgreedExchange(
                desk=chosen.desk, channel=channel, began_ns=self._clock.monotonic_ns(), opening=chosen.opening
            )
            self._open(self._run, chosen.opening)

    def _open(self, run: AgreedExchange, opening: Opening) -> None:
        """Opens the commitment. From here on the desk, or an attacker in the middle, can compute the digits."""
        self._post(run.desk, f"/adopt/{run.channel.run}/open", msgspec.json.encode(opening))
        run.opening = None
        log.info("adoption_digits: requested from the desk at %s; CALL counts the digits", run.desk[0])

    def _is_old(self, run: AgreedExchange) -> bool:
        return self._clock.monotonic_ns() - run.began_ns >= RUN_S * NS_PER_S

    def _is_pressed(self, run: AgreedExchange) -> bool:
        return run.confirmed or (run.opening is None and adoptionfiles.pressed(self._run_dir) == run.channel.digits)

    def _lose(self) -> None:
        """Drops the exchange, unknown to the desk or with an invalid answer. After a press it continues to its end."""
        self._asking = None
        if self._run is not None and not self._is_pressed(self._run):
            self._end()

    def _end(self) -> None:
        self._run, self._pause = None, PAUSE_TURNS
        self._show(None)

    # --- The requests -------------------------------------------------------------------------------------------

    def _send_question(self, run: AgreedExchange) -> Reply:
        run.certified = self._is_certified
        if self._has_order:
            self._withdraw_order()
        question = Question(
            pressed=self._is_pressed(run), has_order=self._has_order, has_certificate=run.certified,
            request=self._request(), fault=self._fault(),
        )  # fmt: skip
        run.count += 1
        if run.confirmed and run.count >= run.reserved:
            self._save(run)
        body = msgspec.json.encode(run.channel.close("unit", run.count, question))
        box = deskrequests.decode(self._post(run.desk, f"/adopt/{run.channel.run}", body), Box)
        if box.count != run.count:
            raise AdoptionFault("adoption_box", f"an answer to question {box.count}, and {run.count} was asked")
        try:
            return run.channel.open("desk", box, Reply)
        except AdoptionFault:
            if not run.confirmed:
                raise
            closed = adoption.closed(run.channel).open("desk", box, Reply)
            return Reply(state="done" if closed.state == "done" else "ended")

    def _act(self, run: AgreedExchange, reply: Reply) -> bool:
        if reply.state == "ended":
            log.warning("adoption_ended: the desk has ended it")
            if run.confirmed:
                return self._forget()
            self._lose()
        elif reply.state == "order" and self._is_pressed(run) and not self._has_order:
            self._store_order(run, reply)
        elif reply.state == "done" and run.certified:
            log.info("adoption_done: configuration and certificate are in force")
            return self._forget()
        elif reply.state == "done" and reply.certificate is not None and self._has_order:
            self._hand(cardresult.CERTIFICATE, reply.certificate)
        elif reply.state == "done" and reply.certificate is None and run.confirmed:
            return self._forget()  # the desk records the unit as complete
        return False

    def _forget(self) -> bool:
        """Removes the exchange. Returns the result for `turn`."""
        self._kept.forget()
        self._withdraw_order()
        self._end()
        return self._is_begun

    def _store_order(self, run: AgreedExchange, reply: Reply) -> None:
        """Stores the keys before root can read the order; the signature is written before the order."""
        if reply.order is None or reply.signature is None:
            raise AdoptionFault("adoption_order", "an order without its signature")
        if not run.confirmed:
            self._save(run)
            run.confirmed = True
        if reply.order != self._handed:  # a new order, after root has refused the last
            self._handed = reply.order
            self._hand(f"{cardfiles.ORDER}{namespaces.SUFFIX}", reply.signature)
            self._hand(cardfiles.ORDER, reply.order)

    def _hand(self, name: str, text: str) -> None:
        path = adoptionfiles.sent(self._run_dir) / name
        replace_in_ram(path, text.encode(), private=True)  # may contain a Wi-Fi passphrase

    def _withdraw_order(self) -> None:
        for name in (cardfiles.ORDER, f"{cardfiles.ORDER}{namespaces.SUFFIX}"):
            (adoptionfiles.sent(self._run_dir) / name).unlink(missing_ok=True)

    def _request(self) -> str | None:
        found = next(iter(rundir.names(self._adopted, ".request")), None)
        if found is None and self._has_order:
            self._hand(adoptionfiles.ASKED, "")  # after a power cut: root makes a new request
        return None if found is None else self._answer(found, _MOST_REQUEST_BYTES)

    def _fault(self) -> str | None:
        """The beginning of root's error file: the first errors."""
        found = self._answer("linetap-error.txt", _MOST_FAULT_BYTES)
        return None if found is None else found[:_MOST_FAULT]

    def _answer(self, name: str, most_bytes: int) -> str | None:
        try:
            return rundir.read(self._adopted, name, most_bytes).decode("utf-8", "replace")
        except OSError:
            return None

    # --- Storage and display ------------------------------------------------------------------------------------

    def _save(self, run: AgreedExchange) -> None:
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

    def _resumed(self) -> AgreedExchange | None:
        if (session := self._kept.load()) is None:
            return None
        run = AgreedExchange(
            desk=(session.desk, session.port), channel=session.channel, began_ns=0, count=session.reserved,
            reserved=session.reserved, confirmed=True,
        )  # fmt: skip
        self._save(run)
        return run

    def _show(self, run: AgreedExchange | None) -> None:
        """Writes the digits for the LEDs, which show the usual states once the unit has its configuration."""
        if run is None or run.opening is not None:
            now = AdoptionDisplay("seek")
        elif run.confirmed:  # not at the press: after an early press a person must still be able to read the digits
            now = AdoptionDisplay("confirmed")
        else:
            now = AdoptionDisplay("code", run.channel.digits)
        self._write_display(now)

    def _write_display(self, now: AdoptionDisplay) -> None:
        with contextlib.suppress(OSError):
            adoptionfiles.show(self._run_dir, now)
