# SPDX-License-Identifier: Apache-2.0
"""The effect of each verb on the unit. Each effect may be done twice; a Refusal gives the reason for not doing it."""

from __future__ import annotations

import hashlib
import logging
from datetime import date
from pathlib import Path

from linetap.config.schema import Config
from linetap.config.weakening import Weakening
from linetap.recorder.vault.commands import certificates
from linetap.recorder.vault.commands.configchange import COUNTERPARTS, ConfigChange, could_cosign, counterparts
from linetap.recorder.vault.commands.copies import Copies
from linetap.recorder.vault.commands.linelearning import Learning
from linetap.recorder.vault.commands.rolesfile import RolesFile
from linetap.recorder.vault.commands.selftest import Identify, SelfTest
from linetap.recorder.vault.commands.update import Update
from linetap.recorder.vault.log.log import UnitLog
from linetap.recorder.vault.log.pastleaves import PastLeaf
from linetap.recorder.vault.outbox.delivery import Delivery
from linetap.recorder.vault.recordings import index
from linetap.recorder.vault.retention.epochs import Epochs
from linetap.recorder.vault.retention.holds import Holds
from linetap.recorder.vault.retention.time import RetentionTime
from linetap.recorder.vault.weakening.weakened import Weakened
from linetap_core import jsontext
from linetap_core.clock import Clock, parse_rfc3339, rfc3339
from linetap_core.durable import folders
from linetap_core.durable.files import replace_durably
from linetap_core.errors import Refusal
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization import commandbody, roles
from linetap_core.evidence.authorization.command import DESK, VAULT, Command, CommandFault, Outcome, Signed
from linetap_core.evidence.authorization.counters import Counters
from linetap_core.evidence.authorization.counters import bound as bound_of
from linetap_core.evidence.authorization.roles import Roles
from linetap_core.evidence.sealing import group, keylist
from linetap_core.evidence.sealing.keylist import OVERFLOW, is_overflow
from linetap_core.evidence.signing import authority as authorities
from linetap_core.evidence.signing import document, namespaces
from linetap_core.zones import end_of_ns

CERTIFICATES = "certificates"  # in the vault
KEY_AGE_LIMIT_BYTES = 64 << 10

log = logging.getLogger("linetap.recorder.vault")


