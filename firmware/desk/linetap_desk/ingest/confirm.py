# SPDX-License-Identifier: Apache-2.0
"""Signs the desk's own commands to units: `ack` confirms stored events, `resend` requests missing ones.

The desk awaits no answer. A lost `ack` is repeated with the next event, at the unit's next connection, or when the unit
sends an event again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from linetap_core.clock import NS_PER_MS, NS_PER_S, S_PER_DAY, Clock, rfc3339
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization.command import DESK, Answer, Command
from linetap_core.evidence.authorization.commandbody import Ack, Resend
from linetap_core.evidence.keys.keys import SigningKey
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.wire.mqtt import Message
from linetap_core.wire.topics import Topics
from linetap_desk.ingest import vaults
from linetap_desk.ingest.vaults import Group
from linetap_desk.inputs import strict

HEAD_EVERY_S = 600  # for each unit; the unit compares its log with the head
EVERY_S = 1  # at most, for each unit
GOOD_FOR_S = S_PER_DAY  # clocks differ; an old `ack` or `resend` does no harm
REFUSED_PAUSE_S = 600  # after a refusal that would recur at once
_LASTING = (
    "command_no_authority",
    "command_signer",
    "command_role",
    "command_counters_lost",
    "command_counter",
    "ack_origin",
    "ack_vault",
)
_CLOCK_STEP_MS = 60_000
ANSWER_LIMIT_BYTES = 16 << 10

log = logging.getLogger("linetap.ingest")


def _next_counter(last: int, now_ms: int) -> int:
    """The time in milliseconds, or the next free counter above it. After a fast clock is corrected, units do not refuse
    the desk's counters permanently (evidence/authorization/counters.py)."""
    return last + 1 if last - _CLOCK_STEP_MS <= now_ms <= last else now_ms


def key_and_vault(group: Group) -> dict[str, str]:
    """The fields for the key, and for the vault if it has a name: units of an earlier version accept no other field."""
    vault = vaults.vault_of(group[1])
    return {"origin": vaults.origin_of(group[1]), **({"vault": vault} if vault else {})}


class Confirmer:
    def __init__(self, key: SigningKey, clock: Clock, counter: int = 0) -> None:
        """`counter`: the highest that another ingest may have used, whose clock may be ahead of this one's."""
        self._key, self._clock, self._counter = key, clock, counter
        self._confirmed: dict[str, tuple[Group, int]] = {}  # unit -> its present chain, the number confirmed
        self._due: dict[str, int] = {}  # unit -> monotonic ns at which a confirmation is due
        self._sent_ns: dict[str, int] = {}  # unit -> monotonic ns
        self._next_head_ns: dict[str, int] = {}  # unit -> monotonic ns before which no head of its log is sent
        self._counters: dict[str, int] = {}
        self._last_counter_before: dict[str, int] = {}  # unit -> the last counter before it used its present chain
        self._refused: dict[str, str] = {}

    def confirm(self, reached: Iterable[tuple[Group, int]]) -> None:
        """Confirms all events of each group up to the number. They are committed; they need not be new."""
        for group, through in reached:
            if through > vaults.before_first(group[1]):
                if group[0] in self._confirmed and self._confirmed[group[0]][0] != group:
                    self._begin_chain(group[0])
                self._confirmed[group[0]] = (group, through)
                self.repeat(group[0])

    def _begin_chain(self, unit: str) -> None:
        """Resets the refusals of a unit that uses a new chain, for example after a new disk."""
        self._last_counter_before[unit] = self._counters.get(unit, self._counter)
        self._sent_ns[unit] = min(self._sent_ns.get(unit, 0), self._clock.monotonic_ns())
        self._due.pop(unit, None)

    def repeat(self, unit: str) -> None:
        """Repeats the last confirmation, which the unit may not have received."""
        if unit in self._confirmed:
            self._due.setdefault(unit, self._sent_ns.get(unit, 0) + EVERY_S * NS_PER_S)

    def unit_returned(self, unit: str) -> None:
        """Sends the newest head of the unit's log again: its recorder may have restarted."""
        self._next_head_ns.pop(unit, None)
        self.repeat(unit)

    def due_confirmations(
        self, fields: Callable[[list[Group]], Mapping[Group, dict[str, str]]] = lambda _: {}
    ) -> Iterator[Message]:
        """The confirmations due now. `fields`: adds fields to them (vaults.py); if it raises, nothing is sent."""
        now_ns = self._clock.monotonic_ns()
        due = [unit for unit, due_ns in self._due.items() if due_ns <= now_ns]
        extra = fields([self._confirmed[unit][0] for unit in due]) if due else {}
        for unit in due:
            del self._due[unit]
            self._sent_ns[unit] = now_ns
            group, through = self._confirmed[unit]
            fields_of_unit = dict(extra.get(group, {}))
            if "head" in fields_of_unit and now_ns < self._next_head_ns.get(unit, 0):
                del fields_of_unit["head"], fields_of_unit["sig"]
            elif "head" in fields_of_unit:
                self._next_head_ns[unit] = now_ns + HEAD_EVERY_S * NS_PER_S
            yield self.command(
                unit,
                "ack",
                msgspec.convert({**key_and_vault(group), **fields_of_unit, "through": through}, Ack).texts(),
            )

    def resend(self, group: Group, first: int, last: int) -> Message:
        return self.command(
            group[0], "resend", msgspec.convert({**key_and_vault(group), "from": first, "to": last}, Resend).texts()
        )

    def command(self, unit: str, verb: str, body: dict[str, str]) -> Message:
        now_ns = self._clock.utc_ns()
        counter = self._counters[unit] = _next_counter(self._counters.get(unit, self._counter), now_ns // NS_PER_MS)
        command = Command(
            unit=unit, verb=verb, role=DESK, counter=counter, expires=rfc3339(now_ns + GOOD_FOR_S * NS_PER_S), body=body
        )
        sealed = envelopes.seal(command, lambda text: sshsig.sign(text, self._key, namespaces.COMMAND))
        return Message(Topics(unit).command(verb), sealed, expiry_s=GOOD_FOR_S)  # no broker keeps it longer

    def record_answer(self, unit: str, payload: bytes) -> None:
        """Logs each refusal reason once, since some persist."""
        try:
            answer = strict.decode(payload[:ANSWER_LIMIT_BYTES], Answer)
        except (ValueError, RecursionError):
            return
        if unit not in self._confirmed:
            return
        if not answer.done and self._refused.get(unit) != answer.code:
            log.warning("unit_refuses: %s: %.64s: %.200s", unit, answer.code, answer.text)
        if answer.code in _LASTING and not self._is_of_an_earlier_chain(unit, answer):
            self._sent_ns[unit] = self._clock.monotonic_ns() + REFUSED_PAUSE_S * NS_PER_S
            self._due.pop(unit, None)
            self.repeat(unit)
        self._refused[unit] = "" if answer.done else answer.code

    def _is_of_an_earlier_chain(self, unit: str, answer: Answer) -> bool:
        return answer.counter is not None and answer.counter <= self._last_counter_before.get(unit, 0)
