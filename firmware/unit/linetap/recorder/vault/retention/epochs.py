# SPDX-License-Identifier: Apache-2.0
"""Chooses the epoch key to which a call is sealed. A changed signed list is accepted while the recorder runs; after an
invalid list the last good list stays in use.

The accepted list is also in the vault, so that a restart does not restore an older list. Used by the vault's thread;
the main thread reads `state`. Without a usable list, calls are sealed to an overflow epoch.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Callable
from datetime import date
from pathlib import Path

import msgspec

from linetap.config.retention import days_of, longest_class
from linetap.config.schema import Config
from linetap.recorder.vault.callfolder.jobs import OpenCall
from linetap_core.clock import NS_PER_S
from linetap_core.durable import folders, signedfile
from linetap_core.durable.smallfile import SmallFile
from linetap_core.errors import LinetapError
from linetap_core.evidence.sealing import keylist, members
from linetap_core.evidence.sealing.keylist import KeyList, overflow_name
from linetap_core.evidence.sealing.members import Group
from linetap_core.evidence.signing import authority as authorities
from linetap_core.records import KeyListState, Retention
from linetap_core.zones import local_time, zone_of

TAKEN = "keys/taken.json"  # in the vault
CLOCKS_DIFFER_NS = 3600 * NS_PER_S  # maximum difference between the authority's clock and ours
Stamp = tuple[tuple[int, int, int] | None, ...]

log = logging.getLogger("linetap.recorder.vault")


class _Taken(msgspec.Struct, frozen=True):
    key_list: str
    signature: str


_FILE = SmallFile("key_list_taken", _Taken, 1 << 22)


class Epochs:
    def __init__(
        self, config: Config, clock_is_trusted: Callable[[int], bool], is_dated: Callable[[], bool] = lambda: True
    ) -> None:
        """`clock_is_trusted(made_at_ns)`: whether a unit with a list of that time may trust the clock. `is_dated`:
        whether the date is known.
        """
        self._config = config
        self._is_dated = is_dated
        self._clock_is_trusted = clock_is_trusted
        self._path = Path(config.keys.key_list) if config.keys.key_list and config.keys.authority else None
        self._list: KeyList | None = None
        self._taken: _Taken | None = None
        self._unsaved = False
        if self._path is None:
            return
        self._authority = authorities.from_keys(config.keys)
        self._restore()
        self._seen = self._looked_at = _stamp(self._path)
        self._load_key_list(self._path)

    @property
    def custodians(self) -> list[str]:
        """The custodians' keys, each sufficient to open, or a single group."""
        return self._custodians(self._list)

    def _custodians(self, found: KeyList | None) -> list[str]:
        if found is not None and found.custodians:
            return found.custodians
        own = self._config.keys
        return own.custodians if own.custodians_needed == 1 else [str(own.custodian_group)]

    @property
    def key_list(self) -> KeyList | None:
        """The list in use."""
        return self._list

    @property
    def version(self) -> int | None:
        """The version of the list in use."""
        return self._list.version if self._list else None

    @property
    def sha256(self) -> str | None:
        """The hash of the list in use, as signed."""
        return hashlib.sha256(self._taken.key_list.encode("utf-8")).hexdigest() if self._taken else None

    @property
    def earliest_ns(self) -> int:
        """A time that has certainly passed, from the authority's signed list; 0 without a list."""
        return 0 if self._list is None else self._list.made_at_ns - CLOCKS_DIFFER_NS

    def reload(self) -> None:
        """Accepts a list that has changed and is stable: its two files are not replaced at the same moment."""
        if self._path is None:
            return
        stamp, before = _stamp(self._path), self._seen
        self._seen = stamp
        if stamp == before != self._looked_at:
            self._looked_at = stamp
            self._load_key_list(self._path)
        if self._unsaved:
            self._save()

    def weakens(self, data: bytes, signature: bytes) -> list[str]:
        """Returns the weakenings of a list from a command: other people, or fewer together, could open calls.
        KeyListFault if the list is invalid.
        """
        if self._path is None:
            return []
        found = self._checked(_Taken(data.decode("utf-8"), signature.decode("ascii")))
        weaker = keylist.needs_fewer(found, self._list) if self._list is not None else []
        after = self._custodians(found)
        if after != self.custodians and not any(each.startswith("custodians") for each in weaker):
            before, behind = members.group_of(self.custodians).in_words(), members.group_of(after).in_words()
            weaker.insert(0, f"custodians {before} -> {behind}, other keys")
        return weaker

    def accept(self, data: bytes, signature: bytes) -> int:
        """Accepts a list from a command and returns its version. A repeated list is no error. KeyListFault: not
        accepted.
        """
        if self._path is None:
            raise keylist.KeyListFault("the configuration names no keys.key_list")
        try:
            taken = _Taken(data.decode("utf-8"), signature.decode("ascii"))
        except UnicodeDecodeError as error:
            raise keylist.KeyListFault(f"its signature is no text of ssh-keygen's: {error.reason}") from None
        if taken != self._taken or self._list is None:
            found = self._checked(taken)
            if self._list is not None:
                keylist.require_follows(found, self._list)
            self._list, self._taken = found, taken
        self._save()
        return self._list.version

    def resolve(self, wanted: Retention) -> tuple[Retention, str]:
        """Returns the retention and the key for the wanted day: that day's epoch, or the overflow epoch.

        An overflow epoch has no day: `until` is None until the call is re-wrapped. If no list was ever configured, the
        overflow epoch is the only epoch, and `until` is as wanted. Without an agreed clock there is never an `until`,
        and the record gives the reason.
        """
        if not self._is_dated():
            wanted = msgspec.structs.replace(
                wanted, until=None, waits_for="clock", days=days_of(self._config, wanted.class_)
            )
        found = self._list
        if found is not None and wanted.until is not None and self._clock_is_trusted(found.made_at_ns):
            with contextlib.suppress(ValueError):  # an overflow epoch's name, from another version's checkpoint
                if (epoch := found.epoch_of(date.fromisoformat(wanted.epoch))) is not None:
                    return wanted, epoch.recipient
        own = self._config.keys
        last = found.overflow[-1] if found else keylist.Overflow(own.overflow_number, own.overflow_epoch)
        until = wanted.until if self._path is None else None
        return msgspec.structs.replace(wanted, epoch=overflow_name(last.number), until=until), last.recipient

    def index_key(self, named: Retention) -> tuple[str, str]:
        """Returns the epoch that a call's record names, and the key of its index.

        An overflow epoch has only its own key. If the epoch is not in the list in use, the result is the overflow epoch
        in use.
        """
        found, own = self._list, self._config.keys
        for epoch in found.epochs if found else []:
            if epoch.day == named.epoch:
                return epoch.day, epoch.index
        configured = keylist.Overflow(own.overflow_number, own.overflow_epoch)
        overflows = found.overflow if found else [configured]
        last = next((each for each in overflows if overflow_name(each.number) == named.epoch), overflows[-1])
        return overflow_name(last.number), last.recipient

    def sealed_to(self, name: str) -> Group | None:
        """Returns the recipient of that epoch in the list in use; None: the epoch is not in the list."""
        found = self._list
        if found is None:
            return None
        known = [epoch.recipient for epoch in found.epochs if epoch.day == name]
        known += [each.recipient for each in found.overflow if overflow_name(each.number) == name]
        return members.parse(known[0]) if known else None

    def settle(self, begun: OpenCall, wanted: Retention | None) -> tuple[Retention | None, str | None]:
        """Returns, at the end of a call, the retention for its record and the epoch to re-wrap its key for; None: not
        re-wrapped.

        `wanted` None: an unknown call keeps its initial retention. Without the inner blob the key cannot be re-wrapped:
        the record then marks the class as pending, for the vault officer.
        """
        if wanted is None:
            return begun.retention, None
        retention, epoch = self.resolve(wanted)
        if epoch == begun.epoch:
            return retention, None
        if begun.inner:
            return retention, epoch
        named = begun.retention.epoch if begun.retention else retention.epoch
        return msgspec.structs.replace(wanted, epoch=named, class_pending=True), None

    def state(self, utc_ns: int) -> KeyListState | None:
        """Returns the list's state for the state file; None if no list is configured."""
        if self._path is None:
            return None
        if (found := self._list) is None:
            return KeyListState()
        today = local_time(utc_ns, zone_of(self._config.retention.zone)).date()
        fit = found.days_that_fit(longest_class(self._config).days, today)
        return KeyListState(version=found.version, last_day=found.epochs[-1].day, fits_days=fit)

    def _load_key_list(self, path: Path) -> None:
        try:
            data, signature = signedfile.load_key_list(path)
            taken = _Taken(data.decode("utf-8"), signature.decode("ascii"))
            if taken == self._taken:
                return
            found = self._checked(taken)
            if self._list is not None:
                keylist.require_follows(found, self._list)
        except (LinetapError, UnicodeDecodeError) as error:
            stays = f"version {self._list.version} stays" if self._list else "calls are sealed to the overflow epoch"
            code = error.code if isinstance(error, LinetapError) else keylist.Malformed.code
            log.error("%s: %s: not taken: %s; %s", code, path, error, stays)
            return
        self._list, self._taken = found, taken
        log.info("key list version %d: %s to %s", found.version, found.epochs[0].day, found.epochs[-1].day)
        self._save()

    def _checked(self, taken: _Taken) -> KeyList:
        found = keylist.read(taken.key_list.encode("utf-8"), taken.signature.encode("ascii"), self._authority)
        if found.zone != self._config.retention.zone:
            raise keylist.OtherZone(f"its days end in {found.zone}, this unit's in {self._config.retention.zone}")
        if not found.custodians:  # else the list itself was checked
            keylist.require_short(found, self._config.keys.custodian_group)
        return found

    def _restore(self) -> None:
        """Loads the last list that this unit accepted from this authority."""
        path = self._config.vault_path / TAKEN
        try:
            taken = _FILE.load(path)
            if taken is not None:
                self._list, self._taken = self._checked(taken), taken
        except (LinetapError, ValueError) as error:
            log.error("key_list_forgotten: %s: %s; the list in %s counts", path, error, self._path)

    def _save(self) -> None:
        """Saves the accepted list. On a full disk the list is used nevertheless, and saving is retried."""
        self._unsaved = True
        with contextlib.suppress(OSError):
            path = self._config.vault_path / TAKEN
            folders.make(self._config.vault_path, path.parent)
            if self._taken is not None:
                _FILE.replace(path, self._taken)
            self._unsaved = False


def _stamp(path: Path) -> Stamp:
    """Returns a value that changes with the list or its signature, at the cost of two stat(2)."""
    return tuple(_stat(each) for each in (path, signedfile.signature_of(path)))


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_ino, info.st_mtime_ns, info.st_size