class Effects:
    def __init__(
        self,
        config: Config,
        unit_log: UnitLog,
        holds: Holds,
        time: RetentionTime,
        epochs: Epochs,
        delivery: Delivery,
        change: ConfigChange,
        copies: Copies,
        update: Update,
        weakened: Weakened,
        clock: Clock,
    ) -> None:
        self._config, self._vault = config, config.vault_path
        self._log, self._holds, self._time, self._epochs, self._clock = unit_log, holds, time, epochs, clock
        self._delivery, self._change, self._copies, self._update = delivery, change, copies, update
        self._weakened = weakened
        self.identify, self.self_test = Identify(clock), SelfTest(config, clock)
        self.learning = Learning(config)
        self._authority = authorities.from_keys(config.keys) if config.keys.authority_lines else None
        self._roles_file = RolesFile(self._vault, self._authority) if self._authority is not None else None
        self._use(self._roles_file.load() if self._roles_file is not None else None)

    def compare_roles(self, last: PastLeaf | None) -> None:
        """Compares the roles with the last leaf of roles in the log, once all leaves are read."""
        if last is not None and self._roles_file is not None:
            self._use(self._roles_file.newest(last, self._roles))

    def checked(self, data: bytes, counters: Counters) -> Signed:
        """Returns the command in an envelope with its signers, or raises CommandFault.

        Expiry is judged by retention time, which a wrong clock does not change: the vault role must be able to correct
        a clock that is far ahead.
        """
        if self._authority is None:
            raise CommandFault("command_no_authority", "the configuration names no keys.authority: no one may command")
        utc_ns = self._clock.utc_ns()
        bound = bound_of(self._time.now_ns, utc_ns, self._time.is_dated)
        now_ns, is_dated = self._time.certain_ns or utc_ns, bool(self._time.now_ns)
        signed = envelopes.check_signed(
            data, self._config.unit, self._authority, self._roles, counters, now_ns, bound, is_dated
        )
        if signed.command.verb == "config":
            self._change.require_signed(signed)
        elif signed.command.verb == "key_list":
            self._require_cosigned_list(signed)
        elif signed.command.verb == "hold":
            self._require_cosigned_hold(signed)
        return signed

    def do(self, signed: Signed, at: str, again: bool) -> str | Outcome:
        """Does the command; returns a text on the effect. `at`: the time of acceptance; `again`: the command was
        accepted before a restart, so its expiry is not judged again.
        """
        command = signed.command
        match command.verb:
            case "time":
                return self._set_time(signed)
            case "hold":
                return self._hold(command, at, again)
            case "destroy":
                return self._destroyed(signed, at)
            case "roles":
                return self._take_roles(signed, at)
            case "ack":
                return self._delivery.acknowledge(command)
            case "resend":
                return self._delivery.resend(command, at)
            case "identify":
                return self.identify.apply(command)
            case "self_test":
                return self.self_test.apply(command)
            case "config":
                self._update.require_settled()
                return self._change.apply(signed)
            case "confirm":
                name = commandbody.read(command, commandbody.Weakening).weakening
                return self._weakened.confirm(name, signed.by[0], self._present(), again)
            case "cancel":
                name = commandbody.read(command, commandbody.Weakening).weakening
                answer, sha256 = self._weakened.cancel(name, signed.by[0], again)
                self._change.cancel(sha256)
                return answer
            case "update":
                return self._update.apply(command)
            case "learn":
                answer, kept = self.learning.apply(command)
                if kept:
                    self._weakened.compare(signed.by)
                return answer
            case "fetch":
                return self._copies.apply(command, at)
            case "key_list":
                text, signature = _document(command)
                self._require_cosigned_list(signed)
                version = self._epochs.accept(text, signature)
                self._weakened.compare(signed.by)
                return f"key list version {version}"
        raise CommandFault("command_not_here", f"this version of the unit does not do {command.verb} yet")

    def _set_time(self, signed: Signed) -> str:
        body = commandbody.read(signed.command, commandbody.Time)
        try:
            utc_ns = parse_rfc3339(body.utc)
        except ValueError as error:
            raise CommandFault("command_malformed", f"utc: {error}") from None
        if not _FIRST_NS <= utc_ns < _BEHIND_NS:
            raise CommandFault("command_malformed", f"utc: {body.utc!r} is no time of 2000 to 2199")
        code = self._time.answer(body.challenge, utc_ns, confirms=_two_officers(signed))
        if code is not None:
            raise CommandFault(code, _TIME_REFUSED[code])
        assert self._time.now_ns is not None
        return f"retention time is {rfc3339(self._time.now_ns)}"

    def _hold(self, command: Command, at: str, again: bool) -> str:
        body = commandbody.read(command, commandbody.Hold)
        text, signature, key_age = body.data, body.signature, body.key_age
        if not group.is_sealed(key_age) or len(key_age) > KEY_AGE_LIMIT_BYTES:
            raise CommandFault("command_malformed", "key_age is not a small age file, nor a group's archive of them")
        envelopes.signed_by(text, signature, namespaces.HOLD, self._roles, VAULT)
        taken = self._holds.accept(text, signature, key_age, None if again else self._time.now_ns, at)
        return f"{taken.call_id} is held until {taken.until}"

    def _destroyed(self, signed: Signed, at: str) -> str:
        """Keeps the desk's certificate that an epoch's key is destroyed.

        The epoch's calls and a day's index are still destroyed on their own day. The index of an overflow epoch, which
        has no day, is removed if two officers signed.
        """
        text, signature = _document(signed.command)
        envelopes.signed_by(text, signature, namespaces.CERTIFICATE, self._roles, VAULT)
        try:
            found = jsontext.decode(text, type=certificates.Certificate)
            epoch = found.epoch
            found = certificates.sound_certificate(found, self._epochs.sealed_to(epoch))
            ends_ns = _end_of(epoch, self._config.retention.zone)
        except ValueError as error:
            raise CommandFault("certificate_malformed", f"not a certificate: {error}") from None
        if ends_ns > (self._time.now_ns or 0):
            raise CommandFault("epoch_not_over", f"epoch {epoch} ends at {rfc3339(ends_ns)}: no retention gets shorter")
        name = certificates.certificate_name(found)
        _keep(self._vault, self._vault / CERTIFICATES / name, text, signature)
        left, sha256 = certificates.still_open(self._vault / CERTIFICATES, found), hashlib.sha256(text).hexdigest()
        self._log.append("destruction" if left is None else "certificate", at=at, epoch=epoch, sha256=sha256, file=name)
        if left is not None:
            return left
        if ends_ns == 0 and _two_officers(signed):
            index.remove_epoch(self._vault, epoch)
        return f"the key of epoch {epoch} is destroyed"

    def _require_cosigned_list(self, signed: Signed) -> None:
        """CommandFault if the authority alone would appoint other custodians or let fewer people open calls."""
        try:
            text, signature = _document(signed.command)
            found = self._epochs.weakens(text, signature)
        except (CommandFault, keylist.KeyListFault, ValueError):
            return  # applying it reports the error
        if found and not counterparts(signed):
            why = f"it weakens ({'; '.join(found)}): {COUNTERPARTS} has to cosign it"
            raise CommandFault("key_list_weakens", f"{why}, `linetap command cosign`", signed.command)

    def _require_cosigned_hold(self, signed: Signed) -> None:
        """CommandFault if one person alone shortens a hold in force, which is half of a destruction."""
        try:
            earlier = self._holds.earlier(commandbody.read(signed.command, commandbody.Hold).data)
        except (CommandFault, Refusal):
            return  # applying it reports the error
        if earlier and not _two_officers(signed) and not counterparts(signed):
            why = f"{earlier}: another officer of role vault, or a person of an approver's role, has to cosign it"
            raise CommandFault("hold_shorter", f"{why}, `linetap command cosign`", signed.command)

    def _take_roles(self, signed: Signed, at: str) -> str:
        text, signature = _document(signed.command)
        assert self._authority is not None
        assert self._roles_file is not None
        found = roles.check(text, signature, self._authority, self._roles.version if self._roles else 1)
        if self._roles is not None and found.version == self._roles.version and found != self._roles:
            raise CommandFault("roles_rollback", f"version {found.version} is in use, and this is another")
        if self._roles is not None and (what := roles.changes(self._roles, found)):
            known = roles.remaining_confirmers(self._roles, found)
            before = hashlib.sha256(document.encode(self._roles)).hexdigest()
            weakening = [Weakening("roles", each) for each in what]
            self._weakened.roles_changed(weakening, before, hashlib.sha256(text).hexdigest(), signed.by, known)
        self._log.append("roles", at=at, version=found.version, sha256=hashlib.sha256(text).hexdigest())
        self._roles_file.write(text, signature)
        self._use(found)
        return f"roles version {found.version}, {len(found.people)} people"

    def _present(self) -> set[str]:
        return set() if self._roles is None else {roles.fingerprint_of(each) for each in self._roles.people}

    def _use(self, found: Roles | None) -> None:
        self._roles = found
        self._weakened.two_may = found is not None and could_cosign(found)
        self._delivery.has_desk(found is not None and any(person.role == DESK for person in found.people))


