# SPDX-License-Identifier: Apache-2.0
"""The public list of epochs: for each day of expiry the two keys that are destroyed at its end.

An epoch's name is its day of expiry, `2026-12-01`, or, without a day, `overflow-2` (docs/epochs.md).

keylist.json is one line of JSON, keylist.json.sig its SSHSIG of namespace linetap-keylist by the authority. A unit
accepts a list only from the authority of its commissioning, never an older one, and never one that changes the keys of
a day: calls sealed to the old keys would outlive their day unnoticed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from linetap_core import jsontext
from linetap_core.clock import parse_rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.keys import publickeys
from linetap_core.evidence.keys.keys import PublicKey
from linetap_core.evidence.sealing import members
from linetap_core.evidence.signing import authority as authorities
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.authority import Authority
from linetap_core.zones import zone_of

DAY: Final = r"[12]\d{3}-\d\d-\d\d"  # parts of other patterns
OVERFLOW: Final = "overflow-"
OVERFLOW_NAME: Final = rf"{OVERFLOW}\d{{1,6}}"


def overflow_name(number: int) -> str:
    return f"{OVERFLOW}{number}"


def is_overflow(epoch: str) -> bool:
    return epoch.startswith(OVERFLOW)


LIST_LIMIT_BYTES = 4 << 20  # 20 years of days
SPARE_DAYS = 400  # days of a list beyond the longest class
MOST_DAYS = 20_000

DayText = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d\Z")]


class KeyListFault(Refusal):
    """The reason for refusing a list; each has its own class."""

    code = "key_list"


class Malformed(KeyListFault):
    code = "key_list_malformed"


class NotSigned(KeyListFault):
    code = "key_list_not_signed"


class Stranger(KeyListFault):
    code = "key_list_stranger"


class DaysMissing(KeyListFault):
    code = "key_list_days"


class UsedTwice(KeyListFault):
    code = "key_list_twice"


class GoesBack(KeyListFault):
    code = "key_list_goes_back"


class OtherZone(KeyListFault):
    code = "key_list_zone"


class Epoch(msgspec.Struct, frozen=True):
    """A day of expiry: the recipient or group of the calls' outer layer, and that of the day's index."""

    day: DayText
    recipient: str
    index: str


class Overflow(msgspec.Struct, frozen=True):
    number: Annotated[int, Meta(ge=1)]
    recipient: str


class KeyList(msgspec.Struct, frozen=True, kw_only=True):
    """The list. `epochs`: one for each day; the last of `overflow` is in use. Without `custodians` those of the unit's
    configuration apply; one of them may be a group, which is then the only one. Unknown fields are allowed.
    """

    version: Annotated[int, Meta(ge=1)]
    made_at: str
    zone: str
    epochs: Annotated[list[Epoch], Meta(min_length=1, max_length=MOST_DAYS)]
    overflow: Annotated[list[Overflow], Meta(min_length=1, max_length=1000)]
    custodians: Annotated[list[str], Meta(max_length=100)]

    @property
    def first_day(self) -> date:
        return date.fromisoformat(self.epochs[0].day)

    @property
    def last_day(self) -> date:
        return date.fromisoformat(self.epochs[-1].day)

    @property
    def made_at_ns(self) -> int:
        return parse_rfc3339(self.made_at)

    def epoch_of(self, day: date) -> Epoch | None:
        """The epoch of a day; None before the list's first day and after its last."""
        place = (day - self.first_day).days
        return self.epochs[place] if 0 <= place < len(self.epochs) else None

    def days_that_fit(self, longest_days: int, today: date) -> int:
        """The number of days from today, including today, on which a call of the longest class has an epoch."""
        return max(0, (self.last_day - today).days - longest_days + 1)


def encode(key_list: KeyList) -> bytes:
    """The bytes to sign."""
    return msgspec.json.encode(key_list)


def read(data: bytes, signature: bytes, authority: PublicKey | Authority) -> KeyList:
    """The list if it is consistent and signed by the authority; otherwise KeyListFault."""
    try:
        signers = sshsig.check_all(data, signature, namespaces.KEY_LIST)
    except sshsig.SignatureFault as fault:
        raise NotSigned(str(fault)) from None
    if (wrong := authorities.of(authority).reason_against(signers)) is not None:
        raise Stranger(wrong)
    return sound(data)


