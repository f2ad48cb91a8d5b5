# SPDX-License-Identifier: Apache-2.0
"""The desk's own word on the outbox: `ack`, everything up to here is safe with me; `resend`, from here to there again.

The reporter has the network and reads the outbox; what the desk has said it finds in the recorder's state file, and
so need not understand a command, or be believed.
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
    """For the vault's thread; `state` may be read by any."""

    def __init__(
        self,
        outbox: Outbox,
        reader: OutboxReader,
        rebuild: Rebuild | None,
        order: Callable[[int, str], None] | None = None,
        held_against: Callable[[str, str], None] | None = None,
    ) -> None:
        """`rebuild`: None where there is no vault behind the outbox. `order` takes the desk's word on which vault of
        this key it is, and which was before; `held_against` a head of the unit's log, and its signature."""
        self._outbox, self._reader, self._rebuild = outbox, reader, rebuild
        self._order, self._held_against = order, held_against
        self._gone = (0, 0)  # what was last said to be
        self.state = DeliveryState(confirmed=outbox.confirmed)

    def has_desk(self, named: bool) -> None:
        """Whether the roles name somebody who can confirm."""
        if named != self.state.desk:
            self._tell(desk=named)

    def acknowledged(self, command: Command) -> str:
        """OSError: the disk did not take it, and nothing is forgotten."""
        asked = commandbody.read(command, Ack)
        self._require_own(command, asked)
        through = asked.through
        newest = self._outbox.last_seq
        if not self._outbox.has_used(through):
            raise CommandFault("ack_unknown", f"there is no event {through}: the newest is {newest}")
        if newest < through and self._rebuild is not None:  # what was said under numbers that were used already
            self._rebuild.want(self._outbox.confirmed + 1, through)
        self._outbox.confirm(through)
        self._learn(asked)
        self._tell(confirmed=self._outbox.confirmed)
        return f"everything up to {self._outbox.confirmed} is confirmed"

    def asked_again(self, command: Command, at: str) -> str:
        asked = commandbody.read(command, Resend)
        self._require_own(command, asked)
        first, last = max(asked.first, self._outbox.first_seq), asked.last
        if last < first:
            raise CommandFault("command_malformed", f"from {first} to {last} is nothing")
        if first > self._outbox.last_seq:
            raise CommandFault("ack_unknown", f"there is no event {first}: the newest is {self._outbox.last_seq}")
        self._say_gone(first, min(last, self._outbox.last_seq), at)
        self._tell(resend=command.counter, resend_from=first, resend_to=last)
        return f"events {first} to {last} are sent again, those that are still here"

    def _say_gone(self, first: int, last: int, at: str) -> None:
        """What the desk lacks and we have no more, because it confirmed it once or because our disk is damaged, would
        be a hole for ever: our own signed word closes it, and what they said follows. From `first` on: a desk asks
        for its first hole first."""
        found = self._reader.from_seq(first, 1)
        gone = (first, min(found[0][0] - 1 if found else last, last))
        if gone[0] <= gone[1] and gone != self._gone:
            self._outbox.append(CallEvent(seq=0, event="dropped", at=at, unit="", from_seq=gone[0], to_seq=gone[1]))
            self._gone = gone
            log.warning("events_gone: events %d to %d are asked for and not here any more", *gone)
        if gone[0] <= gone[1] and self._rebuild is not None:
            self._rebuild.want(*gone)

    def _learn(self, asked: Ack) -> None:
        """Which vault of this key it is, only the desk may know: that is signed once, and then stands. And what head of
        our log it has."""
        number, before = asked.number or "", asked.before or ""
        if self._order is not None and _ORDER.fullmatch(number) and (not before or vaultname.NAME.fullmatch(before)):
            self._order(int(number), before)
        if self._held_against is not None and asked.head is not None:
            self._held_against(asked.head, asked.sig or "")

    def _tell(self, **changes: int | bool) -> None:
        known = {name: getattr(self.state, name) for name in self.state.__struct_fields__}
        self.state = DeliveryState(**{**known, **changes})

    def _require_own(self, command: Command, asked: Ack | Resend) -> None:
        """Its origin and its vault are those of this outbox: others count their own events."""
        vault = self._outbox.vault
        if not vault and isinstance(asked, Ack) and asked.beside:
            text = f"the body of {command.verb} for a vault without a name is origin, through"
            raise CommandFault("command_malformed", text)
        if asked.origin != self._outbox.origin:
            raise CommandFault("ack_origin", f"these are the events of {self._outbox.origin}")
        # A desk that makes its index again asks for all there is, and cannot know of which vault.
        if (asked.vault or "") != vault and (isinstance(asked, Ack) or asked.vault is not None):
            raise CommandFault("ack_vault", f"these are the events of vault {vault or 'without a name'}")