# The range of times that a unit accepts: the unit counts on from such a time, and must be able to represent it.
_FIRST_NS, _BEHIND_NS = parse_rfc3339("2000-01-01T00:00:00Z"), parse_rfc3339("2200-01-01T00:00:00Z")
_TIME_REFUSED = {
    "time_challenge": "it does not answer the challenge of this boot: `linetap command state` shows it",
    "time_ahead": "it is further ahead than can be explained: two vault officers must sign it",
    "time_early": "it is certainly later: this software or the signed key list is newer",
    "time_back": "retention time is later already, and does not go back",
}


def _two_officers(signed: Signed) -> bool:
    """Whether two persons of the vault role have signed; a key that signs twice counts once (sshsig.check_all)."""
    return signed.command.role == VAULT and sum(holder.role == VAULT for holder in signed.by) >= 2


def _document(command: Command) -> tuple[bytes, bytes]:
    body = commandbody.read(command, commandbody.Document)
    return body.data, body.signature


def _end_of(epoch: str, zone: str) -> int:
    """The end of an epoch. 0 for an overflow epoch, which has no day and ends with the destruction of its key."""
    if is_overflow(epoch) and epoch.removeprefix(OVERFLOW).isdecimal() and len(epoch) < 20:
        return 0
    return end_of_ns(date.fromisoformat(epoch), zone)


def _keep(vault: Path, path: Path, data: bytes, signature: bytes) -> None:
    """Writes the signature, then the document, so that a document always has its signature."""
    folders.make(vault, path.parent)
    replace_durably(namespaces.signature_path(path), signature)
    replace_durably(path, data)
