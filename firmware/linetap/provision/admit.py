# SPDX-License-Identifier: Apache-2.0
"""Whose order a unit takes from its card. A new unit takes any; one that was commissioned, its authority's alone.

The authority is the one that the unit was commissioned with (order.json, which is root's). Where an older version
commissioned it, it is that of the configuration in force, a file that the recorder may write. Its signature,
`linetap.toml.sig`, is over the exact bytes of the file, in namespace linetap-order, as `ssh-keygen -Y sign` makes it.
The order names its unit and when it was made, and none is taken that is not younger than the last.
"""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path

import msgspec

from linetap.clock import parse_rfc3339
from linetap.config import Config, load_config
from linetap.config.load import MAX_BYTES
from linetap.durable.replace import replace_durably
from linetap.errors import BadInput
from linetap.evidence import authority, sshsig
from linetap.evidence.authority import Authority
from linetap.provision.order import NAME, UNIT, Order
from linetap.provision.outcome import OrderFault

NAMESPACE = "linetap-order"
SIGNATURE = f"{NAME}.sig"
KEY = "unit.key"
TAKEN = "order.json"  # in /etc/linetap: when the order was made that was taken last


class _Taken(msgspec.Struct):
    """Beside the key, not where the configuration may lie: whose unit it is does not go with a lost data partition."""

    made_at: str | None = None
    unit: str = ""
    authority: list[str] = []
    authority_needed: int = 1


class _Named(msgspec.Struct):
    """What a unit.toml says of its authority."""

    authority: str | list[str] | None = None
    authority_needed: int = 1


def commissioned(home: Path) -> Config | None:
    """The configuration in force; None: nobody has commissioned this unit. BadInput where it cannot be read."""
    return load_config(home / UNIT) if (home / KEY).exists() and (home / UNIT).exists() else None


def read_card(path: Path) -> bytes:
    """A file on the card: regular, and no larger than a configuration may be. BadInput."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise BadInput(f"{path.name}: {error.strerror}; a file of its own would be right") from None
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise BadInput(f"{path.name}: not a regular file")
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise BadInput(f"{path.name}: more than {MAX_BYTES} bytes; that is no configuration")
    return data


def _owner(home: Path) -> tuple[str, Authority] | None:
    """The unit's name and its authority; None: it is new, or names none. OrderFault where that cannot be known."""
    if not (home / KEY).exists():
        return None
    try:
        taken = _taken(home)
        unit, lines, needed = taken.unit, taken.authority, taken.authority_needed
        if not lines and (config := commissioned(home)) is not None:
            unit, lines, needed = config.unit, config.keys.authority_lines, config.keys.authority_needed
        return (unit, authority.from_lines(lines, needed)) if lines else None
    except BadInput as error:
        why = str(error).replace("\n", "; ")
        raise OrderFault("order_config", f"{NAME}: whose order it takes cannot be known: {why}") from None


def require_authority(data: bytes, boot: Path, home: Path) -> None:
    """Nothing, where a commissioned unit may read on: OrderFault before a byte of what is unsigned is understood."""
    if (owner := _owner(home)) is not None:
        _require_signed(data, boot, owner[1], "the authority of this unit")


def require_new(order: Order, home: Path) -> None:
    """OrderFault for an order that a commissioned unit with an authority took before, or of another unit."""
    if (owner := _owner(home)) is None:
        return
    unit = _of_unit(order).get("unit")
    if unit != owner[0]:
        raise OrderFault("order_other_unit", f"{NAME}: it is for {unit!r}: this is unit {owner[0]}, not {unit}")
    if order.made_at is None:
        raise OrderFault("order_undated", f'{NAME}: it has no made_at = "2026-11-28T09:00:00.000Z"')
    last = _taken(home).made_at
    if last is not None and parse_rfc3339(order.made_at) <= parse_rfc3339(last):
        raise OrderFault("order_older", f"{NAME}: made at {order.made_at}; the unit has taken one made at {last}")


def require_debugger(order: Order, data: bytes, boot: Path) -> None:
    """A key that lets in as root comes in a signed order alone, also to a new unit: then of the authority it names."""
    if order.ssh_key is None:
        return
    try:
        named = msgspec.convert(_of_unit(order).get("keys", {}), _Named)
        if named.authority is None:
            raise OrderFault("order_unsigned", f"{NAME}: ssh_key: its {UNIT} names no keys.authority to sign it")
        own = authority.from_lines(named.authority, named.authority_needed)
    except (BadInput, msgspec.ValidationError) as error:
        raise OrderFault("order_signer", f"{NAME}: ssh_key: keys.authority: {error}") from None
    _require_signed(data, boot, own, f"the authority that its {UNIT} names")


def remember(order: Order, home: Path) -> None:
    """What is in force now."""
    config = load_config(home / UNIT)
    named = config.keys
    taken = _Taken(order.made_at, config.unit, named.authority_lines, named.authority_needed)
    replace_durably(home / TAKEN, msgspec.json.encode(taken))


def _require_signed(data: bytes, boot: Path, whose: Authority, who: str) -> None:
    path = boot / SIGNATURE
    if not path.exists():
        raise OrderFault("order_unsigned", f"{NAME}: not signed: {SIGNATURE} by {who} would be right")
    try:
        signers = sshsig.check_all(data, read_card(path), NAMESPACE)
    except sshsig.SignatureFault as error:
        raise OrderFault("order_signature", f"{SIGNATURE}: {error}") from None
    if (wrong := whose.lacks(signers)) is not None:
        raise OrderFault("order_signer", f"{SIGNATURE}: {wrong}: it takes {who}")


def _of_unit(order: Order) -> dict[str, object]:
    try:
        return tomllib.loads(order.files[UNIT])
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{NAME}: {UNIT}: not TOML: {error}") from None


def _taken(home: Path) -> _Taken:
    """A note that is damaged says no: nothing is taken but after a decommissioning."""
    try:
        return msgspec.json.decode((home / TAKEN).read_bytes(), type=_Taken)
    except FileNotFoundError:
        return _Taken()
    except (OSError, ValueError) as error:
        raise OrderFault("order_config", f"{home / TAKEN}: {error}") from None