def sound(data: bytes) -> KeyList:
    """The list in `data`, without a check of its signature: days are consecutive, and no key occurs twice."""
    try:
        key_list = jsontext.decode(data, type=KeyList)
        days = [date.fromisoformat(epoch.day) for epoch in key_list.epochs]
        zone_of(key_list.zone)
        parse_rfc3339(key_list.made_at)
    except (ValueError, KeyError, OSError) as error:  # KeyError, OSError: from ZoneInfo
        raise Malformed(f"not a key list: {error}") from None
    for before, day in itertools.pairwise(days):
        if (day - before).days != 1:
            raise DaysMissing(f"{before} is followed by {day}: every day must be there, once and in order")
    numbers = [overflow.number for overflow in key_list.overflow]
    if numbers != sorted(set(numbers)):
        raise UsedTwice("the overflow epochs are not numbered upwards")
    _require_usable(key_list)
    return key_list


def require_follows(new: KeyList, old: KeyList) -> None:
    """Raises KeyListFault unless a unit with `old` may accept `new`."""
    if new.version <= old.version:
        raise GoesBack(f"version {new.version}, and version {old.version} is in use: versions only go up")
    known = {epoch.day: epoch for epoch in old.epochs} | {overflow_name(each.number): each for each in old.overflow}
    for name, there in _named(new):
        if known.get(name, there) != there:
            raise UsedTwice(f"{name} has other keys than in version {old.version}: a day keeps its keys")


def needs_fewer(new: KeyList, old: KeyList) -> list[str]:
    """Groups that fewer people open under the new list, in words: each is a weakening."""
    found = []
    if old.custodians:
        before = members.group_of(old.custodians)
        after = members.group_of(new.custodians) if new.custodians else None
        if after is None and before.needed > 1:
            found.append(f"custodians {before.in_words()} -> as the unit's configuration has them")
        elif after is not None and members.fewer_needed(after, before):
            found.append(f"custodians {before.in_words()} -> {after.in_words()}")
    known = {name for name, _ in _named(old)}
    for what, last in (("days", old.epochs[-1]), ("overflow", old.overflow[-1])):
        before = members.parse(last.recipient)
        for name, each in _named(new):
            after = members.parse(each.recipient)
            of_this_kind = isinstance(each, Epoch) == (what == "days")
            if of_this_kind and name not in known and members.fewer_needed(after, before):
                found.append(f"{what} from {name} on {before.in_words()} -> {after.in_words()}")
                break
    return found


def require_short(key_list: KeyList, custodians: members.Group) -> None:
    """Raises KeyListFault if a call's key.age would be longer than readers accept."""
    texts = [each.recipient for _, each in _named(key_list)]
    kinds = {(text[:2], text.count(",")): text for text in texts}  # the length depends only on k and n
    try:
        for text in kinds.values():
            members.require_short(custodians, members.parse(text))
    except BadInput as error:
        raise Malformed(str(error)) from None


def too_short(key_list: KeyList, longest_days: int) -> str | None:
    """The complaint if the list is shorter than the longest class and 400 days; None if it is long enough."""
    days, wanted = len(key_list.epochs), longest_days + SPARE_DAYS
    if days >= wanted:
        return None
    return f"{days} days; the longest class of {longest_days} days and {SPARE_DAYS} more would be {wanted}"


def _named(key_list: KeyList) -> Iterator[tuple[str, Epoch | Overflow]]:
    yield from ((epoch.day, epoch) for epoch in key_list.epochs)
    yield from ((overflow_name(each.number), each) for each in key_list.overflow)


def _require_usable(key_list: KeyList) -> None:
    named = [(f"{epoch.day} recipient", epoch.recipient) for epoch in key_list.epochs]
    named += [(f"{epoch.day} index", epoch.index) for epoch in key_list.epochs]
    named += [(f"overflow {each.number}", each.recipient) for each in key_list.overflow]
    named += [(f"custodian {place}", text) for place, text in enumerate(key_list.custodians, 1)]
    owners: dict[bytes, str] = {}
    for name, text in named:
        try:
            publics = [publickeys.decode_recipient(each) for each in members.parse(text).recipients]
        except BadInput as error:
            raise Malformed(f"{name}: {error}") from None
        for public in publics:
            if public in owners:
                raise UsedTwice(f"{name} has the key of {owners[public]}: every key serves once")
            owners[public] = name
    if key_list.custodians:
        try:
            require_short(key_list, members.group_of(key_list.custodians))
        except BadInput as error:
            raise Malformed(f"custodians: {error}") from None
