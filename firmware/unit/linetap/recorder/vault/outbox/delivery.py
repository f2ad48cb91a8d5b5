# SPDX-License-Identifier: Apache-2.0
"""The desk's commands on the outbox: `ack` confirms all events up to a number, `resend` requests a range again.

The reporter, which has the network, reads the outbox, and reads the desk's confirmations in the recorder's state file.
It therefore neither interprets commands nor needs to be trusted with them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from linetap.recorder.vault.outbox.outbox import Outbox
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap.recorder.vault.outbox.rebuild import Rebuild
from linetap_core.evidence.authorization import commandbody
from linetap_core.evidence.authorization.command import Command, CommandFault
from linetap_core.evidence.authorization.commandbody import Ack, Resend
from linetap_core.records import CallEvent, DeliveryState
from linetap_core.vaultformat import vaultname

log = logging.getLogger("linetap.recorder.vault")

_ORDER = re.compile(r"[1-9][0-9]{0,8}")


class Delivery:
    """The delivery of events, for the vault's thread; any thread may read `state`."""

    def __init__(
        self,
        outbox: Outbox,
        reader: OutboxReader,
        rebuild: Rebuild | None,
        order: Callable[[int, str], None] | None = None,
        held_against: Callable[[str, str], None] | None = None,
    ) -> None:
        """`rebuild`: None if there is no vault with the outbox. `order` receives the desk's answer on the number of
        this vault and the name of the vault before; `held_against`, a head of the unit's log and its signature.
        """
        self._outbox, self._reader, self._rebuild = outbox, reader, rebuild
        self._order, self._held_against = order, held_against
        self._gone = (0, 0)  # the range last reported as gone
        self.state = DeliveryState(confirmed=outbox.confirmed)

    def has_desk(self, named: bool) -> None:
        """Publishes whether the roles name a desk, which can confirm."""
        if named != self.state.desk:
            self._publish(desk=named)

    def acknowledge(self, command: Command) -> str:
        """Confirms events. OSError: not written, and no event is removed."""
        body = commandbody.read(command, Ack)
        self._require_own(command, body)
        through = body.through
        newest = self._outbox.last_seq
        if not self._outbox.has_used(through):
            raise CommandFault("ack_unknown", f"there is no event {through}: the newest is {newest}")
        if newest < through and self._rebuild is not None:  # the events with used numbers
            self._rebuild.request(self._outbox.confirmed + 1, through)
        self._outbox.confirm(through)
        self._learn(body)
        self._publish(confirmed=self._outbox.confirmed)
        return f"everything up to {self._outbox.confirmed} is confirmed"

    def resend(self, command: Command, at: str) -> str:
        body = commandbody.read(command, Resend)
        self._require_own(command, body)
        first, last = max(body.first, self._outbox.first_seq), body.last
        if last < first:
            raise CommandFault("command_malformed", f"from {first} to {last} is nothing")
        if first > self._outbox.last_seq:
            raise CommandFault("ack_unknown", f"there is no event {first}: the newest is {self._outbox.last_seq}")
        self._report_gone(first, min(last, self._outbox.last_seq), at)
        self._publish(resend=command.counter, resend_from=first, resend_to=last)
        return f"events {first} to {last} are sent again, those that are still here"

    def _report_gone(self, first: int, last: int, at: str) -> None:
        """Reports requested events that are gone, once confirmed or lost by a damaged disk; otherwise the desk would
        keep a hole for ever. Their content is rebuilt and follows. The report starts at `first`, since a desk requests
        its first hole first.
        """
        found = self._reader.from_seq(first, 1)
        gone = (first, min(found[0][0] - 1 if found else last, last))
        if gone[0] <= gone[1] and gone != self._gone:
            self._outbox.append(CallEvent(seq=0, event="dropped", at=at, unit="", from_seq=gone[0], to_seq=gone[1]))
            self._gone = gone
            log.warning("events_gone: events %d to %d were requested and are no longer here", *gone)
        if gone[0] <= gone[1] and self._rebuild is not None:
            self._rebuild.request(*gone)

    def _learn(self, body: Ack) -> None:
        """Passes on the desk's answer on the number of this vault, which is signed once, and the desk's head of our
        log.
        """
        number, before = body.number or "", body.before or ""
        if self._order is not None and _ORDER.fullmatch(number) and (not before or vaultname.NAME.fullmatch(before)):
            self._order(int(number), before)
        if self._held_against is not None and body.head is not None:
            self._held_against(body.head, body.sig or "")

    def _publish(self, **changes: int | bool) -> None:
        known = {name: getattr(self.state, name) for name in self.state.__struct_fields__}
        self.state = DeliveryState(**{**known, **changes})

    def _require_own(self, command: Command, body: Ack | Resend) -> None:
        """CommandFault unless origin and vault are those of this outbox: another outbox counts its own events."""
        vault = self._outbox.vault
        if not vault and isinstance(body, Ack) and body.beside:
            text = f"the body of {command.verb} for a vault without a name is origin, through"
            raise CommandFault("command_malformed", text)
        if body.origin != self._outbox.origin:
            raise CommandFault("ack_origin", f"these are the events of {self._outbox.origin}")
        # A desk that rebuilds its index requests all events, without knowing their vault.
        if (body.vault or "") != vault and (isinstance(body, Ack) or body.vault is not None):
            raise CommandFault("ack_vault", f"these are the events of vault {vault or 'without a name'}")
