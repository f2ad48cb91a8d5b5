# SPDX-License-Identifier: Apache-2.0
"""The acceptance of an order from the unit's card: a new unit accepts any, a commissioned one only its authority's.

The authority is the one in root's memory (memory.py). A unit commissioned without one accepts no order until it is
decommissioned; neither does a unit whose configuration and memory are lost. The signature, `linetap.toml.sig`, is over
the exact bytes of the file, in namespace linetap-order, as `ssh-keygen -Y sign` makes it. The order names its unit and
its creation time, and must be newer than the last one.
"""

from __future__ import annotations

import errno
import hashlib
import tomllib
from pathlib import Path

import msgspec

from linetap.config import load_config
from linetap.provision import memory as memories
from linetap.provision.memory import KEY, Memory
from linetap_core import plainfile
from linetap_core.clock import parse_rfc3339
from linetap_core.enrolment.order import NAME, UNIT, Order, OrderFault
from linetap_core.errors import BadInput
from linetap_core.evidence.signing import authority, namespaces, sshsig
from linetap_core.evidence.signing.authority import Authority
from linetap_core.tomlfile.source import MAX_BYTES

SIGNATURE = f"{NAME}{namespaces.SUFFIX}"


class _Named(msgspec.Struct):
    """The authority in a unit.toml."""

    authority: str | list[str] | None = None
    authority_needed: int = 1


def read_card(path: Path) -> bytes:
    """The content of a file on the card. BadInput unless it is regular and no larger than a configuration may be."""
    try:
        with plainfile.opened(path) as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        is_none = error.errno == errno.ENXIO
        why = "a folder or a device; a file expected" if is_none else f"{error.strerror}; a file of its own expected"
        raise BadInput(f"{path.name}: {why}") from None
    if len(data) > MAX_BYTES:
        raise BadInput(f"{path.name}: more than {MAX_BYTES} bytes; that is no configuration")
    return data


def _owner(data: bytes, home: Path) -> Memory | None:
    """The owner's memory; None if the unit is new, or a power cut ended its first order, which is `data`. OrderFault if
    the unit accepts none.
    """
    memory, has_key = memories.load(home), (home / KEY).exists()
    if memory is None and not has_key:
        return None
    if memory is not None and memory.taking and (not has_key or memory.taking == hashlib.sha256(data).hexdigest()):
        return None
    only_way = "it takes none before it has been decommissioned (linetap-decommission.txt and the button)"
    if memory is None or not memory.unit:
        raise OrderFault(
            "order_config", f"{NAME}: whose order this unit takes is not known, its {UNIT} is lost: {only_way}"
        )
    if not memory.authority:
        raise OrderFault("order_no_authority", f"{NAME}: this unit was commissioned without keys.authority: {only_way}")
    return memory


def require_authority(data: bytes, boot: Path, home: Path) -> None:
    """Raises OrderFault, before unsigned content is parsed, if a commissioned unit must not accept it."""
    if (owner := _owner(data, home)) is not None:
        try:
            whose = authority.from_lines(owner.authority, owner.authority_needed)
        except BadInput as error:
            raise OrderFault("order_config", f"{memories.NAME}: authority: {error}") from None
        _require_signed(data, boot, whose, "the authority of this unit")


def require_new(order: Order, data: bytes, home: Path) -> None:
    """Raises OrderFault for an order already accepted by a commissioned unit, or for another unit. `data`: its
    bytes.
    """
    if (owner := _owner(data, home)) is None:
        return
    unit = _of_unit(order).get("unit")
    if unit != owner.unit:
        raise OrderFault("order_other_unit", f"{NAME}: it is for {unit!r}: this is unit {owner.unit}, not {unit}")
    if order.made_at is None:
        raise OrderFault("order_undated", f'{NAME}: it has no made_at = "2026-11-28T09:00:00.000Z"')
    last = owner.made_at
    if last is not None and parse_rfc3339(order.made_at) <= parse_rfc3339(last):
        raise OrderFault("order_older", f"{NAME}: made at {order.made_at}; the unit has taken one made at {last}")


def is_complete(home: Path) -> bool:
    """Whether the unit neither waits for a first order nor has begun one that a power cut interrupted. A damaged memory
    counts as complete.
    """
    try:
        memory = memories.load(home)
    except OrderFault:
        return True
    return (home / KEY).exists() if memory is None else not memory.taking


def require_unowned(data: bytes, home: Path) -> None:
    """Raises OrderFault for an order over the network to a commissioned unit."""
    if _owner(data, home) is not None:
        raise OrderFault("order_commissioned", f"{NAME}: this unit was commissioned: it is adopted by no desk")


def require_own_authority(order: Order, data: bytes, boot: Path) -> None:
    """Raises OrderFault unless the authority named by the order has signed it, if the order has an SSH key for root, or
    came over the network. This applies even to a new unit: the desk forwards an order, and must not be able to make
    one.
    """
    what = "ssh_key" if order.ssh_key is not None else "by network"
    try:
        named = msgspec.convert(_of_unit(order).get("keys", {}), _Named)
        if named.authority is None:
            raise OrderFault("order_unsigned", f"{NAME}: {what}: its {UNIT} names no keys.authority to sign it")
        own = authority.from_lines(named.authority, named.authority_needed)
    except (BadInput, msgspec.ValidationError) as error:
        raise OrderFault("order_signer", f"{NAME}: {what}: keys.authority: {error}") from None
    _require_signed(data, boot, own, f"the authority that its {UNIT} names")


def remember(order: Order, data: bytes, home: Path, in_force: bool) -> None:
    """Stores the unit of its unit.toml, and the SHA-256 of the order. `data`: the order's bytes."""
    config, memory, sha256 = load_config(home / UNIT), Memory(made_at=order.made_at), hashlib.sha256(data).hexdigest()
    memory.taking, memory.taken = ("", sha256) if in_force else (sha256, "")
    memory.of_config(config)
    memory.place(config, (home / UNIT).stat().st_uid)
    memories.save(memory, home)


def _require_signed(data: bytes, boot: Path, whose: Authority, who: str) -> None:
    path = boot / SIGNATURE
    if not path.exists():
        raise OrderFault("order_unsigned", f"{NAME}: not signed: {SIGNATURE} by {who} expected")
    try:
        signers = sshsig.check_all(data, read_card(path), namespaces.ORDER)
    except sshsig.SignatureFault as error:
        raise OrderFault("order_signature", f"{SIGNATURE}: {error}") from None
    if (wrong := whose.reason_against(signers)) is not None:
        raise OrderFault("order_signer", f"{SIGNATURE}: {wrong}: it takes {who}")


def _of_unit(order: Order) -> dict[str, object]:
    try:
        return tomllib.loads(order.files[UNIT])
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{NAME}: {UNIT}: not TOML: {error}") from None
